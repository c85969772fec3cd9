import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from typer.testing import CliRunner

from kseg import cli
from kseg.mobile.scenarios.background import background
from kseg.mobile.scenarios.portrait import portrait


def away_from_the_edge(mask):
    inside = ndimage.binary_erosion(mask, iterations=6)
    return inside, ~ndimage.binary_dilation(mask, iterations=6)


@pytest.mark.parametrize("color", ["#00b140", (0, 177, 64), np.array([0, 177, 64])])
def test_color_is_behind_the_person_and_the_person_is_as_before(
    color, scene, segmenter_of
):
    photo, mask = scene()
    result = np.asarray(background(photo, segmenter_of(mask), color=color))
    inside, outside = away_from_the_edge(mask)
    assert (result[inside] == photo[inside]).all()
    assert (result[outside] == (0, 177, 64)).all()


@pytest.mark.parametrize("size", [(120, 160), (300, 400), (1, 1), (700, 90), (50, 51)])
def test_picture_of_any_size_covers_the_photo(size, scene, segmenter_of):
    photo, mask = scene()
    picture = np.full((*size, 3), (9, 200, 100), np.uint8)
    result = np.asarray(background(photo, segmenter_of(mask), picture=picture))
    inside, outside = away_from_the_edge(mask)
    assert (result[inside] == photo[inside]).all()
    assert (result[outside] == (9, 200, 100)).all()


def test_picture_is_cut_around_its_middle_and_keeps_its_proportions(
    scene, segmenter_of
):
    photo, mask = scene(100, 100)
    picture = np.zeros((100, 300, 3), np.uint8)
    picture[:, 100:200] = scene(100, 100)[0]
    result = np.asarray(background(photo, segmenter_of(mask), picture=picture))
    outside = away_from_the_edge(mask)[1]
    assert (result[outside] == photo[outside]).all()


def test_blur_is_that_of_portrait_mode(scene, segmenter_of):
    photo, mask = scene()
    expected = portrait(photo, segmenter_of(mask), strength=0.7)
    result = background(photo, segmenter_of(mask), blur=0.7)
    assert (np.asarray(result) == np.asarray(expected)).all()


def test_no_person_returns_the_photo_and_says_so(scene, segmenter_of):
    photo, mask = scene()
    with pytest.warns(UserWarning, match="no person found: the photo is unchanged"):
        result = background(photo, segmenter_of(np.zeros_like(mask)), color="white")
    assert (np.asarray(result) == photo).all()


def test_person_everywhere_returns_the_photo(scene, segmenter_of):
    photo, _ = scene()
    result = background(photo, segmenter_of(np.ones((4, 5))), color="white")
    assert (np.asarray(result) == photo).all()


def test_grey_photo_takes_a_color_and_stays_grey_where_nothing_is_colored(
    scene, segmenter_of
):
    photo, mask = scene()
    grey = photo[..., 0]
    for image in (grey, grey[..., None], Image.fromarray(grey)):
        assert background(image, segmenter_of(mask), color="red").mode == "RGB"
        assert background(image, segmenter_of(mask), color="white").mode == "L"


def test_opacity_is_kept(scene, segmenter_of):
    photo, mask = scene(40, 50)
    opacity = np.random.default_rng(1).integers(0, 256, (40, 50, 1), np.uint8)
    rgba = np.concatenate([photo, opacity], -1)
    for image in (rgba, Image.fromarray(rgba)):
        result = background(image, segmenter_of(mask), color="white")
        assert (np.asarray(result)[..., 3:] == opacity).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 7)])
@pytest.mark.parametrize("how", [{"color": "red"}, {"blur": 1}])
def test_tiny_photos_work(size, how, segmenter_of):
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    confidence = np.zeros(size)
    confidence[0, 0] = 1
    assert background(photo, segmenter_of(confidence), **how).size == size[::-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Received: none of them"),
        ({"color": "red", "blur": 0.5}, "Received: color and blur"),
        ({"blur": 1.5}, "Received: blur=1.5"),
        ({"color": "reddish"}, "Received: color='reddish'"),
        ({"color": (1, 2, 256)}, r"Received: color=\(1, 2, 256\)"),
        ({"color": (0.5, 0, 1)}, r"Received: color=\(0.5, 0, 1\)"),
        ({"color": "red", "threshold": 1}, "Received: threshold=1"),
    ],
)
def test_wrong_arguments_are_named(arguments, message, scene, segmenter_of):
    with pytest.raises(ValueError, match=message):
        background(scene()[0], segmenter_of(scene()[1]), **arguments)


@pytest.mark.parametrize("color", [(0, 177, 64), (255, 255, 255), (0, 0, 0)])
def test_real_portraits_stay_inside_and_change_outside_of_their_mattes(
    color, data_dir, segmenter_of
):
    folder = data_dir("p3m")
    for path in sorted((folder / "images").iterdir())[:3]:
        with Image.open(folder / "alpha" / f"{path.stem}.png") as image:
            alpha = np.asarray(image.convert("L"), np.float32) / 255
        photo = np.asarray(Image.open(path).convert("RGB"))
        small = np.asarray(Image.fromarray(alpha).resize((64, 64)))
        result = background(path, segmenter_of(np.clip(small, 0, 1)), color=color)
        result = np.asarray(result)
        inside = ndimage.binary_erosion(alpha == 1, iterations=12)
        outside = ndimage.binary_erosion(alpha == 0, iterations=12)
        assert (result[inside] == photo[inside]).mean() > 0.99
        assert (result[outside] == color).mean() > 0.99


def test_command_writes_what_the_call_returns(shipped, tmp_path, scene, segmenter_of):
    photo, mask = scene()
    source, output = tmp_path / "photo.png", tmp_path / "out.png"
    Image.fromarray(photo).save(source)
    arguments = ["background", str(source), "-o", str(output), "--color", "#00b140"]
    done = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    assert "Wrote" in done.output
    expected = np.asarray(background(photo, segmenter_of(mask), color="#00b140"))
    assert (np.asarray(Image.open(output)) == expected).all()
