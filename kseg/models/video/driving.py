"""Networks as schedules drive them: which parts to run, on what, and what they leave."""

from concurrent.futures import Future, ThreadPoolExecutor

import keras
import numpy as np

from kseg.layers import Warping2D
from kseg.models.video.clockwork_fcn import clockwork_fcn
from kseg.models.video.costs import multiply_adds
from kseg.models.video.cuts import default_cuts
from kseg.models.video.schedules import Every, Fixed, Pipelined, Skip, Warp
from kseg.models.video.stages import result_name
from kseg.models.video.state import (
    check_inputs,
    cuts,
    initial_state,
    parts,
)


def drivable(model, schedule, size, at=None):
    """Makes of a network what a schedule can drive.

    Args:
        model: Functional model, as `kseg.models.video.Stream` takes it.
        schedule: An object of `kseg.models.video.schedules`.
        size: `(height, width)` of the network's input.
        at: Where an image model is cut into stages, or `None`.

    Returns:
        A `Net`.

    Raises:
        ValueError: If the schedule is not one for the network.
    """
    in_one = isinstance(schedule, Every | Skip | Warp)
    by_stage = isinstance(schedule, Pipelined) or (
        isinstance(schedule, Fixed) and isinstance(schedule.periods, tuple)
    )
    if "propagation" in parts(model):
        if by_stage:
            raise ValueError(
                "`schedule` must not be one of stages: a low-latency network has key "
                'frames, as in "fixed:3", "adaptive:0.3" or "low_latency:5". '
                f"Received: schedule={schedule}"
            )
        return KeyFrameNet(parts(model))
    if isinstance(model.input, dict):
        if not in_one:
            raise ValueError(
                '`schedule` must be "every", "skip:n" or "warp:n" for a network with '
                f"state, which runs as a whole. Received: schedule={schedule}"
            )
        return WholeNet(model, initial_state(model, 1, size))
    if not cuts(model):
        if in_one and at is None:
            return WholeNet(model, {})
        at = default_cuts(model, size) if at is None else at
        model = clockwork_fcn(model, at)
    return StagedNet(parts(model), cuts(model))


class Net:
    """A network in parts, each run by name on a cache of named arrays.

    Attributes:
        stages: Names of the parts that a schedule may leave out, in order.
        cache: Dict of what the parts have left, as arrays.
        memory: Dict of what a schedule has to remember.
        job: The key that is made in the background, a `Future`, or `None`.
        ran: Names of the parts that were started since `begin_frame`.
        scores: Scores of the last frame that was finished.
    """

    stages = ()
    # The parts that run on an image on its own; their multiplications count as 1.
    ordinary = ()

    def __init__(self, parts):
        self.parts = parts
        self.job = self._worker = None
        self._costs = {}
        self._warping = Warping2D()
        self.reset()

    def reset(self):
        """Forgets all frames; waits for what runs in the background."""
        if self.job is not None and not self.job.cancel():
            self.job.exception()
        self.cache, self.memory, self.ran = {}, {}, []
        self.job = self.scores = self._job_inputs = None

    @property
    def state(self):
        """All that later frames depend on; waits for what runs in the background."""
        made = None if self.job is None else (self._job_inputs, self.job.result())
        return {
            "cache": dict(self.cache),
            "memory": dict(self.memory),
            "scores": self.scores,
            "made": made,
        }

    @state.setter
    def state(self, state):
        self.reset()
        self.cache, self.memory = dict(state["cache"]), dict(state["memory"])
        self.scores = state["scores"]
        if state["made"] is not None:
            self._job_inputs, made = state["made"]
            self.job = Future()
            self.job.set_result(made)

    def begin_frame(self, inputs):
        """Takes the arrays of a new frame, by name."""
        self.cache |= inputs
        self.ran = []

    def run(self, name):
        """Runs a part on the cache, and leaves its outputs there."""
        self.ran.append(name)
        self.cache |= self.compute(name, self.inputs_of(name))

    def inputs_of(self, name):
        """What a part reads from the cache, as it is now."""
        return {key: self.cache[key] for key in self.parts[name].input}

    def compute(self, name, inputs):
        """The outputs of a part: in any thread, and without a change to the cache."""
        return self.parts[name].predict_on_batch(inputs)

    def renew_key(self):
        """Runs the heavy part of the network on this frame, and uses it from now on."""
        inputs = self.inputs_of(self.heavy)
        self.ran.append(self.heavy)
        self.switch_key(inputs | self.reference(), self.compute(self.heavy, inputs))

    def start_key(self):
        """Runs the heavy part of the network on this frame in the background."""
        inputs = self.inputs_of(self.heavy)
        self.ran.append(self.heavy)
        self._job_inputs = inputs | self.reference()
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, "kseg-stream")
        self.job = self._worker.submit(self.compute, self.heavy, inputs)

    def adopt_key(self):
        """Uses from now on what was made in the background."""
        job, self.job = self.job, None
        self.switch_key(self._job_inputs, job.result())

    @property
    def is_logits(self):
        """Whether the scores are logits."""
        names = {name for part in self.parts.values() for name in part.output}
        return "logits" in names and "probabilities" not in names

    def move_scores(self):
        """Moves the scores of the frame before along the flow of this frame."""
        moved = self._warping([self.scores, self.cache["flow"]])
        self.scores = keras.ops.convert_to_numpy(moved)

    def reference(self):
        """What a later frame is compared with, if this one becomes the key."""
        return {}

    def share(self):
        """Multiplications of the parts that ran, over those of an image on its own."""
        total = sum(self._cost(name) for name in self.ordinary)
        return sum(self._cost(name) for name in self.ran) / total

    def _finish_with(self, name):
        """Runs the part that gives the scores of the frame."""
        self.run(name)
        self.scores = self.cache[score_name(self.parts[name])]

    def _cost(self, name):
        if name not in self._costs:
            shapes = {key: x.shape for key, x in self.inputs_of(name).items()}
            self._costs[name] = multiply_adds(self.parts[name], shapes)
        return self._costs[name]


