"""The net of a run: built or taken over, checked, compiled, brought to a saved state."""

import inspect
from pathlib import Path

import keras
import numpy as np

from kseg import losses, metrics, models
from kseg.models.inference import output_kind


def builder(name, arguments):
    """Returns the function of `kseg.models` that has a name and takes the arguments."""
    builders = {}
    for candidate in models.__all__:
        parameters = inspect.signature(getattr(models, candidate)).parameters
        if [*parameters][:2] == ["input_shape", "num_classes"]:
            builders[candidate] = parameters
    if name not in builders:
        raise ValueError(
            f"`model` must be one of {[*builders]}. Received: model={name!r}"
        )
    known = [key for key in [*builders[name]][2:] if key != "backbone"]
    unknown = sorted({*(arguments or {})} - {*known})
    if unknown:
        raise ValueError(
            f"`model_arguments` must be arguments of kseg.models.{name}: {known}. "
            f"Received: {unknown}"
        )
    return getattr(models, name)


def load_start(start):
    """Returns a net of its own to start from, equal to that which `start` says.

    Args:
        start: A Keras model, which is copied, or the path of a `.keras` file.
    """
    net = start
    if isinstance(start, str | Path):
        net = _read(Path(start))
    if not isinstance(net, keras.Model):
        raise TypeError(
            "`start` must be a Keras model or the path of a .keras file. "
            f"Received: start of type {type(start).__name__}"
        )
    ends = [getattr(net, name, None) or () for name in ("inputs", "outputs")]
    shapes = [tensor.shape for end in ends for tensor in end]
    if [len(shape) for shape in shapes] != [4, 4] or shapes[0][-1] != 3:
        raise ValueError(
            "`start` must be a functional net of one RGB image and one output of "
            f"scores, (batch, height, width, channels). Received: shapes {shapes}"
        )
    if net is start:
        # The net that was passed stays what it was, so that the same call can resume.
        net = keras.models.clone_model(start)
        net.set_weights(start.get_weights())
    return net


def input_size(net, size):
    """Returns the size of the crops for a net to start from: its own, unless any.

    Args:
        net: A net, or `None` for one that is yet to be built.
        size: What the user asked for, an int or a pair, or `None`.
    """
    own = net.inputs[0].shape[1:3] if net is not None else (None, None)
    if size is None:
        return tuple(side or 256 for side in own)
    wanted = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(wanted) == 2 and any(
        side not in (None, given) for side, given in zip(own, wanted, strict=True)
    ):
        raise ValueError(
            f"`size` must be that of the net in `start`, {own}, or None. "
            f"Received: size={size}"
        )
    return size


def check_output(net, size, dataset):
    """Raises an error for a net whose scores do not fit the photos or the classes."""
    shape = net.compute_output_shape((None, *size, 3))
    if isinstance(shape, list | dict):
        raise ValueError(
            "`model_arguments` must build a net of one output. "
            f"Received: a net of {len(shape)} outputs"
        )
    if tuple(shape[1:3]) != tuple(size):
        raise ValueError(
            "`model_arguments` must build a net whose scores have the size of its "
            f"image, {tuple(size)}: with `padding='same'` and with upsampling. "
            f"Received: a net of scores {tuple(shape[1:3])}"
        )
    if shape[-1] != dataset.num_classes:
        raise ValueError(
            f"`start` must be a net with {dataset.num_classes} output channels, for the "
            f"classes {list(dataset.class_names)}. Received: a net with {shape[-1]}"
        )


def compile_net(
    net, dataset, rate, weight_decay, dice_weight, class_weights, ema_momentum
):
    """Compiles `net` with the optimizer, loss and metrics of `train`."""
    from_logits = output_kind(net) == "logits"
    loss = losses.SparseCrossEntropy(
        class_weights, dataset.ignore_class, from_logits=from_logits
    )
    if dice_weight:
        dice = losses.Dice(ignore_class=dataset.ignore_class, from_logits=from_logits)
        loss = losses.Sum([loss, dice], weights=[1.0, dice_weight])
    optimizer = keras.optimizers.AdamW(
        rate,
        weight_decay=weight_decay,
        use_ema=ema_momentum is not None,
        ema_momentum=0.99 if ema_momentum is None else ema_momentum,
    )
    # Decaying a bias or a scale pulls outputs to zero and regularises nothing.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    metric = metrics.SegmentationMetrics(
        dataset.num_classes, ignore_class=dataset.ignore_class, from_logits=from_logits
    )
    net.compile(optimizer, loss, metrics=[metric])


def reseed(net, seed, epoch):
    """Sets the random states of all layers, such as dropout, by seed and epoch alone.

    A `.keras` file does not hold them, so a resumed run could not go on with them.
    """
    weights = {id(weight) for layer in net.layers for weight in layer.weights}
    states = [v for layer in net.layers for v in layer.variables]
    states = [v for v in states if id(v) not in weights]
    for index, state in enumerate(states):
        seeds = np.random.SeedSequence(seed, spawn_key=(epoch, index))
        # A seed and a counter; the integers of some backends have a sign.
        state.assign([int(seeds.generate_state(1)[0] >> 1), 0])


def copy_state(source, target):
    """Gives `target` the weights and the optimizer state of `source`.

    A net that is built as it was at the start sums its gradients in the same order,
    bit for bit; one that is loaded from a file need not.
    """
    target.optimizer.build(target.trainable_variables)
    state = [net.weights + net.optimizer.variables for net in (source, target)]
    for old, new in zip(*state, strict=True):
        new.assign(old)


def _read(path):
    if path.suffix != ".keras" or not path.is_file():
        hint = (
            "a .tflite cannot be trained"
            if path.suffix == ".tflite"
            else "one that ships is kseg.load('person').model"
        )
        raise ValueError(
            "`start` must be a Keras model or the path of an existing .keras file; "
            f"{hint}. Received: start={str(path)!r}"
        )
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # zip, json, h5py and Keras each raise their own
        raise ValueError(
            f"`start` must be a complete .keras file. Keras says: {error}. "
            f"Received: start={str(path)!r}"
        ) from error
