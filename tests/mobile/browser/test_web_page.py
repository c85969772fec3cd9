"""The demo's page: what a real Chromium shows of it, by mouse, keyboard and camera."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation, label
from scipy.stats import spearmanr
from skimage.color import rgb2lab

import kseg
from kseg.mobile.browser import chromium
from kseg.mobile.images import PHOTOS, resize_image, resize_map
from kseg.mobile.nets import WEIGHTS
from kseg.mobile.scenarios.subjects import part_alpha, part_confidence
from kseg.postprocess import refine_edges

DRIVER = Path(__file__).parent / "web_page.mjs"


@pytest.fixture(scope="module")
def clothes_address(served):
    """Of the demo as it is: the person net and the clothes net."""
    with served() as address:
        yield address


@pytest.fixture(scope="module")
def person_address(served, tmp_path_factory):
    """Of a demo of the person net alone."""
    weights = tmp_path_factory.mktemp("person")
    shutil.copy(WEIGHTS / "person_float16.tflite", weights)
    with served(weights) as address:
        yield address


@pytest.fixture(scope="module")
def photo(data_dir):
    """Path of a photo of a person that the net was not trained on."""
    return data_dir("ccp") / "photos" / "0850.jpg"


@pytest.fixture(scope="module")
def person(photo):
    return kseg.load("person_float16").segment(photo)


def regions():
    """Five regions of noisy edges, from a large one to a single pixel."""
    y, x = np.mgrid[:96, :64]
    places = [(40, 30, 20), (85, 50, 6), (85, 10, 3), (8, 58, 2), (10, 5, 0.5)]
    distance = np.min([np.hypot(y - v, x - u) - r for v, u, r in places], 0)
    noise = np.random.default_rng(5).uniform(-0.7, 0.7, distance.shape)
    return 1 / (1 + np.exp(2 * distance + noise))


def classes():
    """Probabilities of three classes, all zero in a pixel."""
    maps = np.random.default_rng(6).dirichlet([1, 1, 1], (96, 64))
    maps[0, 0] = 0
    return maps


@pytest.fixture(scope="module")
def tools():
    """Node.js, the libraries and Chromium."""
    node = shutil.which("node")
    try:
        modules, browser = chromium.find_modules(), chromium.find_chromium()
    except (FileNotFoundError, ImportError) as missing:
        pytest.skip(str(missing))
    if node is None or not (modules / "playwright-core").is_dir():
        pytest.skip("needs Node.js and playwright-core: make browser")
    return node, modules, browser


@pytest.fixture(scope="module")
def session(tools, person_address, clothes_address, photo, person, tmp_path_factory):
    """What the page showed to one who used it, and the folder of its pictures."""
    node, modules, browser = tools
    output = tmp_path_factory.mktemp("demo")
    stripes = np.zeros((60, 90, 3), "uint8")
    stripes[:, ::2] = (250, 120, 10)
    Image.fromarray(stripes).save(output / "stripes.png")
    Image.new("RGB", (300, 200), (90, 120, 200)).save(output / "sky.png")
    (output / "broken.jpg").write_bytes(b"no picture")
    confidence = resize_map(person.confidence_masks[..., 0], (96, 64))
    job = {
        "address": clothes_address,
        "withoutClothes": person_address,
        "modules": str(modules),
        "chromium": browser,
        "output": str(output),
        "photo": str(photo),
        "background": str(output / "stripes.png"),
        "empty": str(output / "sky.png"),
        "broken": str(output / "broken.jpg"),
        "map": {
            "confidence": confidence.ravel().tolist(),
            "regions": regions().ravel().tolist(),
            "classes": classes().reshape(-1, 3).T.tolist(),
            "width": 64,
            "height": 96,
        },
    }
    (output / "job.json").write_text(json.dumps(job))
    done = subprocess.run(
        [node, DRIVER, output / "job.json"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return json.loads((output / "found.json").read_text()), output, confidence


def picture(session, name, mode="RGB"):
    return np.asarray(Image.open(session[1] / name).convert(mode))


@pytest.mark.parametrize("name", ["mask.png", "webgpu.png"])
def test_the_mask_is_that_of_python(session, person, name):
    shown = picture(session, name, "L") > 127
    expected = person.category_mask > 0
    assert shown.shape == expected.shape
    assert 0.05 < expected.mean() < 0.95
    assert (shown & expected).sum() / (shown | expected).sum() >= 0.98


def test_a_net_sees_what_it_sees_in_python(session, photo):
    expected = resize_image(np.asarray(Image.open(photo)), (48, 64)).astype(int)
    values = np.reshape(session[0]["numbers"]["small"], expected.shape)
    assert abs(values - expected).max() <= 1  # Pillow rounds in fixed point
    assert (values == expected).mean() > 0.99


def test_maps_are_enlarged_as_in_python(session):
    expected = resize_map(session[2], (300, 200))
    values = np.reshape(session[0]["numbers"]["large"], (300, 200))
    np.testing.assert_allclose(values, expected, atol=1e-6)


def test_edges_are_those_of_refine_edges(session, photo):
    expected = refine_edges(np.asarray(Image.open(photo)), session[2])
    values = np.reshape(session[0]["numbers"]["alpha"], expected.shape)
    assert ((expected > 0.05) & (expected < 0.95)).any()
    np.testing.assert_allclose(values, expected, atol=0.01)


def test_specks_are_taken_out_as_scipy_labels_them(session):
    values = regions()
    labels, count = label(values > 0.5, np.ones((3, 3)))
    areas = np.bincount(labels.ravel())[1:]
    specks = 1 + np.flatnonzero(areas < 0.05 * areas.max())
    assert 0 < len(specks) < count - 1
    dropped = binary_dilation(np.isin(labels, specks), np.ones((3, 3)))
    shown = np.reshape(session[0]["numbers"]["subjects"], values.shape)
    np.testing.assert_allclose(shown, np.where(dropped, 0, values), atol=1e-6)
    assert session[0]["numbers"]["nobody"] is None


def test_the_share_of_a_class_beside_the_others_is_that_of_python(session):
    net = SimpleNamespace(
        segment=lambda _: SimpleNamespace(confidence_masks=classes()),
        labels=("background", "top", "dress"),
    )
    expected = part_confidence(None, net, ("top",))
    values = np.reshape(session[0]["numbers"]["share"], expected.shape)
    np.testing.assert_allclose(values, expected, atol=1e-6)
    assert (np.array(session[0]["numbers"]["alone"]) == 1).all()


def test_without_an_effect_the_photo_is_as_it_was(session, photo):
    np.testing.assert_array_equal(
        picture(session, "none.png"), np.asarray(Image.open(photo))
    )


def test_the_background_changes_and_the_person_does_not(session, photo, person):
    image = np.asarray(Image.open(photo)).astype(int)
    alpha = refine_edges(image.astype("uint8"), person.confidence_masks[..., 0])
    color = picture(session, "color.png").astype(int)
    assert (alpha == 0).mean() > 0.5
    # The matte rests on the net's map, which WebAssembly gives to a few digits.
    outside = abs(color - (0x2E, 0x7D, 0x6B)).max(-1)[alpha == 0]
    assert np.percentile(outside, 99.9) <= 1
    for name in ("portrait.png", "color.png", "image.png"):
        inside = abs(picture(session, name) - image).max(-1)[alpha == 1]
        assert np.percentile(inside, 99.9) <= 1
    # 90 x 60 stripes cover 341 x 512: both colours of them are seen.
    levels = picture(session, "image.png")[alpha == 0][:, 0]
    assert np.percentile(levels, 5) < 60 < 190 < np.percentile(levels, 95)


def test_clothes_change_their_colour_and_keep_their_folds(session, photo):
    image = np.asarray(Image.open(photo))
    alpha = part_alpha(image, kseg.load("clothes_float16"), ("top",))
    shown = picture(session, "garment.png")
    changed = abs(shown.astype(int) - image).max(-1)
    inside, outside = alpha > 0.99, alpha == 0
    assert inside.mean() > 0.02
    assert outside.mean() > 0.3
    assert np.percentile(changed[outside], 99) == 0
    old, new = rgb2lab(image)[inside], rgb2lab(shown)[inside]
    target = rgb2lab(np.array([0x2E, 0x7D, 0x6B], "uint8"))
    assert spearmanr(old[:, 0], new[:, 0]).statistic > 0.9
    assert abs(np.median(new, 0) - target).max() < 12


def test_portrait_looks_as_in_python(session, photo):
    from kseg.mobile.scenarios.portrait import portrait

    image = np.asarray(Image.open(photo)).astype(int)
    expected = np.asarray(portrait(photo)).astype(int)
    difference = abs(picture(session, "portrait.png") - expected).mean()
    assert difference < 0.2 * abs(image - expected).mean()


def test_the_screen_shows_the_portrait(session, photo):
    from kseg.mobile.scenarios.portrait import portrait

    shown = picture(session, "screen.png").astype(int)
    size = shown.shape[1::-1]
    expected = np.asarray(portrait(photo).resize(size)).astype(int)
    image = np.asarray(Image.open(photo).resize(size)).astype(int)
    inner = np.s_[8:-8, 8:-8]  # its corners are round
    difference = abs(shown - expected)[inner].mean()
    assert difference < 0.2 * abs(image - expected)[inner].mean()


def test_a_picture_without_a_person_stays_and_says_so(session):
    assert "No person found:" in session[0]["status"]["empty"]
    assert (picture(session, "empty.png") == (90, 120, 200)).all()


def test_a_sample_that_ships_is_shown(session):
    with Image.open(min(PHOTOS.glob("*.jpg"))) as sample:
        assert picture(session, "sample.png").shape[:2] == sample.size[::-1]


def test_the_page_says_what_it_did_and_how_long_it_took(session):
    found = session[0]
    status = found["status"]
    assert status["start"].startswith("Ready, by ")
    assert status["webgpu"].startswith("Ready, by WebGPU")
    assert status["photo"] == "Found: person."
    assert status["image"] == "Choose a background picture."
    assert status["broken"] == "This file is no picture that the browser can read."
    for latency in (found["latency"], found["webgpu"]):
        assert re.fullmatch(r"\w+: net [\d.]+ ms, picture [\d.]+ ms", latency)
    assert found["failures"] == []


def test_a_gpu_that_fails_leaves_it_to_webassembly(session):
    fallback = session[0]["fallback"]
    assert fallback["tried"] == ["jspi", "threaded"]
    assert fallback["status"].startswith("Ready, by WebAssembly")


def test_the_camera_runs_and_stops_by_keyboard(session):
    found = session[0]
    assert re.search(r"[\d.]+ pictures a second$", found["camera"])
    assert found["button"] == "Use the camera"
    assert found["stopped"]
    frame = picture(session, "camera.png")
    assert frame.shape == (480, 640, 3)
    red, green, blue = frame.mean((0, 1))  # Chromium's fake device is a green field
    assert green > 100 > max(red, blue)


def test_every_control_has_a_name_and_is_reached_by_tab(session):
    assert session[0]["unnamed"] == []
    expected = "file sample camera portrait strength color garment background"
    assert session[0]["tabs"] == expected.split()


def test_without_a_clothes_net_there_is_no_choice_of_clothes(session):
    assert session[0]["clothes"] == {"with": 2, "without": 0}
    garments = [*kseg.load("clothes_float16").labels]
    assert session[0]["garments"] == garments[garments.index("top") :]


def test_no_other_machine_is_asked_and_threads_may_run(session, clothes_address):
    assert session[0]["isolated"]
    assert len(session[0]["requests"]) > 10
    assert [
        url for url in session[0]["requests"] if not url.startswith(clothes_address)
    ] == []
