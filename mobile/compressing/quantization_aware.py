"""Fine-tunes a net with the rounding of its int8 file: quantization-aware training."""

import keras
import numpy as np

from kseg.mobile.compressing.net_in_steps import NetInSteps
from kseg.mobile.compressing.rebuilding import legacy_keras
from kseg.mobile.compressing.twin import Twin
from kseg.mobile.exporting.calibration import read_calibration
from kseg.mobile.exporting.quantization import MIN_IMAGES

_CALIBRATION_IMAGES = 64
_BATCH = 8


def quantize_aware(model: keras.Model, *, size=None, calibration) -> keras.Model:
    """Makes a model that rounds as its int8 file will, to be fine-tuned.

    The model is rebuilt with its weights in tf_keras, the Keras of
    tensorflow-model-optimization, which adds the rounding; what is returned is a Keras 3
    model around it. Compile and fit it like any other, with kseg's losses and data; an
    epoch or two at a low learning rate, such as 2e-5, are enough. `kseg.mobile.export`
    then writes the file with the ranges that it has learnt. `model` stays as it is.

    Worth it where a net loses too much by `export(…, precision="full_int8")` alone.

    BatchNorm is folded into the convolutions first, with its statistics as they are,
    and dropout is left out: right for fine-tuning a trained net, not for training one.
    Convolutions are trained; weights of other layers, such as `Dense`, stay.

    Reference:
    - [Quantization and Training of Neural Networks](https://arxiv.org/abs/1712.05877),
      CVPR 2018
    - [Quantization aware training](https://www.tensorflow.org/model_optimization/guide/quantization/training)

    Args:
        model: Trained functional model of one image input and one output of scores.
        size: `(height, width)` or an int for a square. Required if the model takes any
            size, else the model's own.
        calibration: Images for the ranges that the training starts from, as in
            `kseg.mobile.export`; at least 8.

    Returns:
        A `keras.Model` with the outputs of `model`, not compiled.

    Raises:
        ExportError: If a layer is not made of Keras operations.
        ImportError: If tf_keras or tensorflow-model-optimization is not installed.
        TypeError: If `model` is no functional model.
        ValueError: If it has several inputs or outputs, or takes any size and `size` is
            not given, or there are too few images.

    Example:

    >>> twin = kseg.mobile.quantize_aware(model, calibration=photos)
    >>> twin.compile(keras.optimizers.Adam(2e-5), kseg.losses.SparseCrossEntropy())
    >>> twin.fit(batches, epochs=2)
    >>> kseg.mobile.export(twin, "net.tflite", precision="full_int8", calibration=photos)
    """
    # Here, since tensorflow-model-optimization takes seconds to import.
    import tensorflow as tf

    from kseg.mobile.compressing.fake_quantization import Quantizing

    net = NetInSteps(model, size)
    *size, channels = net.image.shape[1:]
    images = read_calibration(calibration, tuple(size), channels, _CALIBRATION_IMAGES)
    if len(images) < MIN_IMAGES:
        raise ValueError(
            f"`calibration` must hold at least {MIN_IMAGES} images like those the net "
            f"will see. Received: {len(images)} images"
        )
    low, high = (0.0, 255.0)
    if images[0].dtype != np.uint8:
        low, high = min(0.0, *map(np.min, images)), max(0.0, *map(np.max, images))
    quantizing = Quantizing(net.steps)
    trained = net.rebuild(
        wrap=quantizing,
        prepare=lambda x: tf.quantization.fake_quant_with_min_max_args(x, low, high),
    )
    _calibrate(net.rebuild(), quantizing.ranges, images)
    return net.as_keras(Twin(trained, learned_ranges=True, name="twin"), model.name)


def _calibrate(plain, ranges, images):
    """Starts the ranges from the mean of those of some batches.

    The training goes on from there with a moving average of the batches' ranges; from
    anywhere else, its first steps would undo what the net has learnt.
    """
    import tensorflow as tf

    outputs = [plain.get_layer(name).output for name in ranges]
    probe = legacy_keras().Model(plain.input, outputs)

    @tf.function
    def ends(batch):
        return tf.stack([(tf.reduce_min(x), tf.reduce_max(x)) for x in probe(batch)])

    found = [
        ends(np.concatenate(images[start : start + _BATCH]).astype("float32")).numpy()
        for start in range(0, len(images), _BATCH)
    ]
    for quantizer, (low, high) in zip(
        ranges.values(), np.mean(found, axis=0), strict=True
    ):
        lower, upper = quantizer.variables
        # The zero is in all ranges of LiteRT, whose padding needs it.
        lower.assign(min(low, 0.0))
        upper.assign(max(high, 0.0))
