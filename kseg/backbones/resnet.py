"""ResNet: He, Zhang, Ren, Sun, "Deep Residual Learning" (CVPR 2016)."""

import keras
from keras import initializers, layers

from kseg.backbones.applications import build_application
from kseg.backbones.checking import check_input_shape, check_weights
from kseg.backbones.dilation import check_multi_grid, pad, steps
from kseg.backbones.widths import check_width_multiplier, scaled

# Units per stage (table 1), and the net of keras.applications.
_VARIANTS = {
    "resnet50": ((3, 4, 6, 3), keras.applications.ResNet50),
    "resnet101": ((3, 4, 23, 3), keras.applications.ResNet101),
    "resnet152": ((3, 8, 36, 3), keras.applications.ResNet152),
}

# Scale and offset for pixels of 0 to 255, RGB: the mean of ImageNet as the weights of
# keras.applications have it subtracted, which come from Caffe. They have no scale; a
# power of two moves into their first kernel without rounding, so that one net serves
# pretrained and random weights.
_SCALE = 64
_IMAGENET = (1 / _SCALE, [-mean / _SCALE for mean in (123.68, 116.779, 103.939)])
_SYMMETRIC = (1 / 127.5, -1.0)


def resnet(
    variant,
    input_shape,
    *,
    weights=None,
    width_multiplier=1.0,
    output_stride=32,
    rescale=True,
    multi_grid=(1, 1, 1),
    stride_position=None,
    deep_stem=False,
    name=None,
):
    """Builds a ResNet of bottlenecks, without biases, as a backbone.

    Its maps are the stem at stride 2 and the last unit at each stride from 4 on. Layers
    are named as in keras.applications (`"conv4_block6_out"`).

    The weights of keras.applications give its feature maps exactly: its biases stand in
    front of a BatchNorm, and move into the moving mean of that; its BGR order becomes an
    order of the first kernel.

    References:
    - [Deep Residual Learning](https://arxiv.org/abs/1512.03385) (CVPR 2016), table 1
    - [Rethinking Atrous Convolution](https://arxiv.org/abs/1706.05587), section 3.1

    Args:
        variant: `"resnet50"`, `"resnet101"` or `"resnet152"`.
        input_shape: Shape of an image, `(height, width, channels)`. Height and width are
            at least 32, or `None` for any.
        weights: `None` for random weights, `"imagenet"`, or the path of a file with the
            weights of the net of keras.applications, without its top. Defaults to `None`.
        width_multiplier: Factor on the number of channels, which stay multiples of 8.
            Defaults to `1.0`.
        output_stride: Stride of the coarsest map: 8, 16 or 32. Below 32 the last stages
            are dilated in place of their strides. Defaults to `32`.
        rescale: Whether images of 0 to 255 are normalised inside: the mean of ImageNet is
            subtracted from 3 channels, which are then divided by 64; any other number is
            mapped to -1 ... 1. Defaults to `True`.
        multi_grid: Factors on the rates of the 3x3 convolutions of the last stage.
            Defaults to `(1, 1, 1)`.
        stride_position: Which convolution of a unit has its stride, `"3x3"` or `"1x1"`
            (the first), the paper's. Without its stride a 3x3 keeps its rate, a 1x1 has
            none to keep: at an output stride of 16, the last stage has the rates
            `(1, 2, 2)` by the former, `(2, 2, 2)` by the latter, times `multi_grid`.
            Defaults to `"3x3"`; with `weights`, it is `"1x1"`.
        deep_stem: Whether three 3x3 convolutions take the place of the first 7x7.
            Defaults to `False`.
        name: Name of the model. Defaults to `variant`.

    Returns:
        A `keras.Model` of one image, with a list of feature maps, finest first.

    Raises:
        ValueError: If an argument has a value that no net can be built with.
        TypeError: If an argument is of the wrong type.
    """
    units, application = _VARIANTS[variant]
    check_input_shape(input_shape)
    check_weights(weights)
    check_width_multiplier(width_multiplier)
    check_multi_grid(multi_grid)
    _check_stride_position(stride_position, weights)
    if weights is not None:
        _check_pretrained(weights, input_shape, width_multiplier, deep_stem)
    channels = input_shape[-1]
    net = _Layers(
        width_multiplier,
        first=(stride_position or ("3x3" if weights is None else "1x1")) == "1x1",
        # Those of torchvision; without pretrained weights, statistics that arrive soon.
        norm={"epsilon": 1e-5, "momentum": 0.9}
        if weights is None
        else {"epsilon": 1.001e-5},
    )
    _, _, *plan = steps([2, 2, 1, 2, 2, 2], output_stride)

    image = x = keras.Input(input_shape, name="image")
    if rescale:
        scale, offset = _SYMMETRIC
        if channels == 3:
            scale, offset = _IMAGENET
        x = layers.Rescaling(scale, offset, name="rescaling")(x)
    x = net.stem(x, deep_stem)
    maps = {2: x}
    x = pad(x, 3, "pool1")
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    stride = 4
    for stage, (count, step) in enumerate(zip(units, plan, strict=True), 2):
        grid = multi_grid if stage == 5 else (1, 1, 1)
        x = net.stage(x, 32 * 2 ** (stage - 1), count, step, grid, f"conv{stage}")
        stride *= step.stride
        maps[stride] = x
    model = keras.Model(image, list(maps.values()), name=name or variant)
    if weights is not None:
        source = build_application(application, weights, None, channels)
        _copy_weights(source, model, _SCALE if rescale else 1)
    return model


