"""Frames of video files and folders, whole and damaged; files that stay playable."""

import resource
import sys

import numpy as np
import pytest
from PIL import Image

from kseg.data import video
from kseg.data.video import Video, VideoWriter


def picture(index, height=48, width=64):
    """Grey noise with a coloured square, which moves."""
    frame = np.random.default_rng(index).integers(90, 110, (height, width, 3), "uint8")
    frame[8:24, index : index + 16] = (220, 30, 60)
    return frame


def write(path, count=20, rate=12.5, **size):
    with VideoWriter(path, rate) as writer:
        for index in range(count):
            writer.write(picture(index, **size))
    return path


def test_frames_come_back_in_order_and_in_rgb(tmp_path):
    clip = Video(write(tmp_path / "a.mp4"))
    assert len(clip) == 20
    assert clip.frames_per_second == 12.5
    for _ in range(2):  # each loop begins with the first frame
        frames = list(clip)
        assert len(frames) == 20
        for index, frame in enumerate(frames):
            assert frame.dtype == "uint8"
            assert frame.shape == (48, 64, 3)
            difference = np.abs(frame.astype(int) - picture(index))
            assert difference[10:22, index + 2 : index + 14].mean() < 20
            assert difference.mean() < 10  # the encoder loses some
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_odd_sizes_lose_no_pixel(tmp_path):
    (frame, *_) = Video(write(tmp_path / "odd.mp4", 2, height=47, width=63))
    assert frame.shape == (48, 64, 3)


def test_damaged_video_names_frame_and_file_after_the_good_frames(tmp_path):
    path = write(tmp_path / "good.mp4", 30)
    content = bytearray(path.read_bytes())
    start, end = content.find(b"mdat"), content.find(b"moov")
    middle = (start + end) // 2
    content[middle : (middle + end) // 2] = bytes((middle + end) // 2 - middle)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(content)
    got = []
    with pytest.raises(ValueError, match=r"frame (\d+) of the 30 of .*damaged\.mp4"):
        got.extend(iter(Video(damaged)))
    got = []
    with pytest.raises(ValueError) as error:
        for frame in Video(damaged):
            got.append(frame)  # noqa: PERF402
    assert 5 < len(got) < 30
    assert f"frame {len(got) + 1} of" in str(error.value)
    assert np.abs(got[3].astype(int) - picture(3)).mean() < 10


def test_truncated_video_is_named(tmp_path):
    path = write(tmp_path / "whole.mp4")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"cannot open .*cut\.mp4"):
        Video(cut)


