import itertools
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from scipy.special import softmax

from kseg.postprocess import DenseCRF, gaussian
from kseg.postprocess.gaussian import ExactGaussian, PlaneGaussian
from kseg.postprocess.permutohedral import PermutohedralLattice

NORMALIZATIONS = ["symmetric", "after", "before", "none"]
# Weights that leave probabilities between 0 and 1 with sums of whole kernels, too.
MILD = {
    "bilateral_compat": 0.3,
    "bilateral_xy": 4.0,
    "bilateral_rgb": 30.0,
    "gaussian_compat": 0.2,
    "gaussian_xy": 1.5,
    "iterations": 3,
}


def random_case(height, width, classes, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.integers(80, 160, (height, width, 3), np.uint8)
    return image, rng.dirichlet(np.ones(classes), (height, width)).astype(np.float32)


def features_by_hand(image, crf):
    """Positions of the two kernels' Gaussians, pixel by pixel."""
    bilateral, plane = [], []
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            place = np.array([x, y], float)
            color = image[y, x].astype(float) / crf.bilateral_rgb
            bilateral.append([*place / crf.bilateral_xy, *color])
            plane.append(place / crf.gaussian_xy)
    return np.array(bilateral), np.array(plane)


def kernel_by_hand(features, normalization, self_message):
    squares = np.square(features[:, None] - features).sum(-1)
    kernel = np.exp(-squares / 2)
    sums = kernel.sum(1)
    if normalization == "symmetric":
        kernel = kernel / np.sqrt(sums[:, None] * sums)
    elif normalization == "after":
        kernel = kernel / sums[:, None]
    elif normalization == "before":
        kernel = kernel / sums
    return kernel if self_message else kernel * (1 - np.eye(len(kernel)))


def energies_by_hand(compat, classes):
    """Energy of each pair of classes."""
    compat = np.asarray(compat, float)
    if compat.ndim == 0:
        return compat * (1 - np.eye(classes))
    return np.diag(compat) if compat.ndim == 1 else (compat + compat.T) / 2


def mean_field_by_hand(crf, image, probabilities):
    """Algorithm 1 of Krähenbühl and Koltun (2011) with dense float64 matrices."""
    height, width, classes = probabilities.shape
    unary = -np.log(np.clip(probabilities.reshape(-1, classes), 1e-5, 1))
    terms = [
        (
            kernel_by_hand(features, crf.normalization, crf.self_message),
            energies_by_hand(compat, classes),
        )
        for features, compat in zip(
            features_by_hand(image, crf),
            (crf.bilateral_compat, crf.gaussian_compat),
            strict=True,
        )
    ]
    values = softmax(-unary, 1)
    for _ in range(crf.iterations):
        messages = sum(kernel @ values @ energies for kernel, energies in terms)
        values = softmax(-unary - messages, 1)
    return values.reshape(height, width, classes)


@pytest.mark.parametrize("self_message", [False, True])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_exact_inference_equals_dense_matrices(normalization, self_message):
    image, probabilities = random_case(7, 9, 3)
    weight = 0.3 if normalization == "none" else 5
    options = {**MILD, "bilateral_compat": weight, "gaussian_compat": weight}
    crf = DenseCRF(**options, normalization=normalization, self_message=self_message)
    expected = mean_field_by_hand(crf, image, probabilities)
    result = crf(image, probabilities)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=1e-5)
    # The case tests something: probabilities move, and stay away from 0 and 1.
    assert abs(expected - probabilities).max() > 0.05
    assert 1e-3 < np.median(expected) < 0.9


@pytest.mark.parametrize("kernel", ["bilateral_compat", "gaussian_compat"])
@pytest.mark.parametrize(
    "shape", [(), (4,), (4, 4)], ids=["number", "vector", "matrix"]
)
def test_every_form_of_compatibility_equals_dense_matrices(kernel, shape):
    image, probabilities = random_case(6, 8, 4)
    compat = np.random.default_rng(1).normal(size=shape) * 2
    crf = DenseCRF(**{**MILD, kernel: compat})
    expected = mean_field_by_hand(crf, image, probabilities)
    np.testing.assert_allclose(crf(image, probabilities), expected, atol=1e-5)


