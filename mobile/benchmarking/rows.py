"""A row of a benchmark: the times of one net in one place."""

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class BenchmarkRow:
    """Times of single runs in one place; `None` is what that place does not say.

    Attributes:
        target: Where the net ran: `"cpu"`, `"gpu"`, `"wasm"`, `"webgpu"`,
            `"phone cpu"`, `"phone gpu"`, or the name of a log.
        threads: CPU threads.
        load: Time from the file to a net that can run, in milliseconds.
        median: The middle time, in milliseconds.
        p90: Nine of ten runs are faster, in milliseconds.
        average: The mean time, in milliseconds.
        best: The fastest run, in milliseconds.
        runs: Number of runs timed.
        peak_memory: What loading and running added to the process at most, in MB.
        software: Whether the CPU computed what a GPU was asked for. Such a time says
            that the net runs there, and nothing of how fast a GPU is.
        delegate: What took a part of the graph, by the runtime's name for it.
        taken: Operations that it took.
        total: Operations that there were to take.
        fully_delegated: Whether it took all of them.
        operations: Kinds of operation and their share of the time, 0–1, the largest
            first.
        note: What else there is to say, such as why there is no time.
    """

    target: str
    threads: int | None = None
    load: float | None = None
    median: float | None = None
    p90: float | None = None
    average: float | None = None
    best: float | None = None
    runs: int | None = None
    peak_memory: float | None = None
    software: bool = False
    delegate: str = ""
    taken: int | None = None
    total: int | None = None
    fully_delegated: bool | None = None
    operations: tuple[tuple[str, float], ...] = ()
    note: str = ""

    @property
    def latency(self) -> float | None:
        """The median time or, where only that is known, the average, in ms."""
        return self.average if self.median is None else self.median

    @property
    def delegation(self) -> str | None:
        """How much of the graph the delegate took, in words."""
        if self.taken is not None and self.total is not None:
            return f"{self.taken} of {self.total}"
        if self.fully_delegated is None:
            return None
        if self.fully_delegated:
            return "all"
        return "none" if self.taken == 0 else "a part"


def timed_row(target: str, times: Sequence[float], **more) -> BenchmarkRow:
    """Returns a row of the statistics of single runs.

    Args:
        target: Where the net ran.
        times: Milliseconds of each run.
        **more: Other fields of the row.
    """
    return BenchmarkRow(
        target,
        median=float(np.median(times)),
        p90=float(np.percentile(times, 90)),
        average=float(np.mean(times)),
        best=float(np.min(times)),
        runs=len(times),
        **more,
    )
