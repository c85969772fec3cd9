import numpy as np
import pytest
import shapely
from shapely import affinity

from kseg.data.annotations import cvat, cvat_video
from kseg.data.annotations.documents import read_document
from kseg.data.annotations.places import Place

META = (
    "<meta><task><mode>interpolation</mode>{}<original_size><width>30</width>"
    "<height>20</height></original_size></task></meta>"
)
RANGE = "<start_frame>{}</start_frame><stop_frame>{}</stop_frame>"
SEVEN = RANGE.format(0, 6)


def track(shapes, id=0, label="a"):
    return f'<track id="{id}" label="{label}">{"".join(shapes)}</track>'


def box(frame, left, outside=0, width=4, **more):
    extra = " ".join(f'{k}="{v}"' for k, v in more.items())
    return (
        f'<box frame="{frame}" outside="{outside}" keyframe="1" xtl="{left}" ytl="2" '
        f'xbr="{left + width}" ybr="6" {extra}/>'
    )


def polygon(frame, points, tag="polygon"):
    text = ";".join(f"{x},{y}" for x, y in points)
    return f'<{tag} frame="{frame}" outside="0" keyframe="1" points="{text}"/>'


@pytest.fixture
def frames(write, draw):
    """Reads tracks; gives per frame the shapes drawn into bool arrays, by number."""

    def frames(*tracks, meta=SEVEN):
        text = f"<annotations>{META.format(meta)}{''.join(tracks)}</annotations>"
        document = read_document(write("v.xml", text), Place("v.xml"))
        return {
            picture.frame: {s.number: draw(s.parts) for s in picture.shapes}
            for picture in cvat.read(document).pictures
        }

    return frames


def left_of(inside):
    return int(np.flatnonzero(inside.any(0))[0])


def test_box_moves_evenly_between_its_frames(frames):
    found = frames(track([box(0, 0), box(4, 8), box(6, 10, outside=1)]))
    assert list(found) == list(range(7))
    assert [left_of(found[f][1]) for f in range(6)] == [0, 2, 4, 6, 8, 9]
    assert all(found[f][1].sum() == 16 for f in range(6))
    assert found[6] == {}


def test_track_that_is_outside_and_comes_back(frames):
    found = frames(track([box(1, 3), box(2, 9, outside=1), box(5, 20)]))
    assert {f: [left_of(i) for i in s.values()] for f, s in found.items()} == {
        0: [],
        1: [3],
        2: [],
        3: [],
        4: [],
        5: [20],
        6: [20],
    }


def test_track_that_never_ends_stays_to_the_end_of_the_task(frames):
    found = frames(track([box(2, 3)]))
    assert [f for f, shapes in found.items() if shapes] == [2, 3, 4, 5, 6]


def test_frames_that_the_file_lists_are_taken_as_they_are(frames):
    found = frames(track([box(f, f * f % 20) for f in range(7)]))
    assert [left_of(found[f][1]) for f in range(7)] == [f * f % 20 for f in range(7)]


def test_frames_out_of_order_and_step_of_the_task(frames):
    meta = RANGE.format(10, 19) + "<frame_filter>step=3</frame_filter>"
    found = frames(track([box(19, 9), box(10, 0)]), meta=meta)
    assert {f: left_of(s[1]) for f, s in found.items()} == {10: 0, 13: 3, 16: 6, 19: 9}


def test_without_a_range_the_frames_are_those_of_the_tracks(frames):
    assert list(frames(track([box(3, 0), box(9, 5)]), meta="")) == [3, 9]


def test_number_of_a_track_is_its_place_in_the_file(frames):
    found = frames(track([box(0, 0)], id=7), track([box(0, 9)], id=3))
    assert {n: left_of(i) for n, i in found[5].items()} == {1: 0, 2: 9}


def test_polygon_moves_point_by_point(frames):
    start, stop = [(0, 0), (8, 0), (0, 8)], [(12, 4), (20, 4), (12, 12)]
    found = frames(track([polygon(0, start), polygon(4, stop)]))
    centers = shapely.points(np.arange(30) + 0.5, np.arange(20)[:, None] + 0.5)
    middle = shapely.Polygon([(6, 2), (14, 2), (6, 10)])
    # Centres on the slanted side are left out by the rule of fill_polygon.
    np.testing.assert_array_equal(found[2][1], shapely.contains(middle, centers))


def test_polygons_of_unequal_numbers_of_points_move_along_their_outline(frames):
    square = [(4, 4), (12, 4), (12, 12), (4, 12)]
    finer = [(4, 4), (8, 4), (12, 4), (12, 8), (12, 12), (6, 12), (4, 12)]
    shifted = [(x + 8, y) for x, y in finer]
    found = frames(track([polygon(0, square), polygon(4, shifted)]))
    expected = np.zeros((20, 30), bool)
    expected[4:12, 8:16] = True
    np.testing.assert_array_equal(found[2][1], expected)


def test_polyline_and_single_point_move(frames):
    line = [(2, 2), (10, 2)], [(2, 10), (10, 10)]
    found = frames(
        track([polygon(f, p, "polyline") for f, p in zip((0, 4), line, strict=True)]),
        track([polygon(0, [(1, 1)], "points"), polygon(2, [(9, 1)], "points")]),
    )
    assert np.flatnonzero(found[2][1].any(1)).tolist() == [5, 6]
    assert np.flatnonzero(found[1][2].any(0)).tolist() == [4, 5]


def test_mask_stays_until_its_next_frame(frames):
    def mask(frame, left):
        return (
            f'<mask frame="{frame}" outside="0" left="{left}" top="1" width="2" '
            'height="2" rle="0, 4"/>'
        )

    found = frames(track([mask(0, 3), mask(4, 9)]))
    assert [left_of(found[f][1]) for f in range(7)] == [3, 3, 3, 3, 9, 9, 9]


