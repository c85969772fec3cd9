"""Weights from one network to another one that shares some of its layers."""

from typing import NamedTuple

import keras


class CopiedWeights(NamedTuple):
    """What `copy_weights` did, by the names of layers, `"vgg16/conv1_1"` if nested.

    Attributes:
        copied: Layers that have the weights of the source now.
        different: Layers of both, whose weights are of different shapes.
        only_in_source: Layers with weights that the target does not have.
        only_in_target: Layers with weights that the source does not have.
    """

    copied: list
    different: list
    only_in_source: list
    only_in_target: list


def copy_weights(source, target):
    """Copies the weights of layers that have the same name and the same shapes.

    For nets that are trained in stages, as FCN-32s, 16s and 8s:

    ```python
    coarse = kseg.models.fcn_32s((None, None, 3), 21, weights="imagenet")
    coarse.fit(...)
    finer = kseg.models.fcn_16s((None, None, 3), 21)
    print(kseg.models.copy_weights(coarse, finer).only_in_target)  # ["score_pool4"]
    ```

    A layer gets all of its weights or none. Models inside of models are gone through,
    layer by layer.

    Args:
        source: The `keras.Model` to copy from.
        target: The `keras.Model` to copy to.

    Returns:
        A named tuple of lists of names: `copied`, `different`, `only_in_source`,
        `only_in_target`.

    Raises:
        ValueError: If there is no layer to copy.
        TypeError: If one of the two is no `keras.Model`.
    """
    for name, model in (("source", source), ("target", target)):
        if not isinstance(model, keras.Model):
            raise TypeError(
                f"`{name}` must be a `keras.Model`. "
                f"Received: {name}={model!r} (of type {type(model).__name__})"
            )
    old, new = dict(_layers(source)), dict(_layers(target))
    shared = [name for name in new if name in old]
    same = [name for name in shared if _shapes(old[name]) == _shapes(new[name])]
    if not same:
        raise ValueError(
            "`source` and `target` must share a layer, by its name and the shapes of its "
            f"weights. Received: source={source.name!r} with {_some(old)}, "
            f"target={target.name!r} with {_some(new)}"
        )
    for name in same:
        new[name].set_weights(old[name].get_weights())
    return CopiedWeights(
        copied=same,
        different=[name for name in shared if name not in same],
        only_in_source=[name for name in old if name not in new],
        only_in_target=[name for name in new if name not in old],
    )


def _layers(model, prefix=""):
    """Names and layers of all that have weights, models inside taken apart."""
    for layer in model.layers:
        name = prefix + layer.name
        if isinstance(layer, keras.Model):
            yield from _layers(layer, f"{name}/")
        elif layer.weights:
            yield name, layer


def _shapes(layer):
    return [tuple(weight.shape) for weight in layer.weights]


def _some(layers):
    """The first few layers with their shapes, for a message."""
    shown = [f"{name} {_shapes(layer)}" for name, layer in list(layers.items())[:3]]
    more = len(layers) - len(shown)
    return (", ".join(shown) or "no weights") + (f" and {more} more" if more else "")