def _check_stride_position(stride_position, weights):
    if stride_position not in (None, "1x1", "3x3"):
        raise ValueError(
            '`stride_position` must be "3x3" or "1x1". '
            f"Received: stride_position={stride_position!r}"
        )
    if weights is not None and stride_position == "3x3":
        raise ValueError(
            '`stride_position` must be "1x1" with `weights`, as in keras.applications. '
            f"Received: stride_position={stride_position!r}"
        )


def _check_pretrained(weights, input_shape, width_multiplier, deep_stem):
    if input_shape[-1] != 3:
        raise ValueError(
            "`weights` are for images of 3 channels; `weights=None` takes any number. "
            f"Received: weights={weights!r}, input_shape={input_shape}"
        )
    if width_multiplier != 1 or deep_stem:
        raise ValueError(
            "`weights` are for `width_multiplier=1.0` and `deep_stem=False`. "
            f"Received: weights={weights!r}, width_multiplier={width_multiplier}, "
            f"deep_stem={deep_stem}"
        )


class _Layers:
    """The parts of one net, which share their width and their BatchNorm."""

    def __init__(self, width_multiplier, first, norm):
        self.width_multiplier = width_multiplier
        self.first = first  # Whether the stride is in the first 1x1.
        self.norm = norm

    def stem(self, x, deep):
        if not deep:
            return self.conv(x, 64, 7, "conv1", stride=2, relu=True)
        x = self.conv(x, 64, 3, "conv1_1", stride=2, relu=True)
        x = self.conv(x, 64, 3, "conv1_2", relu=True)
        return self.conv(x, 128, 3, "conv1_3", relu=True)

    def stage(self, x, filters, count, step, multi_grid, name):
        for number in range(1, count + 1):
            stride, rate = (step.stride, step.rate) if number == 1 else (1, None)
            if rate is None or self.first:
                rate = step.next_rate
            rate *= multi_grid[(number - 1) % len(multi_grid)]
            x = self.unit(
                x, filters, stride, rate, number == 1, f"{name}_block{number}"
            )
        return x

    def unit(self, x, filters, stride, rate, projects, name):
        strides = (stride, 1) if self.first else (1, stride)
        shortcut = x
        if projects:
            shortcut = self.conv(x, 4 * filters, 1, f"{name}_0", stride)
        x = self.conv(x, filters, 1, f"{name}_1", strides[0], relu=True)
        x = self.conv(x, filters, 3, f"{name}_2", strides[1], rate, relu=True)
        x = self.conv(x, 4 * filters, 1, f"{name}_3")
        x = layers.Add(name=f"{name}_add")([shortcut, x])
        return layers.ReLU(name=f"{name}_out")(x)

    def conv(self, x, filters, kernel_size, name, stride=1, rate=1, relu=False):
        if stride > 1 and kernel_size > 1:
            x = pad(x, kernel_size, name)
        x = layers.Conv2D(
            scaled(filters, self.width_multiplier),
            kernel_size,
            strides=stride,
            padding="same" if stride == 1 else "valid",
            dilation_rate=rate,
            use_bias=False,
            kernel_initializer=initializers.VarianceScaling(
                2.0, "fan_out", "untruncated_normal"
            ),
            name=f"{name}_conv",
        )(x)
        x = layers.BatchNormalization(**self.norm, name=f"{name}_bn")(x)
        return layers.ReLU(name=f"{name}_relu")(x) if relu else x


def _copy_weights(source, target, scale):
    """Moves the biases that `target` has not into the means that are subtracted next."""
    for layer in target.layers:
        if not isinstance(layer, layers.Conv2D):
            continue
        stem = layer.name.removesuffix("_conv")
        kernel, bias = source.get_layer(layer.name).get_weights()
        gamma, beta, mean, variance = source.get_layer(f"{stem}_bn").get_weights()
        if stem == "conv1":
            kernel = scale * kernel[:, :, ::-1]  # BGR to RGB.
        layer.set_weights([kernel])
        target.get_layer(f"{stem}_bn").set_weights([gamma, beta, mean - bias, variance])
