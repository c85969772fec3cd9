"""Callback that stops a run whose labels are bad."""

import keras

from kseg.metrics.confusion import ConfusionMatrix


class CheckLabels(keras.callbacks.Callback):
    """Ends `fit` and `evaluate` with an error that names the labels which are no class.

    A compiled step cannot raise, so the metrics of this room count such labels; this
    calls their `check()` after every epoch and every evaluation.

    Example:

    >>> model.fit(data, callbacks=[kseg.metrics.CheckLabels()])
    """

    def __init__(self):
        super().__init__()
        self._epoch_is_unchecked = False

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch_is_unchecked = True

    def on_test_begin(self, logs=None):
        # Validation resets the counts of the epoch before `on_epoch_end` can see them.
        self._check_epoch()

    def on_test_end(self, logs=None):
        self._check()

    def on_epoch_end(self, epoch, logs=None):
        self._check_epoch()

    def _check_epoch(self):
        if self._epoch_is_unchecked:
            self._epoch_is_unchecked = False
            self._check()

    def _check(self):
        for metric in self.model.metrics:
            # What `compile` was given is inside one metric that holds them all.
            for one in (metric, *getattr(metric, "metrics", ())):
                if isinstance(one, ConfusionMatrix):
                    one.check()
