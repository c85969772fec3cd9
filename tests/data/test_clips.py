"""Clips: which frames belong together, which have labels, and what a loader gives."""

import numpy as np
import pytest
from PIL import Image

from kseg.data import flow as flows
from kseg.data import loader, report
from kseg.data.augment import standard
from kseg.data.clips import FlowBatches, SnippetClips, StillClips, VideoClips
from kseg.data.datasets import CamVid
from kseg.data.datasets.dataset import Dataset


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Two videos, of five frames and of three, with a frame missing in the first."""
    folder = tmp_path_factory.mktemp("frames")
    items = []
    for video, numbers in (("a", (0, 1, 2, 4, 5)), ("b", (10, 11, 12))):
        for number in numbers:
            id = f"{video}/{number:05}"
            stem = f"{video}{number}"
            Image.fromarray(np.full((16, 24, 3), number, "uint8")).save(
                folder / f"{stem}.png"
            )
            Image.fromarray(np.full((16, 24), number % 3, "uint8")).save(
                folder / f"{stem}_mask.png"
            )
            items.append((id, folder / f"{stem}.png", folder / f"{stem}_mask.png"))
    return Dataset(items, ("x", "y", "z"))


def numbers(clips):
    return [clip.image[:, 0, 0, 0].tolist() for clip in clips]


def test_clips_do_not_cross_gaps_and_videos(frames):
    assert numbers(VideoClips(frames, 3)) == [[0, 1, 2], [10, 11, 12]]
    assert numbers(VideoClips(frames, 2, gap=2)) == [[0, 2], [2, 4], [10, 12]]
    assert numbers(VideoClips(frames, 1)) == [[n] for n in (0, 1, 2, 4, 5, 10, 11, 12)]


def test_clips_are_checked_as_photos_are(frames, tmp_path):
    clips = VideoClips(frames, 2)
    assert (clips.class_names, clips.ignore_class) == (("x", "y", "z"), 255)
    loader(clips, 2, 16, check=True)
    found = report(clips, tmp_path / "sheet.png")
    assert found.sizes == {(2, 16, 24): 5}
    assert (tmp_path / "sheet.png").exists()


def test_labels_of_the_last_frame_alone(frames):
    clips = VideoClips(frames, 2, labels="last")
    assert clips[0].id == "a/00001"
    np.testing.assert_array_equal(clips[0].mask[:, 0, 0], [255, 1])
    np.testing.assert_array_equal(VideoClips(frames, 2)[0].mask[:, 0, 0], [0, 1])


def test_no_clip_names_the_gaps(frames):
    with pytest.raises(ValueError, match=r"gap=7\. The numbers .* differ by 1, 2"):
        VideoClips(frames, 2, gap=7)


def test_camvid_val_is_a_video_of_every_second_frame(data_dir):
    validation = CamVid(data_dir("camvid"), "validation")
    assert len(VideoClips(validation, 2, gap=2)) == 100
    assert len(VideoClips(validation, 101, gap=2)) == 1
    with pytest.raises(ValueError, match="differ by 2"):
        VideoClips(validation, 2)


class Snippets(Dataset):
    """Like Cityscapes: 30 frames around a sample, of which the 20th is annotated."""

    def snippet_paths(self, index):
        folder = self.paths(index)[0].parent
        for number in range(30):
            path = folder / f"snippet{number}.png"
            if not path.exists():
                Image.fromarray(np.full((16, 24, 3), number, "uint8")).save(path)
        return [folder / f"snippet{number}.png" for number in range(30)]


@pytest.mark.parametrize(
    "count, gap, expected",
    [(1, 1, [4]), (3, 1, [17, 18, 4]), (3, 4, [11, 15, 4]), (20, 1, [*range(19), 4])],
)
def test_snippets_end_at_the_annotated_frame(count, gap, expected, frames):
    snippets = Snippets([("s", *frames.paths(3))], ("x", "y", "z"))
    (clip,) = SnippetClips(snippets, count, gap=gap)
    assert clip.image[:, 0, 0, 0].tolist() == expected  # frame 4 is the sample's own
    assert clip.mask[:, 0, 0].tolist() == [255] * (count - 1) + [1]


def test_snippets_are_not_longer_than_they_are(frames):
    with pytest.raises(ValueError, match="the 19 frames before .*frames=3, gap=10"):
        SnippetClips(frames, 3, gap=10)


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A photo whose colours tell the place: red the column, green the row."""
    folder = tmp_path_factory.mktemp("photo")
    rows, columns = np.mgrid[:100, :120]
    image = np.stack([2 * columns, 2 * rows, 0 * rows], -1).astype("uint8")
    mask = (columns >= 60).astype("uint8")
    Image.fromarray(image).save(folder / "p.png")
    Image.fromarray(mask).save(folder / "m.png")
    return Dataset([("p", folder / "p.png", folder / "m.png")], ("left", "right"))


@pytest.mark.parametrize("seed", range(4))
def test_camera_over_a_photo_takes_the_mask_along(seed, photo):
    clips = StillClips(photo, 4, shift=0.03, zoom=0.03, seed=seed)
    clip = clips[0]
    assert clip.image.shape == (4, 100, 120, 3)
    column = clip.image[..., 0].astype(float) / 2
    is_right = column >= 60
    near = np.abs(column - 59.5) < 2  # where bilinear and nearest may differ
    np.testing.assert_array_equal((clip.mask == 1)[~near], is_right[~near])
    # The places of the middle move by the same step, up to rounding.
    centre = clip.image[:, 50, 60, :2].astype(float) / 2 / (120, 100)
    steps = np.diff(centre, axis=0)
    assert np.abs(steps).max() <= 0.06
    assert np.abs(steps - steps[0]).max() < 0.015
    assert np.abs(np.diff(clip.image.astype(int), axis=0)).max() > 0


