"""Tests of the layers that fit a tensor to another one's size."""

import keras
import numpy as np
import pytest
from keras import ops

from kseg.layers import CroppingLike2D, ResizingByScale2D, ResizingLike2D

needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="looks into TensorFlow's graph"
)

SIZES = {
    "larger": ((4, 6), (8, 12)),
    "smaller": ((9, 12), (4, 5)),
    "no_ratio": ((5, 7), (16, 9)),
    "one_row_less": ((6, 8), (5, 7)),
    "from_one_pixel": ((1, 1), (3, 4)),
    "to_one_pixel": ((5, 3), (1, 1)),
    "one_axis": ((5, 7), (5, 11)),
    "thirty_two_times": ((2, 3), (65, 97)),
}


def random_tensor(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def interpolate_by_hand(row, length):
    """Half-pixel bilinear interpolation of a row of numbers, one number at a time."""
    result = []
    for i in range(length):
        position = (i + 0.5) * len(row) / length - 0.5
        position = min(max(position, 0.0), len(row) - 1.0)
        left = int(np.floor(position))
        right = min(left + 1, len(row) - 1)
        share = position - left
        result.append(row[left] * (1 - share) + row[right] * share)
    return np.stack(result)


def nearest_by_hand(row, length):
    return np.stack([row[int((i + 0.5) * len(row) / length)] for i in range(length)])


def by_hand(x, size, along_a_row):
    x = np.stack([along_a_row(image, size[0]) for image in x])
    x = np.stack([along_a_row(image.swapaxes(0, 1), size[1]) for image in x])
    return x.swapaxes(1, 2)


class TestResizingLike2D:
    @pytest.mark.parametrize("old,new", SIZES.values(), ids=SIZES)
    def test_bilinear_is_the_half_pixel_formula(self, old, new):
        x = random_tensor(2, *old, 3)
        y = ResizingLike2D()([x, np.zeros((2, *new, 1))])
        expected = by_hand(x, new, interpolate_by_hand)
        np.testing.assert_allclose(ops.convert_to_numpy(y), expected, atol=1e-5)

    @pytest.mark.parametrize("old,new", SIZES.values(), ids=SIZES)
    def test_nearest_takes_the_pixel_that_holds_the_centre(self, old, new):
        x = random_tensor(2, *old, 3)
        y = ResizingLike2D("nearest")([x, np.zeros((2, *new, 1))])
        expected = by_hand(x, new, nearest_by_hand)
        np.testing.assert_array_equal(ops.convert_to_numpy(y), expected)

    @pytest.mark.parametrize("old,new", SIZES.values(), ids=SIZES)
    def test_bilinear_is_the_one_of_torch(self, old, new):
        torch = pytest.importorskip("torch", reason="needs `make oracles`")
        x = random_tensor(2, *old, 3)
        expected = torch.nn.functional.interpolate(
            torch.from_numpy(x.transpose(0, 3, 1, 2).copy()),
            new,
            mode="bilinear",
            align_corners=False,
        )
        y = ResizingLike2D()([x, np.zeros((2, *new, 1))])
        np.testing.assert_allclose(
            ops.convert_to_numpy(y), expected.numpy().transpose(0, 2, 3, 1), atol=1e-5
        )

    def test_equal_sizes_return_the_tensor_itself(self):
        x = ops.convert_to_tensor(random_tensor(1, 4, 6, 2))
        layer = ResizingLike2D()
        assert layer.call([x, ops.zeros((1, 4, 6, 1))]) is x

    @needs_tensorflow
    def test_equal_static_sizes_add_no_operation(self):
        assert graph_of([(1, 4, 6, 2), (1, 4, 6, 1)]) == []

    @needs_tensorflow
    def test_unequal_static_sizes_add_one_half_pixel_resize(self):
        (resize,) = [
            op for op in graph_of([(1, 4, 6, 2), (1, 9, 7, 1)]) if op.type != "Const"
        ]
        assert resize.type == "ResizeBilinear"
        assert resize.get_attr("half_pixel_centers")
        assert not resize.get_attr("align_corners")

    @needs_tensorflow
    @pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
    @pytest.mark.parametrize("old,new", SIZES.values(), ids=SIZES)
    def test_sizes_known_only_at_run_time(self, interpolation, old, new):
        check_open_axes(interpolation, old, new, (1, 2))

    @needs_tensorflow
    @pytest.mark.parametrize("size", [(1, 1), (3, 2)])
    def test_a_static_size_to_one_known_only_at_run_time(self, size):
        """As of the mean of a map, which is upsampled to the map."""
        import tensorflow as tf

        layer = ResizingLike2D()
        x, like = random_tensor(2, *size, 3), random_tensor(2, 6, 5, 2)
        signature = [tf.TensorSpec((None, *size, 3)), tf.TensorSpec((None,) * 3 + (2,))]
        compiled = tf.function(
            lambda x, like: layer([x, like]), signature, autograph=False
        )
        np.testing.assert_allclose(compiled(x, like), layer([x, like]), atol=1e-5)

    @needs_tensorflow
    @pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
    @pytest.mark.parametrize("axis", [1, 2], ids=["height", "width"])
    def test_one_size_known_only_at_run_time(self, interpolation, axis):
        check_open_axes(interpolation, (5, 7), (16, 9), (axis,))

    def test_a_pixel_of_a_doubled_image_has_four_times_its_area(self):
        layer = ResizingLike2D()
        x = random_tensor(1, 4, 6, 1)
        bump = np.zeros_like(x)
        bump[0, 1, 2] = 1
        like = np.zeros((1, 8, 12, 1))
        difference = layer([x + bump, like]) - layer([x, like])
        np.testing.assert_allclose(float(ops.sum(difference)), 4.0, atol=1e-5)

    def test_keeps_the_type_of_its_own_policy(self):
        y = ResizingLike2D(dtype="float32")(
            [ops.ones((1, 2, 3, 1), "float16"), ops.ones((1, 2, 3, 1), "float16")]
        )
        assert keras.backend.standardize_dtype(y.dtype) == "float32"

    @pytest.mark.parametrize("value", ["bicubic", None])
    def test_unknown_interpolation(self, value):
        with pytest.raises(ValueError, match=f"Received: interpolation={value!r}"):
            ResizingLike2D(value)


class TestResizingByScale2D:
    @pytest.mark.parametrize("scale", [0.5, 0.75, 1.25, 2.0])
    @pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
    def test_is_a_resize_to_the_size_of_the_rule(self, scale, interpolation):
        x = random_tensor(2, 9, 14, 3)
        size = int(8 * scale + 1), int(13 * scale + 1)
        y = ResizingByScale2D(scale, interpolation)(x)
        rule = {"bilinear": interpolate_by_hand, "nearest": nearest_by_hand}
        expected = by_hand(x, size, rule[interpolation])
        np.testing.assert_allclose(ops.convert_to_numpy(y), expected, atol=1e-5)

    def test_sizes_of_the_crops_of_deeplab(self):
        """321 at scales 0.5 and 0.75: the maps at stride 8 are 21 and 31 wide."""
        for scale, size in ((0.5, 161), (0.75, 241), (1.0, 321)):
            shape = ResizingByScale2D(scale).compute_output_shape((None, 321, None, 3))
            assert shape == (None, size, None, 3)

    @needs_tensorflow
    @pytest.mark.parametrize("scale", [0.5, 0.75, 1.25, 2.0])
    def test_sizes_known_only_at_run_time(self, scale):
        import tensorflow as tf

        layer, x = ResizingByScale2D(scale), random_tensor(2, 9, 14, 3)
        signature = [tf.TensorSpec((None, None, None, 3))]
        compiled = tf.function(lambda x: layer(x), signature, autograph=False)
        np.testing.assert_allclose(compiled(x), layer(x), atol=1e-5)

    def test_values(self):
        with pytest.raises(ValueError, match="Received: scale=0"):
            ResizingByScale2D(0)
        with pytest.raises(ValueError, match="Received: interpolation='bicubic'"):
            ResizingByScale2D(0.5, "bicubic")


class TestCroppingLike2D:
    def test_even_difference_leaves_equal_borders(self):
        x = random_tensor(2, 10, 13, 3)
        y = CroppingLike2D()([x, np.zeros((2, 4, 7, 1))])
        np.testing.assert_array_equal(ops.convert_to_numpy(y), x[:, 3:7, 3:10])

    def test_odd_difference_takes_the_last_pixel_from_the_end(self):
        x = random_tensor(2, 5, 6, 3)
        y = CroppingLike2D()([x, np.zeros((2, 4, 3, 1))])
        np.testing.assert_array_equal(ops.convert_to_numpy(y), x[:, 0:4, 1:4])

    def test_equal_sizes_return_the_tensor_itself(self):
        x = ops.convert_to_tensor(random_tensor(1, 4, 6, 2))
        assert CroppingLike2D().call([x, ops.zeros((1, 4, 6, 1))]) is x

    @needs_tensorflow
    def test_sizes_known_only_at_run_time(self):
        import tensorflow as tf

        layer = CroppingLike2D()
        x, like = random_tensor(2, 9, 12, 3), random_tensor(2, 4, 7, 1)
        compiled = tf.function(
            lambda x, like: layer([x, like]),
            [tf.TensorSpec((None, None, None, n)) for n in (3, 1)],
            autograph=False,
        )
        np.testing.assert_array_equal(compiled(x, like), layer([x, like]))

    def test_offset_is_where_the_crop_begins(self):
        x = random_tensor(2, 10, 13, 3)
        y = CroppingLike2D(2)([x, np.zeros((2, 4, 11, 1))])
        np.testing.assert_array_equal(ops.convert_to_numpy(y), x[:, 2:6, 2:13])

    @pytest.mark.parametrize("offset", [4, 7])
    def test_an_offset_that_leaves_too_little(self, offset):
        with pytest.raises(ValueError, match=rf"Received: .*offset={offset}"):
            CroppingLike2D(offset)([np.zeros((1, 9, 8, 1)), np.zeros((1, 5, 5, 1))])

    def test_a_negative_offset(self):
        with pytest.raises(ValueError, match="Received: offset=-1"):
            CroppingLike2D(-1)

    def test_a_smaller_tensor_cannot_be_cropped(self):
        with pytest.raises(ValueError, match=r"Received: inputs of shape .*5.*4"):
            CroppingLike2D()([np.zeros((1, 5, 3, 1)), np.zeros((1, 5, 4, 1))])


@pytest.mark.parametrize("layer", [ResizingLike2D, CroppingLike2D])
@pytest.mark.parametrize(
    "shapes", [[(1, 4, 4, 1)], [(1, 4, 4, 1)] * 3, [(1, 4, 4), (1, 4, 4, 1)]]
)
def test_inputs_other_than_two_maps(layer, shapes):
    with pytest.raises(ValueError, match="Received: inputs of shape"):
        layer()([np.zeros(shape) for shape in shapes])


def graph_of(shapes):
    """Operations that `ResizingLike2D` adds for inputs of these static shapes."""
    import tensorflow as tf

    layer = ResizingLike2D()
    graph = tf.Graph()
    with graph.as_default():
        inputs = [tf.compat.v1.placeholder("float32", shape) for shape in shapes]
        layer(inputs)
    return [op for op in graph.get_operations() if op.type != "Placeholder"]


def check_open_axes(interpolation, old, new, axes):
    """Compares unknown sizes with known ones, without autograph as in `model.export`."""
    import tensorflow as tf

    layer = ResizingLike2D(interpolation)
    x, like = random_tensor(2, *old, 3), random_tensor(2, *new, 1)
    signature = [
        tf.TensorSpec([None if i in axes else n for i, n in enumerate(tensor.shape)])
        for tensor in (x, like)
    ]
    compiled = tf.function(lambda x, like: layer([x, like]), signature, autograph=False)
    np.testing.assert_allclose(compiled(x, like), layer([x, like]), atol=1e-5)
