"""Reads a .tflite and says what a phone's GPU takes of it; runs it there if asked."""

import collections
import dataclasses
from pathlib import Path

from kseg.mobile.linting.gpu_run import GpuRun, run_on_gpu
from kseg.mobile.linting.profiles import PROFILES, refusal
from kseg.mobile.tflite.operations import read_operations

# What to do about an operation that a GPU refuses.
_ADVICE = {
    "ARG_MAX": 'export with output="probabilities" and choose the class on the CPU',
    "SPACE_TO_BATCH_ND": "export with a static batch and size: kseg.mobile.export does",
    "BATCH_TO_SPACE_ND": "export with a static batch and size: kseg.mobile.export does",
    "BROADCAST_TO": "resize to the size of another map in place of broadcasting",
    "GATHER": "slice, or use one convolution with constant weights",
    "SPLIT": "slice the parts with Cropping or two convolutions",
    "SPLIT_V": "slice the parts with Cropping or two convolutions",
    "RESHAPE": 'use UpSampling2D(interpolation="bilinear") or keep four dimensions',
    "TILE": 'use UpSampling2D(interpolation="bilinear") or keep four dimensions',
    "TRANSPOSE": "keep four dimensions",
    "MIRROR_PAD": "pad by reflection or with zeros",
    "SHAPE": "export with a static size: kseg.mobile.export does",
    "CAST": "leave the conversion to the app",
    "TRANSPOSE_CONV": "export with kseg.mobile.export, which keeps its activation apart",
}
_FLEX = "replace the Keras layer: plain LiteRT has no such operation"
_DEFAULT_ADVICE = "replace the Keras layer, or accept that this part runs on the CPU"


@dataclasses.dataclass(frozen=True)
class OperationVerdict:
    """What is known of one operation.

    Attributes:
        index: Its place in the graph.
        name: `"CONV_2D"`.
        layers: The Keras layers that it computes, as far as tensor names tell:
            `"block_1_expand + block_1_expand_BN"`.
        shape: Shape of its first output.
        refusals: Profile to the reason why that GPU refuses the operation; empty
            where all take it.
        advice: What to do about it.
        warning: What deserves a look although the operation is taken.
    """

    index: int
    name: str
    layers: str
    shape: tuple[int, ...]
    refusals: dict[str, str]
    advice: str
    warning: str


@dataclasses.dataclass(frozen=True)
class LintReport:
    """What `lint` found. `print` shows a table.

    Attributes:
        path: The file.
        operations: One verdict per operation, in the order of execution.
        gpu: What a run on the GPU alone has shown; `None` if none was asked for.
    """

    path: Path
    operations: tuple[OperationVerdict, ...]
    gpu: GpuRun | None = None

    def clean(self, profile: str | None = None) -> bool:
        """Whether a GPU takes every operation.

        Args:
            profile: `"delegate"` or `"litert"`; `None` asks for both.
        """
        profiles = PROFILES if profile is None else (checked_profile(profile),)
        return not any(set(profiles) & set(op.refusals) for op in self.operations)

    def __str__(self) -> str:
        counts = collections.Counter(op.name for op in self.operations)
        heads = ("#", "operation", "shape", *PROFILES, "layers")
        lines = _table(heads, [_row(op) for op in self.operations])
        for op in self.operations:
            if op.refusals or op.warning:
                lines.append(f"#{op.index} {op.name} {op.shape} of {op.layers}")
            for reason, profiles in _by_reason(op.refusals).items():
                lines.append(f"    refused by {' and '.join(profiles)}: {reason}")
            if op.refusals:
                lines.append(f"    {op.advice}")
            if op.warning:
                lines.append(f"    warning: {op.warning}")
        lines += [
            f"{self.path}: {len(self.operations)} operations",
            ", ".join(f"{n} {name}" for name, n in counts.most_common()),
        ]
        for profile in PROFILES:
            refused = sum(profile in op.refusals for op in self.operations)
            verdict = f"{refused} refused" if refused else "takes all of it"
            lines.append(f"{profile:<8}  {verdict}")
        if self.gpu is not None:
            lines.append(str(self.gpu))
        return "\n".join(lines)

    def to_dict(self) -> dict:
        """Returns the report as JSON takes it."""
        return {**dataclasses.asdict(self), "path": str(self.path)}


def lint(path, *, run: bool = False, photo=None) -> LintReport:
    """Judges every operation of a `.tflite` by the rules of phone GPUs.

    Neither TensorFlow nor Keras is needed.

    Args:
        path: The file; any `.tflite`, whoever made it.
        run: Run it by LiteRT's GPU accelerator alone too, and compare the answers with
            the CPU's. Without a GPU this takes the software driver of Debian's package
            chromium, if it is installed.
        photo: The image for that run. `None` takes a photo that ships.

    Returns:
        A `LintReport`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no `.tflite`, or a damaged one.

    Example:

    >>> report = kseg.mobile.lint("net.tflite")
    >>> report.clean("delegate")
    True
    """
    path = Path(path)
    found = read_operations(path)
    before = [None, *(operation for operation, _ in found)]
    verdicts = [
        _verdict(index, operation, layers, before[index])
        for index, (operation, layers) in enumerate(found)
    ]
    gpu = run_on_gpu(path, photo) if run else None
    return LintReport(path, tuple(verdicts), gpu)


def checked_profile(profile: str) -> str:
    """Returns `profile` if there is one of that name."""
    if profile not in PROFILES:
        raise ValueError(
            f"`profile` must be one of {PROFILES}. Received: profile={profile!r}"
        )
    return profile


def _verdict(index, operation, layers, before):
    refusals = {profile: refusal(operation, profile) for profile in PROFILES}
    refusals = {profile: reason for profile, reason in refusals.items() if reason}
    advice = ""
    if refusals:
        advice = _ADVICE.get(operation.name, _DEFAULT_ADVICE)
        advice = _FLEX if operation.name.startswith("CUSTOM") else advice
    return OperationVerdict(
        index=index,
        name=operation.name,
        layers=layers,
        shape=operation.outputs[0].shape if operation.outputs else (),
        refusals=refusals,
        advice=advice,
        warning=_warning(operation, before),
    )


def _warning(op, before):
    if op.name == "CONV_2D" and op.inputs[0].shape[-1] != op.inputs[1].shape[-1]:
        return (
            "a grouped convolution: a GPU was seen to compute one wrongly, compare its "
            "answers with the CPU's"
        )
    # MergePaddingWithPooling of tflite/delegates/gpu/common/transformations.
    if op.name == "AVERAGE_POOL_2D" and before is not None and before.name == "PAD":
        return (
            "a GPU leaves the padding before it out of the average, and the CPU does "
            "not: pad by the pooling itself, or expect other values at the border"
        )
    return ""


def _row(op):
    """The cells of an operation, as the printed table has them."""
    taken = ("no" if profile in op.refusals else "yes" for profile in PROFILES)
    shape = "x".join(map(str, op.shape))
    return (str(op.index), op.name, shape, *taken, op.layers)


def _table(heads, rows):
    """Lines of columns that are as wide as their longest cell."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return [
        "  ".join(map(str.ljust, cells, widths)).rstrip() for cells in (heads, *rows)
    ]


def _by_reason(refusals):
    profiles = collections.defaultdict(list)
    for profile, reason in refusals.items():
        profiles[reason].append(profile)
    return profiles
