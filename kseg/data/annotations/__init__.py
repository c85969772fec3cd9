"""Exports of annotation tools -> masks, and masks -> files that the tools open."""

from kseg.data.annotations.conversion import convert
from kseg.data.annotations.exporting import to_coco, to_labelme
from kseg.data.annotations.report import Report

__all__ = ["Report", "convert", "to_coco", "to_labelme"]
