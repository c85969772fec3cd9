"""Files of points: real layouts written here byte by byte, and hostile ones."""

import builtins
import io
import pickle
import struct
import zipfile

import numpy as np
import pytest

from kseg.data.points import Cloud, read_cloud, write_ply

XYZ = np.array([[0, 1, 2], [3.5, -4, 5], [6, 7, 8.25]])
RGB = np.array([[255, 0, 0], [0, 128, 0], [1, 2, 3]], "u1")
LABELS = np.array([0, 2, 1])


def assert_has_all(cloud, labels=True):
    np.testing.assert_array_equal(cloud.xyz, XYZ)
    assert cloud.xyz.dtype == np.float64
    np.testing.assert_array_equal(cloud.colors, RGB)
    assert cloud.colors.dtype == np.uint8
    if labels:
        np.testing.assert_array_equal(cloud.labels, LABELS)
        assert cloud.labels.dtype == np.int32


PLY = """ply
format {form} 1.0
comment made by hand
element vertex 3
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
property {kind} label
element face 1
property list uchar int vertex_indices
end_header
"""


def ply(form, order, kind="int", code="i4", header=PLY):
    fields = [(n, f"{order}f4") for n in "xyz"] + [(n, "u1") for n in "rgb"]
    rows = np.empty(3, [*fields, ("label", order + code)])
    for i, name in enumerate("xyz"):
        rows[name] = XYZ[:, i]
    for i, name in enumerate("rgb"):
        rows[name] = RGB[:, i]
    rows["label"] = LABELS
    text = header.format(form=form, kind=kind).encode()
    if form == "ascii":
        lines = [" ".join(map(str, row.tolist())) for row in rows]
        return text + "\n".join([*lines, "3 0 1 2", ""]).encode()
    return text + rows.tobytes() + struct.pack(f"{order}B3i", 3, 0, 1, 2)


@pytest.mark.parametrize(
    "form,order",
    [("ascii", "<"), ("binary_little_endian", "<"), ("binary_big_endian", ">")],
)
@pytest.mark.parametrize("kind,code", [("int", "i4"), ("float", "f4"), ("uchar", "u1")])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_ply(tmp_path, form, order, kind, code, newline):
    data = ply(form, order, kind, code)
    header, _, body = data.partition(b"end_header\n")
    header = (header + b"end_header\n").replace(b"\n", newline)
    (tmp_path / "a.ply").write_bytes(header + body)
    assert_has_all(read_cloud(tmp_path / "a.ply"))


def test_ply_of_cloudcompare_names_its_columns_scalar(tmp_path):
    data = ply("ascii", "<", "float", "f4").replace(b" label", b" scalar_Label")
    (tmp_path / "a.ply").write_bytes(data)
    assert_has_all(read_cloud(tmp_path / "a.ply"))


def test_ply_with_comments_of_any_letters(tmp_path):
    comment = "comment \u0445\u0085 Ã\u2028 end_header of mine\ncomment end_header"
    data = ply("binary_little_endian", "<", header=PLY.replace("comment", comment, 1))
    (tmp_path / "a.ply").write_bytes(data)
    assert_has_all(read_cloud(tmp_path / "a.ply"))


def test_ascii_coordinates_keep_every_digit(tmp_path):
    data = ply("ascii", "<").replace(b"\n3.5 ", b"\n500000.123456 ")
    (tmp_path / "a.ply").write_bytes(data)
    assert read_cloud(tmp_path / "a.ply").xyz[1, 0] == 500000.123456
    (tmp_path / "a.pcd").write_bytes(pcd("ascii").replace(b"3.5 ", b"500000.123456 "))
    assert read_cloud(tmp_path / "a.pcd").xyz[1, 0] == 500000.123456


