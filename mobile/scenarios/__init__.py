"""Finished applications of a net that fits a phone."""

from kseg.mobile.scenarios.portrait import portrait, portrait_file

__all__ = ["portrait", "portrait_file"]
