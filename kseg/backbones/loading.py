"""Weights out of a file, and into a net."""

import os
import warnings


def load_weights(model, file, fits):
    """Loads a file into a model.

    Args:
        model: The `keras.Model`.
        file: Path of the file.
        fits: What the file must fit, for the error.

    Raises:
        ValueError: If the file does not fit the model.
    """
    with warnings.catch_warnings():
        # Said hundreds of times on the way to the error of a file that does not fit.
        warnings.filterwarnings("ignore", message="Skipping nested container")
        try:
            model.load_weights(file)
        except (ValueError, OSError, KeyError) as error:
            raise ValueError(
                f"`weights` must fit {fits}. Received: weights={os.fspath(file)!r}"
            ) from error
