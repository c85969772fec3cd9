"""Numbers of channels under a `width_multiplier`."""


def check_width_multiplier(width_multiplier):
    """Raises a ValueError unless the factor is positive."""
    if width_multiplier <= 0:
        raise ValueError(
            "`width_multiplier` must be positive. "
            f"Received: width_multiplier={width_multiplier}"
        )


def scaled(count, width_multiplier):
    """Returns a count of channels times a factor: a multiple of 8, at least 8."""
    if width_multiplier == 1:
        return count
    return max(8, int(count * width_multiplier / 8 + 0.5) * 8)
