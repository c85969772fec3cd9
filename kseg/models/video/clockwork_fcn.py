"""Clockwork convnets: Shelhamer, Rakelly, Hoffman, Darrell (ECCV workshops 2016)."""

import keras

from kseg.models.video.stages import run, stages


def clockwork_fcn(
    model, at=("score_pool3", "score_pool4", "upscore2"), *, name="clockwork_fcn"
):
    """Divides a trained image model into stages, each with a clock of its own.

    Deep features change more slowly than shallow ones. So the deep stages run less often,
    or on the frame before, and the fusion joins their last results with the shallow ones
    of the current frame. There is nothing to train: the net has the weights of `model`.

    As a whole it is `model`. Its parts, `kseg.models.video.parts(net)`, are models whose
    inputs and outputs are dicts: `"stage1"` reads `"image"`, each stage writes the
    tensor of its cut, and what later parts need beside it, and `"fusion"` writes
    `"probabilities"` (`"logits"` if those are what `model` gives).
    `kseg.models.video.Stream` runs them by a schedule.

    Reference:
    - [Clockwork Convnets for Video Semantic Segmentation](
      https://arxiv.org/abs/1608.03609) (ECCV workshops 2016)

    Args:
        model: Functional `keras.Model` from an image to scores: an FCN-8s, with any
            backbone, for the stages of the paper.
        at: Name of the last layer of each stage, in the order of the graph, as
            `kseg.models.split` takes them. The defaults are those of
            `kseg.models.fcn_8s`: stages end in the scores of `pool3`, of `pool4`, and in
            the upsampled ones of `fc7`.
        name: Name of the model.

    Returns:
        A `keras.Model` with the inputs and outputs of `model`.

    Raises:
        ValueError: If there is no such layer, or a stage would be empty.
        TypeError: If `model` is no functional model.
    """
    numbers = range(1, len(at) + 1)
    parts = stages(model, at, [*(f"stage{n}" for n in numbers), "fusion"])
    image = keras.Input(model.inputs[0].shape[1:], name="image")
    cache = {"image": image}
    for part in parts:
        run(part, cache)
    (result,) = parts[-1].output
    return keras.Model(image, cache[result], name=name)
