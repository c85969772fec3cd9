import numpy as np
import pytest
import shapely
from PIL import Image

from kseg.data.annotations.runs import encode_runs, pack_counts

BITMAP = np.random.default_rng(2).random((20, 30)) < 0.3
CENTERS = shapely.points(np.arange(30) + 0.5, np.arange(20)[:, None] + 0.5)


def thing(segmentation=None, **more):
    base = {"id": 1, "image_id": 7, "category_id": 2, "iscrowd": 0}
    return {**base, "bbox": [1, 2, 3, 4], "segmentation": segmentation, **more}


def document(*objects, **more):
    return {
        "images": [{"id": 7, "file_name": "a.jpg", "height": 20, "width": 30}],
        "categories": [{"id": 2, "name": "b"}, {"id": 9, "name": "a"}],
        "annotations": list(objects),
        **more,
    }


def runs(counts, size=(20, 30)):
    return {"size": list(size), "counts": counts}


@pytest.fixture
def masks(photo, write, masks_of):
    def masks(*objects, **options):
        photo("a.jpg")
        write("a.json", document(*objects))
        names, masks = masks_of("coco", **options)
        assert names == ("background", "a", "b")
        return masks["a"]

    return masks


def test_polygons_of_an_object_are_joined_as_in_coco(masks):
    rings = [[2, 2, 12, 2, 12, 12, 2, 12], [4, 4, 16, 4, 16, 8, 4, 8]]
    found = masks(thing(rings))
    expected = shapely.union(
        *(shapely.Polygon(np.reshape(ring, (-1, 2))) for ring in rings)
    )
    np.testing.assert_array_equal(found == 2, shapely.contains(expected, CENTERS))
    assert (found == 2).sum() == expected.area == 116


@pytest.mark.parametrize("packed", [False, True])
def test_run_lengths_plain_and_compressed(masks, packed):
    counts = encode_runs(BITMAP, "F")
    found = masks(thing(runs(pack_counts(counts) if packed else counts)))
    np.testing.assert_array_equal(found == 2, BITMAP)


@pytest.mark.parametrize("segmentation", [None, []])
def test_object_without_segmentation_is_its_box(masks, segmentation):
    found = masks(thing(segmentation))
    assert (found == 2).sum() == 12
    assert (found[2:6, 1:4] == 2).all()


def test_crowd_lies_below_and_has_no_instance(masks, tmp_path):
    square = [[2, 2, 12, 2, 12, 12, 2, 12]]
    crowd = thing(runs([0, 600]), id=2, category_id=9, iscrowd=1)
    found = masks(thing(square), crowd, instances=True)
    assert (found == 2).sum() == 100
    assert (found == 1).sum() == 500
    instances = np.array(Image.open(tmp_path / "out" / "instances" / "a.png"))
    assert np.unique(instances).tolist() == [1, 65535]
    np.testing.assert_array_equal(instances == 1, found == 2)


def test_later_object_covers_earlier(masks):
    both = [[0, 0, 30, 0, 30, 20, 0, 20]]
    found = masks(thing(both), thing([[0, 0, 5, 0, 5, 5, 0, 5]], id=2, category_id=9))
    assert (found == 1).sum() == 25
    assert (found == 2).sum() == 575


