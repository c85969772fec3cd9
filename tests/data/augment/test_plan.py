"""Geometry against NumPy, PIL's own resize and scipy, and against written-out maths."""

import tracemalloc

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from kseg.data.augment import Plan

SIZES = [(1, 1), (1, 37), (41, 2), (60, 40), (33, 57)]


def noise(height, width, seed=0):
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), "uint8")
    return np.asarray(Image.fromarray(values).resize((width, height)))


def labels(height, width, count=5, cell=7):
    y, x = np.mgrid[:height, :width]
    return ((y // cell * 3 + x // cell) % count).astype("uint8")


def rotation(degrees):
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize("target", [(24, 24), (50, 31), (1, 1)])
@pytest.mark.parametrize("source", SIZES)
def test_resize_alone_is_pils_resize(source, target):
    image, mask = noise(*source), labels(*source)
    plan = Plan.of(*source).resize(*target)
    size = target[::-1]
    expected = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(plan.image(image), np.asarray(expected))
    expected = Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)
    np.testing.assert_array_equal(plan.mask(mask), np.asarray(expected))


def test_the_plan_that_changes_nothing_changes_nothing():
    image, mask = noise(33, 57), labels(33, 57)
    plan = Plan.of(33, 57)
    np.testing.assert_array_equal(plan.image(image), image)
    np.testing.assert_array_equal(plan.mask(mask), mask)


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize("source", SIZES)
def test_flip_is_numpys_flip(source, axes):
    image, mask = noise(*source), labels(*source)
    signs = [-1.0 if axis in axes else 1.0 for axis in (1, 0)]
    plan = Plan.of(*source).turn(np.diag(signs))
    np.testing.assert_array_equal(plan.image(image), np.flip(image, axes))
    np.testing.assert_array_equal(plan.mask(mask), np.flip(mask, axes))


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_of_a_square_are_numpys_rot90(quarters):
    image, mask = noise(40, 40), labels(40, 40)
    plan = Plan.of(40, 40).turn(np.rint(rotation(90 * quarters)))
    np.testing.assert_array_equal(plan.image(image), np.rot90(image, quarters))
    np.testing.assert_array_equal(plan.mask(mask), np.rot90(mask, quarters))


def test_crop_inside_is_a_slice():
    image, mask = noise(40, 60), labels(40, 60)
    plan = Plan.of(40, 60).crop(5, 12, 20, 31)
    np.testing.assert_array_equal(plan.image(image), image[5:25, 12:43])
    np.testing.assert_array_equal(plan.mask(mask), mask[5:25, 12:43])


def test_crop_beyond_the_photo_is_padding_and_255():
    image, mask = noise(40, 60), labels(40, 60)
    plan = Plan.of(40, 60).crop(-3, 50, 20, 25)
    expected = np.full((20, 25), 255, "uint8")
    expected[3:, :10] = mask[:17, 50:]
    np.testing.assert_array_equal(plan.mask(mask), expected)
    padded = plan.image(image, fill=(1, 2, 3))
    np.testing.assert_array_equal(padded[3:, :10], image[:17, 50:])
    assert np.all(padded[:3] == (1, 2, 3))
    assert np.all(padded[:, 10:] == (1, 2, 3))


def test_a_window_wholly_beyond_the_photo_is_all_padding():
    plan = Plan.of(40, 60).crop(500, 500, 90, 90).turn(rotation(20)).resize(30, 30)
    assert np.all(plan.mask(labels(40, 60)) == 255)
    assert np.all(plan.image(noise(40, 60), fill=(9, 9, 9)) == 9)


def compose(height, width):
    """A crop, flip, rotation, shear and stretch, and the same map written out."""
    plan = (
        Plan.of(height, width)
        .crop(6.5, 3.25, height * 0.7, width * 0.8)
        .turn(np.diag([-1.0, 1.0]))
        .turn(rotation(25))
        .turn(np.array([[1.0, 0.2], [0.0, 1.0]]))
        .resize(52, 64)
    )
    y, x = np.mgrid[:52, :64] + 0.5
    x, y = x * width * 0.8 / 64, y * height * 0.7 / 52  # undo the stretch
    cx, cy = width * 0.4, height * 0.35
    x, y = x - cx, y - cy
    x = x + 0.2 * y  # undo the shear
    c, s = np.cos(np.deg2rad(25)), np.sin(np.deg2rad(25))
    x, y = c * x - s * y, s * x + c * y  # undo the rotation
    x = -x  # undo the flip
    return plan, x + cx + 3.25, y + cy + 6.5  # undo the crop


def test_steps_compose_in_order_and_meet_the_written_out_map():
    height, width = 90, 80
    plan, x, y = compose(height, width)
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([columns * 3, rows * 2, 0 * rows], -1).astype("uint8")
    seen = plan.image(image).astype(float)
    inside = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1)
    assert inside.mean() > 0.5
    assert np.abs(seen[..., 0] - (x - 0.5) * 3)[inside].max() <= 1
    assert np.abs(seen[..., 1] - (y - 0.5) * 2)[inside].max() <= 1


