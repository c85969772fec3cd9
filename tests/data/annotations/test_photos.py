import os
from pathlib import Path

import pytest
from PIL import Image

from kseg.data.annotations.photos import Photos, upright_size
from kseg.data.annotations.places import Place
from kseg.data.annotations.shapes import Picture

PLACE = Place("sub/a.json", "imagePath")


@pytest.fixture
def tree(tmp_path):
    """Photos inside and outside the folder of the export."""
    root = tmp_path / "export"
    for name in (
        *("export/sub/a.jpg", "export/sub/one.JPG", "export/b.png", "export/x/c.jpg"),
        *("export/y/c.jpg", "export/images/Train/d.jpg", "export/images/Val/d.jpg"),
        *("outside/secret.jpg", "outside/b.png", "export/.hidden/h.jpg"),
        *("export/frame_000012.png", "export/notes.txt"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def find(root, name, subset=None):
    found = Photos([root]).find_name(name, PLACE, root / "sub", subset)
    return found and found.relative_to(root.resolve().parent).as_posix()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a.jpg", "export/sub/a.jpg"),
        ("../b.png", "export/b.png"),
        ("..\\b.png", "export/b.png"),
        ("x/c.jpg", "export/x/c.jpg"),
        ("x\\c.jpg", "export/x/c.jpg"),
        ("C:\\Users\\me\\one.JPG", "export/sub/one.JPG"),
        ("/home/me/data/b.png", "export/b.png"),
        ("\\\\server\\share\\b.png", "export/b.png"),
        ("http://host/b.png", "export/b.png"),
        ("../../../../../../b.png", "export/b.png"),
        ("one", "export/sub/one.JPG"),
        ("Train/d.jpg", "export/images/Train/d.jpg"),
        ("gone.jpg", None),
        ("notes.txt", None),
        ("h.jpg", None),
    ],
)
def test_name_is_found_inside_the_folder(tree, name, path):
    if name == "notes.txt":  # found as a file, and refused as no picture later
        path = "export/notes.txt"
    assert find(tree, name) == path


@pytest.mark.parametrize(
    "name",
    [
        *("../../outside/secret.jpg", "..\\..\\outside\\secret.jpg", "/etc/passwd"),
        *("../../../etc/passwd", "secret.jpg", "file:///etc/passwd", "x" * 5000),
        *("a" * 300 + ".jpg", "../..", ".", "..", "sub", "x/../../outside/secret.jpg"),
    ],
)
def test_file_outside_is_never_found(tree, name):
    assert find(tree, name) is None
    absolute = str(tree.parent / "outside" / "secret.jpg")
    assert find(tree, absolute) is None


def test_link_that_leads_outside_is_never_followed(tree):
    outside = tree.parent / "outside"
    (tree / "sub" / "link.jpg").symlink_to(outside / "secret.jpg")
    (tree / "folder").symlink_to(outside)
    (tree / "ring.jpg").symlink_to(tree / "ring.jpg")
    (tree / "inside.jpg").symlink_to(tree / "b.png")
    for name in ("link.jpg", "folder/secret.jpg", "secret.jpg", "ring.jpg"):
        assert find(tree, name) is None
    assert find(tree, "inside.jpg") == "export/b.png"


def test_folder_that_is_itself_a_link_is_used(tree):
    link = tree.parent / "link"
    link.symlink_to(tree)
    found = Photos([link]).find_name("b.png", PLACE, link / "sub")
    assert found == (tree / "b.png").resolve()


@pytest.mark.parametrize("name", ["", "/", "\\", "a\0.jpg"])
def test_name_that_is_none_is_named(tree, name):
    with pytest.raises(
        ValueError, match=r"sub/a\.json: imagePath: This must be the na"
    ):
        find(tree, name)


def test_name_of_two_files_is_named(tree):
    with pytest.raises(ValueError, match=r"several fit: .*x/c\.jpg, .*y/c\.jpg"):
        find(tree, "c.jpg")


def test_subset_tells_files_of_one_name_apart(tree):
    for subset in ("Train", "Val"):
        assert find(tree, "d.jpg", subset) == f"export/images/{subset}/d.jpg"


def test_frame_by_its_number(tree):
    for names in (("frame_000012",), ("other_12",)):
        picture = Picture(names, PLACE, None, frame=12)
        found = Photos([tree]).find(picture, tree)
        assert found.name == "frame_000012.png"
    assert Photos([tree]).find(Picture(("f",), PLACE, None, frame=1), tree) is None


@pytest.mark.skipif(os.name == "nt", reason="names that Windows cannot have")
def test_backslash_may_be_part_of_a_name(tree):
    (tree / "sub" / "a\\b.jpg").write_bytes(b"x")
    assert find(tree, "a\\b.jpg") == "export/sub/a\\b.jpg"


@pytest.mark.parametrize(("orientation", "size"), [(1, (3, 5)), (6, (5, 3))])
def test_size_is_that_of_the_upright_photo(tmp_path, orientation, size):
    exif = Image.Exif()
    exif[274] = orientation
    Image.new("RGB", (5, 3)).save(tmp_path / "a.jpg", exif=exif)
    assert upright_size(tmp_path / "a.jpg") == size


def test_file_that_is_no_photo_is_named(tree):
    with pytest.raises(ValueError, match=r"b\.png"):
        upright_size(tree / "b.png")
    assert Path(tree / "b.png").read_bytes() == b"x"
