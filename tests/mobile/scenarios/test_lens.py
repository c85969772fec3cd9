import numpy as np
import pytest
from scipy import ndimage

from kseg.mobile.scenarios import cutout, lens


def decode(codes):
    """IEC 61966-2-1, in float64."""
    values = np.asarray(codes, float) / 255
    return np.where(
        values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4
    )


def encode(light):
    light = np.clip(light, 0, 1)
    high = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return 255 * np.where(light <= 0.0031308, 12.92 * light, high)


def ball(height, width, radius, softness=0.0):
    """A matte: a disc left of the middle, its edge `softness` pixels wide."""
    y, x = np.mgrid[:height, :width]
    inside = radius - np.hypot(y - height / 2, x - width / 3)
    alpha = np.clip(inside / softness + 0.5, 0, 1) if softness else inside > 0
    return alpha.astype(np.float32)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("radius", [0, 0.4, 1, 2.5, 7, 16])
def test_disc_is_round_and_sums_to_one(radius):
    kernel = lens.disc(radius)
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    for same in (kernel[::-1], kernel[:, ::-1], kernel.T):
        np.testing.assert_array_equal(kernel, same)
    if radius >= 2.5:
        assert 1 / kernel.max() == pytest.approx(np.pi * radius**2, rel=0.03)
        y, x = np.indices(kernel.shape) - len(kernel) // 2
        assert (kernel[np.hypot(y, x) > radius + 0.5] == 0).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 3), (31, 50), (64, 33)])
@pytest.mark.parametrize("radius", [1, 3.3, 12])
def test_convolution_equals_the_direct_sum(size, radius):
    planes = np.random.default_rng(0).random((2, *size), np.float32)
    kernel = lens.disc(radius)
    expected = [
        ndimage.convolve(plane.astype(float), kernel.astype(float), mode="constant")
        for plane in planes
    ]
    np.testing.assert_allclose(lens.convolve(planes, kernel), expected, atol=2e-6)


def test_kernel_that_is_not_symmetric_is_not_mirrored():
    planes = np.random.default_rng(0).random((1, 12, 17), np.float32)
    kernel = np.random.default_rng(1).random((5, 5), np.float32)
    expected = ndimage.convolve(planes[0].astype(float), kernel, mode="constant")
    np.testing.assert_allclose(lens.convolve(planes, kernel)[0], expected, atol=2e-5)


@pytest.mark.parametrize("size", [(40, 61), (61, 40)])
@pytest.mark.parametrize("radius", [2, 6.5])
def test_background_is_the_mean_light_of_background_in_the_disc(size, radius):
    image, alpha = noise(*size), ball(*size, 11)
    result = lens.blur_background(image, alpha, radius)
    # One pixel beside the person is left out.
    weights = 1 - ndimage.maximum_filter(alpha, 3).astype(float)
    kernel = lens.disc(radius).astype(float)
    share = ndimage.convolve(weights, kernel, mode="constant")
    sums = [
        ndimage.convolve(decode(image[..., c]) * weights, kernel, mode="constant")
        for c in range(3)
    ]
    expected = encode(np.stack(sums, -1) / np.maximum(share, 1e-9)[..., None])
    compared = (alpha == 0) & (share > 0.3)
    assert compared.mean() > 0.4
    # One code of dither, and a thousandth of the disc comes from the filled background.
    assert abs(result[compared] - expected[compared]).max() < 1.4


def test_person_stays_and_background_changes():
    image, alpha = noise(50, 70), ball(50, 70, 15)
    result = lens.blur_background(image, alpha, 5)
    assert (result[alpha == 1] == image[alpha == 1]).all()
    assert result[alpha == 0].std() < 0.5 * image[alpha == 0].std()


@pytest.mark.parametrize(("alpha", "radius"), [(1.0, 9), (0.0, 0), (0.4, 0)])
def test_nothing_to_blur_returns_the_same_photo(alpha, radius):
    image = noise(20, 30)
    result = lens.blur_background(image, np.full((20, 30), alpha, np.float32), radius)
    assert (result == image).all()
    assert result is not image


@pytest.mark.parametrize("color", [(0, 0, 0), (1, 2, 3), (90, 130, 250), (255,) * 3])
@pytest.mark.parametrize("radius", [3, 11, 40])
def test_even_background_stays_even_whatever_is_before_it(color, radius):
    image, alpha = noise(90, 120), ball(90, 120, 25)
    image[alpha == 0] = color
    assert (lens.blur_background(image, alpha, radius) == image).all()


def test_even_photo_stays_even_under_any_matte():
    image = np.full((60, 80, 3), (200, 90, 17), np.uint8)
    alpha = np.random.default_rng(0).random((60, 80), np.float32)
    for matte in (alpha, alpha**8, ball(60, 80, 20, softness=15)):
        assert (lens.blur_background(image, matte, 6) == image).all()


