"""Checks of arguments that several layers have."""

from numbers import Integral, Real


def check_positive(name, value):
    """Raises an error unless `value` is a positive integer."""
    if not isinstance(value, Integral):
        raise TypeError(
            f"`{name}` must be an integer. "
            f"Received: {name}={value!r} (of type {type(value).__name__})"
        )
    if value < 1:
        raise ValueError(f"`{name}` must be positive. Received: {name}={value}")


def check_dilation_rates(dilation_rates):
    """Raises an error unless there is a dilation rate, and all are positive integers."""
    if not isinstance(dilation_rates, list | tuple):
        raise TypeError(
            "`dilation_rates` must be a tuple with one rate per branch. "
            f"Received: dilation_rates={dilation_rates!r} "
            f"(of type {type(dilation_rates).__name__})"
        )
    if not dilation_rates:
        raise ValueError(
            "`dilation_rates` must have at least one rate. "
            f"Received: dilation_rates={dilation_rates}"
        )
    for rate in dilation_rates:
        check_positive("dilation_rates", rate)


def check_dropout_rate(dropout_rate):
    """Raises a ValueError unless the rate is one at which something is left."""
    if not isinstance(dropout_rate, Real) or not 0 <= dropout_rate < 1:
        raise ValueError(
            "`dropout_rate` must be at least 0 and less than 1. "
            f"Received: dropout_rate={dropout_rate!r}"
        )


def check_bins(bins):
    """Raises an error unless there is a grid of bins, and all are positive integers."""
    if not isinstance(bins, list | tuple):
        raise TypeError(
            "`bins` must be a tuple with the size of each grid. "
            f"Received: bins={bins!r} (of type {type(bins).__name__})"
        )
    if not bins:
        raise ValueError(f"`bins` must have at least one size. Received: bins={bins}")
    for number in bins:
        check_positive("bins", number)