@pytest.mark.parametrize("classes", [2, 8, 9, 33, 70])
def test_any_number_of_classes_equals_dense_matrices(classes):
    image, probabilities = random_case(5, 6, classes)
    compat = np.random.default_rng(2).normal(size=(classes, classes))
    crf = DenseCRF(**{**MILD, "gaussian_compat": compat})
    expected = mean_field_by_hand(crf, image, probabilities)
    np.testing.assert_allclose(crf(image, probabilities), expected, atol=1e-5)


def test_published_weights_on_400_pixels_equal_dense_matrices():
    image, probabilities = random_case(20, 20, 21)
    crf = DenseCRF.from_preset("deeplab_v1_largefov")
    expected = mean_field_by_hand(crf, image, probabilities)
    np.testing.assert_allclose(crf(image, probabilities), expected, atol=1e-5)


@pytest.mark.parametrize(
    "shape", [(), (3,), (3, 3)], ids=["number", "vector", "matrix"]
)
def test_an_update_is_the_expected_energy_over_all_labellings(shape):
    """For four pixels, q_i(l) ~ exp(-E[energy | x_i = l]), with all 81 labellings."""
    image, probabilities = random_case(2, 2, 3)
    compat = np.random.default_rng(3).normal(size=shape)
    crf = DenseCRF(
        **{**MILD, "iterations": 1, "bilateral_compat": compat, "normalization": "none"}
    )
    p = probabilities.reshape(4, 3).astype(float)
    kernels = [kernel_by_hand(f, "none", False) for f in features_by_hand(image, crf)]
    pairs = [energies_by_hand(c, 3) for c in (compat, crf.gaussian_compat)]
    expected = np.zeros((4, 3))
    for labels in itertools.product(range(3), repeat=4):
        energy = -sum(np.log(p[i, labels[i]]) for i in range(4))
        for i, j in itertools.combinations(range(4), 2):
            for kernel, pair in zip(kernels, pairs, strict=True):
                energy += kernel[i, j] * pair[labels[i], labels[j]]
        for i in range(4):
            others = np.prod([p[j, labels[j]] for j in range(4) if j != i])
            expected[i, labels[i]] += others * energy
    expected = softmax(-expected, 1).reshape(2, 2, 3)
    np.testing.assert_allclose(crf(image, probabilities), expected, atol=1e-5)


