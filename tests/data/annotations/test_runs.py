import numpy as np
import pytest

from kseg.data.annotations.runs import (
    decode_runs,
    encode_runs,
    pack_counts,
    unpack_counts,
)

# Encoded by pycocotools 2.0.11.
PACKED = "01f02^O00NM0320000<"
BITMAP = np.zeros((7, 11), bool)
BITMAP[2:5, 3:9] = True
BITMAP[3, 5] = False
BITMAP[0, 0] = True


def test_packed_runs_are_those_of_pycocotools():
    assert pack_counts(encode_runs(BITMAP, "F")) == PACKED
    np.testing.assert_array_equal(
        decode_runs(unpack_counts(PACKED), 7, 11, "F"), BITMAP
    )


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_runs_give_back_the_bitmap(order, share):
    bitmap = np.random.default_rng(1).random((40, 33)) < share
    counts = encode_runs(bitmap, order)
    assert sum(counts) == bitmap.size
    assert min(counts[1:], default=1) > 0
    np.testing.assert_array_equal(decode_runs(counts, 40, 33, order), bitmap)
    assert unpack_counts(pack_counts(counts)) == counts


def test_runs_go_along_rows_in_c_and_along_columns_in_f():
    bitmap = np.array([[0, 1, 1], [0, 0, 1]], bool)
    assert encode_runs(bitmap, "C") == [1, 2, 2, 1]
    assert encode_runs(bitmap, "F") == [2, 1, 1, 2]


def test_large_counts_and_falling_counts():
    counts = [0, 5, 1_000_000, 2, 3, 999_999, 0]
    assert unpack_counts(pack_counts(counts)) == counts


@pytest.mark.parametrize("text", ["0é", "0 1", "01\x00", "p"])
def test_character_that_is_no_count(text):
    with pytest.raises(ValueError, match="no run length at character|cut off"):
        unpack_counts(text)


def test_cut_off_and_endless_number():
    with pytest.raises(ValueError, match="cut off"):
        unpack_counts("0P")
    with pytest.raises(ValueError, match="no run length at character 13"):
        unpack_counts("o" * 1000)