def test_ascii_colours_of_0_and_1_stay_as_dark_as_declared(tmp_path):
    data = ply("ascii", "<").replace(b" 255 0 0 ", b" 1 0 0 ")
    data = data.replace(b" 0 128 0 ", b" 0 1 0 ").replace(b" 1 2 3 ", b" 1 0 1 ")
    (tmp_path / "a.ply").write_bytes(data)
    assert read_cloud(tmp_path / "a.ply").colors.tolist() == [
        [1, 0, 0],
        [0, 1, 0],
        [1, 0, 1],
    ]


def test_ply_with_another_element_in_front(tmp_path):
    extra = "element camera 2\nproperty float view\nelement vertex"
    header = PLY.replace("element vertex", extra)
    data = ply("binary_little_endian", "<", header=header)
    at = data.index(b"end_header\n") + 11
    (tmp_path / "a.ply").write_bytes(data[:at] + bytes(8) + data[at:])
    assert_has_all(read_cloud(tmp_path / "a.ply"))


PCD = """# .PCD v0.7 - Point Cloud Data file format
VERSION 0.7
FIELDS x y z rgb label
SIZE 4 4 4 4 4
TYPE F F F F U
COUNT 1 1 1 1 1
WIDTH 3
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS 3
DATA {form}
"""


def pcd_columns():
    packed = RGB.astype("u4") @ np.array([1 << 16, 1 << 8, 1], "u4")
    return [
        *XYZ.T.astype("<f4"),
        packed.astype("<u4").view("<f4"),
        LABELS.astype("<u4"),
    ]


def lzf(data):
    """LZF of literals, and a reference back where 16 bytes repeat the 4 before them."""
    out, i = b"", 0
    while i < len(data):
        if i >= 4 and data[i : i + 16] == (data[i - 4 : i] * 4)[:16]:
            out += bytes([7 << 5, 16 - 9, 4 - 1])  # 16 bytes from 4 back
            i += 16
            continue
        out += bytes([0, data[i]])
        i += 1
    return out


def pcd(form, columns=None, header=PCD):
    columns = pcd_columns() if columns is None else columns
    text = header.format(form=form).encode()
    if form == "ascii":
        # PCL writes packed colours as float; those have 9 digits.
        rows = zip(*columns, strict=True)
        lines = [
            f"{x:.9g} {y:.9g} {z:.9g} {c:.9g} {label}" for x, y, z, c, label in rows
        ]
        return text + "\n".join(lines).encode()
    if form == "binary":
        rows = np.rec.fromarrays(columns)
        return text + rows.tobytes()
    plain = b"".join(column.tobytes() for column in columns)
    packed = lzf(plain)
    return text + struct.pack("<II", len(packed), len(plain)) + packed


@pytest.mark.parametrize("form", ["ascii", "binary", "binary_compressed"])
def test_pcd(tmp_path, form):
    (tmp_path / "a.pcd").write_bytes(pcd(form))
    assert_has_all(read_cloud(tmp_path / "a.pcd"))


def test_pcd_with_padding_and_a_descriptor(tmp_path):
    header = PCD.replace("x y z rgb label", "x y z _ histogram").replace(
        "COUNT 1 1 1 1 1", "COUNT 1 1 1 1 3"
    )
    rows = np.zeros(3, [("p", "<f4", 3), ("_", "<u4"), ("h", "<u4", 3)])
    rows["p"] = XYZ
    text = header.format(form="binary").encode()
    (tmp_path / "a.pcd").write_bytes(text + rows.tobytes())
    cloud = read_cloud(tmp_path / "a.pcd")
    np.testing.assert_array_equal(cloud.xyz, XYZ)
    assert cloud.colors is cloud.labels is None


def test_lzf_that_refers_to_what_it_writes(tmp_path):
    columns = pcd_columns()
    columns[2][:] = 1.5  # 12 bytes alike in a row, and zeros behind them
    columns[4][:] = 0
    (tmp_path / "a.pcd").write_bytes(pcd("binary_compressed", columns))
    columns = [np.full(40, 7, "<f4")] * 4 + [np.full(40, 7, "<u4")]
    header = PCD.replace(" 3\n", " 40\n")
    (tmp_path / "b.pcd").write_bytes(pcd("binary_compressed", columns, header))
    assert len(lzf(b"".join(c.tobytes() for c in columns))) < 5 * 40 * 4 / 3
    cloud = read_cloud(tmp_path / "b.pcd")
    np.testing.assert_array_equal(cloud.xyz, np.full((40, 3), 7))
    assert read_cloud(tmp_path / "a.pcd").xyz[:, 2].tolist() == [1.5] * 3


