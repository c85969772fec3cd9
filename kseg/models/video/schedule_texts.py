"""Schedules as they are written on a command line."""

import math

from kseg.models.video.schedules import (
    Adaptive,
    Every,
    Fixed,
    LowLatency,
    Pipelined,
    Skip,
    Warp,
)

_FORMS = (
    "every, skip:2, warp:2, fixed:2, fixed:1,2,4, pipeline:2, pipeline:3, adaptive:0.25, "
    "low_latency:5, low_latency:0.3"
)


def parse_schedule(text):
    """Returns the schedule that a text stands for.

    Args:
        text: `"every"`, `"skip:2"`, `"warp:2"`, `"fixed:2"`, `"fixed:1,2,4"`, `"pipeline:3"`,
            `"adaptive:0.25"`, `"low_latency:5"` (a key every 5 frames) or
            `"low_latency:0.3"` (a key where the frames differ by so much).

    Raises:
        ValueError: If the text is none of these.
    """
    name, colon, value = str(text).partition(":")
    try:
        match name:
            case "every" if not colon:
                return Every()
            case "skip":
                return Skip(int(value))
            case "warp":
                return Warp(int(value))
            case "fixed" if "," in value:
                return Fixed(tuple(map(int, value.split(","))))
            case "fixed":
                return Fixed(int(value))
            case "pipeline":
                return Pipelined(int(value))
            case "adaptive":
                return Adaptive(_number(value))
            case "low_latency":
                return LowLatency(int(value) if value.isdecimal() else _number(value))
    except ValueError as error:
        hint = f" ({error})" if "`" in str(error) else ""
        raise ValueError(_refusal(text) + hint) from error
    raise ValueError(_refusal(text))


def _refusal(text):
    return f"`schedule` must be one like {_FORMS}. Received: schedule={text!r}"


def _number(text):
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value
