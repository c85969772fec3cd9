"""PointNet: its counts, its symmetries, and a second implementation."""

import keras
import numpy as np
import pytest
from keras import ops

from kseg.models import points as networks


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


# Counted from the layers of the authors' code; 3.5 M in the paper for classification.
@pytest.mark.parametrize(
    "builder,shape,num_classes,arguments,count",
    [
        (networks.pointnet_classification, (1024, 3), 40, {}, 3_480_049),
        (networks.pointnet_segmentation, (2048, 3), 50, {}, 3_558_907),
        (networks.pointnet_segmentation, (None, 3), 13, {}, 3_554_134),
        (networks.pointnet_part_segmentation, (2048, 3), 50, {}, 8_574_923),
        (
            networks.pointnet_part_segmentation,
            (2048, 3),
            50,
            {"category_head": False},
            7_979_451,
        ),
        (networks.pointnet_semantic_segmentation, (4096, 9), 13, {}, 1_174_669),
    ],
)
def test_counts(builder, shape, num_classes, arguments, count):
    assert trainable(builder(shape, num_classes, **arguments)) == count


def lively(builder, shape, **arguments):
    model = builder(shape, 4, width_multiplier=1 / 16, activation=None, **arguments)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if len(shape) == 1:
            weight.assign(rng.uniform(0.5, 1.5, shape))
        else:
            weight.assign(rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape))
    return model


def cloud(channels=3, count=40):
    rng = np.random.default_rng(1)
    return rng.uniform(-1, 1, (2, count, channels)).astype("float32")


def predict(model, inputs):
    return ops.convert_to_numpy(model(inputs, training=False))


def assert_close(found, expected):
    """Logits, to 1e-5 of the largest; probabilities of such weights are all 0 or 1."""
    largest = np.abs(expected).max()
    assert expected.std() > 0.1 * largest > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * largest)


def test_the_class_of_a_cloud_does_not_depend_on_the_order_of_its_points():
    model = lively(networks.pointnet_classification, (None, 3))
    order = np.random.default_rng(2).permutation(40)
    assert_close(predict(model, cloud()[:, order]), predict(model, cloud()))


@pytest.mark.parametrize(
    "builder,channels",
    [
        (networks.pointnet_segmentation, 3),
        (networks.pointnet_part_segmentation, 3),
        (networks.pointnet_semantic_segmentation, 9),
    ],
)
def test_outputs_come_in_the_order_of_the_points(builder, channels):
    parts = builder is networks.pointnet_part_segmentation
    arguments = {"category_head": False} if parts else {}
    model = lively(builder, (None, channels), **arguments)
    order = np.random.default_rng(2).permutation(40)
    points, category = cloud(channels), np.eye(16, dtype="float32")[[3, 7]]
    one = predict(model, [points, category] if parts else points)
    points = points[:, order]
    other = predict(model, [points, category] if parts else points)
    assert_close(other, one[:, order])


def test_points_that_are_no_maximum_of_any_feature_are_not_needed():
    model = lively(networks.pointnet_semantic_segmentation, (None, 9))
    before = keras.Model(model.input, model.get_layer("global").input)
    features, points = predict(before, cloud(9, 300)), cloud(9, 300)
    for b in range(2):
        critical = np.unique(features[b].argmax(0))
        assert len(critical) < 100
        kept = predict(before, points[b : b + 1, critical])
        np.testing.assert_allclose(kept[0].max(0), features[b].max(0), atol=1e-6)


def test_the_transformations_start_as_the_identity():
    model = networks.pointnet_classification((None, 3), 4, width_multiplier=1 / 16)
    transform = model.get_layer("input_transform")
    found = ops.convert_to_numpy(transform(cloud()))
    np.testing.assert_allclose(found, cloud(), atol=1e-6)
    predict(model, cloud())
    (loss,) = model.losses
    assert ops.convert_to_numpy(loss) == 0


def test_only_the_features_are_kept_orthogonal():
    model = lively(networks.pointnet_segmentation, (None, 3), orthogonality=0.5)
    layers = [x for x in model.layers if getattr(x, "orthogonality", 0)]
    assert [(x.name, x.orthogonality) for x in layers] == [("feature_transform", 0.5)]
    predict(model, cloud())
    (loss,) = model.losses
    assert ops.convert_to_numpy(loss) > 1e-3