def test_masks_equal_scipys_nearest_neighbour_and_the_border_is_255():
    height, width = 90, 80
    plan, x, y = compose(height, width)
    mask = labels(height, width)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    found = scipy.ndimage.map_coordinates(
        mask, [y - 0.5, x - 0.5], order=0, mode="nearest"
    )
    seen = plan.mask(mask)
    # PIL counts in 1/65536 pixel, so points that close to an edge go either way.
    near = np.minimum(np.abs(x - np.rint(x)), np.abs(y - np.rint(y))) < 0.01
    expected = np.where(inside, found, 255)
    np.testing.assert_array_equal(seen[~near], expected[~near])
    assert (~inside).sum() > 40


def test_images_equal_scipys_linear_interpolation():
    height, width = 90, 80
    plan, x, y = compose(height, width)
    image = noise(height, width)
    inside = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1)
    seen = plan.image(image)
    for channel in range(3):
        expected = scipy.ndimage.map_coordinates(
            image[..., channel].astype(float), [y - 0.5, x - 0.5], order=1
        )
        assert np.abs(seen[..., channel] - expected)[inside].max() <= 1


def test_an_image_made_of_its_mask_stays_aligned_with_it():
    mask = labels(200, 140, cell=25)
    image = np.repeat(mask[..., None] * 50, 3, -1)
    rng = np.random.default_rng(0)
    for _ in range(20):
        plan = (
            Plan.of(200, 140)
            .crop(*rng.uniform(0, 60, 2), *rng.uniform(60, 140, 2))
            .turn(rotation(rng.uniform(-180, 180)))
            .resize(96, 64)
        )
        seen, kept = plan.image(image)[..., 0], plan.mask(mask)
        # Averaging reaches over edges, so compare inside the cells.
        flat = scipy.ndimage.maximum_filter(kept, 7) == (
            scipy.ndimage.minimum_filter(kept, 7)
        )
        valid = flat & (kept != 255)
        valid[:4], valid[-4:], valid[:, :4], valid[:, -4:] = False, False, False, False
        np.testing.assert_array_equal(seen[valid], kept[valid] * 50)
        assert set(np.unique(kept)) <= {*range(5), 255}


