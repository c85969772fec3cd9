"""A trained network on the frames of a video, one by one, by a schedule."""

import dataclasses

import keras
import numpy as np
from PIL import Image

from kseg.models.inference import photo_size
from kseg.models.video.driving import as_dict
from kseg.models.video.masks import MaskMaker
from kseg.models.video.nets import drivable
from kseg.models.video.scenes import distance, histogram
from kseg.models.video.schedule_texts import parse_schedule
from kseg.models.video.schedules import Warp


@dataclasses.dataclass(frozen=True)
class Work:
    """What a stream did for a frame.

    Attributes:
        parts: Names of the parts of the network that were started, in order; none where
            the mask before is shown again, or moved.
        share: Multiplications of these parts, as a share of those of the network on an
            image on its own. Above 1 where a low-latency network asks for a key.
        is_cut: Whether the frame began a new scene.
    """

    parts: tuple[str, ...]
    share: float
    is_cut: bool


class Stream:
    """Segments a video frame by frame: `mask = stream(frame)`.

    Takes any network: an image model, which is cut into stages where a schedule needs
    them; `clockwork_fcn`; `low_latency`, whose schedules decide on key frames; `stfcn`
    and `netwarp`, whose state goes from frame to frame. Frames are stretched to the
    network's input and masks to the frames, as by `kseg.load`.

    | schedule | what runs | for |
    |---|---|---|
    | `"every"` | all of the network on every frame | all networks |
    | `"skip:2"` | all on every 2nd frame, whose mask is shown twice | all but `netwarp` |
    | `"warp:2"` | the same, whose scores are moved along optical flow | all but `netwarp` |
    | `"fixed:3"` | the last stage, or a key, on every 3rd frame | all without state |
    | `"adaptive:0.25"` | the same, where frames differ by so much | all without state |
    | `"low_latency:5"`, `"low_latency:0.3"` | the same two, in the background | all without state |
    | `"fixed:1,2,4"` | each stage at a rate of its own | stages |
    | `"pipeline:2"`, `"pipeline:3"` | late stages on the frames before | stages |

    Args:
        model: A trained `keras.Model`.
        schedule: A text as above, or an object of `kseg.models.video.schedules`.
            Defaults to `"every"`.
        at: Where an image model is cut into stages, as in `clockwork_fcn`. Defaults to
            `None`: behind its coarsest maps, and the two next finer ones before.
        flow: Function of a frame and the frame before that returns the optical flow from
            the one to the other, such as `kseg.data.flow.optical_flow`; for `netwarp` and
            `"warp:2"`. It gets frames in RGB at the size of the network's input; what it
            does not know (NaN or infinite) is taken for 0.
        scene_cut: Where the colours of two frames differ by more than this share, a new
            scene begins and the stream forgets what was before; `None` never does.
            Defaults to `0.2`, our own choice: the frames of four videos at 15 to 25 a
            second differ by 0.04 at most, the videos by 0.36 and more.

    Attributes:
        work: `Work` of the last frame.
        scores: Scores of the last frame, of shape `(1, height, width, num_classes)` at
            the size of the network.
        num_frames: Frames since the start, or since the scene began.

    Raises:
        TypeError: If `model` is no functional model.
        ValueError: If the schedule is unknown, or not one for the network. For a frame:
            if it is no image, or has another size than those before.

    Examples:

    >>> net = kseg.load("net.keras").model
    >>> stream = kseg.models.video.Stream(net, "adaptive:0.25")
    >>> for frame in kseg.data.video.Video("in.mp4"):
    ...     mask = stream(frame)
    """

    def __init__(self, model, schedule="every", *, at=None, flow=None, scene_cut=0.2):
        if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
            raise TypeError(
                "`model` must be a functional `keras.Model`; a .tflite has no parts. "
                f"Received: model={model!r} (of type {type(model).__name__})"
            )
        if scene_cut is not None and not 0 <= scene_cut <= 1:
            raise ValueError(
                "`scene_cut` must be from 0 to 1, or None. "
                f"Received: scene_cut={scene_cut}"
            )
        self.model = model
        self.schedule = (
            parse_schedule(schedule) if isinstance(schedule, str) else schedule
        )
        self._at = at
        self._flow = flow
        self._scene_cut = scene_cut
        inputs = as_dict(model.input, model.inputs)
        if "image" not in inputs:
            raise ValueError(
                '`model` must take frames by the name "image". '
                f"Received: a model that takes {', '.join(map(repr, inputs))}"
            )
        self._image = inputs["image"]
        self._takes_flow = "flow" in inputs
        if (self._takes_flow or isinstance(self.schedule, Warp)) and flow is None:
            raise ValueError(
                "`flow` must be a function of a frame and the one before it, such as "
                f"`kseg.data.flow.optical_flow`: {model.name!r} or the schedule needs "
                f"optical flow. Received: flow=None, schedule={self.schedule}"
            )
        self._size = self._net = self._masks = None
        # Fails now, not at the first frame, for a schedule that does not fit.
        if None not in self._image.shape[1:3]:
            self._make_net(self._image.shape[1:3])
        self.reset()

    def reset(self):
        """Forgets all frames, as before a video, which may have another size."""
        if self._net is not None:
            self._net.reset()
        self.num_frames = 0
        self.work = self.scores = None
        self._mask = self._before = self._colors = None

    @property
    def state(self):
        """All that later masks depend on: a dict, which another stream can be given.

        So a video can be segmented in pieces, by streams of the same network and
        schedule. Waits for what runs in the background.
        """
        names = ("num_frames", "scores", "_mask", "_before", "_colors", "_size")
        kept = {name: getattr(self, name) for name in names}
        return kept | {"net": None if self._net is None else self._net.state}

    @state.setter
    def state(self, state):
        self.reset()
        if state["net"] is None:
            return
        self._set_size(state["_size"])
        self._net.state = state["net"]
        for name, value in state.items():
            if name != "net":
                setattr(self, name, value)

    def __call__(self, frame):
        """Segments the next frame.

        Args:
            frame: uint8 array of shape `(height, width, 3)`, RGB.

        Returns:
            Class ids of shape `(height, width)`, uint8 (int32 above 256 classes); with
            one class 1 where its probability is above 0.5.
        """
        _check(frame)
        size = frame.shape[:2]
        if self.num_frames and size != self._size:
            raise ValueError(
                "`frame` must have the size of the frames before it, "
                f"{self._size}; call `reset()` in front of another video. Received: "
                f"frame {self.num_frames + 1} of size {size}"
            )
        colors = histogram(frame)
        is_cut = self._colors is not None and self._scene_cut is not None
        is_cut = is_cut and distance(colors, self._colors) > self._scene_cut
        if is_cut:
            self.reset()
        self._set_size(size)
        net = self._net
        net.begin_frame(self._inputs(frame))
        self.schedule.step(net, self.num_frames)
        if net.scores is not self.scores:
            self.scores = net.scores
            self._mask = self._to_mask(self.scores)
        self.work = Work(tuple(net.ran), net.share(), is_cut)
        self._colors = colors
        self.num_frames += 1
        return self._mask.copy()

    def _make_net(self, size):
        self._net = drivable(self.model, self.schedule, size, self._at)
        self._net_size = tuple(size)

    def _set_size(self, size):
        """Makes what depends on the size of the frames."""
        if size == self._size:
            return
        if None in self._image.shape[1:3]:
            net_size = photo_size(size)
            if self._net is None or net_size != self._net_size:
                self._make_net(net_size)
        self._size, self._masks = size, None

    def _inputs(self, frame):
        """What the network takes of a frame, by name."""
        picture = Image.fromarray(frame)
        pixels = image = self._resized(picture)
        if self._image.shape[-1] == 1:
            image = self._resized(picture.convert("L"))
        inputs = {"image": image[None].astype("float32")}
        if self._takes_flow or (
            isinstance(self.schedule, Warp)
            and self.schedule.needs_flow(self.num_frames)
        ):
            before = pixels if self._before is None else self._before
            flow = np.asarray(self._flow(pixels, before), "float32")
            inputs["flow"] = np.nan_to_num(flow, nan=0, posinf=0, neginf=0)[None]
        self._before = pixels
        return inputs

    def _resized(self, picture):
        height, width = self._net_size
        resized = picture.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(resized).reshape(height, width, -1)

    def _to_mask(self, scores):
        if self._masks is None:
            self._masks = MaskMaker(scores.shape[1:], self._size, self._net.is_logits)
        return self._masks(scores[0])


def _check(frame):
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
        kind = getattr(frame, "dtype", type(frame).__name__)
        raise TypeError(f"`frame` must be a uint8 array of 0-255. Received: {kind}")
    if frame.ndim != 3 or frame.shape[-1] != 3 or 0 in frame.shape:
        raise ValueError(
            "`frame` must be an RGB image of shape (height, width, 3). "
            f"Received: frame.shape={frame.shape}"
        )
