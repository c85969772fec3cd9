"""Fine-tunes a net to weights that compress: pruned, or few different ones.

Both leave the file as large as it was. What shrinks is the package that is downloaded, in
which app stores compress every file, whatever the precision of the export.
"""

import keras

from kseg.data.batches import check_integer
from kseg.mobile.compressing.net_in_steps import NetInSteps
from kseg.mobile.compressing.rebuilding import optimization
from kseg.mobile.compressing.twin import Twin

# Smaller kernels are nothing of the file, and much of the answer.
_FEWEST_WEIGHTS = 1024
_UPDATES = 20  # so many times the share of zeros grows


def prune(
    model: keras.Model, *, sparsity: float | str = 0.5, steps: int, size=None
) -> keras.Model:
    """Makes a model whose smallest weights become zero while it is fine-tuned.

    The model is rebuilt as for `kseg.mobile.quantize_aware`, BatchNorm folded; compile,
    fit and export what is returned in the same way, in any precision. Weights of depthwise
    convolutions and of small kernels stay.

    It makes a file smaller once it is zipped, and no faster: not in LiteRT with XNNPACK,
    where a net with four fifths of zeros took the time of the full one, with and without
    the converter's sparse encoding. `"2:4"` is the pattern that some accelerators use.

    Reference:
    - [To prune, or not to prune](https://arxiv.org/abs/1710.01878), 2017: the schedule

    Args:
        model: Trained functional model of one image input and one output of scores.
        sparsity: Share of zeros in the end, over 0 and under 1; or `"2:4"`, two zeros
            among every four neighbours along the input channels, from the first step.
        steps: Steps of training over which the zeros grow to that share; about three
            quarters of those that `fit` will make.
        size: `(height, width)` or an int for a square. Required if the model takes any
            size, else the model's own.

    Returns:
        A `keras.Model` with the outputs of `model`, not compiled.

    Raises:
        ExportError: If a layer is not made of Keras operations.
        ImportError: If tf_keras or tensorflow-model-optimization is not installed.
        TypeError: If `model` is no functional model.
        ValueError: If an argument is out of range, or no kernel is large enough.

    Example:

    >>> sparse = kseg.mobile.prune(model, sparsity=0.75, steps=300)
    >>> sparse.compile(keras.optimizers.Adam(1e-4), kseg.losses.SparseCrossEntropy())
    >>> sparse.fit(batches, epochs=4)  # of 100 batches
    >>> kseg.mobile.export(sparse, "net.tflite", precision="float16")
    """
    check_integer("steps", steps, 1)
    options = {"sparsity_m_by_n": (2, 4)}
    if sparsity != "2:4":
        options = {"pruning_schedule": _schedule(sparsity, steps)}
    prune_layer = optimization().sparsity.keras.prune_low_magnitude
    layers, pruned = {}, []

    def wrap(step, layer):
        layers[layer.name] = layer
        if not _is_large(step):
            return layer
        pruned.append(prune_layer(layer, **options))
        return pruned[-1]

    net = NetInSteps(model, size)
    trained = net.rebuild(wrap=wrap)
    _check_found(pruned, model)
    for wrapper in pruned:
        wrapper.pruning_step.assign(0)  # what a callback of tf_keras does
    # The same layers, without what prunes them.
    finished = net.rebuild(wrap=lambda step, layer: layers[layer.name])

    def after_step():
        for wrapper in pruned:  # the optimizer has moved the zeros
            wrapper.pruning_obj.weight_mask_op()

    twin = Twin(trained, finished, after_step=after_step, name="twin")
    return net.as_keras(twin, model.name)


def cluster(model: keras.Model, *, clusters: int = 16, size=None) -> keras.Model:
    """Makes a model whose kernels have few different weights while it is fine-tuned.

    As `prune`, but each kernel holds `clusters` different values, which are trained; it
    starts from those that k-means finds.

    Reference:
    - [Deep Compression](https://arxiv.org/abs/1510.00149), ICLR 2016, section 3

    Args:
        model: As in `prune`, and so is `size`.
        clusters: Different weights per kernel, from 2 to 256.
        size: As there.

    Returns:
        As `prune`.

    Raises:
        ExportError: As `prune`, and so are the others.
        ImportError: As there.
        TypeError: As there.
        ValueError: As there.
    """
    check_integer("clusters", clusters, 2)
    if clusters > 256:
        raise ValueError(
            f"`clusters` must be from 2 to 256. Received: clusters={clusters}"
        )
    clustering = optimization().clustering.keras
    layers, clustered = {}, {}

    def wrap(step, layer):
        layers[layer.name] = layer
        if not _is_large(step):
            return layer
        layer.build(step.call.tensors[0].shape)  # k-means needs the weights
        clustered[layer.name] = clustering.cluster_weights(
            layer,
            number_of_clusters=clusters,
            cluster_centroids_init=clustering.CentroidInitialization.KMEANS_PLUS_PLUS,
        )
        return clustered[layer.name]

    net = NetInSteps(model, size)
    trained = net.rebuild(wrap=wrap)
    _check_found(clustered, model)
    # Clustered layers anew, since those of training compute their kernels.
    finished = net.rebuild(
        wrap=lambda step, layer: (
            layer if layer.name in clustered else layers[layer.name]
        )
    )

    def after_step():
        for name, wrapper in clustered.items():
            wrapper.update_clustered_weights_associations()
            finished.get_layer(name).kernel.assign(wrapper.layer.kernel)
            finished.get_layer(name).bias.assign(wrapper.layer.bias)

    after_step()
    twin = Twin(trained, finished, after_step=after_step, name="twin")
    return net.as_keras(twin, model.name)


def _schedule(sparsity, steps):
    if not isinstance(sparsity, float) or not 0 < sparsity < 1:
        raise ValueError(
            '`sparsity` must be a share over 0 and under 1, or "2:4". '
            f"Received: sparsity={sparsity!r}"
        )
    frequency = max(1, steps // _UPDATES)
    return optimization().sparsity.keras.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=sparsity,
        begin_step=steps % frequency,  # so that the last step is one of them
        end_step=steps,
        frequency=frequency,
    )


def _is_large(step):
    return (
        step.kind in ("Conv", "ConvTranspose") and step.kernel.size >= _FEWEST_WEIGHTS
    )


def _check_found(wrapped, model):
    if not wrapped:
        raise ValueError(
            f"`model` must have a kernel of at least {_FEWEST_WEIGHTS} weights. "
            f"Received: {model.name!r}, of {model.count_params()} parameters"
        )