@pytest.mark.parametrize(("first", "last", "middle"), [(0, 90, 45), (350, 10, 0)])
def test_box_keeps_its_sides_while_it_turns_the_shorter_way(
    frames, first, last, middle
):
    """The corners go round on circles: on straight lines they would come closer."""
    found = frames(
        track([box(0, 8, width=14, rotation=first), box(2, 8, width=14, rotation=last)])
    )
    outline = affinity.rotate(shapely.box(8, 2, 22, 6), middle)
    x, y = np.meshgrid(np.arange(30) + 0.5, np.arange(20) + 0.5)
    np.testing.assert_array_equal(found[1][1], shapely.contains_xy(outline, x, y))


def test_several_points_stay_until_their_next_frame(frames):
    def points(frame, places):
        return f'<points frame="{frame}" outside="0" points="{places}"/>'

    found = frames(track([points(0, "5,5;15,5;25,5"), points(2, "5,15;15,15")]))
    np.testing.assert_array_equal(found[1][1], found[0][1])
    assert found[0][1][4:6].any(0).sum() == 6
    assert found[2][1][14:16].any(0).sum() == 4


def test_ellipse_turns_the_shorter_way(frames):
    def ellipse(frame, angle):
        return (
            f'<ellipse frame="{frame}" outside="0" cx="15" cy="10" rx="9" ry="2" '
            f'rotation="{angle}"/>'
        )

    found = frames(track([ellipse(0, 350), ellipse(2, 10)]))
    level = frames(track([ellipse(0, 0)]))
    np.testing.assert_array_equal(found[1][1], level[0][1])


BAD = {
    "no frame": ('<box outside="0" xtl="1" ytl="1" xbr="2" ybr="2"/>', "`frame` must"),
    "negative": (box(-1, 0), "frame: The frames of a track must be different, 0 or mo"),
    "twice": (box(0, 0) + box(0, 1), "track[0].box[1].frame: The frames of a track"),
    "two kinds": (box(0, 0) + polygon(1, [(1, 1), (2, 2), (3, 1)]), "must be of one k"),
    "half a frame": (box(0.5, 0), "frame: This must be an integer"),
}


@pytest.mark.parametrize(("shapes", "message"), BAD.values(), ids=BAD)
def test_wrong_track_is_named(frames, shapes, message):
    with pytest.raises(ValueError, match=r"v\.xml: track\[0\]") as caught:
        frames(track([shapes]))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "meta",
    [
        RANGE.format(0, 10**7),
        RANGE.format(9, 0),
        RANGE.format("x", 3),
        RANGE.format(0, 6) + "<frame_filter>step=0</frame_filter>",
        RANGE.format(0, 6) + "<frame_filter>all</frame_filter>",
    ],
)
def test_wrong_range_of_frames_is_named(frames, meta):
    with pytest.raises(ValueError, match=r"v\.xml: meta"):
        frames(track([box(0, 0)]), meta=meta)


def test_tracks_that_would_fill_the_memory_are_refused(frames, monkeypatch):
    monkeypatch.setattr(cvat_video, "_MOST_SHAPES", 10)
    assert len(frames(track([box(0, 0)]))) == 7
    with pytest.raises(ValueError, match=r"v\.xml: track\[1\]: .*at most 10 shapes"):
        frames(track([box(0, 0)]), track([box(0, 0)]))


def test_frames_are_found_by_their_number(photo, write, masks_of):
    for frame in range(3):
        photo(f"frames/shot_{frame:04}.png")
    text = f"<annotations>{META.format(RANGE.format(0, 2))}{{}}</annotations>"
    write("v.xml", text.format(track([box(0, 0), box(2, 8, outside=1)])))
    _, masks = masks_of(kind="instances", instances=True)
    assert {k: (m > 0).sum() for k, m in masks.items()} == {
        "shot_0000": 16,
        "shot_0001": 16,
        "shot_0002": 0,
    }


def test_two_files_for_one_frame_are_named(photo, write, fails):
    photo("a_1.png")
    photo("b_01.png")
    text = f"<annotations>{META.format(RANGE.format(1, 1))}{{}}</annotations>"
    write("v.xml", text.format(track([box(1, 0)])))
    assert "v.xml: frame[1]: This must name one file only" in fails()


def test_real_video_of_datumaro(data_dir, masks_of):
    source = data_dir("annotations") / "cvat-datumaro" / "for_video"
    names, masks = masks_of("auto", source, skip_missing=True, line_width=1)
    assert names == ("background", "II", "klhg", "z U k")
    assert sorted(masks) == ["frame_000010", "frame_000013", "frame_000016"]
    assert (masks["frame_000010"][4:5, 3:10] == 1).all()
    assert (masks["frame_000013"] == 1).any()
    assert not masks["frame_000016"].any()


@pytest.mark.parametrize("name", ["cvat-video-boxes", "cvat-video-polygons"])
def test_tracks_of_real_videos(data_dir, name):
    path = data_dir("annotations") / name / "annotations.xml"
    document = read_document(path, Place(path.name))
    listed = [
        (int(shape.get("frame")), index + 1)
        for index, track in enumerate(document.xml.iter("track"))
        for shape in track
        if shape.get("outside") == "0"
    ]
    pictures = cvat.read(document).pictures
    held = {(p.frame, s.number) for p in pictures for s in p.shapes}
    assert set(listed) <= held
    count = {"cvat-video-boxes": 221, "cvat-video-polygons": 200}[name]
    assert len(pictures) == count
