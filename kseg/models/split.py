"""A model in parts, which share its weights."""

import keras

from kseg.models.graph import Graph, has_graph


def split(model, at):
    """Cuts a functional model into models that give, one after the other, its outputs.

    Models inside of the model, such as its backbone, are inlined: their layers become
    layers of the parts. All layers are those of `model`, with the same weights; training
    or freezing one of the parts changes `model` too. An inlined layer that has the name
    of another one goes by `"backbone_layer"` in the parts.

    A part computes all that its cut depends on and that no part before it has computed.
    It gives the tensors of the cut, then those that bypass it on their way to a later
    part, such as skips and the image, in the order of the graph: one tensor or a list,
    which is what the next part takes.

    Args:
        model: Functional or sequential `keras.Model`.
        at: Where to cut: a list with an entry per cut, in the order of the graph. An
            entry is the name of a layer, behind which the cut is, or a tuple of names,
            for a cut through several. `"mobilenet_v2/block_6_expand"` is a layer inside
            of the backbone `"mobilenet_v2"`, whose own name cuts at all of its maps. An
            empty list inlines the model.

    Returns:
        A list of `len(at) + 1` models. The first takes what `model` takes, the last gives
        what `model` gives.

    Raises:
        ValueError: If no layer has a name, one is called several times, or a cut leaves
            nothing to a part.
        TypeError: If `model` is no functional model, or `at` no list.

    Examples:

    >>> model = kseg.models.unet((64, 96, 3), 2, backbone="mobilenet_v2")
    >>> first, second = kseg.models.split(model, at=["mobilenet_v2/block_6_expand"])
    >>> probabilities = second(first(images))
    """
    if not isinstance(model, keras.Model) or not has_graph(model):
        raise TypeError(
            "`model` must be a functional `keras.Model`. "
            f"Received: model={model!r} (of type {type(model).__name__})"
        )
    if not isinstance(at, list | tuple):
        raise TypeError(
            "`at` must be a list with the name of a layer per cut. "
            f"Received: at={at!r} (of type {type(at).__name__})"
        )
    graph = Graph(model)
    cuts = [graph.tensors(cut) for cut in at]
    parts, given, done = [], graph.inputs, set()
    for name, cut in zip(at, cuts, strict=True):
        steps = graph.steps_to(cut) - done
        if not steps:
            raise ValueError(
                "`at` must be in the order of the graph, and each cut behind the one "
                f"before: nothing is left for the part up to {name!r}. Received: at={at}"
            )
        done |= steps
        passed = graph.passed(cut, done)
        parts.append(graph.part(given, steps, passed, len(parts) + 1))
        given = passed
    steps = set(range(len(graph.steps))) - done
    if at and not steps:
        raise ValueError(
            "`at` must leave a layer behind the last cut. "
            f"Received: at={at}, which ends at an output"
        )
    parts.append(graph.part(given, steps, graph.outputs, len(parts) + 1))
    return parts
