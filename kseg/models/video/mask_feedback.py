"""A network of one class that sees its own mask of the frame before."""

import keras
from keras import layers

from kseg.models.inference import output_kind
from kseg.models.video.stages import check_image_model

# Where a size is open, that of the scores shows at this one.
_PROBE = 256


def mask_feedback(model, *, name="mask_feedback"):
    """Feeds a network what it said of the frame before, as a channel behind the image's.

    For a foreground in a video, on phones: a network that knows where the foreground was
    is steadier, and costs hardly more than on single images. It is a step model: the
    mask is its state, zeros in front of the first frame, and
    `kseg.models.video.Stream` and the exported file hand it on.

    Such a network is trained on single images, with masks that could be those of a frame
    before in the fourth channel: the true one, moved a little; one that is wrong; none.
    `examples/train_person_video.py` does that.

    Reference:
    - [Real-time Hair Segmentation and Recoloring on Mobile GPUs](
      https://arxiv.org/abs/1907.06740) (CVPR workshops 2019)

    Args:
        model: Network of one class that ends in a sigmoid, for images with one channel
            more than the frames have: `kseg.models.fpn((256, 256, 4), 1,
            activation="sigmoid")`. The mask comes in as 0 to 255, as the image does.
        name: Name of the model.

    Returns:
        A `keras.Model` of two inputs, `"image"` `(batch, height, width, channels - 1)`
        and `"mask"` `(batch, height, width, 1)`, to two outputs, `"probabilities"` and
        `"mask"`: the same float32 `(batch, height, width, 1)`, 0 to 1. Its weights are
        those of `model`.

    Raises:
        ValueError: If `model` has another input or output.
        TypeError: If it is no functional `keras.Model`.

    Examples:

    >>> net = kseg.models.fpn((256, 256, 4), 1, activation="sigmoid")
    >>> net.fit(...)
    >>> stream = kseg.models.video.Stream(kseg.models.video.mask_feedback(net))
    """
    _check(model)
    height, width, channels = model.inputs[0].shape[1:]
    image = keras.Input((height, width, channels - 1), name="image")
    mask = keras.Input((height, width, 1), name="mask")
    seen = layers.Rescaling(255.0, name="mask_as_channel")(mask)
    seen = layers.Concatenate(name="image_and_mask")([image, seen])
    probabilities = model(seen)
    return keras.Model(
        {"image": image, "mask": mask},
        {
            "probabilities": probabilities,
            # Under every policy, so that what goes out can come in.
            "mask": layers.Activation("linear", dtype="float32", name="new_mask")(
                probabilities
            ),
        },
        name=name,
    )


def _check(model):
    check_image_model(model)
    shape, scores = model.inputs[0].shape, model.outputs[0].shape
    if not shape[-1] or shape[-1] < 2:
        raise ValueError(
            "`model` must take one channel more than the frames have, two or more. "
            f"Received: model={model.name!r} of images {shape}"
        )
    if scores[-1] != 1 or output_kind(model) != "probabilities":
        raise ValueError(
            '`model` must have one class and end in a sigmoid: build it with `activation="'
            f'sigmoid"`. Received: model={model.name!r} with {scores[-1]} channels of '
            f"{output_kind(model) or 'no known kind'}"
        )
    size = tuple(n or _PROBE for n in shape[1:3])
    made = model.compute_output_shape((1, *size, shape[-1]))[1:3]
    if tuple(made) != size:
        raise ValueError(
            "`model` must give probabilities of the image's size. Received: "
            f"model={model.name!r}, which gives {tuple(made)} for {size}"
        )
