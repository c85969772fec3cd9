import numpy as np
import pytest
from scipy import ndimage

from kseg.mobile.scenarios.recoloring import recolor

RED, NAVY, WHITE = (
    np.array(c, np.uint8) for c in ((220, 20, 40), (0, 0, 128), (255,) * 3)
)


def lightness(codes):
    """Oklab's lightness in float64, by way of CIE XYZ (Ottosson, 2020)."""
    values = np.asarray(codes, float) / 255
    light = np.where(
        values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4
    )
    xyz = (
        light
        @ np.array(
            [
                [0.4124564, 0.3575761, 0.1804375],
                [0.2126729, 0.7151522, 0.0721750],
                [0.0193339, 0.1191920, 0.9503041],
            ]
        ).T
    )
    cones = (
        xyz
        @ np.array(
            [
                [0.8189330101, 0.3618667424, -0.1288597137],
                [0.0329845436, 0.9293118715, 0.0361456387],
                [0.0482003018, 0.2643662691, 0.6338517070],
            ]
        ).T
    )
    return np.cbrt(cones) @ (0.2104542553, 0.7936177850, -0.0040720468)


def cloth(height=60, width=80):
    """Folds in brown cloth before noise, and the mask of the cloth."""
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (height, width, 3), np.uint8)
    y, x = np.mgrid[:height, :width]
    mask = (np.hypot(y - height / 2, x - width / 2) < 0.4 * height).astype(np.float32)
    light = 0.6 + 0.3 * np.sin(x / 5 + y / 9)
    folds = (light[..., None] * (190, 140, 100)).astype(np.uint8)
    return np.where(mask[..., None] > 0, folds, photo), mask


@pytest.mark.parametrize("dye", [RED, NAVY, WHITE, np.zeros(3, np.uint8)])
def test_lightness_stays_and_the_rest_of_the_photo_too(dye):
    photo, mask = cloth()
    result = recolor(photo, mask, dye)
    assert (result[mask == 0] == photo[mask == 0]).all()
    assert (result != photo).any(-1)[mask == 1].mean() > 0.9
    # Half a code of rounding in three channels.
    np.testing.assert_allclose(lightness(result), lightness(photo), atol=0.004)


def test_lightness_of_the_dye_is_reached_and_folds_stay_in_order():
    photo, mask = cloth()
    inside = mask == 1
    before = lightness(photo)[inside]
    for dye in (RED, NAVY, WHITE):
        after = lightness(recolor(photo, mask, dye, lightness=1.0))[inside]
        middle = np.median(lightness(dye).clip(0.1, 0.98))
        assert np.median(after) == pytest.approx(middle, abs=0.02)
        assert np.corrcoef(before, after)[0, 1] > 0.9
        assert after.std() > 0.2 * before.std()


def test_more_lightness_is_closer_to_the_dye():
    photo, mask = cloth()
    means = [
        lightness(recolor(photo, mask, WHITE, lightness=part))[mask == 1].mean()
        for part in (0, 0.3, 0.7, 1)
    ]
    assert means == sorted(means)
    assert means[-1] > means[0] + 0.2


@pytest.mark.parametrize("amount", [0.0, 1.0])
def test_strength_zero_and_an_empty_mask_return_the_photo(amount):
    photo, mask = cloth()
    for alpha, strength in ((mask, 0.0), (0 * mask, 1.0)):
        result = recolor(photo, alpha, RED, amount, strength)
        assert (result == photo).all()
        assert result is not photo


def test_dyed_in_its_own_color_it_stays():
    photo, mask = cloth()
    photo[mask == 1] = (180, 60, 90)
    for amount in (0, 1):
        result = recolor(photo, mask, np.array((180, 60, 90), np.uint8), amount)
        assert abs(result.astype(int) - photo).max() <= 1


def test_chroma_follows_the_light():
    photo, mask = cloth()
    result = recolor(photo, mask, RED)[mask == 1].astype(int)
    order = np.argsort(lightness(photo)[mask == 1])
    spread = np.ptp(result, 1)[order]
    dark, middle = spread[: len(spread) // 5], spread[2 * len(spread) // 5 :]
    assert dark.mean() < middle.mean()


def test_cloth_lighter_than_its_dye_is_no_more_vivid_than_the_dye():
    photo, mask = cloth()
    for value in (90, 140, 200, 250):
        photo[mask == 1] = value
        red, green, blue = recolor(photo, mask, NAVY)[30, 40].astype(int)
        assert blue > green >= red - 2
        assert blue - red < np.ptp(NAVY.astype(int))


def test_soft_edge_has_no_halo():
    """Against the same cloth, dyed first and then put before the same background."""
    y, x = np.mgrid[:80, :100]
    alpha = np.clip((24 - np.hypot(y - 40, x - 50)) / 8 + 0.5, 0, 1).astype(np.float32)
    for behind in ((250, 250, 250), (10, 20, 10), (40, 160, 60)):
        mixed = alpha[..., None] * (60, 90, 160) + (1 - alpha[..., None]) * behind
        photo = mixed.round().astype(np.uint8)
        result = recolor(photo, alpha, RED).astype(float)
        dyed = result[40, 50]
        expected = alpha[..., None] * dyed + (1 - alpha[..., None]) * behind
        assert abs(result - expected).max() <= 3


@pytest.mark.parametrize("alpha", [0.3, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 2)])
def test_tiny_photos_and_full_masks_work(size, alpha):
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    result = recolor(photo, np.full(size, alpha, np.float32), RED, 0.5)
    assert result.shape == photo.shape
    assert result.dtype == np.uint8


def test_black_and_white_stay_black_and_white():
    for value in (0, 255):
        photo = np.full((6, 8, 3), value, np.uint8)
        assert (recolor(photo, np.ones((6, 8), np.float32), RED) == value).all()


def test_batches_leave_no_seams(monkeypatch):
    photo, mask = cloth()
    mask = ndimage.gaussian_filter(mask, 2)
    whole = recolor(photo, mask, RED, 0.7, 0.8)
    monkeypatch.setattr("kseg.mobile.scenarios.recoloring._BATCH", 101)
    assert (recolor(photo, mask, RED, 0.7, 0.8) == whole).all()
