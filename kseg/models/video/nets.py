"""The kinds of networks that schedules drive."""

import keras
import numpy as np

from kseg.models.video.clockwork_fcn import clockwork_fcn
from kseg.models.video.cuts import default_cuts
from kseg.models.video.driving import Net, score_name
from kseg.models.video.schedules import Every, Fixed, Pipelined, Skip, Warp
from kseg.models.video.stages import result_name
from kseg.models.video.state import check_inputs, cuts, initial_state, parts


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
        if "flow" in model.input and getattr(schedule, "period", 1) > 1:
            raise ValueError(
                '`schedule` must be "every" for a network that takes optical flow: its '
                "state is of the frame before, which others leave out. "
                f"Received: schedule={schedule}"
            )
        return WholeNet(model, initial_state(model, 1, size))
    if not cuts(model):
        if in_one and at is None:
            return WholeNet(model, {})
        at = default_cuts(model, size) if at is None else at
        model = clockwork_fcn(model, at)
    return StagedNet(parts(model), cuts(model))


class WholeNet(Net):
    """An image model, or a step model, whose state goes from frame to frame."""

    def __init__(self, model, state):
        if not isinstance(model.input, dict):
            (given,), name = model.inputs, result_name(model)
            # Of its own, since that of a user's model may have any name.
            image = keras.Input(given.shape[1:], dtype=given.dtype, name="image")
            outputs = {name: model(image)}
            model = keras.Model({"image": image}, outputs, name=model.name)
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
        features = self.cache[self._signal]
        # Of one channel the strongest is always the same.
        return features > 0 if features.shape[-1] == 1 else features.argmax(-1)


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
