"""Overlays of videos: what is painted, what is said, and what is left of broken ones."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from kseg import cli, models, plot
from kseg.data.video import Video, VideoWriter
from kseg.mobile import videos
from kseg.mobile.videos import Painter, predict_video


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """A run folder as `kseg train` leaves it, of a net with three classes."""
    folder = tmp_path_factory.mktemp("run")
    keras.utils.set_random_seed(3)
    model = models.unet((32, 48, 3), 3, filters=(4, 8, 16))
    model.save(folder / "best.keras")
    names = ["Sky", "Road", "Car"]
    (folder / "config.json").write_text(json.dumps({"classes": names}))
    return folder / "best.keras"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A video of twelve frames, 64x96, at 10 frames a second."""
    path = tmp_path_factory.mktemp("videos") / "in.mp4"
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 100, (64, 96, 3), "uint8")
    with VideoWriter(path, 10) as writer:
        for index in range(12):
            frame = scene.copy()
            frame[16:48, 4 * index : 4 * index + 30] += 120
            writer.write(frame)
    return path


def kseg(*arguments):
    from typer.testing import CliRunner

    result = CliRunner().invoke(cli.app, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return " ".join(result.output.split())


SCHEDULES = [
    *(
        "every",
        "skip:2",
        "warp:2",
        "fixed:2",
        "fixed:1,2,4",
        "pipeline:2",
        "pipeline:3",
    ),
    *("adaptive:0.25", "low_latency:3", "low_latency:0.3"),
]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_video_has_every_frame_beside_the_legend(schedule, net, clip, tmp_path):
    output = tmp_path / "out.mp4"
    printed = kseg(
        *("predict", net, "--video", clip, "--schedule", schedule, "-o", output)
    )
    assert "12 frames are in" in printed
    assert "of its multiplications" in printed
    painted = Video(output)
    assert len(painted) == 12
    assert painted.frames_per_second == 10
    (frame, *_) = painted
    legend = plot.legend(["Sky", "Road", "Car"], font_size=9)
    assert frame.shape == (64, 96 + legend.width + legend.width % 2, 3)


@pytest.fixture(scope="module")
def key_net(net, tmp_path_factory):
    model = models.video.low_latency(
        keras.saving.load_model(net), ("down1_relu2", "dropout3"), filters=4
    )
    path = tmp_path_factory.mktemp("key_net") / "low_latency.keras"
    model.save(path)
    return path


@pytest.mark.parametrize("schedule", ["fixed:3", "adaptive:0.3", "low_latency:0.01"])
def test_low_latency_net_by_its_own_scheduler(schedule, key_net, clip, tmp_path):
    """Keys at a fixed rate, where the learned scheduler asks, and in the background."""
    output = tmp_path / "out.mp4"
    printed = kseg(
        *("predict", key_net, "--video", clip, "--schedule", schedule, "-o", output)
    )
    assert "12 frames are in" in printed
    assert len(Video(output)) == 12


def test_video_shorter_than_the_pipeline(net, clip, tmp_path):
    first = next(iter(Video(clip)))
    with VideoWriter(tmp_path / "one.mp4") as writer:
        writer.write(first)
    for schedule in ("pipeline:3", "warp:3", "low_latency:5"):
        output = tmp_path / "out.mp4"
        assert predict_video(net, tmp_path / "one.mp4", output, schedule).frames == 1
        assert len(list(Video(output))) == 1


def test_schedule_that_does_not_fit_leaves_no_file(net, key_net, clip, tmp_path):
    for model, schedule in ((net, "pipeline:9"), (key_net, "pipeline:2"), (net, "no")):
        with pytest.raises(ValueError, match="Received: "):
            predict_video(model, clip, tmp_path / "out.mp4", schedule)
    assert list(tmp_path.iterdir()) == []


def test_frames_are_painted_with_the_masks(net, clip, tmp_path):
    output = tmp_path / "out.mp4"
    summary = predict_video(net, clip, output)
    assert summary.frames == 12
    assert summary.share == 1
    assert 0 < summary.mean_ms <= summary.worst_ms
    stream = models.video.Stream(keras.saving.load_model(net))
    colors = plot.palette(3, background=False)
    for frame, painted in zip(Video(clip), Video(output), strict=True):
        expected = plot.overlay(frame, stream(frame), colors)
        difference = painted[:, :96].astype(int) - np.asarray(expected)
        assert np.abs(difference).mean() < 12  # the encoder loses some
        assert np.abs(painted[:, :96].astype(int) - frame).mean() > 24


def test_broken_video_leaves_the_frames_before(net, clip, tmp_path):
    content = bytearray(clip.read_bytes())
    start, end = content.find(b"mdat"), content.find(b"moov")
    middle = (start + end) // 2
    content[middle:end] = bytes(end - middle)
    broken, output = tmp_path / "broken.mp4", tmp_path / "out.mp4"
    broken.write_bytes(content)
    message = r"frame (\d+) of the 12 of .*broken\.mp4.*the (\d+) frames before are in"
    with pytest.raises(ValueError, match=message) as error:
        predict_video(net, broken, output, "fixed:2")
    count = len(list(Video(output)))
    assert 0 < count < 12
    assert f"frame {count + 1} of" in str(error.value)
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_early_end_that_may_be_no_damage_is_a_note(net, clip, tmp_path, monkeypatch):
    whole = tmp_path / "in.mkv"
    whole.write_bytes(clip.read_bytes())
    made = Video.__init__

    def counted(self, path):
        made(self, path)
        self._count = 40

    monkeypatch.setattr(Video, "__init__", counted)
    output = tmp_path / "out.mp4"
    printed = kseg("predict", net, "--video", whole, "-o", output)
    assert "Note: The video ended early" in printed
    assert "frame 13 of the 40" in printed
    assert "12 frames are in" in printed
    assert "UserWarning" not in printed


def test_folder_of_frames_whose_size_changes(net, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(3):
        picture = np.zeros((64, 96 if index < 2 else 64, 3), "uint8")
        Image.fromarray(picture).save(folder / f"{index}.png")
    output = tmp_path / "out.mp4"
    with pytest.raises(ValueError, match=r"frame 3 of .*2\.png.*the 2 frames before"):
        predict_video(net, folder, output)
    assert len(list(Video(output))) == 2


def test_tflite_is_run_whole(net, clip, tmp_path):
    from kseg import mobile

    file = tmp_path / "net.tflite"
    model = keras.saving.load_model(net)
    photos = [Image.fromarray(frame) for frame in Video(clip)][:4]
    mobile.export(model, file, calibration=photos, labels=["Sky", "Road", "Car"])
    assert predict_video(file, clip, tmp_path / "out.mp4").frames == 12
    with pytest.raises(ValueError, match='"every" for a .tflite.*adaptive:0.5'):
        predict_video(file, clip, tmp_path / "out.mp4", "adaptive:0.5")


def test_netwarp_gets_its_flow(net, clip, tmp_path):
    model = models.video.netwarp(keras.saving.load_model(net), "down1_relu2")
    path = tmp_path / "netwarp.keras"
    model.save(path)
    assert predict_video(path, clip, tmp_path / "out.mp4").frames == 12


@pytest.mark.parametrize("arguments", [(), ("photo.jpg", "--video", "in.mp4")])
def test_either_photos_or_a_video(arguments, net, tmp_path):
    with pytest.raises(ValueError, match="either photos or `--video`"):
        kseg("predict", net, *arguments, "-o", tmp_path / "out")


def test_output_is_refused_before_the_net_is_run(net, clip, tmp_path):
    with pytest.raises(ValueError, match=r"`output` must be .* ends in \.mp4"):
        kseg("predict", net, "--video", clip, "-o", tmp_path / "out.avi")


def test_long_legend_gets_columns():
    names = [f"class {n}" for n in range(40)]
    frame = np.full((100, 120, 3), 90, "uint8")
    painted = Painter(40, names)(frame, np.full((100, 120), 7, "uint8"))
    assert painted.shape[0] == 100
    assert painted.shape[1] > 300
    assert Painter(40)(frame, np.zeros((100, 120), "uint8")).shape == (100, 120, 3)


def test_first_class_is_painted_unless_it_is_background():
    frame = np.full((40, 60, 3), 90, "uint8")
    sky = np.zeros((40, 60), "uint8")
    for names, is_painted in ((("Sky", "Road"), True), (("background", "cat"), False)):
        painted = Painter(2, names)(frame, sky)[:, :60]
        assert (painted != frame).any() == is_painted


def test_the_video_itself_is_not_replaced(clip, tmp_path):
    link = tmp_path / "link.mp4"
    link.symlink_to(clip)
    before = clip.read_bytes()
    for output in (clip, link):
        with pytest.raises(ValueError, match="another file than `video`"):
            predict_video("no net", clip, output)
    assert clip.read_bytes() == before


def test_output_is_named_before_the_net_is_loaded(clip, tmp_path):
    with pytest.raises(FileNotFoundError, match="`output` must lie in an existing"):
        predict_video("no net", clip, tmp_path / "none" / "out.mp4")


def test_a_schedule_of_photos_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="for a `--video`. Received: --schedule skip:2"
    ):
        kseg("predict", "no net", "a.jpg", "--schedule", "skip:2", "-o", tmp_path)


def test_times_are_of_frames_without_compiling(clip, tmp_path, monkeypatch):
    """The parts by frame: what is new takes 100 s by this clock, the rest 1 s."""
    ran = [
        ("low", "high"),
        ("low", "moved"),
        ("low",),
        ("low", "high"),
        ("low", "moved"),
    ]
    ran += [("low",)] * 6 + [("low", "scheduler")]
    clock = []

    def stream(frame):
        index = len(clock)
        clock.append(100 if index in (0, 1, 11) else 1)
        stream.work = models.video.stream.Work(ran[index], 1.0, False)
        return np.zeros(frame.shape[:2], "uint8")

    monkeypatch.setattr(videos.time, "perf_counter", lambda: float(sum(clock)))
    monkeypatch.setattr(videos, "_opened", lambda *_: (stream, 2, ()))
    summary = predict_video("a net", clip, tmp_path / "out.mp4")
    assert (summary.frames, summary.mean_ms, summary.worst_ms) == (12, 1000, 1000)
