import dataclasses
import pickle

import numpy as np
import pytest
from PIL import Image

from kseg.data import Sample
from kseg.data.datasets import Dataset
from kseg.plot import palette

NAMES = ("sky", "sea")


@pytest.fixture
def dataset(make_folder):
    root = make_folder({f"{i}": np.full((3, 4), i % 2) for i in range(12)})
    return Dataset(
        [
            (f"{i}", root / f"images/{i}.jpg", root / f"masks/{i}.png")
            for i in range(12)
        ],
        NAMES,
    )


def test_sample_holds_what_the_files_hold(dataset):
    sample = dataset[3]
    assert isinstance(sample, Sample)
    assert (sample.id, sample.image.shape, sample.image.dtype) == (
        "3",
        (3, 4, 3),
        np.uint8,
    )
    np.testing.assert_array_equal(sample.mask, np.ones((3, 4)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        sample.id = "4"


def test_it_behaves_as_a_sequence(dataset):
    assert len(dataset) == 12
    assert dataset[-1].id == dataset[np.int64(11)].id == "11"
    assert [sample.id for sample in dataset] == [str(i) for i in range(12)]
    assert next(reversed(dataset)).id == "11"
    with pytest.raises(IndexError):
        dataset[12]
    with pytest.raises(TypeError, match=r"take.*Received: index='3'"):
        dataset["3"]


def test_slices_are_data_sets_that_keep_everything(dataset):
    view = dataset[2:10][::3]
    assert type(view) is Dataset
    assert view.ids == ("2", "5", "8")
    assert [sample.id for sample in view] == ["2", "5", "8"]
    assert (view.class_names, view.colors) == (dataset.class_names, dataset.colors)
    assert len(dataset) == 12
    assert len(dataset[20:]) == 0
    assert dataset[::-1].ids == dataset.ids[::-1]


def test_take_keeps_the_order_given(dataset):
    assert dataset.take(["7", "0", "11"]).ids == ("7", "0", "11")
    assert dataset.take(iter(["1"]))[0].id == "1"
    assert dataset.take([]).ids == ()


@pytest.mark.parametrize("ids", [["99"], ["1", "1"]])
def test_take_refuses_unknown_and_repeated_ids(dataset, ids):
    with pytest.raises(ValueError, match=r"`ids`.*Received.*(99|'1', '1')"):
        dataset.take(ids)


def test_views_read_no_file():
    dataset = Dataset(
        [(str(i), f"/no/{i}.jpg", f"/no/{i}.png") for i in range(5)], NAMES
    )
    assert dataset[1:3].take(["2"]).ids == ("2",)
    assert [str(p) for p in dataset[1:].paths(0)] == ["/no/1.jpg", "/no/1.png"]


def test_it_can_be_pickled_for_worker_processes(dataset):
    copy = pickle.loads(pickle.dumps(dataset[2:4]))
    np.testing.assert_array_equal(copy[1].mask, dataset[3].mask)
    assert copy.ids == ("2", "3")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("background", "person"), 1),
        (("person", "background"), 2),
        (("sky", "sea"), 2),
        (("background", "a", "b"), 3),
    ],
)
def test_num_classes_is_one_for_a_foreground_net(names, expected):
    assert Dataset([], names).num_classes == expected


def test_other_size_names_both_files_and_sizes(dataset, write):
    write(dataset.paths(5)[1], np.zeros((3, 5)))
    with pytest.raises(
        ValueError, match=r"image='.*/5\.jpg' of \(3, 4\), mask='.*/5\.png' of \(3, 5\)"
    ):
        dataset[5]


def test_mask_of_the_unturned_photo_is_explained(dataset, write):
    exif = Image.Exif()
    exif[274] = 6
    write(dataset.paths(5)[0], np.zeros((3, 4, 3)), exif=exif)
    with pytest.raises(ValueError, match=r"of \(4, 3\).*EXIF orientation"):
        dataset[5]
    write(dataset.paths(5)[1], np.zeros((4, 3)))
    assert dataset[5].image.shape == (4, 3, 3)


def test_repeated_ids_are_refused():
    with pytest.raises(ValueError, match=r"unique ids.*Received.*\['a'\]"):
        Dataset([("a", "x", "y"), ("b", "x", "y"), ("a", "x", "y")], NAMES)


def test_colors_of_another_number_are_refused():
    with pytest.raises(ValueError, match="`colors`.*Received: 1 colors"):
        Dataset([], NAMES, [(0, 0, 0)])


@pytest.mark.parametrize("count", [2, 19, 1000, 3000])
def test_default_colors_are_those_of_the_palette_and_never_black_again(count):
    colors = Dataset([], [str(i) for i in range(count)]).colors
    assert len(colors) == count
    assert colors[:1000] == palette(min(count, 1000))
    assert (0, 0, 0) not in colors[1:]
