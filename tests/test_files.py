"""Files are whole or not there."""

import os
import resource
import stat
import subprocess
import sys

import pytest

import kseg
from kseg.files import (
    checked_path,
    remove_unfinished,
    unfinished_path,
    write_json,
    write_whole,
)


def test_a_file_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "net.tflite"
    for content in (b"old", b"new, and longer"):
        write_whole(path, content)
        assert [file.name for file in tmp_path.iterdir()] == ["net.tflite"]
        assert path.read_bytes() == content


def test_a_link_stays_one(tmp_path):
    (tmp_path / "disk").mkdir()
    path = tmp_path / "net.json"
    path.symlink_to(tmp_path / "disk" / "real.json")
    for value in (1, 2):
        write_json(path, value)
        assert path.is_symlink()
        assert (tmp_path / "disk" / "real.json").read_text() == f"{value}\n"


def test_names_as_long_as_the_file_system_takes(tmp_path):
    path = tmp_path / ("\u00e4" * 124 + ".tflite")  # 255 bytes
    write_whole(path, b"content")
    assert path.read_bytes() == b"content"
    unfinished = unfinished_path(path)
    unfinished.write_bytes(b"half")
    remove_unfinished(tmp_path, "a")
    assert unfinished.exists()
    remove_unfinished(tmp_path, path.stem)
    assert not unfinished.exists()


def test_the_umask_decides_who_may_read(tmp_path):
    mask = os.umask(0o027)
    try:
        write_whole(tmp_path / "net.tflite", b"content")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "net.tflite").stat().st_mode) == 0o640


def test_a_disk_that_fills_up_leaves_the_old_file(tmp_path):
    old = tmp_path / "net.tflite"
    old.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match="`path` cannot be written.*net.tflite"):
            write_whole(old, bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {
        "net.tflite": b"old"
    }


def test_a_folder_that_is_gone_is_an_error(tmp_path):
    with pytest.raises(OSError, match="`path` cannot be written"):
        write_whole(tmp_path / "gone" / "net.tflite", b"content")


def test_paths_are_checked_before_the_work(tmp_path):
    assert checked_path(str(tmp_path / "net.tflite")) == tmp_path / "net.tflite"
    with pytest.raises(ValueError, match="ends in .tflite"):
        checked_path(tmp_path / "net.onnx")
    with pytest.raises(FileNotFoundError, match="existing folder"):
        checked_path(tmp_path / "missing" / "net.tflite")
    (tmp_path / "folder.tflite").mkdir()
    with pytest.raises(ValueError, match="file name"):
        checked_path(tmp_path / "folder.tflite")
    with pytest.raises(ValueError, match="`output` must be .*Received: output="):
        checked_path(tmp_path / "out.avi", ".mp4", "output")


def test_content_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda handle: synced.append((tmp_path / "net.keras").exists())
    )
    write_whole(tmp_path / "net.keras", lambda path: path.write_text("new"))
    assert synced == [False]
    assert (tmp_path / "net.keras").read_text() == "new"


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "net.keras"
    path.write_text("old")

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_whole(path, fail)
    assert [p.name for p in tmp_path.iterdir()] == ["net.keras"]
    assert path.read_text() == "old"


def test_what_a_killed_process_left_is_removed(tmp_path):
    write_whole(tmp_path / "net.keras", b"old")
    code = (
        "import os, sys; from kseg.files import write_whole;"
        "write_whole(sys.argv[1], lambda path: path.write_text('half') and os._exit(9))"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "net.keras")]
    assert subprocess.run(run, check=False).returncode == 9
    assert len(list(tmp_path.iterdir())) == 2
    remove_unfinished(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["net.keras"]
    assert (tmp_path / "net.keras").read_bytes() == b"old"


@pytest.mark.parametrize(
    "call",
    [
        lambda: kseg.load(None),
        lambda: kseg.data.datasets.open_dataset(None),
        lambda: kseg.data.datasets.ImageFolder(None),
        lambda: checked_path(None),
    ],
    ids=["load", "open_dataset", "ImageFolder", "checked_path"],
)
def test_what_is_no_path_is_named(call):
    with pytest.raises(TypeError, match="must be a path. Received: .*=None"):
        call()


def test_a_folder_is_no_data_set():
    with pytest.raises(TypeError, match=r"open_dataset\('my_photos'\)"):
        kseg.data.loader("my_photos", 4, 256)
