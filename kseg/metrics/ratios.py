"""Ratios and means of counts that may be 0."""

import math

from keras import ops

ABSENT = {"nan": math.nan, "zero": 0.0, "one": 1.0}


def checked(absent):
    """Returns `absent`, or raises if it is no name of a value."""
    if absent not in ABSENT:
        raise ValueError(
            f"`absent` must be 'nan', 'zero' or 'one'. Received: absent={absent!r}"
        )
    return absent


def ratio(part, whole, absent="nan"):
    """Returns `part / whole`, and where `whole` is 0 what `absent` says."""
    return ops.where(whole > 0, part / ops.maximum(whole, 1.0), ABSENT[absent])


def nanmean(values):
    """Returns the mean of the values of a vector that are not NaN, NaN if all are."""
    is_known = ops.logical_not(ops.isnan(values))
    return ratio(
        ops.sum(ops.where(is_known, values, 0.0)),
        ops.sum(ops.cast(is_known, "float32")),
    )