def test_missing_points_of_a_depth_camera_are_nan_and_can_be_left_out(tmp_path):
    data = pcd("ascii").replace(b"3.5 -4 5", b"nan nan nan")
    (tmp_path / "a.pcd").write_bytes(data)
    cloud = read_cloud(tmp_path / "a.pcd")
    assert np.isnan(cloud.xyz[1]).all()
    cloud = cloud.take(np.isfinite(cloud.xyz).all(1))
    np.testing.assert_array_equal(cloud.labels, LABELS[[0, 2]])


def test_npz(tmp_path):
    np.savez(tmp_path / "a.npz", points=XYZ, rgb=RGB, label=LABELS, other=np.arange(5))
    assert_has_all(read_cloud(tmp_path / "a.npz"))
    np.savez_compressed(tmp_path / "b.npz", xyz=XYZ, colors=RGB / 255, labels=LABELS)
    assert_has_all(read_cloud(tmp_path / "b.npz"))


def test_txt(tmp_path):
    rows = np.concatenate([XYZ, RGB, LABELS[:, None]], axis=1)
    np.savetxt(tmp_path / "a.txt", rows)
    names = ("x", "y", "z", "red", "green", "blue", "label")
    assert_has_all(read_cloud(tmp_path / "a.txt", columns=names))
    with pytest.raises(ValueError, match=r"a\.txt.*lines have 7 numbers: name them"):
        read_cloud(tmp_path / "a.txt")


