"""The example that cuts out lines of handwriting: drawn pages, and a real one."""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "examples" / "handwriting_lines.py"
PAGE = "e-codices_csg-0863_004_max"
OTHER = "testfile_image004533645_00059"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(SCRIPT))


def page(lines=8, letters=30, slope=0.0, seed=0):
    """Ink of some lines, 12 pixels high and 30 apart, and their boxes."""
    rng = np.random.default_rng(seed)
    ink, boxes = np.zeros((lines * 30 + 60, letters * 14 + 80), bool), []
    for line in range(lines):
        last = letters - rng.integers(0, 8)
        for letter in range(last):
            left, top = 40 + 14 * letter, 40 + 30 * line + round(slope * 14 * letter)
            ink[top : top + 12, left : left + 8] = True
            ink[top + 3 : top + 9, left + 2 : left + 6] = rng.random() < 0.3
        boxes.append([40, 40 + 30 * line, left + 8, top + 12])
    return ink, boxes


@pytest.mark.parametrize("slope", [0.0, 0.03], ids=["level", "rising"])
def test_every_row_is_a_line(slope, example):
    ink, boxes = page(slope=slope)
    assert example["find_lines"](ink) == boxes


def test_lines_that_run_down_the_page_are_found_from_left_to_right(example):
    ink, boxes = page(seed=1)
    expected = [[top, left, bottom, right] for left, top, right, bottom in boxes]
    assert example["find_lines"](ink.T, columns=True) == expected


def test_dots_and_strokes_above_belong_to_their_line(example):
    ink, boxes = page(lines=4)
    ink[34:36, 100:103] = True  # above the first line
    ink[30 + 55 : 30 + 57, 200:203] = True  # below the second
    boxes[0][1], boxes[1][3] = 34, 30 + 57
    assert example["find_lines"](ink) == boxes


def test_the_frame_of_a_page_is_no_line(example):
    ink, boxes = page()
    ink[[3, -3]], ink[:, [5, -5]] = True, True
    assert example["find_lines"](ink) == boxes


def test_an_empty_page_has_no_lines(example):
    assert example["find_lines"](np.zeros((50, 40), bool)) == []


def test_overlap_is_the_iou_of_boxes(example):
    overlap = example["overlap"]
    assert overlap([0, 0, 2, 2], [1, 0, 3, 2]) == pytest.approx(1 / 3)
    assert overlap([0, 0, 2, 2], [2, 0, 3, 2]) == 0
    assert overlap([0, 0, 2, 2], [0, 0, 2, 2]) == 1


@pytest.mark.slow
def test_learns_the_ink_of_one_page_and_finds_the_lines_of_another(
    run_example, data_dir, tmp_path, capsys
):
    folder = data_dir("handwriting")
    for split, name in (("training", PAGE), ("validation", OTHER)):
        for kind, suffix in (("img", ".jpg"), ("pixel-level-gt", "_gt.png")):
            place = tmp_path / f"diva/{kind}-CS863/{kind}/{split}"
            place.mkdir(parents=True)
            (place / f"{name}.{suffix[-3:]}").symlink_to(folder / f"{name}{suffix}")
    output = tmp_path / "lines"
    run_example("handwriting_lines.py", tmp_path / "diva", "-o", output, "--columns")
    # The page has eight columns; the net has seen no other script than Latin.
    printed = capsys.readouterr().out
    found = re.search(r"(\d+) of the (\d+) lines of the true ink are found", printed)
    assert int(found[2]) == 8
    assert int(found[1]) >= 6
    boxes = json.loads((output / f"CS863_{OTHER}.json").read_text())
    for number, (left, top, right, bottom) in enumerate(boxes):
        with Image.open(output / f"CS863_{OTHER}" / f"{number:03}.jpg") as crop:
            assert crop.size == (right - left, bottom - top)
