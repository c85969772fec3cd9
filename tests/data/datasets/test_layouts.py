import numpy as np
import pytest

from kseg.data.datasets import CCP, CamVid, ImageFolder, open_dataset

TWO = {"a": [[0, 1]], "b": [[1, 0]]}


@pytest.fixture
def twenty(make_folder):
    return make_folder({f"photo {i:02}": [[0, 255]] for i in range(20)})


def test_ccp_is_recognised(data_dir):
    dataset = open_dataset(data_dir("ccp"), "validation", labels="person")
    assert isinstance(dataset, CCP)
    assert (len(dataset), dataset.labels) == (100, "person")
    assert open_dataset(str(data_dir("ccp-original"))).num_classes == 59


def test_camvid_is_recognised(data_dir):
    dataset = open_dataset(data_dir("camvid"), "validation")
    assert isinstance(dataset, CamVid)
    assert len(dataset) == 101


def test_held_out_tenth_is_disjoint_and_complete(data_dir):
    root = data_dir("celebamask")
    train, validation = open_dataset(root), open_dataset(root, "validation")
    assert isinstance(train, ImageFolder)
    assert (len(train), len(validation)) == (360, 40)
    assert sorted(train.ids + validation.ids) == list(ImageFolder(root).ids)
    assert train.class_names == validation.class_names


def test_held_out_samples_are_those_of_lowest_sha256(twenty):
    # Oracle: coreutils, `printf 'photo %02d' $i | sha256sum` for 0..19, sorted.
    assert open_dataset(twenty, "validation").ids == ("photo 03", "photo 12")
    assert len(open_dataset(twenty)) == 18


def test_all_is_training_and_validation_together(twenty, make_folder, tmp_path):
    assert open_dataset(twenty, "all").ids == ImageFolder(twenty).ids
    one = make_folder({"a": [[0, 1]]}, tmp_path / "one")
    assert len(open_dataset(one, "all")) == 1


def test_adding_photos_moves_few_samples_between_splits(twenty, make_folder):
    before = set(open_dataset(twenty).ids)
    make_folder({f"later {i}": [[0, 255]] for i in range(2)}, twenty)
    assert len(before - set(open_dataset(twenty).ids)) <= 1


@pytest.mark.parametrize("count", [2, 3, 9])
def test_small_sets_hold_out_one_sample(make_folder, count):
    root = make_folder({str(i): [[0, 1]] for i in range(count)})
    assert len(open_dataset(root, "validation")) == 1
    assert len(open_dataset(root)) == count - 1


def test_relative_path(twenty, monkeypatch):
    monkeypatch.chdir(twenty.parent)
    assert open_dataset(twenty.name).ids == open_dataset(twenty).ids


def test_one_sample_cannot_be_split(make_folder):
    with pytest.raises(ValueError, match="at least 2 samples.*Received: <ImageFolder"):
        open_dataset(make_folder({"a": [[0, 1]]}))


@pytest.mark.parametrize("train", ["train", "training"])
@pytest.mark.parametrize("validation", ["val", "valid", "validation"])
@pytest.mark.parametrize("split_first", [False, True])
def test_split_folders(make_folder, tmp_path, train, validation, split_first):
    for split, masks in ((train, TWO), (validation, {"a": [[0, 2]]})):
        two = ("images", split), ("masks", split)
        paths = ["/".join(t[::-1] if split_first else t) for t in two]
        make_folder(masks, images=paths[0], to=paths[1])
    datasets = [open_dataset(tmp_path, split) for split in ("train", "validation")]
    assert [dataset.ids for dataset in datasets] == [("a", "b"), ("a",)]
    assert datasets[0].class_names == datasets[1].class_names == ("0", "1", "2")
    np.testing.assert_array_equal(datasets[1][0].mask, [[0, 2]])


def test_train_folder_alone_is_split(make_folder, tmp_path):
    make_folder(TWO, images="images/train", to="masks/train")
    assert len(open_dataset(tmp_path)) == len(open_dataset(tmp_path, "validation")) == 1


def test_test_folder_with_masks_is_a_split(make_folder, tmp_path):
    for split in ("train", "val", "test"):
        make_folder(TWO, images=f"images/{split}", to=f"masks/{split}")
    assert len(open_dataset(tmp_path, "test")) == 2


def test_test_folder_without_masks_does_not_disturb_training(make_folder, tmp_path):
    make_folder(TWO, images="images/train", to="masks/train")
    (tmp_path / "images" / "test").mkdir()
    assert len(open_dataset(tmp_path)) == 1
    with pytest.raises(
        ValueError, match="'train', 'validation'.*Received: split='test'"
    ):
        open_dataset(tmp_path, "test")


def test_validation_images_without_masks_are_an_error(make_folder, tmp_path):
    make_folder(TWO, images="images/train", to="masks/train")
    (tmp_path / "images" / "val").mkdir()
    with pytest.raises(ValueError, match="`masks` must be a folder.*val'"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("where", [".", "masks", "masks/train"])
def test_names_are_found_in_the_data_sets_folder(make_folder, tmp_path, where):
    for split in ("train", "val"):
        make_folder(TWO, images=f"images/{split}", to=f"masks/{split}")
    (tmp_path / where / "classes.txt").write_text("background\nroad\n")
    for split in ("train", "validation"):
        assert open_dataset(tmp_path, split).class_names == ("background", "road")


@pytest.mark.parametrize("content", ["nowhere", "empty", "images alone", "other"])
def test_unrecognised_folder_shows_the_accepted_trees(tmp_path, write, content):
    root = tmp_path / "root"
    if content != "nowhere":
        root.mkdir()
    if content in ("images alone", "other"):
        name = "images" if content == "images alone" else "pictures"
        write(root / name / "a.png", [[0]])
    with pytest.raises(ValueError, match="`path` must be a folder laid out") as caught:
        open_dataset(root)
    message = str(caught.value)
    for tree in (
        "images/…",
        "images/train/…",
        "train/images/…",
        "photos/…",
        "trainannot",
    ):
        assert tree in message
    expected = {
        "nowhere": "which is no folder",
        "empty": "with nothing",
        "images alone": "with images/",
        "other": "with pictures/",
    }
    assert message.endswith(expected[content])


def test_labels_are_for_data_sets_that_have_them(twenty):
    with pytest.raises(ValueError, match="`labels`.*Received: labels='person'"):
        open_dataset(twenty, labels="person")
