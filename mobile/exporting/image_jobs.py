"""What an export works on for models of one image to one map of scores."""

import keras
import numpy as np

from kseg.mobile.compressing.twin import has_learned_ranges
from kseg.mobile.exporting.calibration import (
    evenly,
    fit_mask,
    read_calibration,
    read_masks,
)
from kseg.mobile.exporting.conversion import concrete_function
from kseg.mobile.exporting.jobs import PARITY_IMAGES, Job, activation_of
from kseg.mobile.exporting.keras_model import check_scores, image_shape, with_output
from kseg.mobile.exporting.parity import compare
from kseg.mobile.exporting.resolution import before_upsampling, for_camera
from kseg.mobile.images import as_pair
from kseg.mobile.tflite.litert_net import LiteRTNet, activate
from kseg.mobile.tflite.metadata import Metadata, channel_labels, write_metadata
from kseg.mobile.tflite.rewriting import resize_ids
from kseg.mobile.tflite.runtime import native_log

_PIXELS_AT_ONCE = 1 << 19
_MOST_KEPT = 1 << 28  # bytes of Keras' answers that are kept for the next file


def image_job(
    model, size, camera_size, output, calibration, masks, limit, labels
) -> Job:
    """Returns the job of a model of one image.

    Args:
        model: As in `kseg.mobile.export`, and so are the others.
        size: As there.
        camera_size: As there.
        output: As there.
        calibration: As there.
        masks: As there.
        limit: At most so many images.
        labels: As there.
    """
    size, channels = static_size(model, size)
    kind = "logits" if output == "logits" else "probabilities"
    network = with_output(model, kind, size)
    num_classes = int(network.output_shape[-1])
    labels = channel_labels(labels, num_classes)
    is_low = output == "category_mask_low"
    if is_low:
        network = before_upsampling(network)
    file_size = size
    if camera_size is not None:
        file_size = as_pair(camera_size, "camera_size")
        network = for_camera(network, size, file_size, resize_scores=not is_low)
    images = read_calibration(calibration, file_size, channels, limit)
    compared = evenly(len(images), PARITY_IMAGES)
    truth = read_masks(masks, calibration, limit, compared, num_classes)
    if truth is not None:
        scores_size = file_size if is_low else _scores_size(network, images[0].shape)
        truth = [fit_mask(mask, scores_size) for mask in truth]
    activation = activation_of(output, num_classes)
    metadata = Metadata(labels, activation, name=model.name)

    def trace():
        kind = "category_mask" if is_low else output
        function = concrete_function(network, file_size, kind)
        low = tuple(function.structured_outputs[kind].shape[1:])
        if is_low and low == file_size:
            raise ValueError(
                "`output='category_mask_low'` needs a model that scores a map smaller "
                f"than its input. Received: {model.name!r}, whose upsampling at the end "
                f"does nothing at size={size}"
            )
        return function

    def finish(content):
        return write_metadata(
            resize_ids(content, file_size) if is_low else content, metadata
        )

    return Job(
        size,
        num_classes,
        images,
        None,
        trace=trace,
        finish=finish,
        measure=Comparison(
            network,
            [images[index] for index in compared],
            truth,
            output,
            LiteRTNet,
            file_size if is_low else None,
        ),
        labels=("background", *labels) if labels and num_classes == 1 else labels,
        learned_ranges=has_learned_ranges(model),
    )


class Comparison:
    """Compares files with the Keras model that they were made of.

    Args:
        network: The model.
        samples: Arrays of a batch of 1.
        masks: Per sample the true class ids, or `None`; `None` for no masks at all.
        output: Of the file.
        open_net: Class that runs the content of a file on a sample.
        ids_size: `(height, width)` to which a file repeats the ids of a smaller map.
    """

    def __init__(self, network, samples, masks, output, open_net, ids_size=None):
        self._network, self._samples, self._masks = network, samples, masks
        self._output, self._open_net, self._ids_size = output, open_net, ids_size
        self._activation = activation_of(output, network.output_shape[-1])
        self._kept = None

    def __call__(self, content: bytes):
        """Returns the parity of a file's content."""
        net = self._open_net(content)

        def pairs():
            references = self._references()
            for sample, reference in zip(self._samples, references, strict=True):
                exported = net.run(sample)[0]
                if not np.issubdtype(exported.dtype, np.integer):
                    exported = activate(exported, self._activation)
                yield reference, exported

        return compare(pairs(), self._masks)

    def _references(self):
        """Yields Keras' probabilities, one sample after the other."""
        if self._kept is not None:
            yield from self._kept
            return
        kept, size = [], 0
        # Eager Keras costs as much per call as per pixel: as many as memory surely takes.
        together = max(1, _PIXELS_AT_ONCE // self._samples[0][0, ..., 0].size)
        for start in range(0, len(self._samples), together):
            batch = np.concatenate(self._samples[start : start + together])
            with native_log():  # eager Keras warns of the retracing of grouped layers
                scores = self._network(batch.astype("float32"), training=False)
            scores = keras.ops.convert_to_numpy(scores)
            check_scores(scores, self._output)
            for one in activate(scores, self._activation):
                reference = (
                    one if self._ids_size is None else _nearest(one, self._ids_size)
                )
                yield reference
                size += reference.nbytes
                if size <= _MOST_KEPT:
                    kept.append(reference)
        self._kept = kept if size <= _MOST_KEPT else None


def _nearest(scores, size):
    """Repeats scores as RESIZE_NEAREST_NEIGHBOR does, pixels being areas."""
    rows, columns = (
        ((np.arange(large) + 0.5) * small / large).astype("int64")
        for large, small in zip(size, scores.shape[:2], strict=True)
    )
    return scores[rows][:, columns]


def _scores_size(network, shape):
    """Returns `(height, width)` of the scores, if the image's mask can be resized to it."""
    size = tuple(network.compute_output_shape(shape)[1:3])
    if shape[1] * size[1] != shape[2] * size[0]:
        raise ValueError(
            "`masks` must be left out for a model that crops: its scores are not those "
            f"of the whole image. Received: scores of {size} for images of {shape[1:3]}"
        )
    return size


def static_size(model, size):
    """Returns the `(height, width)` of a file, and its channels; raises if unclear."""
    height, width, channels = image_shape(model)
    if size is None:
        if height is None or width is None:
            raise ValueError(
                "`size` must be given, because the model takes any size and a phone's "
                f"file one: size=(height, width). Received: size=None, {model.name!r} "
                f"of input ({height}, {width}, {channels})"
            )
        return (height, width), channels
    size = as_pair(size)
    if (height or size[0], width or size[1]) != size:
        raise ValueError(
            f"`size` must be the model's own, ({height}, {width}), or left out. "
            f"Received: size={size}"
        )
    return size, channels
