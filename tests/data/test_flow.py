"""Optical flow against Middlebury's measured flow and against known shifts."""

import struct
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from keras import ops

from kseg.data import flow as flows
from kseg.data.reading import read_image


def texture(height, width, seed=0):
    """A picture with detail at every scale, so that each pixel can be found again."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3))
    for size in (2, 4, 8, 16):
        coarse = rng.uniform(0, 64, (-(-height // size), -(-width // size), 3))
        picture += np.kron(coarse, np.ones((size, size, 1)))[:height, :width]
    return picture.astype("uint8")


def shifted_pair():
    """A frame and the one before, of a camera under which the scene moves (5, -3)."""
    scene = texture(96, 128)
    previous = scene[10:74, 10:106]
    frame = scene[13:77, 5:101]  # what is at (x, y) now was at (x - 5, y + 3)
    return np.ascontiguousarray(frame), np.ascontiguousarray(previous)


# Middlebury's measured flow is from frame10 to frame11, as ours is from a frame to the
# one before. The bounds are a third of the error of no flow at all; those of swapped
# axes, of the wrong sign and of swapped frames are above it (1.8, 2.3 pixels and more).
@pytest.mark.parametrize("scene, no_flow", [("RubberWhale", 1.256), ("Venus", 3.802)])
def test_end_point_error_on_middlebury(scene, no_flow, data_dir):
    folder = data_dir("middlebury-flow") / scene
    truth = flows.read_flow(folder / "flow10.flo")
    frame, other = (read_image(folder / f"frame{n}.png") for n in (10, 11))
    flow = flows.optical_flow(frame, other)
    assert flow.dtype == "float32"
    assert flow.shape == (*frame.shape[:2], 2)
    assert flows.end_point_error(0 * flow, truth) == pytest.approx(no_flow, abs=1e-3)
    assert flows.end_point_error(flow, truth) < no_flow / 3
    for wrong in (flow[..., ::-1], -flow, flows.optical_flow(other, frame)):
        assert flows.end_point_error(wrong, truth) > no_flow


@pytest.mark.parametrize("scene, no_flow", [("RubberWhale", 1.256), ("Venus", 3.802)])
def test_slower_presets_are_closer_to_the_measured_flow(scene, no_flow, data_dir):
    folder = data_dir("middlebury-flow") / scene
    truth = flows.read_flow(folder / "flow10.flo")
    frames = [read_image(folder / f"frame{n}.png") for n in (10, 11)]
    found = {preset: flows.optical_flow(*frames, preset) for preset in flows._PRESETS}
    errors = [flows.end_point_error(flow, truth) for flow in found.values()]
    assert list(found) == ["ultrafast", "fast", "medium"]
    assert no_flow / 2 > errors[0] > errors[1] > errors[2]
    # What the docstring says.
    rows = [line.split("|") for line in flows.optical_flow.__doc__.splitlines()]
    (row,) = (row[2:-1] for row in rows if row[1:2] == [f" {scene} "])
    assert [float(x) for x in row] == pytest.approx([no_flow, *errors], abs=0.02)


def test_flow_leads_back_to_where_a_pixel_was():
    frame, previous = shifted_pair()
    flow = flows.optical_flow(frame, previous)
    inner = flow[16:-16, 16:-16]
    assert np.median(inner[..., 0]) == pytest.approx(-5, abs=0.1)
    assert np.median(inner[..., 1]) == pytest.approx(3, abs=0.1)
    rows, columns = np.mgrid[16:48, 16:80]
    u, v = np.round(flow[16:48, 16:80]).astype(int).transpose(2, 0, 1)
    # NumPy indexing as the docstring of the module says.
    assert np.median(
        np.abs(frame[rows, columns].astype(int) - previous[rows + v, columns + u])
    ) == pytest.approx(0)


def test_the_sign_is_that_of_warping():
    from kseg.layers import Warping2D

    frame, previous = shifted_pair()
    flow = flows.optical_flow(frame, previous)
    warped = Warping2D()([previous[None].astype("float32"), flow[None]])
    warped = ops.convert_to_numpy(warped)[0]
    difference = np.abs(warped - frame)[16:-16, 16:-16].mean()
    unmoved = np.abs(previous.astype(float) - frame)[16:-16, 16:-16].mean()
    assert difference < unmoved / 5


def test_resizing_scales_the_values_with_the_sides():
    flow = np.empty((6, 8, 2), "float32")
    flow[...] = (8, 6)
    resized = flows.resize_flow(flow, (3, 16))
    assert resized.shape == (3, 16, 2)
    np.testing.assert_allclose(resized[..., 0], 16)
    np.testing.assert_allclose(resized[..., 1], 3)


def test_resized_flow_is_the_flow_of_the_resized_frames(data_dir):
    from PIL import Image

    folder = data_dir("middlebury-flow") / "Venus"
    frames = [read_image(folder / f"frame{n}.png") for n in (10, 11)]
    halves = [
        np.asarray(Image.fromarray(f).resize((210, 190), Image.Resampling.BILINEAR))
        for f in frames
    ]
    resized = flows.resize_flow(flows.optical_flow(*frames), (190, 210))
    truth = flows.resize_flow(flows.read_flow(folder / "flow10.flo"), (190, 210))
    # Half of the full size' 3.802 pixels of motion.
    assert flows.end_point_error(0 * truth, truth) == pytest.approx(1.9, abs=0.05)
    assert flows.end_point_error(resized, truth) < 1.9 / 3
    assert flows.end_point_error(flows.optical_flow(*halves), truth) < 1.9 / 3


def test_flo_files_are_as_the_format_says(tmp_path):
    path = tmp_path / "two.flo"
    content = b"PIEH" + struct.pack("<ii4f", 2, 1, 1.5, -2, 1e10, 1e10)
    assert struct.unpack("<f", b"PIEH")[0] == 202021.25
    path.write_bytes(content)
    flow = flows.read_flow(path)
    np.testing.assert_array_equal(flow, [[[1.5, -2], [np.nan, np.nan]]])
    flows.write_flow(path, flow)
    assert path.read_bytes() == content


def test_middlebury_file_is_written_as_it_was_but_for_unknown_values(
    data_dir, tmp_path
):
    source = data_dir("middlebury-flow") / "RubberWhale" / "flow10.flo"
    flow = flows.read_flow(source)
    flows.write_flow(tmp_path / "copy.flo", flow)
    stored = np.frombuffer(source.read_bytes(), "<f4", offset=12).reshape(flow.shape)
    copied = (tmp_path / "copy.flo").read_bytes()
    copied = np.frombuffer(copied, "<f4", offset=12).reshape(flow.shape)
    is_known = (np.abs(stored) < 1e9).all(-1)
    assert 0 < is_known.mean() < 1
    np.testing.assert_array_equal(copied[is_known], stored[is_known])
    assert (copied[~is_known] > 1e9).all()


@pytest.mark.parametrize("content", [b"", b"PIEH", b"no flow", b"cut"])
def test_broken_flo_files_are_named(content, tmp_path):
    path = tmp_path / "broken.flo"
    if content == b"cut":
        content = b"PIEH" + struct.pack("<ii3f", 2, 1, 1.5, -2, 1)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"whole \.flo file.*broken\.flo"):
        flows.read_flow(path)


def test_end_point_error_leaves_out_what_is_unknown():
    truth = np.zeros((1, 3, 2), "float32")
    truth[0, 2] = np.nan
    flow = np.array([[[3, 4], [0, 0], [100, 100]]], "float32")
    assert flows.end_point_error(flow, truth) == 2.5
    assert np.isnan(flows.end_point_error(flow[:, 2:], truth[:, 2:]))


def test_cache_computes_once(tmp_path, monkeypatch):
    frame, previous = shifted_pair()
    cache = flows.FlowCache(tmp_path / "flows")
    first = cache(frame, previous)
    expected = flows.optical_flow(frame, previous)
    # Half precision of values below 16.
    np.testing.assert_allclose(first, expected, atol=2**-7 * 1.01)
    assert first.dtype == "float32"
    monkeypatch.setattr(flows, "optical_flow", None)
    again = flows.FlowCache(tmp_path / "flows")(frame, previous)
    np.testing.assert_array_equal(again, first)


def test_cache_knows_the_order_the_pixels_and_the_preset(tmp_path):
    frame, previous = shifted_pair()
    changed = frame.copy()
    changed[0, 0, 0] ^= 1
    cache, fast = flows.FlowCache(tmp_path), flows.FlowCache(tmp_path, "fast")
    paths = {
        cache.path(frame, previous),
        cache.path(previous, frame),
        cache.path(changed, previous),
        fast.path(frame, previous),
        # The same bytes in another shape.
        cache.path(frame.reshape(96, 64, 3), previous.reshape(96, 64, 3)),
    }
    assert len(paths) == 5


@pytest.mark.parametrize("kept", [0, 100, -40])
def test_damaged_file_of_a_cache_is_computed_anew(kept, tmp_path):
    frame, previous = shifted_pair()
    cache = flows.FlowCache(tmp_path)
    first = cache(frame, previous)
    path = cache.path(frame, previous)
    content = path.read_bytes()
    path.write_bytes(content[:kept])
    np.testing.assert_array_equal(cache(frame, previous), first)
    assert path.read_bytes()[-22:-18] == b"PK\x05\x06"  # the end of a whole zip file
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_threads_share_a_cache(tmp_path):
    pair = shifted_pair()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: flows.FlowCache(tmp_path)(*pair), range(12)))
    for flow in found[1:]:
        np.testing.assert_array_equal(flow, found[0])
    assert len(list(tmp_path.iterdir())) == 1


FRAME = np.zeros((32, 48, 3), "uint8")


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ((FRAME, FRAME[:16]), ValueError, r"one size.*\(32, 48, 3\).*\(16, 48, 3\)"),
        ((FRAME / 255, FRAME), TypeError, "`frame` must be a uint8.*float64"),
        ((FRAME, FRAME[..., 0]), ValueError, r"`previous` must be an RGB.*\(32, 48\)"),
        (
            (FRAME, FRAME, "slow"),
            ValueError,
            "`preset` must be.*Received: preset='slow'",
        ),
    ],
    ids=["sizes", "floats", "grey", "preset"],
)
def test_what_has_no_flow(arguments, error, message):
    with pytest.raises(error, match=message):
        flows.optical_flow(*arguments)


def test_flow_of_the_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"`truth`.*\(4, 5, 3\)"):
        flows.end_point_error(np.zeros((4, 5, 2)), np.zeros((4, 5, 3)))
    with pytest.raises(ValueError, match=r"one shape.*\(4, 5, 2\).*\(5, 4, 2\)"):
        flows.end_point_error(np.zeros((4, 5, 2)), np.zeros((5, 4, 2)))


def test_without_opencv_the_install_line_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=r"pip install 'kseg\[video\]'"):
        flows.optical_flow(FRAME, FRAME)


@pytest.mark.parametrize("shape", [(11, 64, 3), (64, 11, 3)])
def test_frames_too_small_for_the_search_are_refused(shape):
    frame = np.zeros(shape, "uint8")
    with pytest.raises(ValueError, match="at least 12 pixels a side"):
        flows.optical_flow(frame, frame)
    frame = np.zeros((12, 12, 3), "uint8")
    assert flows.optical_flow(frame, frame).shape == (12, 12, 2)