class WholeNet(Net):
    """An image model, or a step model, whose state goes from frame to frame."""

    def __init__(self, model, state):
        inputs = as_dict(model.input, model.inputs)
        if inputs is not model.input:
            outputs = {result_name(model): model.outputs[0]}
            model = keras.Model(inputs, outputs, name=model.name)
        self.heavy = model.name
        self._state = {k: keras.ops.convert_to_numpy(x) for k, x in state.items()}
        super().__init__({model.name: model})

    def reset(self):
        super().reset()
        self.cache |= self._state

    def begin(self):
        check_inputs(self.parts[self.heavy], self.inputs_of(self.heavy))

    def inputs_of(self, name):
        # What is missing is for `check_inputs` to say.
        known = self.parts[name].input
        return {key: self.cache[key] for key in known if key in self.cache}

    def switch_key(self, inputs, made):
        self.cache |= made

    def share(self):
        return float(len(self.ran))

    def finish(self):
        self.scores = self.cache[score_name(self.parts[self.heavy])]


class StagedNet(Net):
    """The stages of `clockwork_fcn`; the last one makes the key."""

    def __init__(self, parts, cuts):
        self.ordinary = tuple(parts)
        *self.stages, self._fusion = parts
        *self._fresh, self.heavy = self.stages
        # With one stage there is nothing in front of it to compare.
        self._signal = cuts[-2] if len(cuts) > 1 else None
        super().__init__(parts)

    def begin(self):
        for stage in self._fresh:
            self.run(stage)

    def switch_key(self, inputs, made):
        self.cache |= made
        self.memory["labels"] = inputs.get("labels")

    def reference(self):
        return {} if self._signal is None else {"labels": self._labels()}

    def deviation(self):
        if self._signal is None:
            raise ValueError(
                "`schedule` must not depend on how frames differ where a network has one "
                f"stage alone: cut it at two layers or more. Received: {self.stages}"
            )
        return float(np.mean(self._labels() != self.memory["labels"]))

    def finish(self):
        self._finish_with(self._fusion)

    def _labels(self):
        return self.cache[self._signal].argmax(-1)


class KeyFrameNet(Net):
    """The parts of `low_latency`: the high features of a key, brought to each frame."""

    heavy = "high"
    ordinary = ("low", "high", "head")

    def begin(self):
        self._is_key = False
        self.run("low")

    def switch_key(self, inputs, made):
        self.cache |= made
        self.cache |= {"key_low": inputs["low"], "key_high": made["high"]}
        # The key of this very frame needs no propagation; one from the background does.
        self._is_key = "high" in self.ran

    def deviation(self):
        self.run("scheduler")
        return float(self.cache["deviation"].reshape(()))

    def finish(self):
        if self._is_key:
            self._finish_with("head")
            return
        self.run("propagation")
        self._finish_with("adapter")


def as_dict(structure, tensors):
    """The inputs of a model by name; that of an image model is `"image"`."""
    return structure if isinstance(structure, dict) else {"image": tensors[0]}


def score_name(part):
    """The name of the scores among the outputs of a part."""
    return next((n for n in ("probabilities", "logits") if n in part.output), None) or (
        next(iter(part.output))
    )
