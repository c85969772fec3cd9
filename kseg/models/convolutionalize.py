"""Classifiers as fully convolutional networks (Long, Shelhamer, Darrell, CVPR 2015)."""

import keras
from keras import layers

# What a vector goes through value by value.
_ELEMENTWISE = (
    layers.Activation,
    layers.Dropout,
    layers.ELU,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.LeakyReLU,
    layers.ReLU,
    layers.Rescaling,
)
_MERGES = (layers.Add, layers.Average, layers.Maximum, layers.Minimum, layers.Multiply)
_ALONG_CHANNELS = (
    layers.BatchNormalization,
    layers.Concatenate,
    layers.LayerNormalization,
    layers.Softmax,
)
_POOLS = {
    layers.GlobalAveragePooling2D: layers.AveragePooling2D,
    layers.GlobalMaxPooling2D: layers.MaxPooling2D,
}
# What does not compute the same at every place of a map.
_NOT_SLIDING = (
    layers.Attention,
    layers.Flatten,
    layers.GroupNormalization,
    layers.MultiHeadAttention,
    layers.Permute,
    layers.Reshape,
    layers.Resizing,
)


def convolutionalize(classifier, name=None):
    """Turns an image classifier into a fully convolutional network.

    The first dense layer behind `Flatten` becomes a convolution as large as the map that
    it read, every other one a 1x1 convolution, and a global pool becomes a pool of the
    size of the map. On an image of the size that the classifier takes, the result is
    that of the classifier; on a larger one it is a map: the classifier slid over the
    image, in steps of its stride, at a fraction of the cost. This is exact where nothing
    is padded; the padding of a classifier sees its neighbourhood in place of zeros.

    Reference:
    - [Fully Convolutional Networks for Semantic Segmentation](
      https://arxiv.org/abs/1411.4038) (CVPR 2015), section 3.1

    Args:
        classifier: A functional or `Sequential` `keras.Model` from images `(batch,
            height, width, channels)` of a fixed size to `(batch, units)`. Models inside
            of it are inlined.
        name: Name of the new model. Defaults to that of the classifier.

    Returns:
        A `keras.Model` of its own weights, copied from the classifier, from images
        `(batch, height, width, channels)` of any size from that of the classifier up to
        `(batch, rows, columns, units)`.

    Raises:
        ValueError: If the classifier has a layer that cannot slide, such as a gate that
            sees the whole image, or is no classifier of images.
        TypeError: If `classifier` is no functional or `Sequential` model.
    """
    if not isinstance(classifier, keras.Model):
        raise TypeError(
            "`classifier` must be a functional or `Sequential` `keras.Model`. "
            f"Received: classifier={classifier!r} "
            f"(of type {type(classifier).__name__})"
        )
    window = _window(classifier)
    image = keras.Input((None, None, window[-1]), name="image")
    copies = {}
    outputs, kind = _Slider(image, window, copies).walk(classifier)
    if kind != "vector":
        raise ValueError(
            "`classifier` must end in a vector, behind `Flatten` and `Dense` or behind a "
            f"global pool. Received: classifier={classifier.name!r} with an output of "
            f"shape {classifier.output_shape}"
        )
    for layer, copy in copies.values():
        pairs = zip(layer.get_weights(), copy.weights, strict=True)
        copy.set_weights([value.reshape(weight.shape) for value, weight in pairs])
    return keras.Model(image, outputs, name=name or classifier.name)


def _window(classifier):
    """Height, width and channels of the image that the classifier takes."""
    shapes = [x.shape for x in getattr(classifier, "inputs", None) or []]
    outputs = getattr(classifier, "outputs", None) or []
    if (
        len(shapes) != 1
        or len(outputs) != 1
        or len(shapes[0]) != 4
        or None in shapes[0][1:]
    ):
        raise ValueError(
            "`classifier` must be a functional or `Sequential` model from one image of a "
            "fixed size, `(batch, height, width, channels)`, which is what slides over a "
            f"larger one. Received: classifier={classifier.name!r} with inputs of shape "
            f"{shapes}"
        )
    return shapes[0][1:]


