from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from kseg import cli
from kseg.data.video import Video, VideoWriter
from kseg.mobile.scenarios.background_video import Matte, background_video


class Answers:
    """Gives one confidence after the other."""

    def __init__(self, confidences):
        self._confidences = iter(confidences)

    def segment(self, image):
        masks = np.asarray(next(self._confidences), np.float32)[..., None]
        return SimpleNamespace(confidence_masks=masks)


def person(empty=False):
    mask = np.zeros((64, 96), np.float32)
    if not empty:
        mask[16:48, 30:60] = 1
    return mask


@pytest.fixture
def clip(tmp_path):
    """A video of six frames, 64x96, at 10 frames a second, of a red person."""
    frame = np.full((64, 96, 3), 90, np.uint8)
    frame[16:48, 30:60] = (200, 30, 20)
    with VideoWriter(tmp_path / "in.mp4", 10) as writer:
        for _ in range(6):
            writer.write(frame)
    return tmp_path / "in.mp4"


def test_every_frame_has_the_person_before_the_new_background(clip, tmp_path):
    output = tmp_path / "out.mp4"
    answers = Answers([person()] * 6)
    assert background_video(clip, output, answers, color="#00b140") == 6
    written = Video(output)
    assert (len(written), written.frames_per_second) == (6, 10)
    for frame in written:
        assert abs(frame[:10].astype(int) - (0, 177, 64)).mean() < 6
        assert abs(frame[24:40, 38:52].astype(int) - (200, 30, 20)).mean() < 9


def test_frames_without_a_person_are_background_and_are_counted(clip, tmp_path):
    output = tmp_path / "out.mp4"
    answers = Answers([person(empty) for empty in (0, 0, 0, 1, 1, 1)])
    with pytest.warns(UserWarning, match="no person found in 3 of 6 frames"):
        background_video(clip, output, answers, color="#00b140", momentum=0)
    *_, last = Video(output)
    assert abs(last.astype(int) - (0, 177, 64)).mean() < 6


def test_a_failure_halfway_leaves_a_video_that_plays(clip, tmp_path):
    output = tmp_path / "out.mp4"
    answers = Answers([person(), person(), 2 + person()])
    with pytest.raises(
        ValueError, match="`confidence` must be.*2 frames before are in"
    ):
        background_video(clip, output, answers, color="white", momentum=0)
    assert len(list(Video(output))) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_folder_of_pictures_and_command(tmp_path, monkeypatch):
    folder, output = tmp_path / "frames", tmp_path / "out.mp4"
    folder.mkdir()
    for index in range(3):
        Image.new("RGB", (96, 64), (80, 80, 90)).save(folder / f"{index}.png")
    answers = Answers([person()] * 3)
    monkeypatch.setattr("kseg.mobile.segmenter.load", lambda name: answers)
    arguments = ["background", str(folder), "-o", str(output), "--blur", "1"]
    done = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    assert "Wrote 3 frames" in done.output
    assert len(list(Video(output))) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "Received: none of them"),
        ({"color": "red", "momentum": 1}, "Received: momentum=1"),
        ({"color": "red", "threshold": 0}, "Received: threshold=0"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_written(
    options, message, clip, tmp_path
):
    with pytest.raises(ValueError, match=message):
        background_video(clip, tmp_path / "out.mp4", Answers([]), **options)
    assert not (tmp_path / "out.mp4").exists()


def test_the_video_itself_is_not_replaced(clip):
    with pytest.raises(ValueError, match="another file than `video`"):
        background_video(clip, clip, Answers([]), color="red")


def flicker_rate(masks, truth):
    """Share of pixels that change though their truth does not, by its definition."""
    is_still = truth[1:] == truth[:-1]
    return ((masks[1:] != masks[:-1]) & is_still).sum() / is_still.sum()


def test_a_dancer_flickers_less_than_half_as_much_and_is_not_worse(data_dir):
    """The shipped net, on 20 frames of a video that it was not trained on."""
    from kseg.mobile.segmenter import load

    folder = data_dir("davis2016")
    frames = sorted((folder / "JPEGImages" / "dance-twirl").iterdir())[20:40]
    masks = sorted((folder / "Annotations" / "dance-twirl").iterdir())[20:40]
    frames = [np.asarray(Image.open(f).convert("RGB")) for f in frames]
    truth = np.stack([np.asarray(Image.open(m).convert("L")) > 127 for m in masks])
    net, rates, ious = load("person_float16"), [], []
    for momentum in (0, 0.9):
        matte = Matte(net, momentum=momentum)
        found = np.stack([matte(frame) > 0.5 for frame in frames])
        rates.append(flicker_rate(found, truth))
        ious.append((found & truth).sum() / (found | truth).sum())
    assert rates[1] < 0.5 * rates[0]
    assert ious[1] > ious[0] - 0.005
