"""Runs a segmentation net on any image, and gives masks of that image's size."""

import dataclasses
import threading
from pathlib import Path

import numpy as np

from kseg.mobile.images import as_pair, read_image, resize_image, resize_map
from kseg.mobile.nets import find_net, trained_names
from kseg.mobile.tflite.litert_net import LiteRTNet, StateError, activate
from kseg.mobile.tflite.streaming_net import StreamingNet


@dataclasses.dataclass(frozen=True)
class SegmentationResult:
    """Masks of one image, both at the image's height and width.

    Attributes:
        category_mask: Class ids, `(height, width)`, uint8 (int32 above 256
            classes). For a one-class net 1 where its probability is above 0.5, else 0.
        confidence_masks: Probabilities, float32, `(height, width, num_classes)`.
            `None` if they were switched off, or if the file gives ids only.
    """

    category_mask: np.ndarray
    confidence_masks: np.ndarray | None = None


class ImageSegmenter:
    """Segments images with a `.tflite` file or a Keras model.

    The image is stretched to the net's input (bilinear, antialiased); scores become
    probabilities, are resized to the image (bilinear), and then compared, so that
    edges are smooth at any size. Safe to use from several threads; calls queue.

    Args:
        model: Path of a `.tflite`, or a Keras model of one image input (0-255).
        size: `(height, width)` or an int for a square: the input of a Keras model that
            takes any. `None` keeps the image's proportions, long side at most 512.
        labels: Names of the classes. `None` reads them from the file.
        activation: `"none"`, `"sigmoid"` or `"softmax"`: what makes the net's outputs
            probabilities. `None` takes what the file or the model says.
        num_threads: CPU threads of LiteRT. `None` takes the machine's, at most 4.
        output_confidence_masks: `False` saves the memory of one float per class and
            pixel.

    Attributes:
        input_size: `(height, width)` of the net's input, `None` if it takes any.
        num_classes: Channels of the net's output; 1 means foreground against
            background. `None` if the file gives class ids only and has no labels.
        labels: Name per class id; for a one-class net `("background", its label)`.
            Empty if there are none.
        model: The Keras model, or the path of the file.

    Example:

    >>> segmenter = ImageSegmenter("person_float16.tflite")
    >>> result = segmenter.segment("photo.jpg")
    >>> result.category_mask.shape
    (1440, 1080)
    """

    def __init__(
        self,
        model,
        *,
        size=None,
        labels=None,
        activation: str | None = None,
        num_threads: int | None = None,
        output_confidence_masks: bool = True,
    ):
        if activation not in (None, "none", "sigmoid", "softmax"):
            raise ValueError(
                '`activation` must be "none", "sigmoid", "softmax" or None. '
                f"Received: activation={activation!r}"
            )
        if isinstance(model, str | Path):
            net = self._open(_read_file(Path(model)), str(model), num_threads)
        elif callable(model) and hasattr(model, "predict_on_batch"):
            from kseg.mobile.exporting.keras_model import KerasNet

            net = KerasNet(model, size)
        else:
            raise TypeError(
                "`model` must be the path of a .tflite or a Keras model. "
                f"Received: model of type {type(model).__name__}"
            )
        if size is not None and net.input_size != as_pair(size):
            raise ValueError(
                f"`size` must be left out, because the model's own is fixed to "
                f"{net.input_size}. Received: size={size}"
            )
        if net.channels not in (1, 3):
            raise ValueError(
                "`model` must take an image of 1 or 3 channels. "
                f"Received: a model of {net.channels} channels"
            )
        self.model = model
        self.input_size = net.input_size
        self.num_classes = net.num_classes
        self.labels = _class_names(labels or net.labels, net.num_classes)
        self.output_confidence_masks = output_confidence_masks
        self._activation = activation or net.activation
        self._net = net
        self._lock = threading.Lock()

    _open = LiteRTNet

    def segment(
        self, image, *, output_confidence_masks: bool | None = None
    ) -> SegmentationResult:
        """Segments one image.

        Args:
            image: Path, PIL image (EXIF orientation is applied), or uint8 array of
                shape `(height, width)` or `(height, width, 1, 3 or 4)`, of any size.
            output_confidence_masks: As for the segmenter, for this image alone. `None`
                takes the segmenter's.

        Returns:
            A `SegmentationResult` at the image's size.
        """
        image = read_image(image)
        size = image.shape[:2]
        pixels = resize_image(image, self._net.size_for(size), self._net.channels)
        with self._lock:
            scores = self._net.run(pixels[None])[0]
        if np.issubdtype(scores.dtype, np.integer):
            ids = scores.reshape(scores.shape[:2])
            return SegmentationResult(resize_map(_compact(ids), size))
        if output_confidence_masks is None:
            output_confidence_masks = self.output_confidence_masks
        scores = activate(scores, self._activation)
        return _result(scores, size, output_confidence_masks)

    __call__ = segment

    def __repr__(self):
        source = self.model if isinstance(self.model, str | Path) else self.model.name
        return (
            f"<{type(self).__name__} {source}: input {self.input_size}, "
            f"{self.num_classes} classes>"
        )