def test_lines_of_a_txt_are_counted_with_blank_ones(tmp_path):
    (tmp_path / "a.txt").write_text("1 2 3\n\n \n4 5 6\n\n7 8\n")
    with pytest.raises(ValueError, match=r"a\.txt', line 6: '7 8'"):
        read_cloud(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text("1 2 3\n\n4 5 6\n\n")
    assert read_cloud(tmp_path / "a.txt").xyz.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_coordinates_of_text_that_are_not_finite_are_named(tmp_path, value):
    (tmp_path / "a.txt").write_text(f"1 2 3\n\n4 {value} 6\n")
    with pytest.raises(ValueError, match=rf"a\.txt', line 3: '4 {value} 6'"):
        read_cloud(tmp_path / "a.txt")
    (tmp_path / "a.off").write_text(f"OFF\n3 1 0\n0 0 0\n1 0 {value}\n0 1 0\n3 0 1 2\n")
    with pytest.raises(
        ValueError, match=rf"a\.off'.*vertex 1 is \[1\.0, 0\.0, {value}"
    ):
        read_cloud(tmp_path / "a.off")


def test_real_shapes_and_meshes(data_dir):
    file = next((data_dir("shapenetpart") / "data").rglob("0*/*.txt"))
    names = ("x", "y", "z", "nx", "ny", "nz", "label")
    cloud = read_cloud(file, columns=names)
    rows = np.loadtxt(file)
    np.testing.assert_array_equal(cloud.xyz, rows[:, :3])
    np.testing.assert_allclose(cloud.normals, rows[:, 3:6], atol=1e-7)
    np.testing.assert_array_equal(cloud.labels, rows[:, 6])
    mesh = next(data_dir("modelnet10").rglob("*.off"))
    count = int(mesh.read_text().split()[1])
    assert len(read_cloud(mesh)) == count


def test_real_scene_through_ply(tmp_path, data_dir):
    scene = data_dir("kinect-scenes") / "learn0.npz"
    cloud = read_cloud(scene)
    write_ply(tmp_path / "a.ply", cloud)
    again = read_cloud(tmp_path / "a.ply")
    for name in ("xyz", "colors", "labels"):
        np.testing.assert_array_equal(getattr(again, name), getattr(cloud, name))


def test_las(tmp_path):
    laspy = pytest.importorskip("laspy", reason="needs laspy: pip install laspy")
    header = laspy.LasHeader(point_format=3, version="1.2")
    header.offsets, header.scales = [500_000, 5_000_000, 0], [0.01] * 3
    las = laspy.LasData(header)
    las.x, las.y, las.z = (XYZ + [500_000, 5_000_000, 0]).T
    las.red, las.green, las.blue = RGB.T.astype("u2") << 8
    las.classification = LABELS
    las.write(tmp_path / "a.las")
    cloud = read_cloud(tmp_path / "a.las")
    np.testing.assert_allclose(cloud.xyz - [500_000, 5_000_000, 0], XYZ, atol=1e-6)
    np.testing.assert_array_equal(cloud.colors, RGB)
    np.testing.assert_array_equal(cloud.labels, LABELS)
    data = (tmp_path / "a.las").read_bytes()
    (tmp_path / "b.las").write_bytes(data[:-20])
    with pytest.raises(ValueError, match=r"b\.las"):
        read_cloud(tmp_path / "b.las")
    huge = data[:107] + struct.pack("<I", 2**31) + data[111:]
    (tmp_path / "c.las").write_bytes(huge)
    with pytest.raises(ValueError, match=r"c\.las.*(at most|too short)"):
        read_cloud(tmp_path / "c.las")
    many = data[:100] + struct.pack("<I", 2**32 - 1) + data[104:]
    (tmp_path / "d.las").write_bytes(many)
    with pytest.raises(ValueError, match=r"d\.las.*more records than it has room"):
        read_cloud(tmp_path / "d.las")


def test_las_with_too_many_extended_records(tmp_path):
    laspy = pytest.importorskip("laspy", reason="needs laspy: pip install laspy")
    las = laspy.LasData(laspy.LasHeader(point_format=6, version="1.4"))
    las.x, las.y, las.z = XYZ.T
    las.write(tmp_path / "a.las")
    assert len(read_cloud(tmp_path / "a.las")) == 3
    data = (tmp_path / "a.las").read_bytes()
    many = data[:235] + struct.pack("<QI", len(data), 2**32 - 1) + data[247:]
    (tmp_path / "b.las").write_bytes(many)
    with pytest.raises(ValueError, match=r"b\.las.*more records than it has room"):
        read_cloud(tmp_path / "b.las")


def test_las_without_laspy_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **more):
        if name == "laspy":
            raise ImportError("No module named 'laspy'")
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "a.las").write_bytes(b"LASF")
    with pytest.raises(ImportError, match=r"laspy.*pip install 'kseg\[points\]'"):
        read_cloud(tmp_path / "a.las")