def test_one_update_of_two_pixels_by_hand():
    image = np.array([[[10, 20, 30], [13, 16, 30]]], np.uint8)
    crf = DenseCRF(
        bilateral_compat=2,
        bilateral_xy=1,
        bilateral_rgb=5,
        gaussian_compat=0,
        iterations=1,
        normalization="none",
    )
    # The kernel is exp(-1/2 - (9 + 16)/50) = exp(-1); the left pixel gets
    # 2 exp(-1) of the right one's probabilities.
    scale = 2 * np.exp(-1)
    expected = softmax(np.log([0.9, 0.1]) + scale * np.array([0.4, 0.6]))
    result = crf(image, np.array([[[0.9, 0.1], [0.4, 0.6]]]))
    np.testing.assert_allclose(result[0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("method", ["exact", "lattice"])
def test_weights_of_zero_give_back_the_probabilities(method):
    image, probabilities = random_case(9, 5, 6)
    crf = DenseCRF(bilateral_compat=0, gaussian_compat=0.0, method=method)
    np.testing.assert_allclose(crf(image, probabilities), probabilities, atol=2e-5)


@pytest.mark.parametrize("method", ["exact", "lattice"])
def test_classes_in_another_order_give_the_same_in_that_order(method):
    image, probabilities = random_case(12, 10, 40)
    order = np.random.default_rng(4).permutation(40)
    matrix = np.random.default_rng(5).normal(size=(40, 40))
    options = {**MILD, "method": method}
    crf = DenseCRF(**{**options, "gaussian_compat": matrix})
    permuted = DenseCRF(**{**options, "gaussian_compat": matrix[order][:, order]})
    np.testing.assert_allclose(
        permuted(image, probabilities[..., order]),
        crf(image, probabilities)[..., order],
        atol=1e-5,
    )


@pytest.mark.parametrize("method", ["exact", "lattice"])
def test_constant_image_leaves_the_spatial_gaussian(method):
    _, probabilities = random_case(20, 25, 3)
    image = np.full((20, 25, 3), 77, np.uint8)
    options = {"iterations": 3, "method": method}
    bilateral = DenseCRF(
        bilateral_compat=2, bilateral_xy=3, gaussian_compat=0, **options
    )(image, probabilities)
    plane = DenseCRF(bilateral_compat=0, gaussian_compat=2, gaussian_xy=3, **options)(
        image, probabilities
    )
    if method == "exact":
        np.testing.assert_allclose(bilateral, plane, atol=1e-6)
    assert (bilateral.argmax(-1) == plane.argmax(-1)).mean() >= 0.97


def message(kernel, values, before=None, after=None):
    """`kernel` applied to values of shape `(points, lanes)`."""
    points, lanes = values.shape
    scores = np.zeros((1, points, lanes), np.float32)
    one = np.ones(points, np.float32)
    before, after = (one if scale is None else scale for scale in (before, after))
    factors = np.ones((1, lanes), np.float32)
    kernel.add_message(scores, values[None], before, after, 0 * one, factors)
    return scores[0]


@pytest.mark.parametrize("sigma", [0.05, 0.7, 3.0, 40.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 30), (31, 1), (17, 70)])
def test_separable_gaussian_equals_a_dense_one(size, sigma):
    y, x = np.indices(size)
    places = np.stack([y, x], -1).reshape(-1, 2) / sigma
    values = np.random.default_rng(6).random((len(places), 8)).astype(np.float32)
    kernel = kernel_by_hand(places, "none", True)
    expected = kernel @ values / kernel.sum(1, keepdims=True)
    for cutoff, tolerance in ((np.inf, 1e-6), (4, 1e-4)):
        plane = PlaneGaussian(size, sigma, cutoff)
        sums = message(plane, np.ones_like(values))
        result = message(plane, values) / sums
        np.testing.assert_allclose(result, expected, atol=tolerance)
    np.testing.assert_array_equal(plane.diagonal(), kernel.diagonal())


def test_separable_gaussian_is_scipy_s_inside():
    values = np.random.default_rng(7).random((90, 80, 8)).astype(np.float32)
    result = message(PlaneGaussian((90, 80), 3.0), values.reshape(-1, 8))
    expected = ndimage.gaussian_filter(values.astype(float), (3, 3, 0), truncate=4)
    inside = np.s_[12:-12, 12:-12]
    # SciPy's kernel has sum 1, ours has height 1.
    total = np.exp(-(np.arange(-12, 13) ** 2) / 18).sum() ** 2
    np.testing.assert_allclose(
        result.reshape(values.shape)[inside] / total, expected[inside], atol=1e-6
    )


def test_kernel_that_does_not_fit_into_memory_is_computed_in_pieces(monkeypatch):
    image, probabilities = random_case(13, 11, 5)
    whole = DenseCRF(**MILD)(image, probabilities)
    monkeypatch.setattr(gaussian, "_STORED", 1000)
    monkeypatch.setattr(gaussian, "_CHUNK", 143 * 10)
    kernel = ExactGaussian(np.zeros((143, 5)))
    assert kernel.stored is None
    assert kernel.chunk == 10
    np.testing.assert_allclose(DenseCRF(**MILD)(image, probabilities), whole, atol=1e-6)


def lattice_on_a_line(points, values):
    """The lattice of one dimension: corners every sqrt(3)/2, two blurs of 1/2, 1, 1/2.

    Only corners of cells that hold a point exist; the others give nothing.
    """
    position = points / (np.sqrt(3) / 2)
    left = np.floor(position).astype(int)
    share = position - left
    low = left.min() - 3
    corners = np.zeros((left.max() - low + 4, values.shape[1]))
    exists = np.zeros(len(corners), bool)
    for i, corner in enumerate(left - low):
        corners[corner] += (1 - share[i]) * values[i]
        corners[corner + 1] += share[i] * values[i]
        exists[corner : corner + 2] = True
    for _ in range(2):
        blurred = corners.copy()
        blurred[1:-1] += (corners[:-2] + corners[2:]) / 2
        corners = blurred * exists[:, None]
    left = left - low
    sliced = (1 - share)[:, None] * corners[left] + share[:, None] * corners[left + 1]
    return sliced / (1 + 1 / 2)


def test_lattice_of_one_dimension_equals_its_formula():
    rng = np.random.default_rng(8)
    points = np.concatenate([rng.uniform(-9, 9, 200), [50.3, 80.0, 80.2]])
    values = rng.random((len(points), 8)).astype(np.float32)
    lattice = PermutohedralLattice(points[:, None].astype(np.float32))
    expected = lattice_on_a_line(points, values)
    np.testing.assert_allclose(message(lattice, values), expected, rtol=2e-4)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
def test_lattice_is_close_to_the_gaussian_where_points_are_dense(dimensions):
    rng = np.random.default_rng(dimensions)
    points = rng.normal(0, 0.8, (2000, dimensions)).astype(np.float32)
    values = np.stack([np.sin(2 * points[:, 0]), points[:, -1] > 0.3], 1)
    values = np.repeat(values, 4, 1).astype(np.float32)
    kernel = kernel_by_hand(points.astype(float), "none", True)
    exact = kernel @ values / kernel.sum(1, keepdims=True)
    lattice = PermutohedralLattice(points)
    sums = message(lattice, np.ones_like(values))
    result = message(lattice, values) / sums
    assert abs(result - exact).mean() < 0.05
    assert np.corrcoef(result.ravel(), exact.ravel())[0, 1] > 0.98
    # `exact_scale` looks at 64 of the points.
    ratio = kernel.sum() / sums[:, 0].sum()
    assert lattice.exact_scale(sums[:, 0]) == pytest.approx(ratio, rel=0.1)


def test_lattice_answers_to_itself_as_its_diagonal_says_where_no_corner_is_missing():
    points = np.stack(np.indices((60, 60)), -1).reshape(-1, 2) * np.float32(0.11)
    lattice = PermutohedralLattice(points.astype(np.float32))
    for row, column in ((30, 30), (27, 33), (31, 26)):
        point = 60 * row + column
        impulse = np.zeros((3600, 8), np.float32)
        impulse[point] = 1
        answer = message(lattice, impulse)[point, 0]
        assert answer == pytest.approx(lattice.diagonal()[point], rel=1e-5)


def test_lattice_of_many_far_points_grows_and_keeps_them_apart():
    points = np.random.default_rng(9).uniform(0, 300, (9000, 5)).astype(np.float32)
    lattice = PermutohedralLattice(points)
    assert lattice.neighbors.shape[1] > 6 * 8900
    values = np.random.default_rng(10).random((9000, 8)).astype(np.float32)
    sums = message(lattice, np.ones_like(values))
    np.testing.assert_allclose(message(lattice, values) / sums, values, atol=0.01)


def degraded(mask, classes, seed=0):
    """What a net might give: the true mask, blurred and with smooth noise."""
    rng = np.random.default_rng(seed)
    truth = np.eye(classes)[mask]
    soft = ndimage.gaussian_filter(truth, (4, 4, 0))
    noise = ndimage.gaussian_filter(rng.normal(size=soft.shape), (3, 3, 0))
    return softmax(np.log(soft + 0.02) + 8 * noise, -1).astype(np.float32)


def two_colors(height, width):
    """A red disc on blue with noise, and its mask."""
    y, x = np.mgrid[:height, :width]
    mask = np.hypot(y - height * 0.55, x - width * 0.45) < 0.3 * min(height, width)
    photo = np.where(mask[..., None], (200, 40, 30), (30, 60, 180))
    noise = np.random.default_rng(0).normal(0, 4, photo.shape)
    return np.clip(photo + noise, 0, 255).astype(np.uint8), mask.astype(int)


@pytest.mark.parametrize("method", ["exact", "lattice"])
def test_disc_of_another_color_is_found_to_the_pixel(method):
    image, mask = two_colors(56, 72)
    probabilities = degraded(mask, 2)
    assert (probabilities.argmax(-1) != mask).mean() > 0.03
    crf = DenseCRF(
        bilateral_compat=10, bilateral_xy=80, bilateral_rgb=13, method=method
    )
    assert (crf(image, probabilities).argmax(-1) != mask).mean() < 0.002


def street(data_dir):
    folder = data_dir("camvid")
    image = next(iter(sorted((folder / "val").iterdir())))
    mask = folder / "valannot" / f"{image.stem}.png"
    with Image.open(image) as photo, Image.open(mask) as truth:
        return np.asarray(photo.convert("RGB")), np.asarray(truth).astype(int)


@pytest.mark.parametrize("preset", ["pydensecrf", "deeplab_v1", "deeplab_v2_resnet101"])
def test_lattice_agrees_with_exact_inference_on_streets(data_dir, preset):
    image, mask = (pixels[::7, ::7] for pixels in street(data_dir))
    probabilities = degraded(mask, 12)
    lattice, exact = (
        DenseCRF.from_preset(preset, method=method)(image, probabilities)
        for method in ("lattice", "exact")
    )
    assert (lattice.argmax(-1) == exact.argmax(-1)).mean() >= 0.97
    # Which says something: the CRF itself changes more.
    assert (probabilities.argmax(-1) == exact.argmax(-1)).mean() < 0.93


# Not "none": pydensecrf's sums are then those of its lattice, 1.1 (plane) and about 1.7
# times (colours) smaller than the Gaussian's.
@pytest.mark.parametrize("normalization", NORMALIZATIONS[:3])
def test_lattice_agrees_with_pydensecrf_on_a_street(data_dir, normalization):
    peer = pytest.importorskip(
        "pydensecrf.densecrf", reason="needs pydensecrf2 and a C++ compiler"
    )
    image, mask = street(data_dir)
    probabilities = degraded(mask, 12)
    height, width, classes = probabilities.shape
    crf = peer.DenseCRF2D(width, height, classes)
    unary = -np.log(np.clip(probabilities, 1e-5, 1)).reshape(-1, classes).T
    crf.setUnaryEnergy(np.ascontiguousarray(unary))
    options = {"normalization": getattr(peer, f"NORMALIZE_{normalization.upper()}")}
    crf.addPairwiseGaussian(3, 3, **options)
    crf.addPairwiseBilateral(121, 5, image.copy(), 4, **options)
    expected = np.array(crf.inference(10)).T.reshape(probabilities.shape)
    ours = DenseCRF(normalization=normalization, self_message=True)(
        image, probabilities
    )
    assert (ours.argmax(-1) == expected.argmax(-1)).mean() >= 0.99


@pytest.mark.parametrize("method", ["exact", "lattice"])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (2, 2)])
def test_smallest_images(size, method):
    image, probabilities = random_case(*size, 3)
    result = DenseCRF(method=method)(image, probabilities)
    assert result.shape == probabilities.shape
    np.testing.assert_allclose(result.sum(-1), 1, atol=1e-5)
    if size == (1, 1):  # nobody sends a message
        np.testing.assert_allclose(result, probabilities, atol=1e-4)