class VideoSegmenter(ImageSegmenter):
    """Segments the frames of a video, in order, with a `.tflite` that has state.

    Such as a net of `kseg.models.video.mask_feedback`, which sees its mask of the frame
    before. A Keras model is driven by `kseg.models.video.Stream`, which has schedules too.

    Args:
        model: Path of a `.tflite` that takes frames by the name "image", and state.
        **options: `labels`, `activation`, `num_threads` and `output_confidence_masks`,
            as in `ImageSegmenter`.

    Attributes are those of `ImageSegmenter`. Frames of two videos must not be mixed: one
    segmenter for each.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If `model` is no path.
        ValueError: If the file is damaged, or has no state.

    Example:

    >>> segmenter = VideoSegmenter("net_with_state.tflite")
    >>> for frame in kseg.data.video.Video("in.mp4"):
    ...     mask = segmenter.segment(frame).category_mask
    """

    _open = StreamingNet

    def __init__(self, model, **options):
        if not isinstance(model, str | Path):
            raise TypeError(
                "`model` must be the path of a .tflite; `kseg.models.video.Stream` drives "
                f"a Keras model. Received: model of type {type(model).__name__}"
            )
        super().__init__(model, **options)

    def reset(self):
        """Forgets the frames before: in front of another video, or at a cut."""
        with self._lock:
            self._net.reset()


def forget_frames(segmenter):
    """Resets a segmenter of videos, in front of what the frames before do not tell about.

    Args:
        segmenter: Any segmenter; one of photos stays as it is.
    """
    if isinstance(segmenter, VideoSegmenter):
        segmenter.reset()


def load(path) -> ImageSegmenter:
    """Opens a trained net, ready to segment any image.

    Args:
        path: A `.tflite`, a `.keras` file (read in Keras' safe mode; its model is the
            attribute `model` of what is returned), or the name of a net that ships
            with kseg, such as `"person"`.

    Returns:
        An `ImageSegmenter`; a `VideoSegmenter` of a `.tflite` with state. A file that does
        not name its classes has the names that `kseg train` left beside it.

    Example:

    >>> kseg.load("person").segment("photo.jpg").category_mask
    """
    path = find_net(path)
    if path.suffix == ".keras":
        from kseg.mobile.exporting.keras_model import load_keras

        segmenter = ImageSegmenter(load_keras(path))
    else:
        try:
            segmenter = ImageSegmenter(path)
        except StateError:
            segmenter = VideoSegmenter(path)
    if not segmenter.labels:
        segmenter.labels = trained_names(path, segmenter.num_classes)
    return segmenter


def _read_file(path):
    if not path.is_file():
        raise FileNotFoundError(
            f"`model` must be the path of a .tflite file. Received: model={str(path)!r}"
        )
    return path.read_bytes()


def _result(scores, size, with_confidence):
    maps = None
    if with_confidence:
        maps = np.empty((*size, scores.shape[-1]), "float32")
    best = ids = None
    for index in range(scores.shape[-1]):  # one class at a time: photos are large
        confidence = resize_map(scores[..., index], size)
        if maps is not None:
            maps[..., index] = confidence
        if ids is None:
            best, ids = confidence.copy(), np.zeros(size, "int32")
        else:
            ids[confidence > best] = index
            np.maximum(best, confidence, out=best)
    if scores.shape[-1] == 1:
        ids = best > 0.5
    elif scores.shape[-1] > 256:
        return SegmentationResult(ids, maps)
    return SegmentationResult(ids.astype("uint8"), maps)


def _compact(ids):
    return ids.astype("uint8" if ids.max(initial=0) < 256 else "int32")


def _class_names(labels, num_classes):
    labels = tuple(labels or ())
    if num_classes == 1 and len(labels) == 1:
        labels = ("background", *labels)
    expected = 2 if num_classes == 1 else num_classes
    if labels and num_classes and len(labels) != expected:
        raise ValueError(
            f"`labels` must be {expected} names, one per class. "
            f"Received: labels={labels}"
        )
    return labels
