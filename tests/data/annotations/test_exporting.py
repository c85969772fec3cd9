import json

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from kseg.data.annotations import convert, to_coco, to_labelme
from kseg.data.reading import read_mask

NAMES = ("background", "car", "road", "sky")
RNG = np.random.default_rng(6)
SMOOTH = ndimage.gaussian_filter(RNG.normal(size=(60, 80)), 3)
NOISE = RNG.integers(0, 4, (23, 31)).astype(np.uint8)
NESTED = np.zeros((20, 30), np.uint8)
NESTED[1:19, 1:29] = 1
NESTED[3:17, 3:27] = 2
NESTED[5:15, 5:25] = 0
NESTED[7:13, 7:23] = 3
NESTED[8:12, 8:22] = 255
BORDER = np.zeros((20, 30), np.uint8)
BORDER[:-1, :-1] = 1
BORDER[:, 20:] = 2
BORDER[5:19, 22:29] = 3
MASKS = {
    "smooth": np.digitize(SMOOTH, [-0.1, 0.0, 0.1]).astype(np.uint8),
    "noise": NOISE,
    "noise with ignored": np.where(NOISE == 2, 255, NOISE),
    "nested": NESTED,
    "border": BORDER,
    "full": np.full((4, 5), 3),
    "diagonal": np.eye(7, dtype=int),
}


@pytest.fixture
def export(folder):
    """Writes the file of a tool for one mask and photo; gives its content."""

    def export(tool, mask, names=NAMES, **options):
        photo, output = folder / "a.png", folder / "a.json"
        Image.new("RGB", mask.shape[::-1]).save(photo)
        if tool == "labelme":
            to_labelme(mask, names, photo, output, **options)
        else:
            to_coco([(photo, mask)], names, output, **options)
        return json.loads(output.read_text())

    return export


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("tool", ["labelme", "coco"])
def test_round_trip_is_exact(export, folder, tmp_path, tool, mask):
    export(tool, mask)
    convert(tool, folder / "a.json", tmp_path / "out", classes=NAMES)
    np.testing.assert_array_equal(read_mask(tmp_path / "out/masks/a.png"), mask)


@pytest.mark.parametrize("tool", ["labelme", "coco"])
def test_round_trip_without_a_background(export, folder, tmp_path, tool):
    names = ("grass", *NAMES[1:])
    export(tool, NESTED, names)
    convert(tool, folder / "a.json", tmp_path / "out", classes=names)
    np.testing.assert_array_equal(read_mask(tmp_path / "out/masks/a.png"), NESTED)


def test_labelme_file_has_what_labelme_asks_for(export):
    content = export("labelme", NESTED)
    assert content["imagePath"] == "a.png"
    assert (content["imageHeight"], content["imageWidth"]) == (20, 30)
    labels = [shape["label"] for shape in content["shapes"]]
    # From outside in; the hole in the road is a shape, the outside is not.
    assert labels == ["car", "road", "_background_", "sky", "__ignore__"]
    first = content["shapes"][0]
    assert first["points"] == [[1, 1], [28.99, 1], [28.99, 18.99], [1, 18.99]]
    assert first["shape_type"] == "polygon"


def test_coco_file_has_what_coco_asks_for(export):
    content = export("coco", NESTED)
    assert content["images"] == [
        {"id": 1, "file_name": "a.png", "height": 20, "width": 30}
    ]
    categories = {c["id"]: c["name"] for c in content["categories"]}
    assert categories == {1: "car", 2: "road", 3: "sky", 255: "__ignore__"}
    kinds = [type(a["segmentation"]) for a in content["annotations"]]
    assert kinds == [dict, dict, dict, list]
    for thing in content["annotations"]:
        assert thing["area"] == (thing["category_id"] == NESTED).sum()
    assert content["annotations"][0]["bbox"] == [1, 1, 28, 18]


