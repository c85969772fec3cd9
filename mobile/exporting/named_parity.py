"""Compares a file of several inputs and outputs with its Keras model, by names."""

import collections
import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np

from kseg.mobile.exporting.keras_model import check_scores
from kseg.mobile.exporting.parity import Parity, compare
from kseg.mobile.tflite.litert_net import activate
from kseg.mobile.tflite.named_net import NamedNet

# What outputs that are no scores may lose: the root mean square of the difference, over
# that of the values. For int8 this is 14 dB of signal over noise, enough to feed a state
# back or to go on with a feature map; that the masks stay the same is for the scores.
MAX_RELATIVE_ERROR = {"float32": 1e-3, "float16": 1e-2}
_MAX_RELATIVE_ERROR_INT8 = 0.2


@dataclasses.dataclass(frozen=True)
class NamedParity(Parity):
    """Parity of the scores, and of every output beside them.

    Attributes:
        relative_errors: Name of an output that is no score to the root mean square of
            its difference from Keras', over that of Keras' values.
    """

    relative_errors: dict[str, float] = dataclasses.field(default_factory=dict)

    def _violations(self, precision):
        # A part of a network may have no scores at all.
        found = super()._violations(precision) if self.iou else []
        limit = MAX_RELATIVE_ERROR.get(precision, _MAX_RELATIVE_ERROR_INT8)
        return found + [
            f"output {name!r} is off by {error:.2g} of its size, over {limit:g}"
            for name, error in self.relative_errors.items()
            if not error <= limit
        ]


def walk(run: Callable, samples, state: dict) -> Iterator[tuple[dict, dict]]:
    """Runs a model over samples, each with the state that the one before has left.

    Args:
        run: Function from arrays by name to arrays by name.
        samples: Dicts of arrays by name, without the state.
        state: The state in front of the first sample; `{}` for a model without.

    Yields:
        What went in, with the state, and what came out.
    """
    for sample in samples:
        inputs = {**sample, **state}
        outputs = run(inputs)
        yield inputs, outputs
        state = {name: outputs[name] for name in state}


def compare_named(
    model, content: bytes, samples, activation: str, output: str
) -> NamedParity:
    """Measures how far a file is from its model, each with the state of its own.

    Args:
        model: A `kseg.mobile.exporting.named_model.NamedModel`.
        content: The content of the file.
        samples: Dicts of arrays by name, without the state.
        activation: What makes the scores probabilities.
        output: What the file gives for scores.

    Returns:
        A `NamedParity`.
    """
    others = [name for name in model.outputs if name != model.scores]
    sums = {name: np.zeros(2) for name in others}

    def pairs():
        runs = zip(
            walk(model, samples, model.state),
            walk(NamedNet(content), samples, model.state),
            strict=True,
        )
        for (_, expected), (_, found) in runs:
            for name in others:
                difference = found[name].astype("float64") - expected[name]
                squares = np.square(difference).sum(), np.square(expected[name]).sum()
                sums[name] += squares
            if model.scores is None:
                continue
            reference, scores = expected[model.scores], found[output]
            check_scores(reference, output)
            if not np.issubdtype(scores.dtype, np.integer):
                scores = activate(scores, activation)
            yield activate(reference, activation)[0], scores[0]

    if model.scores is None:
        collections.deque(pairs(), 0)
        parity = Parity(len(samples), None, None, math.nan, 0.0, math.nan, math.nan, ())
    else:
        parity = compare(pairs())
    return NamedParity(
        **vars(parity),
        relative_errors={
            name: float(np.sqrt(error / size)) if size else float(np.sqrt(error))
            for name, (error, size) in sums.items()
        },
    )
