import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from kseg.postprocess import edges, guided_filter, refine_edges


def guided_by_least_squares(guide, mask, radius, epsilon):
    """He et al. (2013), eq. 4-8, window by window with a dense solver."""
    height, width = mask.shape
    colors = guide.reshape(height, width, -1) / 255
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            window = np.s_[
                max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1
            ]
            here = colors[window].reshape(-1, colors.shape[2])
            rows, channels = here.shape
            design = np.block([[here, np.ones((rows, 1))]])
            # Epsilon is paid once for every pixel of the window.
            ridge = np.sqrt(rows * epsilon) * np.eye(channels, channels + 1)
            right = np.concatenate([mask[window].ravel(), np.zeros(channels)])
            fit = np.linalg.lstsq(np.vstack([design, ridge]), right, rcond=None)[0]
            total[window] += (design @ fit).reshape(total[window].shape)
            count[window] += 1
    return total / count


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("radius", "epsilon"), [(1, 1e-2), (3, 1e-3), (40, 1e-1)])
def test_guided_filter_equals_least_squares_in_every_window(channels, radius, epsilon):
    random = np.random.default_rng(radius)
    guide = random.integers(0, 256, (11, 17, 3), np.uint8)[..., :channels]
    guide = guide[..., 0] if channels == 1 else guide
    mask = random.random((11, 17))
    expected = guided_by_least_squares(guide, mask, radius, epsilon)
    result = guided_filter(guide, mask, radius, epsilon)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=2e-4)


def test_guided_filter_keeps_a_constant_and_what_is_linear_in_the_guide():
    guide = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    np.testing.assert_allclose(
        guided_filter(guide, np.full((20, 30), 0.7), 4, 1e-3), 0.7, atol=1e-5
    )
    linear = guide @ np.array([0.2, 0.3, 0.5]) / 255
    np.testing.assert_allclose(guided_filter(guide, linear, 4, 1e-7), linear, atol=1e-3)


def test_flat_guide_gives_the_mean_of_means():
    mask = np.random.default_rng(2).random((16, 21))
    count = ndimage.uniform_filter(np.ones((16, 21)), 5, mode="constant")

    def mean(values):
        return ndimage.uniform_filter(values, 5, mode="constant") / count

    result = guided_filter(np.full((16, 21, 3), 128), mask, 2, 0.01)
    np.testing.assert_allclose(result, mean(mean(mask)), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"guide": np.zeros((4, 5, 2))}, r"guide.shape=\(4, 5, 2\)"),
        ({"guide": np.zeros((0, 5))}, r"guide.shape=\(0, 5\)"),
        ({"mask": np.zeros((5, 4))}, r"mask.shape=\(5, 4\)"),
        ({"radius": 0}, "radius=0"),
        ({"radius": 1.5}, "radius=1.5"),
        ({"epsilon": 0}, "epsilon=0"),
        ({"epsilon": np.nan}, "epsilon=nan"),
    ],
)
def test_wrong_arguments_of_the_guided_filter_are_named(arguments, received):
    arguments = {
        "guide": np.zeros((4, 5, 3), np.uint8),
        "mask": np.zeros((4, 5)),
        "radius": 1,
        "epsilon": 0.1,
        **arguments,
    }
    with pytest.raises(ValueError, match=f"Received: {received}"):
        guided_filter(**arguments)


def resize(values, size, how=Image.Resampling.BILINEAR):
    picture = Image.fromarray(values.astype(np.float32))
    return np.asarray(picture.resize(size[::-1], how))


def coarse(alpha, long_side, sigma=0.7):
    """What a net would give: the matte on a coarse grid, slightly blurred."""
    scale = long_side / max(alpha.shape)
    size = [max(1, round(n * scale)) for n in alpha.shape]
    small = resize(alpha, size, Image.Resampling.BOX)
    return np.clip(ndimage.gaussian_filter(small, sigma), 0, 1)


def read_portraits(folder):
    for path in sorted((folder / "images").iterdir()):
        with (
            Image.open(path) as image,
            Image.open(folder / "alpha" / f"{path.stem}.png") as alpha,
        ):
            photo = np.asarray(image.convert("RGB"))
            yield photo, np.asarray(alpha.convert("L")) / np.float32(255)


@pytest.mark.parametrize(("long_side", "share"), [(64, 0.3), (128, 0.45)])
def test_real_portraits_come_closer_to_their_mattes(data_dir, long_side, share):
    refined_sad, plain_sad, refined_edge, plain_edge = [], [], [], []
    for photo, alpha in read_portraits(data_dir("p3m")):
        confidence = coarse(alpha, long_side)
        refined = refine_edges(photo, confidence)
        plain = resize(confidence, alpha.shape)
        edge = ndimage.binary_dilation((alpha > 0.02) & (alpha < 0.98), iterations=8)
        refined_sad.append(abs(refined - alpha).sum())
        plain_sad.append(abs(plain - alpha).sum())
        refined_edge.append(abs(refined - alpha)[edge].mean())
        plain_edge.append(abs(plain - alpha)[edge].mean())
    assert len(plain_sad) == 12
    assert np.mean(refined_sad) < share * np.mean(plain_sad)
    assert np.mean(refined_edge) < share * np.mean(plain_edge)
    assert (np.array(refined_sad) < plain_sad).all()


