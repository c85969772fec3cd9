"""The feature maps of a classification net, at a chosen output stride.

Nets for classification halve their map five times. To keep it finer, the last strides are
left out and every convolution behind one is dilated by two more, so that it still reads
the positions that it was trained on: the dense map, subsampled, is the map of the net.
This is exact for odd sizes. An even size has no middle: there a stride of 2 reads half a
step to the right, and leaving it out moves the map back by that half step.
"""

from typing import NamedTuple

import keras
from keras import layers

_CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)
_POOLS = (layers.AveragePooling2D, layers.MaxPooling2D)
_GLOBAL_POOLS = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)


def feature_maps(net, image, normalized, output_stride, configure):
    """Calls copies of a net's layers on an image and keeps one map per stride.

    Args:
        net: Functional model of one image. `Sequential` models inside are inlined.
        image: The new input, `(batch, height, width, channels)`.
        normalized: What the first layers get for it: `image`, or a tensor made of it.
        output_stride: Stride of the coarsest map: strides beyond it are left out.
        configure: Function of a layer of `net` that returns the config of its copy, or
            `None` to leave the layer out.

    Returns:
        The last tensor at each stride above 1, as a list, finest first; and a list of
        pairs of a layer of `net` and its copy.

    Raises:
        ValueError: If a layer cannot be made dense.
    """
    rewriter = _Rewriter(image, normalized, output_stride, configure)
    keras.models.clone_model(
        net,
        input_tensors=image,
        clone_function=lambda layer: layer,
        call_function=rewriter.call,
    )
    return list(rewriter.maps.values()), rewriter.copies


class _Grid(NamedTuple):
    """Where the values of a tensor lie in the image."""

    stride: int  # Pixels of the image between two values.
    density: int  # How often the stride of the net was halved to get there.


class _Rewriter:
    """Walks through a net in the order of its graph; `call` is called for each layer."""

    def __init__(self, image, normalized, output_stride, configure):
        self.image = image
        self.normalized = normalized
        self.output_stride = output_stride
        self.configure = configure
        self.maps = {}
        self.copies = []
        self._counts = {}
        self._grids = {id(normalized): _Grid(1, 1)}
        self._padded = {}  # Of a padded tensor: what was padded, and by how much.
        self._alive = []  # An id is only good while its tensor lives.

    def call(self, layer, *args, **kwargs):
        args = [self.normalized if x is self.image else x for x in args]
        if isinstance(layer, keras.Sequential):
            (x,) = args
            for inner in layer.layers:
                x = self.call(inner, x)
            return x
        config = self.configure(layer)
        if config is None:
            return args[0]
        tensors = keras.tree.flatten((args, kwargs))
        grids = [self._grids[id(x)] for x in tensors if id(x) in self._grids]
        if not grids:  # Behind a global pool.
            return self._add(layer, config, None, *args, **kwargs)
        if isinstance(layer, layers.ZeroPadding2D):
            padded = self._add(layer, config, grids[0], *args)
            self._padded[id(padded)] = (args[0], layer.padding)
            return padded
        if isinstance(layer, _CONVOLUTIONS):
            return self._convolve(layer, config, grids[0], *args)
        if isinstance(layer, _POOLS):
            return self._pool(layer, config, grids[0], *args)
        if isinstance(layer, _GLOBAL_POOLS):
            return self._pool_globally(layer, config, grids[0], *args)
        return self._add(layer, config, grids[0], *args, **kwargs)

    def _convolve(self, layer, config, grid, x):
        step = layer.strides[0]
        source, padding = self._padded.get(id(x), (x, None))
        if step == 2 and layer.padding == "valid" and padding is not None:
            same = [(k // 2 - 1, k // 2) for k in layer.kernel_size]
            if [tuple(sides) for sides in padding] == same:
                # "same", written out for an even size; this way it fits every size, and
                # takes no layer of its own.
                x, padding = source, None
                config["padding"] = "same"
        following = self._after(grid, step)
        if following.density > 1 and max(layer.kernel_size) > 1:
            if config["padding"] == "same":
                if any(k % 2 == 0 for k in layer.kernel_size):
                    self._refuse(layer, "its kernel is even and has no centre")
            elif padding is not None:
                wider = [[side * grid.density for side in sides] for sides in padding]
                x = layers.ZeroPadding2D(wider, name=f"{layer.name}_pad")(source)
            elif following.density > grid.density:
                self._refuse(layer, "it reads patches that do not overlap")
            config["dilation_rate"] = [r * grid.density for r in layer.dilation_rate]
        config["strides"] = 1 if following.density > grid.density else step
        return self._add(layer, config, following, x)

    def _pool(self, layer, config, grid, x):
        following = self._after(grid, layer.strides[0])
        if grid.density > 1 and max(layer.pool_size) > 1:
            self._refuse(layer, "a pool cannot be dilated")
        if following.density > 1:
            config["strides"] = 1
            if max(layer.pool_size) == 2 and id(x) not in self._padded:
                # Only the last window, which is new, reaches over the border.
                config["padding"] = "same"
        return self._add(layer, config, following, x)

    def _pool_globally(self, layer, config, grid, x):
        if grid.density > 1:
            # A gate must see the mean that it was trained on: over the positions of the
            # net. A maximum of one value subsamples in every runtime.
            x = layers.MaxPooling2D(1, grid.density, name=f"{layer.name}_subsample")(x)
        return self._add(layer, config, None, x)

    def _after(self, grid, step):
        if grid.stride * step > self.output_stride:
            return _Grid(grid.stride, grid.density * step)
        return _Grid(grid.stride * step, grid.density)

    def _add(self, layer, config, grid, *args, **kwargs):
        copy = layer.__class__.from_config({**config, "name": self._name(layer)})
        outputs = copy(*args, **kwargs)
        self._alive.append(outputs)
        self.copies.append((layer, copy))
        if grid is not None:
            self._grids[id(outputs)] = grid
            if grid.stride > 1 and not isinstance(layer, layers.ZeroPadding2D):
                self.maps[grid.stride] = outputs
        return outputs

    def _name(self, layer):
        """A name that Keras made counts the layers of the process; ours, of the net."""
        stem = layer.name.rstrip("0123456789").removesuffix("_")
        if stem.replace("_", "") != type(layer).__name__.lower():
            return layer.name
        self._counts[stem] = self._counts.get(stem, 0) + 1
        return f"{stem}_{self._counts[stem]}"

    def _refuse(self, layer, reason):
        raise ValueError(
            f"`output_stride` is too small for the layer {layer.name!r}: {reason}. "
            f"Received: output_stride={self.output_stride}"
        )
