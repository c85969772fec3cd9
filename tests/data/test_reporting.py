import numpy as np
import pytest
from PIL import Image

from kseg.data import Sample, report
from kseg.data.datasets import CamVid, Dataset, PointDataset, PointSample

NAMES = ("background", "road", "car")


@pytest.fixture
def make(tmp_path):
    def make(masks):
        items = []
        for i, mask in enumerate(masks):
            image, file = tmp_path / f"{i}.jpg", tmp_path / f"{i}.png"
            mask = np.array(mask, np.uint8)
            Image.new("RGB", mask.shape[::-1]).save(image)
            Image.fromarray(mask).save(file)
            items.append((str(i), image, file))
        return Dataset(items, NAMES)

    return make


def test_counts_of_pixels_samples_and_sizes(make):
    found = report(make([[[0, 1, 1]], [[1, 255, 255]], [[0], [0]]]))
    assert found.pixels.tolist() == [3, 3, 0]
    assert found.samples_with.tolist() == [2, 2, 0]
    assert found.frequencies.tolist() == [0.5, 0.5, 0]
    assert (found.ignored, found.sizes) == (2, {(1, 3): 2, (2, 1): 1})
    assert (found.count, found.problems, found.expected) == (3, (), None)


def test_frequencies_equal_those_of_the_files(data_dir):
    # Oracle: the PNG files counted with PIL and numpy; 11 is unlabelled.
    dataset = CamVid(data_dir("camvid"), "validation")[::20]
    files = [dataset.paths(i)[1] for i in range(len(dataset))]
    counts = sum(np.bincount(np.ravel(Image.open(f)), minlength=12) for f in files)
    found = report(dataset)
    assert found.pixels.tolist() == counts[:11].tolist()
    assert found.ignored == counts[11]


def test_unusable_samples_are_listed_and_the_rest_counted(make, tmp_path):
    dataset = make([[[0, 1]], [[0, 7]], [[1, 1]], [[0, 0]]])
    (tmp_path / "2.png").write_bytes(b"no")
    Image.new("RGB", (9, 9)).save(tmp_path / "3.jpg")
    found = report(dataset, tmp_path / "sheet.png")
    assert found.pixels.tolist() == [1, 1, 0]
    named = zip(found.problems, (r"1.png' with 7", "2.png", "3.jpg"), strict=True)
    assert all(part in problem for problem, part in named)
    assert "4 samples, 3 of them unusable" in str(found)
    assert "2.png" in str(found)


def test_table_has_a_line_for_each_class(make):
    lines = str(report(make([[[0, 1, 1, 255]]]))).splitlines()
    assert lines[0] == "1 samples, 0 of them unusable"
    assert lines[1:3] == ["sizes: 1x4 (1)", "ignored: 25.00%"]
    assert [line.split() for line in lines[4:]] == [
        ["0", "background", "33.333%", "1"],
        ["1", "road", "66.667%", "1"],
        ["2", "car", "0.000%", "0"],
    ]


def test_columns_are_aligned_though_names_are_short(make):
    dataset = make([[[0, 1, 1]]])
    dataset.class_names = ("a", "b", "c")
    table = str(report(dataset)).splitlines()[3:]
    assert len({len(line) for line in table}) == 1
    assert table[0].endswith("samples")


def test_published_count_is_told(make):
    dataset = make([[[0]]])
    dataset.expected = 1464
    assert str(report(dataset)).startswith("1 of 1464 published samples, ")


@pytest.mark.parametrize("count", [1, 5])
def test_sheet_shows_the_classes_in_their_colors(make, tmp_path, count):
    path = tmp_path / "new" / "sheet.png"
    dataset = make([np.ones((40, 40))] * count)
    report(dataset, path, pictures=3)
    with Image.open(path) as sheet:
        pixels = np.array(sheet).reshape(-1, 3)
        tiles = min(count, 3) + 1  # with the legend
        assert sheet.width == tiles * (256 + 8) + 8
    painted = tuple(value // 2 for value in dataset.colors[1])  # half over black
    assert (abs(pixels.astype(int) - painted).max(1) <= 1).sum() > 40 * 40
    assert [p.name for p in path.parent.iterdir()] == ["sheet.png"]


def test_points_are_counted(tmp_path):
    class Clouds(PointDataset):
        def read_sample(self, id, points_path, labels_path):
            labels = {"a": [0, 2], "b": [1, 3], "c": [0, -1]}[id]
            return PointSample(np.zeros((2, 3), np.float32), np.array(labels), id)

    dataset = Clouds([(id, "x", "x") for id in "abc"], NAMES)
    found = report(dataset)
    assert found.pixels.tolist() == [1, 0, 1]
    assert found.sizes == {(2,): 1}
    assert ["sample 'b' with 1..3" in p for p in found.problems] == [True, False]


@pytest.mark.parametrize("labels", [[0, 1, 1], 1])
def test_sheet_shows_clouds_in_the_colors_of_their_labels(tmp_path, labels):
    class Clouds(PointDataset):
        def read_sample(self, id, points_path, labels_path):
            points = np.eye(3, dtype=np.float32)
            return PointSample(points, np.array(labels, np.int32), id)

    colors = ((255, 0, 0), (0, 0, 255), (0, 255, 0))
    dataset = Clouds([("a", "x", "x")], NAMES, colors)
    report(dataset, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        tile = np.array(sheet)[:, : 8 + 256].astype(int)
    red, green, blue = np.moveaxis(tile, 2, 0)
    assert ((blue > 150) & (red + green < 20)).any()
    assert ((red > 150) & (blue + green < 20)).any() == (labels != 1)
    assert not ((green > 150) & (blue + red < 20)).any()


def test_sheet_needs_no_colors_and_no_usable_sample_makes_none(make, tmp_path):
    class Own(list):
        class_names, ignore_class = NAMES, 255

    report(Own(make([np.ones((9, 9))])), tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").exists()
    report(make([[[7]]]), tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize("frames", [(3,), ()])
def test_sheet_shows_the_last_frame_of_a_clip(tmp_path, frames):
    class Own(list):
        class_names, ignore_class = NAMES, 255
        colors = np.array(((0, 0, 0), (200, 0, 0), (0, 0, 200)))

    clip, mask = np.zeros((3, 40, 40, 3), np.uint8), np.ones((*frames, 40, 40), int)
    mask[..., 20:] = 2
    mask.reshape(-1, 40, 40)[:-1] = 0
    report(Own([Sample(clip, mask, "a")]), tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        found = {color for _, color in sheet.getcolors(10**6)}
    assert {(100, 0, 0), (0, 0, 100)} <= found


def test_sheet_that_cannot_be_written_is_told_before_the_work(make, tmp_path):
    dataset = make([[[0]]])
    (tmp_path / "0.png").unlink()  # opening the sample would be another error
    for path in (tmp_path, tmp_path / "sheet.jpg"):
        with pytest.raises(ValueError, match=r"`sheet_path` must be .* ends in \.png"):
            report(dataset, path)
    with pytest.raises(OSError):
        report(dataset, tmp_path / "0.jpg" / "sheet.png")  # a file is no folder


def test_empty_data_set_and_no_pictures_are_errors(make):
    with pytest.raises(ValueError, match="empty data set"):
        report(Dataset([], NAMES))
    with pytest.raises(ValueError, match="`pictures`.*pictures=0"):
        report(make([[[0]]]), pictures=0)
