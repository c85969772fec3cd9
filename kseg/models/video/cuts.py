"""Where an image model is cut into stages, if nobody says."""

from collections import Counter

import keras

from kseg.models.graph import Graph
from kseg.models.video.costs import cost_of_step

# The cuts of the Clockwork paper, in any FCN-8s.
_FCN_8S = ("score_pool3", "score_pool4", "upscore2")
# Resolutions with less of the multiplications than this are side branches, such as those
# of squeeze and excitation.
_LEAST_SHARE = 0.01


def default_cuts(model, size, stages: int = 3):
    """Chooses the layers at which an image model is cut for a stream.

    The last cut is behind the last layer of the coarsest resolution: in front of the
    decoder, which joins what is coarse with finer maps and runs on every frame. The cuts
    before are behind the last layers of the next finer resolutions on the way there. An
    FCN-8s is cut as in the Clockwork paper.

    Args:
        model: Functional image model.
        size: `(height, width)` at which the model is looked at.
        stages: How many cuts at most.

    Returns:
        A list of one to `stages` names of layers for `kseg.models.split`, in order.

    Raises:
        ValueError: If the model has no coarser map than its output.
    """
    if {layer.name for layer in model.layers} >= set(_FCN_8S):
        return list(_FCN_8S[-stages:])
    height, width = size
    prefix = ""
    if None in model.inputs[0].shape[1:3]:
        image = keras.Input((height, width, model.inputs[0].shape[-1]))
        prefix, model = f"{model.name}/", keras.Model(image, model(image))
    graph = Graph(model)
    outputs = {id(x) for x in keras.tree.flatten(graph.outputs)}
    maps = {}  # Of a path: its only tensor and that one's pixels, if it is a map.
    for path, calls in graph.calls.items():
        tensors = calls[0]
        if len(calls) == len(tensors) == 1 and len(tensors[0].shape) == 4:
            (x,) = tensors
            if id(x) in graph.producers and id(x) not in outputs:
                maps[path] = (x, x.shape[1] * x.shape[2])
    work = Counter()  # Of a number of pixels.
    for step in graph.steps:
        shape = step.outputs[0].shape
        if len(shape) == 4:
            work[shape[1] * shape[2]] += cost_of_step(step)
    least = _LEAST_SHARE * work.total()
    # A map of one pixel is a vector.
    coarsest = min(
        (n for n, cost in work.items() if n > 1 and cost >= least), default=0
    )
    if not 0 < coarsest < height * width:
        raise ValueError(
            "`model` must have maps coarser than its image to be cut by itself; name "
            f"the layers with `at`. Received: model={model.name!r}"
        )
    last = [path for path, (_, pixels) in maps.items() if pixels == coarsest][-1]
    before = graph.steps_to([maps[last][0]])
    found = {}  # Of a resolution: the last path on the way.
    for path, (x, pixels) in maps.items():
        if graph.producers[id(x)] in before and pixels > coarsest:
            found[pixels] = path
    cuts = [found[pixels] for pixels in sorted(found)[: stages - 1]]
    return [cut.removeprefix(prefix) for cut in (*reversed(cuts), last)]