def test_several_photos_in_one_file_of_coco(folder, tmp_path):
    pairs = []
    for name in ("x", "y"):
        photo = folder / "photos" / f"{name}.png"
        photo.parent.mkdir(exist_ok=True)
        Image.new("RGB", (30, 20)).save(photo)
        pairs.append((photo, NESTED if name == "x" else BORDER))
    to_coco(iter(pairs), NAMES, folder / "all.json")
    convert("coco", folder, tmp_path / "out", classes=NAMES)
    for photo, mask in pairs:
        found = read_mask(tmp_path / "out" / "masks" / f"{photo.stem}.png")
        np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize("tool", ["labelme", "coco"])
def test_tolerance_saves_points_and_moves_outlines_by_no_more(
    export, folder, tmp_path, tool
):
    mask = (SMOOTH > 0).astype(int)
    exact = export(tool, mask, NAMES[:2])
    coarse = export(tool, mask, NAMES[:2], tolerance=1.0)
    assert len(json.dumps(coarse)) < 0.8 * len(json.dumps(exact))
    convert(tool, folder / "a.json", tmp_path / "out", classes=NAMES[:2])
    wrong = read_mask(tmp_path / "out/masks/a.png") != mask
    edge = ndimage.maximum_filter(mask, 5) != ndimage.minimum_filter(mask, 5)
    assert not wrong[~edge].any()


@pytest.mark.parametrize("tool", ["labelme", "coco"])
def test_small_regions_are_left_to_what_is_around_them(export, folder, tmp_path, tool):
    mask = np.ones((20, 30), int)
    mask[5:7, 5:7] = 2
    mask[10:15, 10:15] = 2
    export(tool, mask, smallest_area=5)
    convert(tool, folder / "a.json", tmp_path / "out", classes=NAMES)
    found = read_mask(tmp_path / "out/masks/a.png")
    assert (found == 2).sum() == 25
    # COCO's objects keep their holes.
    assert (found[5:7, 5:7] == (1 if tool == "labelme" else 0)).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"mask": NESTED / 2}, TypeError, "argmax"),
        ({"mask": NESTED[None]}, ValueError, "Received: mask.shape=\\(1, 20, 30\\)"),
        ({"mask": NESTED[1:]}, ValueError, "height and width of the photo"),
        ({"names": NAMES[:2]}, ValueError, r"class ids 0..1.*mask with \[2, 3\]"),
        ({"mask": NESTED.astype(int) - 1}, ValueError, r"mask with \[-1, 254\]"),
        ({"tolerance": -1}, ValueError, "tolerance=-1"),
        ({"tolerance": float("nan")}, ValueError, "tolerance=nan"),
        ({"smallest_area": 0}, ValueError, "smallest_area=0"),
        ({"output": "a.png"}, ValueError, "must end in .json"),
        ({"photo": "gone.png"}, ValueError, "gone.png"),
    ],
)
@pytest.mark.parametrize("tool", ["labelme", "coco"])
def test_wrong_argument_is_named_and_nothing_written(
    folder, tool, change, error, message
):
    Image.new("RGB", (30, 20)).save(folder / "a.png")
    given = {"mask": NESTED, "names": NAMES, "photo": "a.png", "output": "a.json"}
    given.update(change)
    mask, names = given.pop("mask"), given.pop("names")
    photo, output = folder / given.pop("photo"), folder / given.pop("output")
    with pytest.raises(error, match=message):
        if tool == "labelme":
            to_labelme(mask, names, photo, output, **given)
        else:
            to_coco([(photo, mask)], names, output, **given)
    assert [path.name for path in folder.iterdir()] == ["a.png"]


def test_real_mask_round_trip(data_dir, folder, tmp_path):
    source = data_dir("camvid")
    photo = sorted((source / "val").iterdir())[0]
    mask = read_mask(source / "valannot" / f"{photo.stem}.png")
    mask[mask == 11] = 255
    names = [f"class {i:02}" for i in range(11)]
    (folder / photo.name).write_bytes(photo.read_bytes())
    to_labelme(mask, names, folder / photo.name, folder / "a.json")
    convert("labelme", folder, tmp_path / "out", classes=names)
    found = read_mask(tmp_path / "out" / "masks" / f"{photo.stem}.png")
    np.testing.assert_array_equal(found, mask)
