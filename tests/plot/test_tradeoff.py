import sys

import numpy as np
import pytest
from PIL import Image

from kseg.plot import palette, tradeoff

SMALL = ("small", 2.0, 0.5, 0.8)
LARGE = ("large", 20.0, 8.0, 0.9)


def draw(tmp_path, panels, **kwargs):
    path = tmp_path / "nets.png"
    tradeoff(panels, path, **kwargs)
    assert [p.name for p in tmp_path.iterdir()] == ["nets.png"]
    return np.asarray(Image.open(path).convert("RGB"), int)


def bubble(image, net):
    """Rows and columns of a net's bubble, without the legend's."""
    # Three quarters of the colour over white.
    color = 0.75 * np.array(palette(2, background=False)[net]) + 0.25 * 255
    inside = image[: int(0.8 * len(image))]
    return np.nonzero((np.abs(inside - color) < 6).all(-1))


def test_faster_is_left_better_is_up_larger_is_larger(tmp_path):
    image = draw(tmp_path, {"cpu": [SMALL, LARGE]})
    small, large = bubble(image, 0), bubble(image, 1)
    assert small[1].mean() < large[1].mean()
    assert small[0].mean() > large[0].mean()
    assert 4 < len(large[0]) / len(small[0]) < 12  # areas 40 + 860 x (1/16, 1)


def test_latency_starts_at_zero(tmp_path):
    image = draw(tmp_path, {"cpu": [SMALL, ("large", 4.0, 8.0, 0.9)]})
    small, large = bubble(image, 0)[1].mean(), bubble(image, 1)[1].mean()
    # Half the latency is half the way from the axis; the axis is a dark column.
    dark = (image[: int(0.7 * len(image))].max(-1) < 60).sum(0)
    axis = int(np.argmax(dark[: image.shape[1] // 2]))
    assert (small - axis) / (large - axis) == pytest.approx(0.5, abs=0.02)


def test_small_differences_of_iou_look_small(tmp_path):
    image = draw(tmp_path, {"cpu": [SMALL, ("large", 20.0, 8.0, 0.801)]})
    small, large = bubble(image, 0)[0].mean(), bubble(image, 1)[0].mean()
    # The axis spans at least 0.08.
    assert 1 < small - large < 0.02 * len(image)


def test_places_are_panels(tmp_path):
    one = draw(tmp_path, {"cpu": [SMALL, LARGE]})
    (tmp_path / "nets.png").unlink()
    three = draw(tmp_path, {"cpu": [SMALL, LARGE], "gpu": [LARGE], "wasm": [SMALL]})
    assert three.shape[1] > 2 * one.shape[1]


def test_a_net_without_iou_is_hollow_and_below(tmp_path):
    image = draw(tmp_path, {"cpu": [LARGE, ("unknown", 10.0, 8.0, None)]})
    full, hollow = bubble(image, 0), bubble(image, 1)
    assert hollow[0].mean() > full[0].mean()
    assert 0 < len(hollow[0]) < 0.2 * len(full[0])


def test_without_any_iou_size_is_drawn(tmp_path):
    nets = [(name, latency, size, None) for name, latency, size, _ in (SMALL, LARGE)]
    image = draw(tmp_path, {"cpu": nets})
    assert bubble(image, 0)[0].mean() > bubble(image, 1)[0].mean()


def test_no_window_system_is_touched(tmp_path):
    loaded = "matplotlib.pyplot" in sys.modules
    draw(tmp_path, {"cpu": [SMALL]}, iou_label="mean IoU")
    assert ("matplotlib.pyplot" in sys.modules) == loaded


@pytest.mark.parametrize(
    "panels",
    [{}, {"cpu": []}, {"cpu": [("a", 0.0, 1.0, 0.5)]}, {"cpu": [("a", 1.0, 0, None)]}],
    ids=["no panel", "no net", "no latency", "no size"],
)
def test_nothing_to_draw_is_refused(tmp_path, panels):
    with pytest.raises(ValueError, match="`panels` must hold nets.*Received"):
        tradeoff(panels, tmp_path / "nets.png")
    assert list(tmp_path.iterdir()) == []
