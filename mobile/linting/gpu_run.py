"""Proves that a GPU takes a whole .tflite, and compares its answers with the CPU's."""

import dataclasses

from kseg.files import as_path
from kseg.mobile.images import PHOTOS
from kseg.mobile.tflite.workers import run_gpu_worker

_PHOTO = PHOTOS / "ccp_0001.jpg"
_LEAST_AGREEMENT = 0.99
_LARGEST_ERROR = 0.02  # mean over an output, of its largest value
_ROUNDING = 1e-3  # of it too, for each value


@dataclasses.dataclass(frozen=True)
class OutputDifference:
    """How far one output of the GPU is from the CPU's, both as real numbers.

    Attributes:
        name: Name of the output.
        max_error: The largest absolute difference.
        mean_error: The mean absolute difference.
        largest: The largest absolute value on the CPU.
        agreement: Share of pixels that get the same class; `None` for what is no
            segmentation, such as the state of a video net.
    """

    name: str
    max_error: float
    mean_error: float
    largest: float
    agreement: float | None

    @property
    def matches(self) -> bool:
        """Whether 99 % of the classes agree and the mean error is 2 % at most.

        Or no value is off by more than a thousandth: classes of an untrained net differ
        by less.
        """
        largest = max(self.largest, 1e-6)
        if self.max_error <= _ROUNDING * largest:
            return True
        agrees = self.agreement is None or self.agreement >= _LEAST_AGREEMENT
        return agrees and self.mean_error <= _LARGEST_ERROR * largest

    def __str__(self) -> str:
        text = f"{self.name}: at most {self.max_error:.2g} off (values to {self.largest:.3g})"
        if self.agreement is not None:
            text += f", {self.agreement:.2%} of the classes agree"
        return text


@dataclasses.dataclass(frozen=True)
class GpuRun:
    """What a run on the GPU alone has shown. `print` shows it in words.

    Attributes:
        verdict: `"resident"` (the GPU runs the whole graph, and answers as the CPU
            does), `"wrong"` (it answers something else), `"refused"` (it does not take
            the whole graph), `"crashed"` (or took too long), or `"no driver"`.
        adapter: Name of the GPU.
        software: Whether the CPU computes what that GPU is asked for.
        outputs: Differences from the CPU, one per output.
        message: What else there is to say.
    """

    verdict: str
    adapter: str = ""
    software: bool = False
    outputs: tuple[OutputDifference, ...] = ()
    message: str = ""

    def __str__(self) -> str:
        where = f" on {self.adapter}" if self.adapter else ""
        where += ", in software" if self.software else ""
        lines = [f"run       {self.verdict}{where}"]
        lines += [f"    {line}" for line in self.message.splitlines()]
        lines += [f"    {output}" for output in self.outputs]
        return "\n".join(lines)


def run_on_gpu(path, photo=None, *, timeout: float = 120.0) -> GpuRun:
    """Runs a `.tflite` by LiteRT's GPU accelerator alone, on a photo.

    The driver of the machine's GPU is taken; without one, the software driver that
    Debian's package chromium brings. That one proves that the net runs and what it
    answers, and says nothing of its speed. Everything happens in a process of its own.

    Args:
        path: The file; any `.tflite` that the CPU runs.
        photo: An image for the inputs that take one; others get noise. `None` takes a
            photo that ships.
        timeout: Seconds until the run is given up.

    Returns:
        A `GpuRun`.

    Raises:
        ValueError: If the file does not run on the CPU either, or the photo is no image.
    """
    task = {
        "path": str(as_path(path).resolve()),
        "photo": str(_PHOTO if photo is None else as_path(photo, "photo").resolve()),
    }
    try:
        answer = run_gpu_worker("kseg.mobile.linting.gpu_worker", task, timeout=timeout)
    except RuntimeError as error:
        return GpuRun("crashed", message=str(error))
    if not answer["driver"]:
        return GpuRun(
            "no driver",
            message="No Vulkan driver found: install Debian's package chromium, which "
            "brings one in software,\nor the driver of this machine's GPU "
            "(mesa-vulkan-drivers).",
        )
    found = {"adapter": answer["adapter"], "software": answer["software"]}
    if "outputs" not in answer or not answer["whole"]:
        reasons = answer["refused"] or [answer.get("reason", "not fully accelerated")]
        return GpuRun("refused", **found, message="\n".join(reasons))
    outputs = tuple(OutputDifference(**output) for output in answer["outputs"])
    matches = all(output.matches for output in outputs)
    return GpuRun("resident" if matches else "wrong", **found, outputs=outputs)