class _Slider:
    """Calls copies of a model's layers on an image, in the order of its graph.

    A tensor is a "map", a map that is "flattened" for the classifier, or stands for a
    "vector" at every place of the window.
    """

    def __init__(self, image, window, copies, kind="map"):
        self.image = image
        self.window = window  # Size of `image` in the classifier.
        self.copies = copies
        self._kinds = {id(image): kind}
        self._alive = []  # An id is only good while its tensor lives.

    def walk(self, model):
        """Returns what the model makes of the image, and its kind."""
        x = self.image
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                x = self.call(layer, x)
        else:
            clone = keras.models.clone_model(
                model,
                input_tensors=keras.tree.pack_sequence_as(model.input, [x]),
                clone_function=lambda layer: layer,
                call_function=self.call,
            )
            (x,) = clone.outputs
        return x, self._kinds[id(x)]

    def call(self, layer, *args, **kwargs):
        tensors = [
            x
            for x in keras.tree.flatten((args, kwargs))
            if keras.utils.is_keras_tensor(x)
        ]
        kinds = {self._kinds[id(x)] for x in tensors}
        if len(kinds) > 1:
            self._refuse(layer, "joins what sees a whole window with what does not")
        (kind,) = kinds
        if isinstance(layer, keras.Model):
            return self._nested(layer, *args, kind=kind)
        outputs, kind = getattr(self, f"_{kind}")(layer, *args, **kwargs)
        return self._remember(outputs, kind)

    def _remember(self, outputs, kind):
        for x in keras.tree.flatten(outputs):
            self._kinds[id(x)] = kind
            self._alive.append(x)
        return outputs

    def _nested(self, model, x, kind):
        size = None if kind == "vector" else self._size(x)
        inputs = keras.Input(x.shape[1:])
        outputs, kind = _Slider(inputs, size, self.copies, kind).walk(model)
        return self._remember(keras.Model(inputs, outputs, name=model.name)(x), kind)

    def _map(self, layer, *args, **kwargs):
        if isinstance(layer, layers.Flatten) and layer.data_format == "channels_last":
            return layers.Identity(name=layer.name)(*args), "flattened"
        if type(layer) in _POOLS:
            pool = _POOLS[type(layer)](self._size(*args)[:2], 1, name=layer.name)
            return pool(*args), "vector"
        if isinstance(layer, _NOT_SLIDING) or (
            isinstance(layer, layers.LayerNormalization) and not _is_last(layer.axis, 3)
        ):
            self._refuse(layer, "does not do the same at every place of the map")
        return self._copy(layer)(*args, **kwargs), "map"

    def _flattened(self, layer, *args, **kwargs):
        if isinstance(layer, layers.Dense):
            return self._convolution(layer, self._size(*args)[:2])(*args), "vector"
        softmax = getattr(layer, "activation", None) is keras.activations.softmax
        if not isinstance(layer, _ELEMENTWISE) or softmax:
            self._refuse(layer, "stands between `Flatten` and the first `Dense`")
        return self._copy(layer)(*args, **kwargs), "flattened"

    def _vector(self, layer, *args, **kwargs):
        if isinstance(layer, layers.Dense):
            return self._convolution(layer, (1, 1))(*args), "vector"
        if isinstance(layer, layers.Flatten | layers.Reshape):
            return self._reshaped(layer, *args), "vector"
        known = isinstance(layer, _ELEMENTWISE + _MERGES) or (
            isinstance(layer, layers.Conv2D) and layer.kernel_size == (1, 1)
        )
        config = {}
        if isinstance(layer, _ALONG_CHANNELS) and _is_last(
            layer.axis, len(layer.output.shape) - 1
        ):
            known, config = True, {"axis": -1}
        if not known:
            self._refuse(layer, "stands behind what sees a whole window")
        return self._copy(layer, **config)(*args, **kwargs), "vector"

    def _reshaped(self, layer, x):
        if isinstance(layer, layers.Reshape) and layer.target_shape[-1] not in (
            -1,
            x.shape[-1],
        ):
            self._refuse(layer, "takes a vector apart")
        return layers.Identity(name=layer.name)(x)

    def _size(self, x):
        """Height, width and channels of a map in the classifier."""
        if x is self.image:
            return self.window
        return keras.Model(self.image, x).compute_output_shape((1, *self.window))[1:]

    def _copy(self, layer, **config):
        """A copy of a layer, the same one wherever the layer is called."""
        if not isinstance(layer, layers.Layer):
            return layer  # An operation, which has no weights.
        if id(layer) not in self.copies:
            copy = type(layer).from_config({**layer.get_config(), **config})
            self.copies[id(layer)] = (layer, copy)
        return self.copies[id(layer)][1]

    def _convolution(self, layer, kernel_size):
        if id(layer) not in self.copies:
            config = layers.Conv2D(layer.units, kernel_size).get_config()
            # A constraint is of the axes of a kernel, which are others now.
            config |= {
                key: value
                for key, value in layer.get_config().items()
                if key in config and key != "kernel_constraint"
            }
            copy = layers.Conv2D.from_config(config)
            self.copies[id(layer)] = (layer, copy)
        return self.copies[id(layer)][1]

    def _refuse(self, layer, reason):
        raise ValueError(
            f"`classifier` cannot slide: its layer {layer.name!r} {reason}. "
            f"Received: {layer.name!r} of type {type(layer).__name__}"
        )


def _is_last(axis, last):
    axes = list(axis) if isinstance(axis, list | tuple) else [axis]
    return axes in ([-1], [last])