BAD = {
    "category": ({"category_id": 5}, "annotations[0].category_id: This must be an id"),
    "image": ({"image_id": 5}, "annotations[0].image_id: This must be an id of"),
    "id": ({"image_id": [7]}, "annotations[0].image_id: An id must be an integer or"),
    "odd": ({"segmentation": [[1, 2, 3]]}, "segmentation[0]: This must be an array x0"),
    "two points": ({"segmentation": [[1, 2, 3, 4]]}, "segmentation[0]: There must be"),
    "nan": (
        {"segmentation": [[1, 2, 3, 4, float("nan"), 6]]},
        "annotations[0].segmentation[0][2]",
    ),
    "text": ({"segmentation": "abc"}, "annotations[0].segmentation"),
    "number": ({"segmentation": 5}, "annotations[0].segmentation: This must be an arr"),
    "short": ({"segmentation": runs([0, 599])}, "must add up to height x width"),
    "overrun": ({"segmentation": runs([0, 10**9])}, "segmentation.counts"),
    "huge": ({"segmentation": runs([10**30])}, "segmentation.counts[0]"),
    "negative": ({"segmentation": runs([610, -10])}, "must be integers, 0 or more"),
    "half": ({"segmentation": runs([0.5, 599.5])}, "must be integers, 0 or more"),
    "other size": ({"segmentation": runs([600], (30, 20))}, "segmentation.size: The s"),
    "garbage": ({"segmentation": runs("\x00!")}, "must be compressed run lengths"),
    "packed overrun": ({"segmentation": runs("o" * 11 + "0")}, "segmentation.counts"),
    "packed short": ({"segmentation": runs("0")}, "must add up to height x width"),
    "empty runs": ({"segmentation": runs([])}, "must add up to height x width"),
    "bad box": ({"segmentation": None, "bbox": [1, 2, -3, 4]}, "bbox: A box must be"),
    "no box": ({"segmentation": None, "bbox": None}, "`bbox` must be given here"),
    "crowd": ({"iscrowd": "yes"}, "annotations[0].iscrowd: This must be a number"),
    "panoptic": ({"segments_info": []}, "annotations[0]: This must be an object with"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_wrong_object_is_named(photo, write, fails, change, message):
    photo("a.jpg")
    write("a.json", document({**thing([[1, 2, 9, 2, 9, 9]]), **change}))
    text = fails()
    assert "a.json: annotations[0]" in text
    assert message in text


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
@pytest.mark.parametrize("value", [5, "text", {"a": 1}, [5], [None], [{}]])
def test_wrong_type_at_the_top_is_named(photo, write, fails, key, value):
    photo("a.jpg")
    write("a.json", document(**{key: value}))
    assert f"a.json: {key}" in fails()


def test_ids_of_two_pictures_and_a_size_of_a_billion(photo, write, fails):
    photo("a.jpg")
    image = {"id": 7, "file_name": "a.jpg", "height": 20, "width": 30}
    write("a.json", document(images=[image, {**image, "file_name": "b.jpg"}]))
    assert "a.json: images[1].id: Ids must be unique" in fails()
    write("a.json", document(thing(), images=[{**image, "height": 10**9}]))
    assert "a.json: images[0].height: This must be a finite number" in fails()
    write("a.json", document(thing(), images=[{**image, "height": 10**7}]))
    assert "a.json: images[0].file_name: A picture must have at most" in fails()


def test_categories_that_via_repeats_and_flat_polygons(data_dir, masks_of):
    source = data_dir("annotations") / "via-rect-csv-json" / "via_export_coco.json"
    names, masks = masks_of("auto", source)
    assert names == ("background", "Date", "Header", "Total")
    counts = np.bincount(masks["X00016469612"].ravel(), minlength=4)
    # width x height of its three rectangles
    assert counts[1:].tolist() == [302 * 19, 356 * 140, 368 * 22]


@pytest.mark.parametrize("name", ["instances", "rle"])
def test_areas_of_real_objects_are_those_of_their_outlines(data_dir, name):
    from kseg.data.annotations import coco
    from kseg.data.annotations.documents import read_document
    from kseg.data.annotations.places import Place

    path = data_dir("annotations") / "labelbox" / "coco" / f"{name}.json"
    document = read_document(path, Place(path.name))
    export = coco.read(document)
    objects = document.value["annotations"]
    for picture in export.pictures:
        for shape in picture.shapes:
            thing = objects[int(shape.place.path.split("[")[1].rstrip("]"))]
            inside = np.zeros(picture.size, bool)
            for part in shape.parts:
                window = part.fill(*picture.size, 1)
                inside[window.slices] |= window.inside
            if shape.crowd:
                # COCO states the area before the crowd was cut out of other objects.
                assert inside.sum() == sum(thing["segmentation"]["counts"][1::2])
                continue
            rings = [np.reshape(r, (-1, 2)) for r in thing["segmentation"]]
            area = sum(shapely.Polygon(ring).area for ring in rings)
            length = sum(shapely.Polygon(ring).length for ring in rings)
            assert area == pytest.approx(thing["area"], rel=0.01)
            assert abs(inside.sum() - area) <= 2 + length / 4