def test_file_that_is_no_video_is_named(tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with pytest.raises(ValueError, match=r"video file.*text\.mp4"):
        Video(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.mp4.*does not exist"):
        Video(tmp_path / "none.mp4")


def test_what_was_written_before_an_error_can_be_played(tmp_path):
    path = tmp_path / "stopped.mp4"
    with pytest.raises(RuntimeError, match="damaged"), VideoWriter(path, 25) as writer:
        for index in range(7):
            writer.write(picture(index))
        raise RuntimeError("the input is damaged")
    assert len(list(Video(path))) == 7
    assert [p.name for p in tmp_path.iterdir()] == ["stopped.mp4"]


def test_file_is_replaced_only_when_it_is_whole(tmp_path):
    path = write(tmp_path / "a.mp4", 5)
    with VideoWriter(path) as writer:
        writer.write(picture(0))
        assert len(Video(path)) == 5
    assert len(Video(path)) == 1


def test_no_frame_no_file(tmp_path):
    with VideoWriter(tmp_path / "empty.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_writer_names_the_frame_of_another_size(tmp_path):
    path = tmp_path / "sizes.mp4"
    message = r"one size, here \(48, 64\).*frame 3 of .*sizes\.mp4.*\(50, 64\)"
    with pytest.raises(ValueError, match=message), VideoWriter(path) as writer:
        writer.write(picture(0))
        writer.write(picture(1))
        writer.write(picture(2, height=50))
    assert len(list(Video(path))) == 2


@pytest.mark.parametrize(
    "name, rate, error, message",
    [
        ("a.avi", 25, ValueError, r"ends in \.mp4. Received: path=.*a\.avi"),
        ("no/a.mp4", 25, FileNotFoundError, r"existing folder.*no/a\.mp4"),
        ("a.mp4", 0, ValueError, "positive. Received: frames_per_second=0"),
    ],
    ids=["suffix", "folder", "rate"],
)
def test_writer_refuses_before_the_work(name, rate, error, message, tmp_path):
    with pytest.raises(error, match=message):
        VideoWriter(tmp_path / name, rate)


def test_writer_refuses_other_arrays(tmp_path):
    with VideoWriter(tmp_path / "a.mp4") as writer:
        for wrong in (picture(0) / 255, picture(0)[..., 0]):
            with pytest.raises(ValueError, match="`frame` must be a uint8 RGB"):
                writer.write(wrong)


def test_folder_is_a_video_in_natural_order(tmp_path):
    for index in (1, 2, 9, 10, 11):
        Image.fromarray(picture(index)).save(tmp_path / f"frame_{index}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    clip = Video(tmp_path)
    assert len(clip) == 5
    for frame, index in zip(clip, (1, 2, 9, 10, 11), strict=True):
        np.testing.assert_array_equal(frame, picture(index))


def test_folder_names_its_damaged_picture(tmp_path):
    for index in range(3):
        Image.fromarray(picture(index)).save(tmp_path / f"{index}.png")
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:300])
    frames = iter(Video(tmp_path))
    next(frames)
    with pytest.raises(ValueError, match=r"frame 2 of .*\(1\.png\)"):
        next(frames)


def test_change_of_size_is_named(tmp_path):
    Image.fromarray(picture(0)).save(tmp_path / "0.png")
    Image.fromarray(picture(1, width=80)).save(tmp_path / "1.png")
    message = r"one size, here \(48, 64\).*frame 2 of .*\(1\.png\) of size \(48, 80\)"
    with pytest.raises(ValueError, match=message):
        list(Video(tmp_path))


def test_empty_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="must hold pictures.*where none is"):
        Video(tmp_path)


def test_folders_need_no_opencv(tmp_path, monkeypatch):
    Image.fromarray(picture(0)).save(tmp_path / "0.png")
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert len(list(video.Video(tmp_path))) == 1
    (tmp_path / "a.mp4").write_bytes(b"")
    for open_it in (Video, VideoWriter):
        with pytest.raises(ImportError, match=r"pip install 'kseg\[video\]'"):
            open_it(tmp_path / "a.mp4")


@pytest.mark.parametrize("estimate", [21, 22])
def test_a_frame_or_two_may_be_hidden(estimate, tmp_path):
    clip = Video(write(tmp_path / "a.mp4"))
    clip._count = estimate
    assert len(list(clip)) == 20


@pytest.mark.parametrize(
    "name, count, said",
    [("a.mkv", 20, 40), ("a.webm", 20, 23), ("a.mp4", 40, 43)],
    ids=["mkv", "webm", "edit_list"],
)
def test_early_end_that_may_be_no_damage_is_a_warning(name, count, said, tmp_path):
    clip = Video(write(tmp_path / "a.mp4", count).rename(tmp_path / name))
    clip._count = said
    with pytest.warns(
        UserWarning, match=rf"frame {count + 1} of the {said} of .*{name}"
    ):
        assert len(list(clip)) == count


def test_early_end_of_a_file_with_an_index_is_damage(tmp_path):
    clip = Video(write(tmp_path / "a.mp4"))
    clip._count = 23
    with pytest.raises(ValueError, match="frame 21 of the 23"):
        list(clip)


def test_a_disk_that_fills_up_leaves_the_old_video(tmp_path):
    path = write(tmp_path / "a.mp4", 3)
    old = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match="`path` cannot be written.*a.mp4"):
            write(path, 30)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert path.read_bytes() == old


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    others = [".b.0a1b2c3d.partial.mp4", ".a.b.0a1b2c3d.partial.mp4"]
    for name in (".a.0a1b2c3d.partial.mp4", *others):
        (tmp_path / name).write_bytes(b"half")
    write(tmp_path / "a.mp4", 1)
    assert {p.name for p in tmp_path.iterdir()} == {"a.mp4", *others}
