"""A cloud of points as files hold it."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Cloud:
    """The points of a file; what the file does not have is `None`.

    Attributes:
        xyz: float64 array of shape `(points, 3)`: geographic coordinates have more digits
            than float32. Of points that a depth camera missed x, y and z are NaN.
        colors: uint8 array of shape `(points, 3)`, red, green, blue.
        normals: float32 array of shape `(points, 3)`.
        labels: int32 array of shape `(points,)`.
    """

    xyz: np.ndarray
    colors: np.ndarray | None = None
    normals: np.ndarray | None = None
    labels: np.ndarray | None = None

    def __post_init__(self):
        count = np.shape(self.xyz)[:1]
        for name, shape in (
            ("xyz", (*count, 3)),
            ("colors", (*count, 3)),
            ("normals", (*count, 3)),
            ("labels", count),
        ):
            value = getattr(self, name)
            if value is not None and np.shape(value) != shape:
                raise ValueError(
                    f"`{name}` must be of shape {shape} for {count} points. "
                    f"Received: {name} of shape {np.shape(value)}"
                )

    def __len__(self):
        return len(self.xyz)

    def take(self, rows) -> "Cloud":
        """Returns the cloud of some rows: indices, a slice, or a mask of booleans.

        Example:

        >>> cloud = cloud.take(np.isfinite(cloud.xyz).all(1))
        """
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return Cloud(**{k: v if v is None else v[rows] for k, v in values.items()})


# What programs call a column: CloudCompare writes scalar_…, PCL packs rgb.
COLUMNS = {
    **{name: name for name in ("x", "y", "z")},
    "nx": "nx",
    "ny": "ny",
    "nz": "nz",
    "normal_x": "nx",
    "normal_y": "ny",
    "normal_z": "nz",
    "red": "r",
    "green": "g",
    "blue": "b",
    "r": "r",
    "g": "g",
    "b": "b",
    "diffuse_red": "r",
    "diffuse_green": "g",
    "diffuse_blue": "b",
    **dict.fromkeys(
        ("label", "labels", "class", "classification", "semantic"), "label"
    ),
}


def from_columns(columns: dict[str, np.ndarray]) -> Cloud:
    """Returns the cloud of named columns, by the names that programs give them.

    Raises:
        ValueError: If x, y or z is missing, a label is no integer, or colours are none.
    """
    found = {}
    for name, values in columns.items():
        key = COLUMNS.get(name.lower().removeprefix("scalar_"))
        if key is not None:
            found.setdefault(key, values)
    if not {"x", "y", "z"} <= found.keys():
        raise ValueError(f"it has no columns x, y, z, but {', '.join(columns)}")
    if "r" not in found:
        packed = columns.get("rgb", columns.get("rgba"))
        if packed is not None and packed.dtype.itemsize == 4:
            bits = np.ascontiguousarray(packed).view(np.uint32)
            found |= {c: bits >> s & 255 for c, s in (("r", 16), ("g", 8), ("b", 0))}

    def stacked(names, dtype):
        if not set(names) <= found.keys():
            return None
        return np.stack([found[name].astype(dtype) for name in names], axis=1)

    colors = None
    if {"r", "g", "b"} <= found.keys():
        colors = as_colors(np.stack([found[c] for c in "rgb"], axis=1))
    labels = found.get("label")
    return Cloud(
        stacked("xyz", np.float64),
        colors,
        stacked(("nx", "ny", "nz"), np.float32),
        None if labels is None else as_labels(labels),
    )


def from_text(name: str, values: np.ndarray, kind: np.dtype) -> np.ndarray:
    """A column that was text: integers as declared, all others with every digit."""
    if kind.kind == "f":
        return values
    with np.errstate(invalid="ignore"):
        whole = values.astype(kind)
    wrong = whole != values
    if wrong.any():
        raise ValueError(f"column {name} of {kind} holds {values[wrong][:5].tolist()}")
    return whole


def as_colors(values: np.ndarray) -> np.ndarray:
    """Colours as uint8, from 0 to 255, from 16 bits, or, in floats, from 0 to 1."""
    if values.dtype == np.uint16:
        # Many programs write 8 bits into fields of 16.
        return (values >> 8 if values.max(initial=0) > 255 else values).astype(np.uint8)
    low, high = values.min(initial=0), values.max(initial=0)
    if not (low >= 0 and high <= 255):
        raise ValueError(f"colours go from {low} to {high}, not from 0 to 255")
    if values.dtype.kind == "f" and high <= 1:
        return np.round(values * 255).astype(np.uint8)
    return values.astype(np.uint8)


def as_labels(values: np.ndarray) -> np.ndarray:
    """Labels as int32."""
    labels = np.nan_to_num(values.astype(np.float64), nan=0.5)
    wrong = (labels != np.floor(labels)) | (np.abs(labels) >= 2**31)
    if wrong.any():
        raise ValueError(f"labels are not whole numbers: {values[wrong][:5].tolist()}")
    return labels.astype(np.int32)
