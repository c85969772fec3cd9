"""Reads a .tflite and says what a phone's GPU takes of it, without running it."""

import collections
import dataclasses
from pathlib import Path

from kseg.mobile.delegate_rules import PROFILES, refusal
from kseg.mobile.operations import read_operations

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
    """

    path: Path
    operations: tuple[OperationVerdict, ...]

    def clean(self, profile: str | None = None) -> bool:
        """Whether a GPU takes every operation.

        Args:
            profile: `"delegate"` or `"litert"`; `None` asks for both.
        """
        profiles = PROFILES if profile is None else (checked_profile(profile),)
        return not any(set(profiles) & set(op.refusals) for op in self.operations)

    def __str__(self) -> str:
        counts = collections.Counter(op.name for op in self.operations)
        lines = [
            f"{self.path}: {len(self.operations)} operations",
            ", ".join(f"{n} {name}" for name, n in counts.most_common()),
        ]
        for profile in PROFILES:
            refused = sum(profile in op.refusals for op in self.operations)
            verdict = f"{refused} operations refused" if refused else "takes all of it"
            lines.append(f"{profile:<8}  {verdict}")
        for op in self.operations:
            if op.refusals or op.warning:
                lines.append(f"#{op.index} {op.name} {op.shape} of {op.layers}")
            for reason, profiles in _by_reason(op.refusals).items():
                lines.append(f"    refused by {' and '.join(profiles)}: {reason}")
            if op.refusals:
                lines.append(f"    {op.advice}")
            if op.warning:
                lines.append(f"    warning: {op.warning}")
        return "\n".join(lines)

    def to_dict(self) -> dict:
        """Returns the report as JSON takes it."""
        return {**dataclasses.asdict(self), "path": str(self.path)}


def lint(path) -> LintReport:
    """Judges every operation of a `.tflite` by the rules of phone GPUs.

    Nothing is run, and neither TensorFlow nor Keras is needed.

    Args:
        path: The file; any `.tflite`, whoever made it.

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
    verdicts = [
        _verdict(index, operation, layers)
        for index, (operation, layers) in enumerate(read_operations(path))
    ]
    return LintReport(path, tuple(verdicts))


def checked_profile(profile: str) -> str:
    """Returns `profile` if there is one of that name."""
    if profile not in PROFILES:
        raise ValueError(
            f"`profile` must be one of {PROFILES}. Received: profile={profile!r}"
        )
    return profile


def _verdict(index, operation, layers):
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
        warning=_warning(operation),
    )


def _warning(op):
    if op.name == "CONV_2D" and op.inputs[0].shape[-1] != op.inputs[1].shape[-1]:
        return (
            "a grouped convolution: a GPU was seen to compute one wrongly, compare its "
            "answers with the CPU's"
        )
    return ""


def _by_reason(refusals):
    profiles = collections.defaultdict(list)
    for profile, reason in refusals.items():
        profiles[reason].append(profile)
    return profiles
