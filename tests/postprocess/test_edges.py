"""The guided filter against its definition, and refined edges against true mattes."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from kseg.postprocess import guided_filter, refine_edges


def resized(values, size):
    picture = Image.fromarray(values.astype("float32"))
    return np.array(picture.resize(size[::-1], Image.Resampling.BILINEAR))


def brute_force(guide, mask, radius, epsilon):
    """He et al., equations 19 to 21, one least-squares problem a window."""
    height, width = mask.shape
    slopes, offsets = np.zeros((height, width, 3)), np.zeros((height, width))

    def window(y, x):
        return (
            slice(max(0, y - radius), y + radius + 1),
            slice(max(0, x - radius), x + radius + 1),
        )

    for y in range(height):
        for x in range(width):
            colors = guide[window(y, x)].reshape(-1, 3)
            values = mask[window(y, x)].ravel()
            covariance = np.cov(colors.T, bias=True) + epsilon * np.eye(3)
            shared = (colors * values[:, None]).mean(0) - colors.mean(0) * values.mean()
            slopes[y, x] = np.linalg.solve(covariance, shared)
            offsets[y, x] = values.mean() - slopes[y, x] @ colors.mean(0)
    out = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            a = slopes[window(y, x)].reshape(-1, 3).mean(0)
            out[y, x] = a @ guide[y, x] + offsets[window(y, x)].mean()
    return out


@pytest.mark.parametrize("radius", [1, 3])
def test_guided_filter_is_the_least_squares_fit_of_every_window(radius):
    rng = np.random.default_rng(0)
    guide, mask = rng.random((13, 9, 3)), rng.random((13, 9))
    np.testing.assert_allclose(
        guided_filter(255 * guide, mask, radius, 0.01),
        brute_force(guide, mask, radius, 0.01),
        atol=1e-4,
    )


def test_guided_filter_keeps_a_mask_that_is_a_channel_of_the_guide():
    guide = np.random.default_rng(1).random((20, 30, 3))
    result = guided_filter(255 * guide, guide[..., 1], 4, 1e-7)
    np.testing.assert_allclose(result, guide[..., 1], atol=1e-3)


def test_flat_guide_gives_the_mean_of_means():
    mask = np.random.default_rng(2).random((16, 21)).astype("float32")
    count = ndimage.uniform_filter(np.ones((16, 21)), 5, mode="constant")

    def mean(values):
        return ndimage.uniform_filter(values, 5, mode="constant") / count

    result = guided_filter(np.full((16, 21, 3), 128), mask, 2, 0.01)
    np.testing.assert_allclose(result, mean(mean(mask.astype("float64"))), atol=1e-5)


def test_a_coarse_edge_moves_to_the_edge_of_the_photo():
    truth = np.zeros((96, 128))
    truth[:, 53:] = 1
    image = np.where(truth[..., None] > 0, (200, 60, 40), (30, 90, 160)).astype("uint8")
    coarse = resized(resized(truth, (12, 16)), (96, 128))
    before, after = (
        np.abs(coarse - truth),
        np.abs(refine_edges(image, coarse) - truth),
    )
    assert after.sum() < 0.5 * before.sum()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_sure_everywhere_stays_sure(value):
    image = np.random.default_rng(3).integers(0, 256, (40, 55, 3), "uint8")
    result = refine_edges(image, np.full((10, 14), value, "float32"))
    assert (result == value).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (33, 47), (1030, 12)])
def test_any_size_gives_alpha_between_0_and_1(size):
    rng = np.random.default_rng(4)
    alpha = refine_edges(
        rng.integers(0, 256, (*size, 3), "uint8"), rng.random((5, 4)).astype("float32")
    )
    assert alpha.shape == size
    assert alpha.dtype == np.float32
    assert 0 <= alpha.min() <= alpha.max() <= 1


@pytest.mark.parametrize("side", [64, 128])
def test_refined_mattes_of_real_portraits_beat_bilinear_upsampling(data_dir, side):
    """A net's confidence is imitated by the true matte, small and blurred."""
    folder = data_dir("p3m")
    plain, refined = [], []
    for path in sorted((folder / "alpha").iterdir()):
        truth = np.array(Image.open(path), "float32") / 255
        (photo,) = (folder / "images").glob(f"{path.stem}.*")
        image = np.array(Image.open(photo).convert("RGB"))
        small = ndimage.gaussian_filter(resized(truth, (side, side)), 0.7)
        coarse = resized(np.clip((small - 0.5) * 1.5 + 0.5, 0, 1), truth.shape)
        plain.append(np.abs(coarse - truth).sum())
        refined.append(np.abs(refine_edges(image, coarse) - truth).sum())
    assert len(plain) == 12
    assert np.mean(refined) < 0.8 * np.mean(plain)


@pytest.mark.parametrize(
    ("image", "confidence", "message"),
    [
        (np.zeros((4, 5, 3)), np.zeros((4, 5)), "`image` must be uint8"),
        (np.zeros((4, 5, 2), "uint8"), np.zeros((4, 5)), "`image`"),
        (np.zeros((4, 5, 3), "uint8"), np.zeros((4, 5, 1)), "`confidence`"),
        (np.zeros((4, 5, 3), "uint8"), np.full((4, 5), 2.0), "`confidence`"),
        (np.zeros((4, 5, 3), "uint8"), np.full((4, 5), np.nan), "`confidence`"),
    ],
)
def test_wrong_arrays_are_named(image, confidence, message):
    with pytest.raises(ValueError, match=message):
        refine_edges(image, confidence)