def test_the_category_counts():
    model = lively(networks.pointnet_part_segmentation, (None, 3))
    categories = np.eye(16, dtype="float32")
    one, other = (
        model([cloud(), categories[c]], training=False) for c in ([0, 0], [1, 1])
    )
    assert np.abs(ops.convert_to_numpy(one[0] - other[0])).max() > 1e-4
    # What classifies the cloud is not told.
    np.testing.assert_array_equal(
        ops.convert_to_numpy(one[1]), ops.convert_to_numpy(other[1])
    )
    assert model.output_names == ["logits", "category_logits"]


def test_the_category_head_is_trained_by_its_own_loss():
    category, labels = np.eye(16, dtype="float32")[[3, 7]], np.zeros((2, 40), "int32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for weight in (0.0, 1.0):  # 0 is the authors'
        model = lively(networks.pointnet_part_segmentation, (40, 3))
        names = ("scores", "category_scores")
        before = [model.get_layer(name).get_weights()[0] for name in names]
        model.compile(
            keras.optimizers.SGD(0.1), [loss] * 2, [1.0, weight], run_eagerly=True
        )
        model.fit([cloud(), category], [labels, category.argmax(1)], verbose=0)
        after = [model.get_layer(name).get_weights()[0] for name in names]
        moved = [np.abs(b - a).max() > 0 for a, b in zip(before, after, strict=True)]
        assert moved == [True, weight > 0]


def test_the_same_points_twice_change_nothing():
    model = lively(networks.pointnet_classification, (None, 3))
    twice = np.concatenate([cloud(), cloud()], axis=1)
    assert_close(predict(model, twice), predict(model, cloud()))


@pytest.mark.parametrize("count", [1, 5])
def test_a_single_point_and_duplicates_only_have_classes(count):
    model = lively(networks.pointnet_segmentation, (None, 3))
    same = np.full((2, count, 3), 0.3, "float32")
    outputs = predict(model, same)
    assert np.isfinite(outputs).all()
    assert_close(outputs, np.repeat(outputs[:, :1], count, 1))


def test_a_nan_in_a_compiled_step_spoils_its_cloud_alone():
    model = lively(networks.pointnet_semantic_segmentation, (None, 9))
    points, expected = cloud(9), predict(model, cloud(9))
    points[1, 3, 0] = np.nan
    found = model.predict_on_batch(points)
    assert_close(found[0], expected[0])
    assert np.isnan(found[1, 3]).all()


def test_equals_torch_with_the_same_weights():
    torch = pytest.importorskip("torch", reason="the oracle is PyTorch")
    model = lively(networks.pointnet_segmentation, (None, 3))
    values = {w.path: ops.convert_to_numpy(w) for w in model.weights}
    assert len(values) == len(model.weights)

    def tensor(path):
        return torch.from_numpy(np.array(values[path]))

    def linear(x, path):
        kernel = tensor(f"{path}/kernel")
        return torch.nn.functional.linear(
            x, kernel.reshape(-1, kernel.shape[-1]).T, tensor(f"{path}/bias")
        )

    def norm(x, path):
        names = ("moving_mean", "moving_variance", "gamma", "beta")
        x = torch.movedim(x, -1, 1)
        x = torch.nn.functional.batch_norm(
            x, *(tensor(f"{path}/{name}") for name in names), eps=1e-3
        )
        return torch.relu(torch.movedim(x, 1, -1))

    def t_net(x, path):
        y = x
        for i in (1, 2, 3):
            y = norm(linear(y, f"{path}/conv{i}"), f"{path}/norm{i}")
        y = y.amax(1)
        for i in (1, 2):
            y = norm(linear(y, f"{path}/dense{i}"), f"{path}/norm{i + 3}")
        size = x.shape[-1]
        return torch.bmm(x, linear(y, f"{path}/matrix").reshape(-1, size, size))

    def mlp(x, path, count):
        for i in range(1, count + 1):
            x = norm(linear(x, f"{path}_conv{i}"), f"{path}{i}_norm")
        return x

    x = torch.from_numpy(cloud())
    local = t_net(mlp(t_net(x, "input_transform"), "mlp1", 2), "feature_transform")
    whole = mlp(local, "mlp2", 3).amax(1, keepdim=True).expand(-1, 40, -1)
    x = linear(mlp(torch.cat([local, whole], -1), "head", 4), "scores")
    found = predict(model, cloud())
    assert_close(found, x.detach().numpy())


def test_no_categories_is_an_error():
    with pytest.raises(ValueError, match="Received: num_categories=0"):
        networks.pointnet_part_segmentation((9, 3), 4, num_categories=0)


def test_bad_dropout_rate():
    with pytest.raises(ValueError, match="Received: dropout_rate=1"):
        networks.pointnet_classification((9, 3), 4, dropout_rate=1)
