from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from typer.testing import CliRunner

from kseg import cli
from kseg.mobile.scenarios.tryon import garment_crop, tryon


class Segmenter:
    """Answers every photo with the same confidences."""

    def __init__(self, *masks, labels=("background", "top", "bottom")):
        self.masks = np.stack(masks, -1).astype(np.float32)
        self.labels = labels

    def segment(self, image):
        return SimpleNamespace(confidence_masks=self.masks)


def scene(height=80, width=100):
    """A blue garment before noise, and its mask."""
    photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    mask = np.zeros((height, width), bool)
    mask[20:60, 30:70] = True
    photo[mask] = (60, 90, 160)
    return photo, mask


def test_garment_of_a_mask_changes_and_nothing_else():
    photo, mask = scene()
    tile = np.random.default_rng(1).integers(0, 256, (9, 9, 3), np.uint8)
    for how in ({"color": "red"}, {"pattern": tile}, {"pattern": tile, "lightness": 1}):
        result = np.asarray(tryon(photo, mask=mask, **how))
        assert (result[~mask] == photo[~mask]).all()
        assert (result[mask] != photo[mask]).any(-1).mean() > 0.8


def test_garment_is_found_by_its_label():
    photo, mask = scene()
    net = Segmenter(~mask, mask, 0 * mask)
    for name in ("top", "Top"):
        result = np.asarray(tryon(photo, net, name, color="red"))
        inside = ndimage.binary_erosion(mask, iterations=5)
        outside = ~ndimage.binary_dilation(mask, iterations=5)
        assert (result[inside][:, 0] > result[inside][:, 2]).all()
        assert (result[outside] == photo[outside]).all()
    with pytest.raises(ValueError, match="labelled 'hat'.*Received: 3 classes"):
        tryon(photo, net, "hat", color="red")


def test_the_net_that_ships_is_taken_by_default(monkeypatch):
    photo, mask = scene()
    names, net = [], Segmenter(~mask, mask, 0 * mask)
    monkeypatch.setattr(
        "kseg.mobile.segmenter.load", lambda name: names.append(name) or net
    )
    result = tryon(photo, color="red")
    assert names == ["clothes_float16"]
    np.testing.assert_array_equal(result, tryon(photo, net, color="red"))


def test_a_garment_is_where_the_net_chooses_it_however_unsure():
    photo, mask = scene()
    chosen = np.where(mask, 0.4, 0.1)
    net = Segmenter(np.where(mask, 0.3, 0.8), chosen, np.where(mask, 0.3, 0.1))
    share = np.where(mask, 4 / 7, 1 / 9)  # beside the strongest other
    sure = Segmenter(1 - share, share, 0 * share)
    result = np.asarray(tryon(photo, net, color="red"))
    assert (result[mask] != photo[mask]).any(-1).mean() > 0.8
    np.testing.assert_array_equal(result, tryon(photo, sure, color="red"))


def test_net_of_one_class_needs_the_label_of_the_garment():
    photo, mask = scene()
    named = Segmenter(mask, labels=("background", "top"))
    assert (np.asarray(tryon(photo, named, color="red")) != photo).any()
    with pytest.raises(ValueError, match="labelled 'top'"):
        tryon(photo, Segmenter(mask, labels=("background", "person")), color="red")


def test_no_garment_returns_the_photo_and_says_so():
    photo, mask = scene()
    empty = np.zeros_like(mask)
    for how in ({"mask": empty}, {"segmenter": Segmenter(~empty, empty, empty)}):
        with pytest.warns(UserWarning, match="no top found: the photo is unchanged"):
            result = tryon(photo, color="red", **how)
        assert (np.asarray(result) == photo).all()


def test_full_mask_and_strength_zero():
    photo, mask = scene()
    result = tryon(photo, mask=np.ones_like(mask), color="red")
    assert result.size == (100, 80)
    result = tryon(photo, mask=mask, color="red", strength=0)
    assert (np.asarray(result) == photo).all()


def test_grey_photo_becomes_colored_and_stays_grey_for_grey():
    photo, mask = scene()
    grey = photo[..., 0]
    assert tryon(grey, mask=mask, color="red").mode == "RGB"
    assert tryon(grey, mask=mask, color="red", strength=0).mode == "L"


def test_opacity_is_kept():
    photo, mask = scene()
    opacity = np.random.default_rng(1).integers(0, 256, (80, 100, 1), np.uint8)
    image = Image.fromarray(np.concatenate([photo, opacity], -1))
    result = np.asarray(tryon(image, mask=mask, color="red"))
    assert (result[..., 3:] == opacity).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2)])
