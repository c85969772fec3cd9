"""Compares an exported file with the Keras model it was made of, on real images."""

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np

# A pixel is decided where the two highest probabilities lie further apart than this;
# nearer ones flip with any rounding and say nothing about the file.
MARGIN = 0.05
# What each precision may lose: the largest error of a probability, and the least share
# of decided pixels with the same class. An error of 1e-2 cannot flip a decided pixel.
MAX_ERROR = {"float32": 1e-3, "float16": 1e-2}
MIN_AGREEMENT = {
    "float32": 0.999,
    "float16": 0.999,
    "weight_int8": 0.97,
    "dynamic_int8": 0.97,
    "full_int8": 0.97,
}
_IGNORED = 255


class ExportError(RuntimeError):
    """A model cannot be made a file that runs on a phone."""


class ParityError(ExportError):
    """A file answers differently from the Keras model it was made of.

    Attributes:
        parity: What was measured.
    """

    def __init__(self, message: str, parity: "Parity"):
        super().__init__(message)
        self.parity = parity


@dataclasses.dataclass(frozen=True)
class Truth:
    """How near the model and its file are to the true masks of the same images.

    Attributes:
        images: Number of images that have a mask.
        model_iou: The IoU of each class, of the Keras model; NaN where a class is
            neither in the masks nor found.
        file_iou: The same of the file.
    """

    images: int
    model_iou: tuple[float, ...]
    file_iou: tuple[float, ...]

    @property
    def model_mean_iou(self) -> float:
        """Mean over the classes that occur, of the Keras model."""
        return _mean(self.model_iou)

    @property
    def file_mean_iou(self) -> float:
        """The same of the file."""
        return _mean(self.file_iou)


@dataclasses.dataclass(frozen=True)
class Parity:
    """How far a file's answers are from Keras' on the same images.

    Shares and IoUs are over all pixels of all images; NaN where there is none.

    Attributes:
        images: Number of images compared.
        max_error: Largest difference of a probability. `None` if the file gives ids.
        mean_error: Mean difference of the probabilities. `None` if it gives ids.
        agreement: Share of equal classes among the decided pixels: those whose two
            highest Keras probabilities (one class: p and 1 - p) differ by over 0.05.
        decided: Share of the decided pixels among all.
        undecided_agreement: Share of equal classes among the rest.
        mean_iou: Mean over the classes that occur of the IoU of one against the other.
        iou: The IoU of each class; background and foreground for a one-class net.
        truth: Both against the true masks. `None` if there are none.
    """

    images: int
    max_error: float | None
    mean_error: float | None
    agreement: float
    decided: float
    undecided_agreement: float
    mean_iou: float
    iou: tuple[float, ...]
    truth: Truth | None = None

    def check(self, precision: str):
        """Raises `ParityError` if anything is beyond the limits of `precision`."""
        if problems := self._violations(precision):
            raise ParityError(
                f"The {precision} file does not answer as the Keras model does on "
                f"{self.images} images, and was not written: {'; '.join(problems)}."
                + " `keep_float=[...]` leaves layers in float32."
                * (precision != "float32"),
                self,
            )

    def _violations(self, precision):
        found = []
        limit = MAX_ERROR.get(precision)
        # `not <=` instead of `>`: NaN must not pass.
        if None not in (limit, self.max_error) and not self.max_error <= limit:
            found.append(f"largest error {self.max_error:.2g} is over {limit:g}")
        least = MIN_AGREEMENT[precision]
        if self.decided == 0:
            if precision not in MAX_ERROR or self.max_error is None:
                found.append(
                    f"no pixel has a margin over {MARGIN}, so that nothing can be "
                    "compared: is the model trained?"
                )
        elif not self.agreement >= least:
            found.append(
                f"only {self.agreement:.2%} of the decided pixels have the same class, "
                f"less than {least:.1%}"
            )
        return found


def compare(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]],
    masks: Sequence[np.ndarray | None] | None = None,
) -> Parity:
    """Measures parity over pairs of answers to the same images.

    Args:
        pairs: Per image Keras' probabilities, float of shape
            `(height, width, num_classes)`, and the file's: the same, or its class ids,
            an integer array of `height * width` elements.
        masks: Per image the true class ids, `(height, width)`, 255 for "ignore", or
            `None`.

    Returns:
        A `Parity`.
    """
    images, errors, largest, values, with_mask = 0, 0.0, 0.0, 0, 0
    by_ids = False
    counts = np.zeros((2, 2), "int64")  # undecided/decided, different/equal
    matrices = [0, 0, 0]  # the file against Keras, Keras and the file against the truth
    for index, (reference, exported) in enumerate(pairs):
        images += 1
        ids, margins = _classes(reference)
        if np.issubdtype(exported.dtype, np.integer):
            by_ids = True
            others = exported.reshape(ids.shape)
        else:
            difference = np.abs(reference.astype("float64") - exported)
            # np.maximum keeps NaN, Python's max would lose it.
            largest = float(np.maximum(largest, difference.max()))
            errors += difference.sum()
            values += difference.size
            others, _ = _classes(exported)
        for decided in (0, 1):
            chosen = (margins > MARGIN) == bool(decided)
            equal = np.count_nonzero(ids[chosen] == others[chosen])
            counts[decided] += (np.count_nonzero(chosen) - equal, equal)
        classes = max(2, reference.shape[-1])
        others = np.clip(others, 0, classes - 1)  # a broken file may give any
        matrices[0] += _matrix(ids, others, classes)
        if masks is not None and masks[index] is not None:
            with_mask += 1
            known = masks[index] != _IGNORED
            truth = masks[index][known]
            matrices[1] += _matrix(truth, ids[known], classes)
            matrices[2] += _matrix(truth, others[known], classes)
    iou = _iou(matrices[0])
    return Parity(
        images=images,
        max_error=None if by_ids else largest,
        mean_error=None if by_ids else float(errors / values),
        agreement=_share(counts[1, 1], counts[1].sum()),
        decided=_share(counts[1].sum(), counts.sum()),
        undecided_agreement=_share(counts[0, 1], counts[0].sum()),
        mean_iou=_mean(iou),
        iou=iou,
        truth=Truth(with_mask, *map(_iou, matrices[1:])) if with_mask else None,
    )


def _classes(probabilities):
    """Returns class ids and the margin of the winner."""
    if probabilities.shape[-1] == 1:
        foreground = probabilities[..., 0]
        return (foreground > 0.5).astype("int64"), np.abs(2 * foreground - 1)
    top = np.partition(probabilities, -2, axis=-1)
    return probabilities.argmax(axis=-1), top[..., -1] - top[..., -2]


def _matrix(truth, ids, classes):
    cells = truth.ravel().astype("int64") * classes + ids.ravel()
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def _iou(matrix):
    intersection = np.diagonal(matrix)
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - intersection
    return tuple(
        _share(part, whole) for part, whole in zip(intersection, union, strict=True)
    )


def _mean(iou):
    present = [value for value in iou if not math.isnan(value)]
    return sum(present) / len(present) if present else math.nan


def _share(part, whole):
    return float(part / whole) if whole else math.nan