def test_camera_at_rest(photo):
    clip = StillClips(photo, 3, shift=0, zoom=0)[0]
    for frame in clip.image:
        np.testing.assert_array_equal(frame, photo[0].image)


def test_too_much_motion_is_refused(photo):
    with pytest.raises(ValueError, match="less than half.*shift=0.2, zoom=0.1"):
        StillClips(photo, 3, shift=0.2, zoom=0.1)


def test_batches_of_clips(frames):
    clips = VideoClips(frames, 2, labels="last")
    batches = loader(clips, 2, (8, 12), shuffle=False)
    images, masks = batches[0]
    assert (images.shape, images.dtype) == ((2, 2, 8, 12, 3), "float32")
    assert (masks.shape, masks.dtype) == ((2, 2, 8, 12), "int32")
    np.testing.assert_array_equal(images[:, :, 0, 0, 0], [[0, 1], [1, 2]])
    np.testing.assert_array_equal(masks[:, :, 0, 0], [[255, 1], [255, 2]])
    assert len(batches) == 3


def flow_of(frame, previous):
    """The difference of the red of both, in both channels."""
    difference = frame[..., :1].astype("float32") - previous[..., :1]
    return np.repeat(difference, 2, -1)


def test_flow_goes_to_the_frame_before(frames):
    batches = loader(VideoClips(frames, 3), 1, (8, 12), shuffle=False)
    inputs, _ = FlowBatches(batches, flow_of)[0]
    assert inputs["flow"].shape == (1, 3, 8, 12, 2)
    np.testing.assert_array_equal(inputs["flow"][0, :, 0, 0], [[0, 0], [1, 1], [1, 1]])


def test_flow_on_disk_is_computed_once_for_all_epochs(frames, tmp_path, monkeypatch):
    computed = []

    def compute(frame, previous, preset):
        computed.append(preset)
        return flow_of(frame, previous)

    monkeypatch.setattr(flows, "optical_flow", compute)
    batches = loader(VideoClips(frames, 2), 1, (8, 12))
    batches = FlowBatches(batches, flows.FlowCache(tmp_path))
    epochs = []
    for _ in range(2):
        batches.on_epoch_begin()
        epochs.append([batches[i][0]["flow"] for i in range(len(batches))])
        batches.on_epoch_end()
    # Pairs in a row: 0 1, 1 2, 4 5, 10 11 and 11 12, all one grey value apart.
    assert computed == ["medium"] * 5
    for flow in (flow for epoch in epochs for flow in epoch):
        np.testing.assert_array_equal(flow[0, 1], np.ones((8, 12, 2)))


def test_frames_of_a_clip_are_augmented_alike_and_epochs_differ(photo):
    clips = StillClips(photo, 3, shift=0, zoom=0)
    batches = loader(clips, 1, (32, 32), augment=standard())
    (images, masks), again = batches[0], batches[0]
    np.testing.assert_array_equal(images, again[0])
    for t in (1, 2):
        np.testing.assert_array_equal(images[:, t], images[:, 0])
        np.testing.assert_array_equal(masks[:, t], masks[:, 0])
    batches.epoch = 1
    assert np.abs(batches[0][0] - images).max() > 0


def test_broken_frame_is_named(frames, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    dataset = Dataset([("b/1", broken, broken)], ("x", "y"))
    with pytest.raises(ValueError, match=r"Sample .* is broken.*broken\.png"):
        loader(VideoClips(dataset, 1), 1, (8, 8), workers=0)[0]


def test_a_step_model_trains_on_clips_of_one_label(frames):
    import keras

    from kseg import losses, models

    keras.utils.set_random_seed(0)
    image_net = models.unet((16, 24, 3), 3, filters=(4, 8))
    net = models.video.netwarp(image_net, "down1_relu2")
    clip_net = models.video.unroll(net, frames=2)
    clip_net.compile("adam", losses.SparseCrossEntropy())
    batches = loader(VideoClips(frames, 2, labels="last"), 2, (16, 24))
    batches = FlowBatches(batches, flow_of)
    before = net.get_weights()
    history = clip_net.fit(batches, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert any(
        np.abs(a - b).max() > 0 for a, b in zip(net.get_weights(), before, strict=True)
    )


def test_clips_are_indexed_as_data_sets_are(frames, photo):
    clips = VideoClips(frames, 2)
    assert numbers([clips[-1]]) == [[11, 12]]
    assert numbers(clips[1:-1]) == numbers(clips)[1:-1]
    stills = StillClips(frames, 2)
    for one, other in ((stills[-2], stills[6]), (stills[3:][1], stills[4])):
        assert one.id == other.id
        np.testing.assert_array_equal(one.image, other.image)
    with pytest.raises(IndexError):
        StillClips(photo, 2)[1]
    snippets = Snippets([("s", *frames.paths(3))], ("x", "y", "z"))
    assert SnippetClips(snippets, 2)[-1].id == "s"


def test_unknown_flow_is_none(frames):
    def flow(frame, previous):
        return np.float32([np.nan, np.inf]) * flow_of(frame, previous)

    batches = loader(VideoClips(frames, 2), 1, (8, 12), shuffle=False)
    inputs, _ = FlowBatches(batches, flow)[0]
    np.testing.assert_array_equal(inputs["flow"], np.zeros((1, 2, 8, 12, 2)))
