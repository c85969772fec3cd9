"""A network of one class that sees its own mask of the frame before."""

import keras
from keras import layers

from kseg.models.inference import output_kind


def mask_feedback(model, *, name="mask_feedback"):
    """Feeds a network what it said of the frame before, as a channel behind the image's.

    For a foreground in a video, on phones: a network that knows where the foreground was
    is steadier, and costs hardly more than on single images. It is a step model: the
    mask is its state, zeros in front of the first frame, and
    `kseg.models.video.Stream` and the exported file hand it on.

    Such a network is trained on single images, with masks that could be those of a frame
    before in the fourth channel (section 3.1 of the paper): the true one, moved a little;
    one that is wrong; none. `examples/train_person_streaming.py` does that.

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
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise TypeError(
            "`model` must be a functional `keras.Model`. "
            f"Received: model={model!r} (of type {type(model).__name__})"
        )
    shapes = [tuple(x.shape) for x in (*model.inputs, *model.outputs)]
    if len(model.inputs) != 1 or len(shapes[0]) != 4 or not (shapes[0][-1] or 0) > 1:
        raise ValueError(
            "`model` must take one image, with one channel more than the frames have. "
            f"Received: model={model.name!r} with inputs {shapes[: len(model.inputs)]}"
        )
    ends = [len(model.outputs) == 1, shapes[-1][-1] == 1]
    if not all(ends) or output_kind(model) != "probabilities":
        raise ValueError(
            '`model` must have one class and end in a sigmoid: build it with `activation="'
            f'sigmoid"`. Received: model={model.name!r} with outputs '
            f"{shapes[len(model.inputs) :]}, {output_kind(model) or 'of no known kind'}"
        )
    if shapes[-1][1:3] != shapes[0][1:3]:
        raise ValueError(
            "`model` must give probabilities of the image's size. Received: "
            f"model={model.name!r} from {shapes[0]} to {shapes[-1]}"
        )