@pytest.mark.parametrize(
    "colors", [((0, 0, 0), (255,) * 3), ((230, 60, 9), (8, 70, 90))]
)
def test_soft_edge_before_an_even_background_has_no_halo(colors):
    # A matte drawn in sRGB: the photo's codes are mixed in proportion to it.
    alpha = ball(80, 120, 24, softness=9)
    for front, behind in (colors, colors[::-1]):
        mixed = alpha[..., None] * front + (1 - alpha[..., None]) * np.array(behind)
        image = mixed.round().astype(np.uint8)
        result = lens.blur_background(image, alpha, 8)
        assert abs(result.astype(int) - image).max() <= 2


def test_no_color_of_the_person_bleeds_into_the_blur():
    for softness in (0, 6):
        alpha = ball(120, 160, 35, softness)
        image = np.zeros((120, 160, 3), np.uint8)
        image[..., 0] = np.round(255 * alpha)
        image[..., 2] = np.round(255 * (1 - alpha))
        for radius in (4, 15, 60):
            result = lens.blur_background(image, alpha, radius)
            assert result[alpha == 0][:, 0].max() == 0
            assert result[alpha == 0][:, 2].min() == 255
            # and at the soft edge no more of it than there was
            assert (result[..., 0].astype(int) - image[..., 0]).max() <= 2


def test_a_lamp_becomes_a_disc_that_keeps_its_light():
    image = np.zeros((101, 141, 3), np.uint8)
    image[48:53, 98:103] = 255
    alpha = np.zeros((101, 141), np.float32)
    result = lens.blur_background(image, alpha, 12)
    assert decode(result).sum() == pytest.approx(decode(image).sum(), rel=0.02)
    y, x = np.nonzero(result[..., 0] > 3)
    assert np.hypot(y - 50, x - 100).max() == pytest.approx(14.5, abs=1)
    # In linear light the disc is far brighter than the mean of codes would be (13).
    assert result[50, 100, 0] > 55


@pytest.mark.parametrize("radius", [20, 45])
def test_shrinking_for_large_discs_changes_next_to_nothing(radius, monkeypatch):
    image = ndimage.gaussian_filter(noise(233, 310).astype(float), (3, 3, 0))
    image = np.clip(4 * (image - 127) + 127, 0, 255).astype(np.uint8)
    alpha = ball(233, 310, 60, softness=4)
    fast = lens.blur_background(image, alpha, radius).astype(int)
    monkeypatch.setattr(lens, "_DISC_PIXELS", 1000)
    exact = lens.blur_background(image, alpha, radius)
    assert abs(fast - exact).mean() < 1
    monkeypatch.setattr(cutout, "_MOST_PIXELS", 20_000)
    assert (
        abs(lens.blur_background(image, alpha, radius).astype(int) - exact).mean() < 1
    )


@pytest.mark.parametrize("radius", [3, 30])
def test_strips_leave_no_seams(radius, monkeypatch):
    image, alpha = noise(150, 90), ball(150, 90, 25, softness=7)
    whole = lens.blur_background(image, alpha, radius)
    monkeypatch.setattr(lens, "STRIP", 17)
    monkeypatch.setattr(cutout, "STRIP", 17)
    strips = lens.blur_background(image, alpha, radius)
    assert abs(strips.astype(int) - whole).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 8), (7, 1), (2, 3), (33, 65)])
@pytest.mark.parametrize("radius", [0.3, 2, 50, 500])
def test_any_size_and_radius_work(size, radius):
    image = noise(*size)
    for alpha in (0.0, 0.5, 1e-7, 1 - 1e-7):
        result = lens.blur_background(image, np.full(size, alpha, np.float32), radius)
        assert result.shape == image.shape
        assert result.dtype == np.uint8


def test_arguments_are_left_as_they_are():
    image, alpha = noise(30, 40), ball(30, 40, 9, softness=3)
    before = image.copy(), alpha.copy()
    lens.blur_background(image, alpha, 4)
    assert (image == before[0]).all()
    assert (alpha == before[1]).all()


def test_smooth_blur_is_dithered_without_changing_the_mean():
    image = np.repeat(np.linspace(100, 108, 400).round().astype(np.uint8)[None], 60, 0)
    image = np.repeat(image[..., None], 3, 2)
    result = lens.blur_background(image, np.zeros((60, 400), np.float32), 30)
    middle = result[:, 60:-60, 0]
    assert middle.mean() == pytest.approx(image[:, 60:-60].mean(), abs=0.1)
    columns_of_two_codes = (middle != middle[0]).any(0).mean()
    assert columns_of_two_codes > 0.5  # bands would be columns of one code
