"""What an export works on: models of images, of clouds, and of several inputs."""

import dataclasses
from collections.abc import Callable

from kseg.mobile.exporting.calibration import evenly
from kseg.mobile.exporting.named_model import NamedModel
from kseg.mobile.exporting.named_parity import compare_named, walk
from kseg.mobile.exporting.named_samples import read_samples
from kseg.mobile.exporting.parity import Parity

PARITY_IMAGES = 16  # parity settles within a dozen


@dataclasses.dataclass(frozen=True)
class Job:
    """A model with its samples, whatever its kind.

    Attributes:
        size: `(height, width)` of its input, or `(points,)`.
        num_classes: Channels of its scores; 0 for a part that gives none.
        samples: For calibration: arrays of a batch of 1, or dicts of them by name.
        scores: With dicts the name of the scores, `None` where there are none.
        trace: Returns the `tf.ConcreteFunction` that is converted.
        finish: Returns the content of a file with what conversion does not give it, such
            as metadata.
        measure: Returns the parity of a finished file's content.
        labels: Name per class, if they are known.
        learned_ranges: Whether the model has learnt the ranges of an int8 file.
    """

    size: tuple[int, ...]
    num_classes: int
    samples: list
    scores: str | None
    trace: Callable
    finish: Callable[[bytes], bytes]
    measure: Callable[[bytes], Parity]
    labels: tuple[str, ...] = ()
    learned_ranges: bool = False


def named_job(model, size, output, calibration, limit) -> Job:
    """Returns the job of a model of a cloud, or of several inputs or outputs.

    Args:
        model: As in `kseg.mobile.export`, and so are the others.
        size: As there.
        output: As there.
        calibration: As there.
        limit: At most so many samples.
    """
    network = NamedModel(model, size, output)
    samples = read_samples(calibration, network, limit)
    activation = activation_of(output, network.num_classes)
    chosen = evenly(len(samples), PARITY_IMAGES)
    # Frames with state have to follow one another.
    compared = (
        samples[:PARITY_IMAGES] if network.state else [samples[i] for i in chosen]
    )
    # Ranges are those of every sample with the state that Keras leaves before it, and
    # shapes those of the first.
    needed = samples if limit > PARITY_IMAGES else samples[:1]
    complete = [inputs for inputs, _ in walk(network, needed, network.state)]
    return Job(
        complete[0][network.main].shape[1:-1],
        network.num_classes,
        complete,
        network.scores,
        trace=lambda: network.trace({k: x.shape for k, x in complete[0].items()}),
        measure=lambda content: compare_named(
            network, content, compared, activation, output
        ),
        finish=lambda content: content,  # MediaPipe has no task for them
    )


def activation_of(output: str, num_classes: int) -> str:
    """Returns what makes the outputs probabilities, as metadata says it."""
    if output != "logits":
        return "none"
    return "sigmoid" if num_classes == 1 else "softmax"
