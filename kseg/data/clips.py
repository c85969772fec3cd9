"""Clips for training on videos: some frames in a row, with labels on some of them.

Each class is a sequence of `Sample` with `image` of shape `(frames, height, width, 3)`
and `mask` of shape `(frames, height, width)`, the class to ignore all over frames without
a label. `kseg.data.loader` makes batches of them:

```python
clips = kseg.data.clips.VideoClips(kseg.data.datasets.DAVIS(path), 2)
batches = kseg.data.loader(clips, 4, (240, 320), augment=kseg.data.augment.standard())
batches = kseg.data.clips.FlowBatches(batches, kseg.data.flow.optical_flow)
kseg.models.video.unroll(netwarp, frames=2).fit(batches)
```
"""

import copy
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from PIL import Image

from kseg.data.batches import check_integer
from kseg.data.datasets.dataset import Sample
from kseg.data.flow_batches import FlowBatches as FlowBatches
from kseg.data.reading import read_image


class _Clips(Sequence):
    """Clips by their numbers; a slice is a sequence of the same clips.

    The classes, and what `kseg.data.check` asks for, are those of `dataset`.
    """

    def __init__(self, count):
        self._numbers = range(count)

    @property
    def class_names(self):
        return self.dataset.class_names

    @property
    def colors(self):
        return self.dataset.colors

    @property
    def ignore_class(self):
        return self.dataset.ignore_class

    def __len__(self):
        return len(self._numbers)

    def __getitem__(self, index):
        if not isinstance(index, slice):
            return self._clip(self._numbers[index])
        view = copy.copy(self)
        view._numbers = self._numbers[index]
        return view


class VideoClips(_Clips):
    """The clips of a data set whose samples are frames of videos.

    Samples follow each other in a video if their ids do: `"0016E5_07959"` and
    `"0016E5_07961"` at a `gap` of 2, `"bear/00000"` and `"bear/00001"` at a gap of 1.
    Every sample that has as many before it ends a clip.

    Args:
        dataset: A `kseg.data.datasets.Dataset`, such as `CamVid` and `DAVIS`.
        frames: How many frames a clip has.
        gap: By how much the numbers of two frames in a row differ.
        labels: `"all"`, or `"last"` to ignore the labels of all frames but the last, as
            where a single one is annotated.

    Raises:
        ValueError: If there is no clip, with the gaps that there are.
    """

    def __init__(self, dataset, frames: int, *, gap: int = 1, labels: str = "all"):
        frames = check_integer("frames", frames, 1)
        gap = check_integer("gap", gap, 1)
        if labels not in ("all", "last"):
            raise ValueError(
                f'`labels` must be "all" or "last". Received: labels={labels!r}'
            )
        self.dataset = dataset
        self.labels = labels
        places = [_place(id) for id in dataset.ids]
        index_of = {place: index for index, place in enumerate(places)}
        self._clips = []
        for video, number in places:
            steps = range(number - gap * (frames - 1), number + 1, gap)
            clip = [index_of.get((video, step)) for step in steps]
            if None not in clip:
                self._clips.append(clip)
        if not self._clips:
            raise ValueError(
                f"`dataset` must have {frames} frames in a row whose numbers differ by "
                f"gap={gap}. {_gaps(places)} Received: dataset={dataset!r}"
            )
        super().__init__(len(self._clips))

    def _clip(self, number):
        samples = [self.dataset[i] for i in self._clips[number]]
        masks = np.stack([sample.mask for sample in samples])
        if self.labels == "last":
            masks[:-1] = self.dataset.ignore_class
        frames = np.stack([sample.image for sample in samples])
        return Sample(frames, masks, samples[-1].id)


