"""Files are whole or not there."""

import os
import resource
import stat

import pytest

from kseg.mobile.writing import checked_path, write_whole


def test_a_file_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "net.tflite"
    for content in (b"old", b"new, and longer"):
        write_whole(path, content)
        assert [file.name for file in tmp_path.iterdir()] == ["net.tflite"]
        assert path.read_bytes() == content


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
