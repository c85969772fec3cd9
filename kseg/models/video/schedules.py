"""When a stream runs which parts of a network."""

import dataclasses
from numbers import Integral, Real


@dataclasses.dataclass
class Every:
    """Runs the whole network on every frame."""

    def step(self, net, number):
        net.begin()
        net.renew_key()
        net.finish()


@dataclasses.dataclass
class Skip:
    """Runs the whole network on every `period`-th frame, and repeats its mask.

    The baseline of the Clockwork paper, which calls it "skip frame" at a period of 2.
    """

    period: int

    def __post_init__(self):
        _check_period("period", self.period)

    def step(self, net, number):
        if number % self.period == 0:
            Every.step(self, net, number)


@dataclasses.dataclass
class Warp:
    """Runs the whole network on every `period`-th frame, and moves its scores between.

    They are warped along the optical flow from frame to frame. As the propagation of
    Deep Feature Flow, but of the scores instead of features, so that nothing is trained.

    Reference:
    - [Deep Feature Flow for Video Recognition](https://arxiv.org/abs/1611.07715) (CVPR
      2017)
    """

    period: int

    def __post_init__(self):
        _check_period("period", self.period)

    def needs_flow(self, number):
        """Whether frame `number` is made of the one before."""
        return number % self.period != 0

    def step(self, net, number):
        if self.needs_flow(number):
            net.move_scores()
        else:
            Every.step(self, net, number)


@dataclasses.dataclass
class Fixed:
    """Runs each stage at a rate of its own.

    Reference:
    - [Clockwork Convnets](https://arxiv.org/abs/1608.03609) (ECCV workshops 2016)

    Args:
        periods: Stage k runs on every `periods[k]`-th frame. An integer is the period
            of the last stage, the one that makes a key; those before run on every
            frame.
    """

    periods: int | tuple[int, ...]

    def __post_init__(self):
        if not isinstance(self.periods, tuple | list):
            _check_period("periods", self.periods)
            return
        self.periods = tuple(self.periods)
        for period in self.periods:
            _check_period("periods", period)

    def step(self, net, number):
        if not isinstance(self.periods, tuple):
            net.begin()
            if number % self.periods == 0:
                net.renew_key()
            net.finish()
            return
        stages = net.stages
        if len(stages) != len(self.periods):
            raise ValueError(
                f"`periods` must have one number for each of the {len(stages)} stages "
                f"{stages}. Received: periods={self.periods}"
            )
        for stage, period in zip(stages, self.periods, strict=True):
            if number % period == 0:
                net.run(stage)
        net.finish()


@dataclasses.dataclass
class Pipelined:
    """Fuses early stages of a frame with later stages of the frames before.

    Every stage runs on every frame, but on what the stage before made of the frame
    before: given as many processors, they run at once, and the latency is that of the
    slowest. The first frame fills the pipeline. The stages in front of the first
    boundary, where a network has more of them than `depth`, run on the new frame.

    Reference:
    - [Clockwork Convnets](https://arxiv.org/abs/1608.03609) (ECCV workshops 2016)

    Args:
        depth: How many frames take part in a mask: 2 or 3 in the paper.
    """

    depth: int

    def __post_init__(self):
        _check_period("depth", self.depth)

    def step(self, net, number):
        stages = net.stages
        if self.depth > len(stages):
            raise ValueError(
                f"`depth` must be at most {len(stages)}, as the network has the stages "
                f"{stages}; cut it at more layers with the stream's `at`. "
                f"Received: depth={self.depth}"
            )
        fresh = len(stages) - self.depth + 1
        late, early = stages[fresh:], stages[:fresh]
        # A stage reads what the one before it has left from the frame before.
        order = stages if number == 0 else [*reversed(late), *early]
        for stage in order:
            net.run(stage)
        net.finish()


@dataclasses.dataclass
class Adaptive:
    """Makes a new key where the frame differs from the key's by a threshold.

    The difference is between 0 and 1. In a network of stages it is the share of
    positions whose strongest channel, behind the last stage but one, is another one
    than at the last key; of one channel alone, its sign. In a low-latency network it is
    what its scheduler predicts.

    The threshold depends on the network. Behind the scores of an FCN-8s the paper's 0.25
    ran the last stage on half of the frames of Youtube-Objects. Of many channels of
    features the strongest changes more readily: of the 192 of a DeepLab v3+ on
    MobileNetV2 at 0.55 to 0.65 of the positions from one frame of CamVid's validation
    video to the next, so that 0.25 renews on every frame, and at 0.7 to 0.8 over three.

    References:
    - [Clockwork Convnets](https://arxiv.org/abs/1608.03609) (ECCV workshops 2016)
    - [Low-Latency Video Semantic Segmentation](https://arxiv.org/abs/1804.00389) (CVPR
      2018)

    Args:
        threshold: `0` makes every frame a key, what is above 1 only the first.
    """

    threshold: float

    def __post_init__(self):
        if not isinstance(self.threshold, Real) or not self.threshold >= 0:
            raise ValueError(
                "`threshold` must be a number from 0. "
                f"Received: threshold={self.threshold!r}"
            )

    def step(self, net, number):
        net.begin()
        if number == 0 or net.deviation() >= self.threshold:
            net.renew_key()
        net.finish()


@dataclasses.dataclass
class LowLatency:
    """Makes keys in the background, so that no frame waits for one.

    The frame that asks for a new key, and those that follow, go out from the key
    before; the key's heavy part runs in a thread of its own, one at a time. The first
    frame waits for its key, and so does the first of every scene that a stream finds;
    that one also waits for the key that is being made, which is dropped.

    Reference:
    - [Low-Latency Video Semantic Segmentation](https://arxiv.org/abs/1804.00389) (CVPR
      2018)

    Args:
        keys: An integer asks for a new key every so many frames; a float below 1 is
            the threshold of `Adaptive`.
        delay: After how many frames a key is taken into use, however long it took:
            the masks then depend on the frames alone. `None` takes it into use with
            the first frame that finds it finished.
    """

    keys: int | float
    delay: int | None = None

    def __post_init__(self):
        if isinstance(self.keys, Integral):
            _check_period("keys", self.keys)
        elif not isinstance(self.keys, Real) or not 0 <= self.keys < 1:
            raise ValueError(
                "`keys` must be a number of frames from 1, or a threshold from 0 and "
                f"below 1. Received: keys={self.keys!r}"
            )
        if self.delay is not None:
            _check_period("delay", self.delay)

    def step(self, net, number):
        if number == 0:
            Every().step(net, number)
            net.memory["asked"] = 0
            return
        self._adopt(net, number)
        net.begin()
        if net.job is None and self._wants_key(net, number):
            net.memory["asked"] = number
            net.start_key()
        net.finish()

    def _adopt(self, net, number):
        if net.job is None:
            return
        if self.delay is None:
            due = net.job.done()
        else:
            due = number - net.memory["asked"] >= self.delay
        if due:
            net.adopt_key()

    def _wants_key(self, net, number):
        if isinstance(self.keys, Integral):
            return number - net.memory["asked"] >= self.keys
        return net.deviation() >= self.keys


def _check_period(name, value):
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(
            f"`{name}` must be a positive integer. Received: {name}={value!r}"
        )
