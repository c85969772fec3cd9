"""What texts mean, and what they must not be."""

import numpy as np
import pytest

from kseg.models.video.schedule_texts import parse_schedule
from kseg.models.video.schedules import (
    Adaptive,
    Every,
    Fixed,
    LowLatency,
    Pipelined,
    Skip,
    Warp,
)


@pytest.mark.parametrize(
    "text, schedule",
    [
        ("every", Every()),
        ("skip:3", Skip(3)),
        ("warp:2", Warp(2)),
        ("fixed:2", Fixed(2)),
        ("fixed:1,2,4", Fixed((1, 2, 4))),
        ("pipeline:3", Pipelined(3)),
        ("adaptive:0.25", Adaptive(0.25)),
        ("adaptive:0", Adaptive(0)),
        ("adaptive:2", Adaptive(2.0)),
        ("low_latency:5", LowLatency(5)),
        ("low_latency:0.3", LowLatency(0.3)),
    ],
)
def test_text_of_a_schedule(text, schedule):
    assert parse_schedule(text) == schedule


@pytest.mark.parametrize(
    "text",
    [
        *("", "never", "every:2", "fixed", "fixed:", "fixed:0", "fixed:1.5", "fixed:a"),
        *(
            "fixed:1,,2",
            "pipeline:0",
            "warp:0",
            "adaptive:-1",
            "adaptive:nan",
            "adaptive:x",
        ),
        *("low_latency:0", "low_latency:1.5", "low_latency:-3", "skip"),
    ],
)
def test_text_that_is_none_names_the_forms(text):
    with pytest.raises(
        ValueError, match="`schedule` must be one like every, .*adaptive:0.25"
    ) as e:
        parse_schedule(text)
    assert f"Received: schedule={text!r}" in str(e.value)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Fixed(0), "`periods` must be a positive integer. Received: periods=0"),
        (lambda: Fixed((1, 0)), "Received: periods=0"),
        (lambda: Skip(True), "Received: period=True"),
        (lambda: Pipelined(2.0), "Received: depth=2.0"),
        (lambda: Adaptive("much"), "`threshold` must be a number from 0"),
        (lambda: LowLatency(1.0), "`keys` must be .*Received: keys=1.0"),
        (lambda: LowLatency(5, delay=0), "`delay` must be a positive integer"),
    ],
    ids=["fixed", "rates", "bool", "float", "text", "one", "delay"],
)
def test_refused_numbers(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_period_may_be_a_number_of_numpy():
    ran = []

    class Recorder:
        def begin(self):
            ran.append("")

        def renew_key(self):
            ran[-1] = "key"

        def finish(self):
            pass

    schedule = Fixed(np.int64(2))
    for number in range(4):
        schedule.step(Recorder(), number)
    assert ran == ["key", "", "key", ""]