@pytest.mark.parametrize("degrees", [0, 10, 45, 90])
def test_a_fine_checkerboard_does_not_alias_when_it_shrinks(degrees):
    y, x = np.mgrid[:600, :600]
    image = np.repeat((255 * ((x + y) % 2)).astype("uint8")[..., None], 3, -1)
    for size in (100, 150, 224):
        plan = Plan.of(600, 600).turn(rotation(degrees)).resize(size, size)
        seen = plan.image(image)[size // 4 : -size // 4, size // 4 : -size // 4]
        assert abs(seen.mean() - 127.5) < 2
        # The pattern is finer than the result can show, so all contrast that is left
        # of its 127.5 is alias; sampling without averaging leaves 42.
        assert seen.std() < 6, size


def test_one_plan_fits_several_masks_and_weights_and_keeps_dtypes():
    plan, x, y = compose(90, 80)
    mask = labels(90, 80)
    many = mask.astype("int32") * 1000
    weights = mask.astype("float32") / 3
    seen = plan.mask(mask)
    assert seen.dtype == "uint8"
    valid = seen != 255
    seen_many = plan.mask(many)
    assert seen_many.dtype == "int32"
    np.testing.assert_array_equal(seen_many[valid], seen[valid] * np.int32(1000))
    np.testing.assert_array_equal(seen_many[~valid], 255)
    seen_weights = plan.mask(weights, fill=0.0)
    assert seen_weights.dtype == "float32"
    np.testing.assert_array_equal(
        seen_weights, np.where(valid, seen / np.float32(3), np.float32(0))
    )


def test_weights_equal_scipys_linear_interpolation_and_are_0_beyond():
    height, width = 90, 80
    plan, x, y = compose(height, width)
    weights = np.random.default_rng(0).random((height, width), "float32")
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    seen = plan.weights(weights)
    expected = scipy.ndimage.map_coordinates(
        weights, [y - 0.5, x - 0.5], order=1, mode="nearest"
    )
    assert seen.dtype == "float32"
    assert np.abs(seen - expected)[inside].max() < 1e-5
    assert np.all(seen[~inside] == 0)
    assert (~inside).sum() > 40
    assert np.all(plan.weights(weights, fill=2.5)[~inside] == 2.5)


def test_weights_that_shrink_are_averaged_and_upright_ones_are_pils():
    weights = np.indices((600, 600)).sum(0) % 2
    plan = Plan.of(600, 600).turn(rotation(20)).resize(100, 100)
    seen = plan.weights(weights.astype("float32"))[30:-30, 30:-30]
    assert abs(seen.mean() - 0.5) < 0.01 and seen.std() < 0.03
    some = np.random.default_rng(0).random((40, 60), "float32")
    expected = Image.fromarray(some).resize((25, 35), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(
        Plan.of(40, 60).resize(35, 25).weights(some), expected
    )


def test_points_of_the_picture_are_found_in_the_sample():
    plan, x, y = compose(90, 80)
    rows, columns = np.mgrid[:52, :64] + 0.5
    seen = plan.locate(np.stack([columns.ravel(), rows.ravel()], -1))
    np.testing.assert_allclose(seen, np.stack([x.ravel(), y.ravel()], -1), atol=1e-9)


def test_a_small_view_of_a_large_photo_reads_little_of_it():
    image = np.zeros((6000, 6000, 3), "uint8")
    plan = Plan.of(6000, 6000).crop(3000, 2000, 64, 64).turn(rotation(10))
    tracemalloc.start()
    plan.image(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6  # of the photo's 108


@pytest.mark.parametrize(
    ("method", "array"),
    [
        ("weights", np.zeros((8, 9), "uint8")),
        ("weights", np.zeros((9, 8), "float32")),
        ("weights", np.zeros((8, 9, 1), "float32")),
        ("image", np.zeros((8, 9, 3), "float32")),
        ("image", np.zeros((8, 9), "uint8")),
        ("image", np.zeros((8, 9, 4), "uint8")),
        ("image", np.zeros((9, 8, 3), "uint8")),
        ("mask", np.zeros((8, 9), "int64")),
        ("mask", np.zeros((8, 9, 1), "uint8")),
        ("mask", np.zeros((7, 9), "uint8")),
    ],
)
def test_what_the_plan_was_not_made_for_is_refused(method, array):
    with pytest.raises(ValueError, match=rf"`{method}` must be .* Received: {method}"):
        getattr(Plan.of(8, 9), method)(array)