@pytest.mark.parametrize("method", ["exact", "lattice"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_zeros_and_ones_stay_finite_and_decided(method, normalization):
    image, _ = random_case(15, 20, 3)
    probabilities = np.zeros((15, 20, 3))
    probabilities[..., 2] = 1
    crf = DenseCRF(method=method, normalization=normalization)
    result = crf(image, probabilities)
    assert np.isfinite(result).all()
    assert (result[..., 2] > 0.99).all()


@pytest.mark.parametrize("method", ["exact", "lattice"])
def test_nothing_known_anywhere_stays_unknown(method):
    image, _ = random_case(15, 20, 3)
    result = DenseCRF(method=method)(image, np.full((15, 20, 5), 0.2))
    np.testing.assert_allclose(result, 0.2, atol=1e-5)


def test_pixel_about_which_nothing_is_known_follows_its_neighbours():
    image, mask = two_colors(40, 50)
    probabilities = np.eye(2)[mask] * 0.98 + 0.01
    probabilities[20:24, 20:24] = 0  # as good as equal
    result = DenseCRF()(image, probabilities)
    assert (result[20:24, 20:24].argmax(-1) == mask[20:24, 20:24]).all()


def test_one_channel_is_the_foreground_of_two_classes():
    image, probabilities = random_case(10, 12, 2)
    both = DenseCRF(**MILD)(image, probabilities)
    foreground = DenseCRF(**MILD)(image, probabilities[..., 1:])
    np.testing.assert_allclose(foreground, both[..., 1:], atol=1e-5)


def test_results_are_the_same_to_the_bit_and_inputs_stay_as_they_are():
    image, probabilities = random_case(70, 80, 5)
    image.flags.writeable = probabilities.flags.writeable = False
    crf = DenseCRF()
    first = crf(image, probabilities)
    np.testing.assert_array_equal(first, crf(image, probabilities))
    np.testing.assert_array_equal(
        first, crf(np.asfortranarray(image), np.asfortranarray(probabilities))
    )


@pytest.mark.parametrize("dtype", ["float16", "float64", "int64"])
def test_other_dtypes_of_probabilities(dtype):
    image, probabilities = random_case(8, 9, 4)
    if dtype == "int64":
        probabilities = np.eye(4)[probabilities.argmax(-1)]
    probabilities = probabilities.astype(dtype)
    result = DenseCRF(**MILD)(image, probabilities)
    assert result.dtype == np.float32
    expected = DenseCRF(**MILD)(image, probabilities.astype(np.float32))
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_auto_is_exact_up_to_4096_pixels():
    for height, method in ((64, "exact"), (65, "lattice")):
        image, probabilities = random_case(height, 64, 3)
        auto, other = (
            DenseCRF(iterations=1, method=name)(image, probabilities)
            for name in ("auto", method)
        )
        np.testing.assert_array_equal(auto, other)


def test_presets_hold_what_was_published():
    crf = DenseCRF.from_preset("deeplab_v2_resnet101")
    found = [crf.bilateral_compat, crf.bilateral_xy, crf.bilateral_rgb]
    found += [crf.gaussian_compat, crf.gaussian_xy, crf.iterations]
    assert found == [4, 67, 3, 3, 1, 10]
    assert (crf.normalization, crf.self_message) == ("after", True)
    changed = DenseCRF.from_preset("pydensecrf", iterations=1, self_message=False)
    assert changed.bilateral_compat == 10
    assert (changed.iterations, changed.self_message) == (1, False)
    with pytest.raises(ValueError, match="'deeplab_v1_largefov'.*Received: name='voc'"):
        DenseCRF.from_preset("voc")


def test_the_room_is_entered_without_numba():
    code = "import sys, kseg.postprocess; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"bilateral_xy": 0}, "bilateral_xy=0"),
        ({"bilateral_rgb": -1.0}, "bilateral_rgb=-1.0"),
        ({"gaussian_xy": np.nan}, "gaussian_xy=nan"),
        ({"gaussian_xy": (3, 3)}, r"gaussian_xy=\(3, 3\)"),
        ({"iterations": 0}, "iterations=0"),
        ({"iterations": 1.5}, "iterations=1.5"),
        ({"normalization": "mean"}, "normalization='mean'"),
        ({"method": "grid"}, "method='grid'"),
        ({"bilateral_compat": np.inf}, "bilateral_compat=inf"),
        ({"gaussian_compat": np.zeros((2, 3))}, "gaussian_compat=array"),
    ],
)
def test_wrong_parameters_are_named(arguments, received):
    with pytest.raises(ValueError, match=f"Received: {received}"):
        DenseCRF(**arguments)


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"image": np.zeros((4, 5), np.uint8)}, r"image.shape=\(4, 5\)"),
        ({"image": np.zeros((4, 5, 4), np.uint8)}, r"image.shape=\(4, 5, 4\)"),
        ({"image": np.zeros((4, 0, 3), np.uint8)}, r"image.shape=\(4, 0, 3\)"),
        ({"image": np.zeros((4, 5, 3))}, "image.dtype=float64"),
        ({"probabilities": np.zeros((5, 4, 2))}, r"probabilities.shape=\(5, 4, 2\)"),
        ({"probabilities": np.zeros((4, 5))}, r"probabilities.shape=\(4, 5\)"),
        ({"probabilities": np.zeros((4, 5, 0))}, r"probabilities.shape=\(4, 5, 0\)"),
        ({"probabilities": np.full((4, 5, 2), -3.0)}, "probabilities from -3.0"),
        ({"probabilities": np.full((4, 5, 2), np.nan)}, "probabilities from nan"),
    ],
)
def test_wrong_inputs_are_named(arguments, received):
    arguments = {
        "image": np.zeros((4, 5, 3), np.uint8),
        "probabilities": np.full((4, 5, 2), 0.5),
        **arguments,
    }
    with pytest.raises(ValueError, match=f"Received: {received}"):
        DenseCRF()(**arguments)


def test_compatibilities_of_another_number_of_classes_are_named():
    image, probabilities = random_case(4, 5, 3)
    for shape in ((2,), (4, 4)):
        crf = DenseCRF(gaussian_compat=np.ones(shape))
        with pytest.raises(ValueError, match=r"\(3, 3\).*Received: gaussian_compat of"):
            crf(image, probabilities)


def test_deviations_too_small_for_the_lattice_are_named():
    image, probabilities = random_case(70, 70, 2)
    crf = DenseCRF(bilateral_xy=1e-3, bilateral_rgb=1e-3)
    with pytest.raises(ValueError, match="larger standard deviations"):
        crf(image, probabilities)