def test_tiny_photos_work(size):
    photo = np.full((*size, 3), 90, np.uint8)
    mask = np.ones(size, bool)
    for how in ({"color": "red"}, {"pattern": photo}):
        assert tryon(photo, mask=mask, **how).size == size[::-1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "`color` and `pattern`"),
        ({"color": "red", "pattern": "x.png"}, ValueError, "`color` and `pattern`"),
        ({"color": "redd"}, ValueError, "Received: color='redd'"),
        ({"color": "red", "tile": 0}, ValueError, "Received: tile=0"),
        ({"color": "red", "lightness": 2}, ValueError, "Received: lightness=2"),
        ({"color": "red", "strength": -1}, ValueError, "Received: strength=-1"),
        ({"color": "red", "mask": np.ones((3, 4))}, ValueError, r"mask.shape=\(3, 4\)"),
        ({"color": "red", "mask": np.full((80, 100), 9.0)}, ValueError, "9.0 to 9.0"),
        (
            {"color": "red", "mask": np.ones((80, 100), np.uint8)},
            TypeError,
            "`mask == class_id`.*Received: dtype=uint8",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments, error, message):
    photo, mask = scene()
    with pytest.raises(error, match=message):
        tryon(photo, **{"mask": mask, **arguments})


def test_real_garments_keep_their_light_and_surroundings(data_dir):
    """The rank of lightness within a dress is as before."""
    folder = data_dir("ccp")
    for name in ("0029", "0038", "0047"):
        photo = np.asarray(Image.open(folder / "photos" / f"{name}.jpg").convert("RGB"))
        tags = folder / "annotations" / "pixel-level" / f"{name}.png"
        dress = np.asarray(Image.open(tags)) == 14
        assert dress.any()
        result = np.asarray(tryon(photo, mask=dress, color="crimson", lightness=0.5))
        assert (result[~dress] == photo[~dress]).all()
        before, after = (
            np.asarray(Image.fromarray(a).convert("L"))[dress] for a in (photo, result)
        )
        assert np.corrcoef(before, after)[0, 1] > 0.95
        red, green, blue = result[dress].astype(int).T
        assert ((red >= green) & (red >= blue)).mean() > 0.99


def test_crop_is_the_box_of_the_garment_with_its_margin():
    photo, mask = scene()
    crop, alpha, box = garment_crop(photo, mask, margin=0)
    assert box == (30, 20, 70, 60)
    assert (crop == photo[20:60, 30:70]).all()
    assert (alpha == 1).all()
    crop, alpha, box = garment_crop(photo, mask, margin=0.1)
    assert box == (26, 16, 74, 64)
    assert (crop == photo[16:64, 26:74]).all()
    assert (alpha == mask[16:64, 26:74]).all()
    assert garment_crop(photo, mask, margin=1)[2] == (0, 0, 100, 80)


def test_crop_leaves_out_specks_and_does_not_share_memory():
    photo, mask = scene()
    mask = mask.astype(np.float32)
    mask[2:5, 2:5] = 1
    crop, alpha, box = garment_crop(photo, mask, margin=0)
    assert box == (30, 20, 70, 60)
    assert not np.shares_memory(crop, photo)
    assert not np.shares_memory(alpha, mask)


def test_crop_of_one_pixel_and_of_nothing():
    crop, alpha, box = garment_crop(np.zeros((1, 1, 3), np.uint8), np.ones((1, 1)))
    assert (crop.shape, alpha.shape, box) == ((1, 1, 3), (1, 1), (0, 0, 1, 1))
    with pytest.raises(ValueError, match="Received: a mask that is empty"):
        garment_crop(scene()[0], np.zeros((80, 100)))


def test_command_writes_what_the_call_returns(tmp_path):
    photo, mask = scene()
    paths = [str(tmp_path / name) for name in ("photo.png", "mask.png", "out.png")]
    Image.fromarray(photo).save(paths[0])
    Image.fromarray(mask).save(paths[1])
    arguments = ["tryon", paths[0], "--mask", paths[1], "-o", paths[2]]
    arguments += ["--color", "red", "--lightness", "0.5"]
    done = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    assert "Wrote" in done.output
    expected = np.asarray(tryon(photo, mask=mask, color="red", lightness=0.5))
    assert (np.asarray(Image.open(paths[2])) == expected).all()