class SnippetClips(_Clips):
    """The frames of Cityscapes' video snippets up to the annotated one, the last.

    Args:
        dataset: A `kseg.data.datasets.Cityscapes`.
        frames: How many frames a clip has, at most 20.
        gap: Every how many frames of the snippet one is taken.
    """

    def __init__(self, dataset, frames: int, *, gap: int = 1):
        self.dataset = dataset
        self.frames = check_integer("frames", frames, 1)
        self.gap = check_integer("gap", gap, 1)
        if self.gap * (self.frames - 1) > _ANNOTATED:
            raise ValueError(
                f"`frames` and `gap` must fit into the {_ANNOTATED} frames before the "
                f"annotated one. Received: frames={frames}, gap={gap}"
            )
        super().__init__(len(dataset))

    def _clip(self, number):
        sample = self.dataset[number]
        paths = self.dataset.snippet_paths(number)[: _ANNOTATED + 1]
        paths = paths[:: -self.gap][: self.frames][:0:-1]
        frames = np.stack([*map(read_image, paths), sample.image])
        masks = np.full(frames.shape[:3], self.dataset.ignore_class, sample.mask.dtype)
        masks[-1] = sample.mask
        return Sample(frames, masks, sample.id)


_ANNOTATED = 19  # Index of the annotated frame among the 30 of a snippet.


class StillClips(_Clips):
    """Clips of a camera that moves over photos: for data sets without videos.

    The window of the camera glides and zooms at a constant speed, by amounts up to those
    given, in a direction of each photo's own; every frame has a label. Nothing moves in
    the scene itself, so that this is a stand-in for videos, not their equal.

    Args:
        dataset: A `kseg.data.datasets.Dataset`.
        frames: How many frames a clip has.
        shift: Most motion from frame to frame, in parts of the photo's sides.
        zoom: Most change of scale from frame to frame, 0.02 for 2 %.
        seed: Non-negative integer, for other motions.
    """

    def __init__(
        self,
        dataset,
        frames: int,
        *,
        shift: float = 0.02,
        zoom: float = 0.02,
        seed: int = 0,
    ):
        self.dataset = dataset
        self.frames = check_integer("frames", frames, 1)
        # What the window leaves free at its largest has to hold all motion.
        self._free = (frames - 1) * (shift + zoom)
        if shift < 0 or zoom < 0 or self._free >= 0.5:
            raise ValueError(
                "`shift` and `zoom` must be from 0, and move the window by less than "
                f"half of the photo over {frames} frames. "
                f"Received: shift={shift}, zoom={zoom}"
            )
        self.seed = check_integer("seed", seed, 0)
        self.shift = shift
        self.zoom = zoom
        super().__init__(len(dataset))

    def _clip(self, number):
        sample = self.dataset[number]
        rng = np.random.default_rng((self.seed, number))
        height, width = sample.mask.shape
        picture, mask = Image.fromarray(sample.image), Image.fromarray(sample.mask)
        frames, masks = [], []
        for left, top, side in self._windows(rng):
            box = np.array([left, top, left + side, top + side])
            box = tuple(np.clip(box, 0, 1) * (width, height, width, height))
            how = Image.Resampling
            frames.append(picture.resize((width, height), how.BILINEAR, box))
            masks.append(mask.resize((width, height), how.NEAREST, box))
        frames, masks = np.stack(frames), np.stack(masks)
        return Sample(frames, masks.astype(sample.mask.dtype), sample.id)

    def _windows(self, rng):
        """Left, top and side of the window of each frame, in parts of the photo."""
        steps = np.arange(self.frames)
        zoom = rng.uniform(-self.zoom, self.zoom)
        sides = (1 - self._free) * (1 + zoom) ** (
            steps if zoom < 0 else steps - steps[-1]
        )
        ways = rng.uniform(-self.shift, self.shift, 2)[:, None] * steps
        # The window of every frame lies inside the photo.
        low = (sides / 2 - ways).max(1)
        high = (1 - sides / 2 - ways).min(1)
        corners = rng.uniform(low, high)[:, None] + ways - sides / 2
        return zip(*corners, sides, strict=True)


def _place(id):
    """The video and the number of a frame, of its id."""
    found = re.fullmatch(r"(.*?)(\d+)", id)
    return (found[1], int(found[2])) if found else (id, 0)


def _gaps(places):
    pairs = sorted(places)
    gaps = Counter(
        b[1] - a[1] for a, b in zip(pairs, pairs[1:], strict=False) if a[0] == b[0]
    )
    if not gaps:
        return "No two samples are of one video."
    common = ", ".join(str(gap) for gap, _ in gaps.most_common(3))
    return f"The numbers of its samples differ by {common}."
