import numpy as np
import pytest

from kseg.mobile.scenarios.pattern import lay_pattern


def stripes(rows=8, columns=8):
    """A tile whose left half is black and whose right half is white."""
    tile = np.zeros((rows, columns, 3), np.uint8)
    tile[:, columns // 2 :] = 255
    return tile


def grey(height=200, width=240):
    return np.full((height, width, 3), 128, np.uint8)


def box(top, left, bottom, right, size=(200, 240)):
    alpha = np.zeros(size, np.float32)
    alpha[top:bottom, left:right] = 1
    return alpha


def test_pattern_moves_with_the_garment():
    image = grey()
    here = lay_pattern(stripes(), image, box(20, 30, 120, 130), 0.2)
    there = lay_pattern(stripes(), image, box(60, 90, 160, 190), 0.2)
    difference = here[20:120, 30:130].astype(int) - there[60:160, 90:190]
    assert abs(difference).mean() < 1


def test_tiles_have_their_share_of_the_width_in_the_middle():
    alpha = box(20, 20, 180, 220)
    laid = lay_pattern(stripes(), grey(), alpha, 0.1)  # tiles of 20 pixels
    row = laid[100, 70:170, 0] > 127
    changes = np.flatnonzero(np.diff(row.astype(int)))
    assert np.diff(changes).mean() == pytest.approx(10, abs=1.5)


def test_tiles_crowd_together_towards_the_sides():
    alpha = box(0, 40, 200, 200)
    laid = lay_pattern(stripes(), grey(), alpha, 0.1)
    row = laid[100, 40:200, 0] > 127
    widths = np.diff(np.flatnonzero(np.diff(row.astype(int))))
    third = len(widths) // 4
    assert widths[third:-third].mean() > widths[:third].mean()
    assert widths[third:-third].mean() > widths[-third:].mean()


def test_stripes_bend_at_folds():
    alpha, image = box(20, 20, 180, 220), grey()
    straight = lay_pattern(stripes(), image, alpha, 0.1)
    y, x = np.mgrid[:200, :240]
    image[:] = (128 + 80 * np.sin((x + y) / 8))[..., None]
    bent = lay_pattern(stripes(), image, alpha, 0.1)
    middle = np.s_[60:140, 80:160, 0]
    assert np.ptp(straight[middle].astype(int), 0).mean() < 40
    assert np.ptp(bent[middle].astype(int), 0).mean() > 100


def test_outside_of_the_garment_nothing_is_laid():
    alpha = box(20, 30, 120, 130)
    laid = lay_pattern(stripes() + 1, grey(), alpha, 0.3)
    assert (laid[alpha == 0] == 0).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3)])
@pytest.mark.parametrize("tile", [(1, 1), (1, 5), (30, 2)])
def test_tiny_photos_and_tiles_work(size, tile):
    image = np.zeros((*size, 3), np.uint8)
    pattern = np.full((*tile, 3), 77, np.uint8)
    laid = lay_pattern(pattern, image, np.ones(size, np.float32), 1.0)
    assert (laid == 77).all()
