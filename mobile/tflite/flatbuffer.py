"""Flatbuffer tables as Python dictionaries, for schemas without generated code."""

import flatbuffers
import numpy as np
from flatbuffers import number_types
from flatbuffers.table import Table


def encode(table: dict, identifier: bytes) -> bytes:
    """Writes a flatbuffer.

    Args:
        table: Field number to value: an `int` (8-bit enum), `str`, `dict` (a table),
            `list` of tables, float32 array, or `bytes` (itself a flatbuffer).
        identifier: Four bytes that name the schema.

    Returns:
        The flatbuffer.
    """
    builder = flatbuffers.Builder(1024)
    builder.Finish(_offset(builder, table), identifier)
    return bytes(builder.Output())


def _offset(builder, value):
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, np.ndarray):
        return builder.CreateNumpyVector(value)
    if isinstance(value, bytes):
        builder.StartVector(1, len(value), 16)  # aligned as a flatbuffer must be
        builder.head -= len(value)
        builder.Bytes[builder.head : builder.head + len(value)] = value
        return builder.EndVector()
    if isinstance(value, list):
        offsets = [_offset(builder, item) for item in value]
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()
    # A table's children must be finished before the table is started.
    children = {
        field: item if isinstance(item, int) else _offset(builder, item)
        for field, item in value.items()
    }
    builder.StartObject(max(children, default=-1) + 1)
    for field, child in children.items():
        if isinstance(value[field], int):
            builder.PrependInt8Slot(field, child, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(field, child, 0)
    return builder.EndObject()


class TableReader:
    """One table of a flatbuffer; absent fields read as the schema's defaults.

    Args:
        table: A `flatbuffers.table.Table`.
    """

    def __init__(self, table: Table):
        self._table = table

    @classmethod
    def root(cls, data: bytes) -> "TableReader":
        """Returns the root table of the flatbuffer `data`."""
        (position,) = np.frombuffer(data, "<u4", count=1)
        return cls(Table(data, int(position)))

    def enum(self, field: int) -> int:
        """Returns an 8-bit field."""
        at = self._at(field)
        return self._table.Get(number_types.Int8Flags, at) if at else 0

    def text(self, field: int) -> str:
        """Returns a string field."""
        at = self._at(field)
        return self._table.String(at).decode() if at else ""

    def bytes(self, field: int) -> bytes:
        """Returns a vector of bytes."""
        return self._vector(field, "u1").tobytes()

    def floats(self, field: int) -> tuple[float, ...]:
        """Returns a vector of float32."""
        return tuple(self._vector(field, "<f4").tolist())

    def table(self, field: int) -> "TableReader":
        """Returns a table field, or the table of a union."""
        at = self._at(field)
        if not at:
            raise ValueError(f"the metadata lacks table {field}")
        return TableReader(Table(self._table.Bytes, self._table.Indirect(at)))

    def tables(self, field: int) -> list["TableReader"]:
        """Returns a vector of tables."""
        at = self._at(field)
        if not at:
            return []
        # Vector and VectorLen want the place relative to the table.
        start = self._table.Vector(at - self._table.Pos)
        length = self._table.VectorLen(at - self._table.Pos)
        places = [self._table.Indirect(start + 4 * index) for index in range(length)]
        return [TableReader(Table(self._table.Bytes, place)) for place in places]

    def _at(self, field):
        offset = self._table.Offset(4 + 2 * field)
        return self._table.Pos + offset if offset else 0

    def _vector(self, field, dtype):
        at = self._at(field)
        if not at:
            return np.empty(0, dtype)
        start = self._table.Vector(at - self._table.Pos)
        length = self._table.VectorLen(at - self._table.Pos)
        return np.frombuffer(self._table.Bytes, dtype, length, start)