def two_colors(height, width):
    """A red disc on blue with noise, and its mask."""
    y, x = np.mgrid[:height, :width]
    mask = np.hypot(y - height * 0.55, x - width * 0.45) < 0.3 * min(height, width)
    photo = np.where(mask[..., None], (200, 40, 30), (30, 60, 180))
    noise = np.random.default_rng(0).normal(0, 4, photo.shape)
    return np.clip(photo + noise, 0, 255).astype(np.uint8), mask


@pytest.mark.parametrize("size", [(97, 131), (700, 333), (1500, 1100)])
def test_edge_between_two_colors_is_found_to_the_pixel(size):
    photo, mask = two_colors(*size)
    refined = refine_edges(photo, coarse(mask, 48))
    assert refined.dtype == np.float32
    assert refined.shape == size
    # The fits of a large photo are made at 1024 pixels, so that its edge is that soft.
    edge = ndimage.binary_dilation(mask, iterations=2) & ~ndimage.binary_erosion(
        mask, iterations=2
    )
    assert abs(refined - mask)[~edge].max() < 0.15
    assert abs(refined - mask).mean() < 2e-3


def test_what_is_decided_stays_exactly_so_away_from_the_edge():
    photo, mask = two_colors(160, 240)
    # Foreign colours on both sides, as alike to the other side as can be.
    photo[80:90, 100:110] = (30, 60, 180)
    photo[5:15, 5:15] = (200, 40, 30)
    refined = refine_edges(photo, coarse(mask, 120, 0.5))
    inside = ndimage.binary_erosion(mask, iterations=10)
    outside = ~ndimage.binary_dilation(mask, iterations=10)
    assert (refined[inside] == 1).all()
    assert (refined[outside] == 0).all()


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (33, 50), (1100, 3)])
def test_decided_everywhere_stays_so_at_any_size(value, size):
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for shape in ((1, 1), (3, 5), size):
        refined = refine_edges(photo, np.full(shape, value))
        assert refined.shape == size
        assert (refined == value).all()


def test_undecided_everywhere_is_finite_and_within_bounds():
    photo = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    for value in (0.3, 0.5, 0.7):
        refined = refine_edges(photo, np.full((4, 6), value))
        assert np.isfinite(refined).all()
        assert refined.min() >= 0
        assert refined.max() <= 1


def test_grey_photo_equals_the_same_photo_in_rgb():
    photo, mask = two_colors(90, 70)
    grey = np.asarray(Image.fromarray(photo).convert("L"))
    confidence = coarse(mask, 30)
    rgb = refine_edges(np.repeat(grey[..., None], 3, 2), confidence)
    # Three equal planes share one slope, which changes only what epsilon weighs.
    np.testing.assert_allclose(refine_edges(grey, confidence), rgb, atol=0.05)


def test_enlarged_confidence_gives_the_same_as_the_net_s_own():
    photo, mask = two_colors(300, 200)
    confidence = coarse(mask, 64)
    own = refine_edges(photo, confidence)
    enlarged = refine_edges(photo, resize(confidence, mask.shape))
    assert abs(own - enlarged).mean() < 1e-3


def test_strips_leave_no_seams(monkeypatch):
    photo, mask = two_colors(1300, 900)
    confidence = coarse(mask, 64)
    strips = refine_edges(photo, confidence)
    monkeypatch.setattr(edges, "_STRIP", 10_000)
    np.testing.assert_allclose(strips, refine_edges(photo, confidence), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"image": np.zeros((4, 5, 4), np.uint8)}, r"image.shape=\(4, 5, 4\)"),
        ({"image": np.zeros((4, 5, 3))}, "image.dtype=float64"),
        ({"confidence": np.zeros((4, 5, 1))}, r"confidence.shape=\(4, 5, 1\)"),
        ({"confidence": np.zeros((0, 5))}, r"confidence.shape=\(0, 5\)"),
        ({"confidence": np.full((2, 2), 255.0)}, "confidence from 255.0"),
        ({"confidence": np.full((2, 2), np.nan)}, "confidence from nan"),
    ],
)
def test_wrong_arguments_of_refine_edges_are_named(arguments, received):
    arguments = {
        "image": np.zeros((4, 5, 3), np.uint8),
        "confidence": np.zeros((2, 2)),
        **arguments,
    }
    with pytest.raises(ValueError, match=f"Received: {received}"):
        refine_edges(**arguments)
