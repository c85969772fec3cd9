"""The picture of the worst photos: which they are, and what it shows of them."""

import types

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import jaccard_score
from typer.testing import CliRunner

from kseg import cli, data, training
from kseg.training.worst import photo_iou


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


@pytest.mark.parametrize("seed", range(5))
def test_iou_of_a_photo_is_scikit_learns_without_ignored_pixels(seed):
    rng = np.random.default_rng(seed)
    truth = rng.choice(np.array([0, 1, 3, 255], "uint8"), (9, 7))
    predicted = rng.integers(0, 3, (9, 7))
    known = truth != 255
    several = types.SimpleNamespace(num_classes=5, ignore_class=255)
    expected = jaccard_score(truth[known], predicted[known], average=None)
    assert photo_iou(truth, predicted, several) == pytest.approx(expected.mean())
    two = types.SimpleNamespace(num_classes=2, ignore_class=255)
    expected = jaccard_score(truth[known] == 1, predicted[known] == 1)
    assert photo_iou(truth, predicted, two) == pytest.approx(expected)


def test_nobody_and_nobody_found_is_no_mistake():
    empty = np.zeros((4, 4), "uint8")
    assert photo_iou(empty, empty, Memory()) == 1
    assert photo_iou(np.full((4, 4), 255), empty, Memory()) == 1


def test_wrong_arguments_are_named(photos):
    with pytest.raises(ValueError, match="Received: count=0"):
        training.draw_worst(Shifted(), photos, count=0)
    with pytest.raises(TypeError, match="`segmenter` must be"):
        training.draw_worst("net.keras", photos)


def test_the_command_writes_the_picture(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("kseg.load", lambda name: Shifted())
    monkeypatch.setattr(data.datasets, "open_dataset", lambda *args, **options: photos)
    path = tmp_path / "worst.png"
    arguments = ["evaluate", "person", str(tmp_path), "--worst", str(path)]
    done = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    assert "worst photos are in" in " ".join(done.output.split())
    with Image.open(path) as picture:
        assert picture.size[0] > 6 * 200
