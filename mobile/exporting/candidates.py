"""The ways to a file of one precision, of which the nearest to Keras is taken."""

import dataclasses
import functools

from kseg.mobile.exporting.conversion import check_operations, convert
from kseg.mobile.exporting.jobs import Job
from kseg.mobile.exporting.parity import ExportError, Parity
from kseg.mobile.exporting.quantization import Quantization
from kseg.mobile.exporting.sensitivity import Sensitivity, measure_sensitivity
from kseg.mobile.exporting.unfusing import separate_activations


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A file at parity.

    Attributes:
        converter: What made it: `"converter"` (TensorFlow's) or `"quantizer"` (AI Edge).
        content: Its content.
        parity: Its comparison with Keras.
        alternatives: What the other ways led to, by their names.
    """

    converter: str
    content: bytes
    parity: Parity
    alternatives: dict[str, str]


class Candidates:
    """Makes files of a model and compares them.

    Args:
        job: The model with its samples.
        precision: As in `kseg.mobile.export`, and so are the others.
        keep_float: List of patterns.
        input_dtype: As there.
    """

    def __init__(self, job: Job, precision: str, keep_float: list, input_dtype: str):
        self._job, self._precision = job, precision
        self._keep_float, self._input_dtype = keep_float, input_dtype
        self._function = job.trace()

    @functools.cached_property
    def _quantization(self):
        job = self._job
        return Quantization(
            convert(self._function), self._precision, job.samples, job.scores
        )

    def best(self) -> Candidate:
        """Returns the file with the highest mean IoU against Keras.

        Of `"full_int8"` all are made. In half precision the converter is tried only if
        the quantizer fails: it rounds biases too, and is seldom nearer.

        Raises:
            ExportError: If there is none at parity.
        """
        passed, errors = {}, {}
        for name, make in self._ways():
            if passed and self._precision != "full_int8":
                break
            try:
                content = self._job.finish(separate_activations(make()))
                check_operations(content)
                parity = self._job.measure(content)
                parity.check(self._precision)
                passed[name] = content, parity
            except ExportError as error:
                errors[name] = error
        if not passed:
            raise next(iter(errors.values()))
        # NaN, of a part without scores, is larger than nothing: the first stays.
        best = max(passed, key=lambda name: passed[name][1].mean_iou)
        alternatives = {name: str(error) for name, error in errors.items()} | {
            name: f"mean IoU {parity.mean_iou:.4f} against Keras"
            for name, (_, parity) in passed.items()
            if name != best
        }
        return Candidate(best, *passed[best], alternatives)

    def sensitivity(self, verbose: bool) -> Sensitivity:
        """Quantizes one layer at a time, and compares each file with Keras."""
        if self._precision == "float32" or self._job.learned_ranges:
            raise ValueError(
                "`sensitivity` needs a precision that rounds a net in float. Received: a "
                f"report of precision={self._precision!r}"
                f"{', with learnt ranges' * self._job.learned_ranges}"
            )

        def measure(content):
            return self._job.measure(self._job.finish(content))

        return measure_sensitivity(self._quantization, measure, verbose)

    def _ways(self):
        """Returns `(name, function that returns a file's content)`, the first choice first."""
        function, samples = self._function, self._job.samples
        if self._precision == "float32":
            return [("converter", lambda: convert(function))]
        if self._job.learned_ranges:
            return [
                (
                    "converter",
                    lambda: convert(
                        function, learned_ranges=True, input_dtype=self._input_dtype
                    ),
                )
            ]
        ways = [
            (
                "quantizer",
                lambda: self._quantization.all_but(self._keep_float, self._input_dtype),
            )
        ]
        if self._keep_float:  # the converter takes all or nothing
            return ways
        if self._precision == "float16":
            ways.append(("converter", lambda: convert(function, float16=True)))
        if self._precision == "full_int8" and not isinstance(samples[0], dict):
            floats = [sample.astype("float32") for sample in samples]
            ways.append(
                (
                    "converter",
                    lambda: convert(
                        function, calibration=floats, input_dtype=self._input_dtype
                    ),
                )
            )
        return ways