LITTLE = ply("binary_little_endian", "<")
HOSTILE = {
    "empty.ply": b"",
    "no_header.ply": b"ply\nformat ascii 1.0\n" + b"comment\n" * 10_000,
    "cut.ply": LITTLE[: LITTLE.index(b"end_header") + 30],
    "many.ply": LITTLE.replace(b"vertex 3", b"vertex 999999999999"),
    "many_ascii.ply": ply("ascii", "<").replace(b"vertex 3", b"vertex 999999999999"),
    "more_digits.ply": LITTLE.replace(b"vertex 3", b"vertex " + b"9" * 5000),
    "minus.ply": LITTLE.replace(b"vertex 3", b"vertex -3"),
    "no_points.ply": LITTLE.replace(b"vertex 3", b"vertex 0"),
    "type.ply": LITTLE.replace(b"property float x", b"property object x"),
    "no_x.ply": LITTLE.replace(b"property float x", b"property float a"),
    "twice.ply": LITTLE.replace(b"property float y", b"property float x"),
    "lists.ply": LITTLE.replace(b"property float x", b"property list uchar float x"),
    "words.ply": ply("ascii", "<").replace(b"3.5", b"abc"),
    "line.ply": ply("ascii", "<").replace(b"3.5", b""),
    "half.ply": ply("ascii", "<", "float")
    .replace(b"3 2\n", b"3 2.5\n")
    .replace(b"128 0 2", b"128 0 2.5"),
    "half_color.ply": ply("ascii", "<").replace(b"128 0 2", b"128.5 0 2"),
    "wraps.ply": ply("ascii", "<").replace(b"128 0 2", b"384 0 2"),
    "wraps_label.ply": ply("ascii", "<", "uchar").replace(b"128 0 2", b"128 0 258"),
    "minus.color.ply": ply("ascii", "<").replace(b"128 0 2", b"128 -1 2"),
    "half_label.pcd": pcd("ascii").replace(b" 2\n", b" 2.5\n"),
    "wraps_label.pcd": pcd("ascii").replace(b" 2\n", b" 4294967298\n"),
    "empty.pcd": b"",
    "no_data.pcd": PCD.partition("DATA")[0].encode(),
    "other_data.pcd": PCD.format(form="zip").encode(),
    "cut.pcd": pcd("binary")[:-1],
    "cut_ascii.pcd": pcd("ascii").rpartition(b" ")[0],
    "many.pcd": pcd("binary").replace(b" 3\n", b" 99999999\n"),
    "too_many.pcd": pcd("binary").replace(b" 3\n", b" 9999999999999999\n"),
    "minus.pcd": pcd("binary").replace(b" 3\n", b" -3\n"),
    "field.pcd": pcd("binary").replace(b"SIZE 4", b"SIZE 3"),
    "wide.pcd": pcd("binary").replace(b"COUNT 1", b"COUNT 9999999"),
    "fields.pcd": pcd("binary").replace(b"SIZE 4 4", b"SIZE 4"),
    "cut_lzf.pcd": pcd("binary_compressed")[:-5],
    "bad_lzf.pcd": pcd("binary_compressed")[:-40] + b"\xff" * 40,
    "lies.pcd": pcd("binary_compressed").replace(
        struct.pack("<I", 60), struct.pack("<I", 2**31)
    ),
    "words.txt": b"1 2 x\n",
    "row.txt": b"1 2 3\n1 2\n",
    "empty.txt": b"",
    "damaged.off": b"OFF 3 1",
    "damaged.npz": b"PK\x03\x04 this is none",
    "damaged.las": b"LASF" + bytes(300),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_errors_that_name_the_file(tmp_path, name):
    if name.endswith(".las"):
        pytest.importorskip("laspy", reason="needs laspy: pip install laspy")
    (tmp_path / name).write_bytes(HOSTILE[name])
    with pytest.raises(ValueError, match=f"{name}'"):
        read_cloud(tmp_path / name)


class Bomb:
    """Whose pickle would run a command."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('unpickled')",))


def npy(header, data=b""):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + data


@pytest.mark.parametrize("what", ["objects", "bomb", "header"])
def test_hostile_npz(tmp_path, what):
    path, files = tmp_path / "a.npz", {}
    one = {"descr": "|O", "fortran_order": False, "shape": (1,)}
    if what == "objects":
        files["xyz.npy"] = npy(one, pickle.dumps(Bomb()))
    elif what == "bomb":  # 64 MB of zeros in 64 kB
        files["xyz.npy"] = npy({**one, "descr": "<f4", "shape": (2**24,)}, bytes(2**26))
    else:
        files["xyz.npy"] = npy({**one, "descr": "<f4", "shape": (2**40, 3)}, bytes(12))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    with pytest.raises(ValueError, match=r"a\.npz.*(objects|at most|does not fit)"):
        read_cloud(path, max_bytes=2**20)


@pytest.mark.parametrize(
    "header",
    ["{[]: 1}", "(" * 3000, "{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}"],
    ids=["unhashable", "brackets", "complex"],
)
def test_npz_with_hostile_headers(tmp_path, header):
    header += "\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("xyz.npy", data + bytes(8))
    with pytest.raises(ValueError, match=r"a\.npz"):
        read_cloud(tmp_path / "a.npz")


def test_npz_of_words(tmp_path):
    np.savez(tmp_path / "a.npz", xyz=XYZ, rgb=np.full((3, 3), "red"))
    with pytest.raises(ValueError, match=r"a\.npz.*<U3, which are not numbers"):
        read_cloud(tmp_path / "a.npz")


def test_large_files_are_not_read(tmp_path):
    (tmp_path / "a.ply").write_bytes(LITTLE)
    with pytest.raises(ValueError, match=r"bytes, 100 at most: `max_bytes`"):
        read_cloud(tmp_path / "a.ply", max_bytes=100)


def test_a_packed_file_may_not_unpack_to_more(tmp_path):
    header = PCD.replace(" 3\n", " 4000\n")
    columns = [np.full(4000, 7, "<f4")] * 4 + [np.full(4000, 7, "<u4")]
    data = pcd("binary_compressed", columns, header)
    (tmp_path / "a.pcd").write_bytes(data)
    with pytest.raises(ValueError, match="unpacks to 80000 bytes, 40000 at most"):
        read_cloud(tmp_path / "a.pcd", max_bytes=40_000)


def test_absent_files_and_other_suffixes(tmp_path):
    with pytest.raises(ValueError, match=r"none\.ply"):
        read_cloud(tmp_path / "none.ply")
    with pytest.raises(ValueError, match=r"must end in .*Received: path='a\.xyz'"):
        read_cloud("a.xyz")
    with pytest.raises(ValueError, match=r"`columns` is for \.txt"):
        read_cloud("a.ply", columns=("x",))


def test_a_written_ply_is_painted_by_its_labels(tmp_path):
    write_ply(tmp_path / "a.ply", Cloud(XYZ, labels=LABELS))
    cloud = read_cloud(tmp_path / "a.ply")
    np.testing.assert_array_equal(cloud.labels, LABELS)
    assert len({tuple(color) for color in cloud.colors.tolist()}) == 3


def test_a_written_ply_keeps_geographic_digits_and_normals(tmp_path):
    xyz = XYZ + [500_000.123456, 5_000_000.123456, 0]
    normals = np.float32([[0, 0, 1], [0, 1, 0], [1, 0, 0]])
    write_ply(tmp_path / "a.ply", Cloud(xyz, normals=normals))
    cloud = read_cloud(tmp_path / "a.ply")
    np.testing.assert_array_equal(cloud.xyz, xyz)
    np.testing.assert_array_equal(cloud.normals, normals)


@pytest.mark.parametrize("colors", [RGB / 255, RGB.astype("u2") << 8, RGB.astype(int)])
def test_colours_of_other_types_are_written_as_bytes(tmp_path, colors):
    write_ply(tmp_path / "a.ply", Cloud(XYZ, colors))
    np.testing.assert_array_equal(read_cloud(tmp_path / "a.ply").colors, RGB)


def test_bad_things_to_write(tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.ply. Received"):
        write_ply(tmp_path / "a.pcd", Cloud(XYZ))
    with pytest.raises(ValueError, match="Received: labels from -1 to 1"):
        write_ply(tmp_path / "a.ply", Cloud(XYZ, labels=np.array([0, -1, 1])))
    with pytest.raises(ValueError, match="Received: colours go from 0 to 300"):
        write_ply(tmp_path / "a.ply", Cloud(XYZ, np.diag([300, 1, 1])))
    with pytest.raises(ValueError, match=r"Received: labels are not whole.*\[0.5\]"):
        write_ply(tmp_path / "a.ply", Cloud(XYZ, labels=np.array([0, 0.5, 1])))
    with pytest.raises(ValueError, match="`labels` must be of shape"):
        Cloud(XYZ, labels=np.zeros(4, int))
    assert not list(tmp_path.iterdir())
