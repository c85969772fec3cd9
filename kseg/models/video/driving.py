"""A network in parts, as schedules drive it: which part to run, and what it leaves."""

import contextlib
import threading
import weakref
from concurrent.futures import Future, ThreadPoolExecutor, wait

import keras

from kseg.models.video.costs import multiply_adds
from kseg.models.video.masks import warp

# Of a layer: Keras on JAX takes the weights of a model away while it predicts, so that
# two threads must not run a layer at once, be it in other parts and by other streams.
_LOCKS = weakref.WeakKeyDictionary()


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
        self._costs, self._locks = {}, {}
        self.reset()

    def reset(self):
        """Forgets all frames.

        Waits for what runs in the background, which cannot be stopped; its result is
        dropped, and its error too.
        """
        if self.job is not None and not self.job.cancel():
            wait([self.job])
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
        with contextlib.ExitStack() as stack:
            for lock in self.locks_of(name):
                stack.enter_context(lock)
            return self.parts[name].predict_on_batch(inputs)

    def locks_of(self, name):
        """The locks of the layers of a part that have weights."""
        if name not in self._locks:
            # In one order everywhere, so that no two threads wait for each other.
            layers = sorted(set(_layers_with_weights(self.parts[name])), key=id)
            self._locks[name] = [
                _LOCKS.setdefault(layer, threading.Lock()) for layer in layers
            ]
        return self._locks[name]

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
        sizes = [x.shape[1:3] for x in (self.scores, self.cache["image"])]
        if sizes[0] != sizes[1]:
            raise ValueError(
                '`schedule` must not be "warp:n" for a network whose scores have another '
                f"size than its image. Received: scores of size {sizes[0]} for an image "
                f"of size {sizes[1]}"
            )
        self.scores = warp(self.scores[0], self.cache["flow"][0])[None]

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


def _layers_with_weights(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers_with_weights(layer)
        elif layer.weights:
            yield layer


def as_dict(structure, tensors):
    """The inputs of a model by name; that of an image model is `"image"`."""
    return structure if isinstance(structure, dict) else {"image": tensors[0]}


def score_name(part):
    """The name of the scores among the outputs of a part."""
    return next((n for n in ("probabilities", "logits") if n in part.output), None) or (
        next(iter(part.output))
    )
