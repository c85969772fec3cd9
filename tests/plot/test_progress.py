import sys

import numpy as np
import pytest
from PIL import Image

from kseg.plot import curves

BLUE = (0, 114, 178)  # the first curve


def draw(tmp_path, text):
    csv, png = tmp_path / "metrics.csv", tmp_path / "curves.png"
    csv.write_text(text, "utf-8")
    curves(csv, png)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["curves.png", "metrics.csv"]
    return Image.open(png).convert("RGB")


def table(header, rows):
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)])


def has_color(image, color):
    return (abs(np.asarray(image, int) - color).max(-1) < 8).any()


def test_loss_and_iou_are_two_panels(tmp_path):
    header = "epoch,loss,val_loss,mean_iou,val_mean_iou,learning_rate"
    rows = [(n, 1 / n, 1.2 / n, 1 - 1 / n, 0.9 - 1 / n, 1e-3) for n in range(1, 9)]
    image = draw(tmp_path, table(header, rows))
    left = image.crop((0, 0, image.width // 2, image.height))
    right = image.crop((image.width // 2, 0, *image.size))
    assert has_color(left, BLUE)
    assert has_color(right, BLUE)


def test_loss_alone_is_one_panel(tmp_path):
    both = draw(tmp_path, "epoch,loss,mean_iou\n1,2,0.5\n2,1,0.6")
    (tmp_path / "curves.png").unlink()
    one = draw(tmp_path, "epoch,loss\n1,2\n2,1")
    assert one.width * 2 == both.width


def test_one_epoch_gaps_and_nan_can_be_drawn(tmp_path):
    draw(tmp_path, "epoch,loss,val_loss\n1,0.5,0.25")
    (tmp_path / "curves.png").unlink()
    draw(tmp_path, "epoch,val_loss,val_mean_iou\n1,nan,\n2,0.5,\n3,inf,")


def test_iou_of_classes_is_drawn_where_there_is_no_mean(tmp_path):
    draw(tmp_path, "epoch,iou,val_iou,val_cat_iou\n0,0.1,0.2,0.3\n1,0.2,0.3,0.4")


def test_no_window_system_is_touched(tmp_path):
    loaded = "matplotlib.pyplot" in sys.modules
    draw(tmp_path, "epoch,loss\n1,2")
    assert ("matplotlib.pyplot" in sys.modules) == loaded


def test_a_picture_that_fails_leaves_the_old_one(tmp_path):
    draw(tmp_path, "epoch,loss\n1,2\n2,1")
    before = (tmp_path / "curves.png").read_bytes()
    with pytest.raises(ValueError, match="must hold numbers"):
        draw(tmp_path, "epoch,loss\n1,two")
    assert (tmp_path / "curves.png").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "received"),
    [
        ("", "with 0 rows"),
        ("epoch,loss", "with 0 rows"),
        ("step,loss\n1,2", "with 1 rows"),
        ("epoch,accuracy\n1,2", r"columns \['epoch', 'accuracy'\]"),
    ],
)
def test_files_with_nothing_to_draw_are_named(tmp_path, text, received):
    with pytest.raises(ValueError, match=f"Received: .*{received}"):
        draw(tmp_path, text)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="Received: csv_path="):
        curves(tmp_path / "none.csv", tmp_path / "curves.png")
