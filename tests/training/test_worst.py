"""The picture of the worst photos: which they are, and what it shows of them."""

import types

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import jaccard_score
from typer.testing import CliRunner

from kseg import cli, data, training


class Memory(list):
    """Samples that are in memory: grey photos, class 1 in a square."""

    class_names, num_classes, ignore_class = ("background", "person"), 2, 255
    colors = ((0, 0, 0), (255, 0, 0))


class Shifted:
    """Masks that are the truth, moved by as many pixels as the photo is grey."""

    num_classes = 1

    def segment(self, image, output_confidence_masks=None):
        mask = square(int(image[0, 0, 0]))
        return types.SimpleNamespace(category_mask=mask)


def square(shift=0):
    mask = np.zeros((40, 60), "uint8")
    mask[10:30, 10 + shift : 30 + shift] = 1
    return mask


@pytest.fixture
def photos():
    shifts = (1, 12, 0, 6)
    images = [np.full((40, 60, 3), shift, "uint8") for shift in shifts]
    return Memory(
        data.Sample(image, square(), f"by {shift}")
        for shift, image in zip(shifts, images, strict=True)
    )


def test_the_worst_come_first_with_photo_truth_and_mask(photos, monkeypatch):
    shown = {}

    def sheet(tiles, titles, **options):
        shown.update(tiles=tiles, titles=titles)
        return Image.new("RGB", (8, 8))

    monkeypatch.setattr("kseg.training.worst.plot.sheet", sheet)
    training.draw_worst(Shifted(), photos, count=2)
    # Of 20 columns 8 are in both and 32 in either; then 14 and 26.
    assert shown["titles"] == [
        *("by 12", "truth", f"IoU {8 / 32:.2f}"),
        *("by 6", "truth", f"IoU {14 / 26:.2f}"),
    ]
    photo, truth, mask = map(np.asarray, shown["tiles"][:3])
    np.testing.assert_array_equal(photo, photos[1].image)
    np.testing.assert_array_equal(truth[..., 0] > 100, square() == 1)
    np.testing.assert_array_equal(mask[..., 0] > 100, square(12) == 1)


def test_fewer_photos_than_asked_for_are_all_drawn(photos):
    picture = training.draw_worst(Shifted(), photos, count=9)
    assert picture.mode == "RGB" and picture.size[0] > 6 * 200


class Told:
    """Answers that are given with the photos."""

    def __init__(self, num_classes, masks):
        self.num_classes, self._masks = num_classes, masks

    def segment(self, image, output_confidence_masks=None):
        return types.SimpleNamespace(category_mask=self._masks[image[0, 0, 0]])


@pytest.mark.parametrize("classes", [2, 4])
def test_iou_of_a_photo_is_scikit_learns_without_ignored_pixels(classes, monkeypatch):
    rng = np.random.default_rng(classes)
    labels = np.array([0, 1, 255] if classes == 2 else [0, 1, 3, 255], "uint8")
    truths = [rng.choice(labels, (9, 7)) for _ in range(5)]
    masks = [rng.integers(0, min(classes, 3), (9, 7)).astype("uint8") for _ in truths]
    photos = Memory(
        data.Sample(np.full((9, 7, 3), index, "uint8"), truth, str(index))
        for index, truth in enumerate(truths)
    )
    photos.num_classes = classes
    photos.class_names = tuple(map(str, range(classes)))
    photos.colors = ((0, 0, 0),) * classes
    expected = []
    for truth, mask in zip(truths, masks, strict=True):
        known = truth != 255
        one = {"average": None} if classes > 2 else {}
        expected.append(np.mean(jaccard_score(truth[known], mask[known], **one)))
    shown = []
    monkeypatch.setattr(
        "kseg.training.worst.plot.sheet",
        lambda tiles, titles, **_: shown.extend(titles),
    )
    training.draw_worst(Told(classes, masks), photos, count=5)
    order = np.argsort(expected)
    assert shown[::3] == [str(index) for index in order]
    assert shown[2::3] == [f"IoU {expected[index]:.2f}" for index in order]


@pytest.mark.parametrize("label", [0, 255], ids=["nobody", "all-ignored"])
def test_nobody_and_nobody_found_is_no_mistake(label, photos, monkeypatch):
    photos[2] = data.Sample(photos[2].image, np.full((40, 60), label, "uint8"), "empty")
    shown = []
    monkeypatch.setattr(
        "kseg.training.worst.plot.sheet",
        lambda tiles, titles, **_: shown.extend(titles),
    )
    masks = [square(shift) for shift in range(13)]
    masks[0] = np.zeros((40, 60), "uint8")  # of the empty photo
    training.draw_worst(Told(1, masks), photos, count=4)
    assert shown[-3:] == ["empty", "truth", "IoU 1.00"]


def test_wrong_arguments_are_named(photos):
    with pytest.raises(ValueError, match="Received: count=0"):
        training.draw_worst(Shifted(), photos, count=0)
    with pytest.raises(TypeError, match=r"Received: count=1.5"):
        training.draw_worst(Shifted(), photos, count=1.5)
    with pytest.raises(ValueError, match="`dataset` must hold a photo"):
        training.draw_worst(Shifted(), Memory())
    with pytest.raises(TypeError, match="`segmenter` must be"):
        training.draw_worst("net.keras", photos)


def test_the_command_writes_the_picture(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("kseg.load", lambda name: Shifted())
    monkeypatch.setattr(data.datasets, "open_dataset", lambda *args, **options: photos)
    arguments = ["evaluate", "person", str(tmp_path), "--worst"]
    with pytest.raises(
        ValueError, match="`worst` must be a file name that ends in .png"
    ):
        CliRunner().invoke(cli.app, [*arguments, "worst"], catch_exceptions=False)
    path = tmp_path / "worst.png"
    done = CliRunner().invoke(cli.app, [*arguments, str(path)], catch_exceptions=False)
    assert "worst photos are in" in " ".join(done.output.split())
    with Image.open(path) as picture:
        assert picture.size[0] > 6 * 200
