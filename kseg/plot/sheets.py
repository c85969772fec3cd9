"""Legends, and sheets of pictures side by side."""

from numbers import Integral

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kseg.plot.colors import as_colors, palette
from kseg.plot.masks import as_picture

_INK = (30, 30, 30)
_RIM = (150, 150, 150)


def legend(
    class_names, colors=None, *, font_size: int = 16, columns: int = 1
) -> Image.Image:
    """Draws the colour and the name of every class.

    Args:
        class_names: Names, one per class id.
        colors: One colour per class, as for `overlay`. Defaults to `palette`.
        font_size: Height of the letters in pixels.
        columns: Columns to spread the names over, read downwards.

    Returns:
        PIL image of mode `"RGB"`, white around.

    Raises:
        ValueError: If there is no name, or the numbers of names and colours differ.
    """
    names = [str(name) for name in class_names]
    if not names:
        raise ValueError(
            f"`class_names` must hold a name. Received: class_names={class_names!r}"
        )
    colors = as_colors(palette(len(names)) if colors is None else colors)
    if len(colors) != len(names):
        raise ValueError(
            "`colors` must hold one color per name. "
            f"Received: {len(colors)} colors, class_names={names}"
        )
    _check_count("columns", columns)
    _check_count("font_size", font_size)
    font = ImageFont.load_default(font_size)
    line, gap = round(1.6 * font_size), font_size // 2
    rows = -(-len(names) // columns)
    columns = -(-len(names) // rows)
    text = max(round(font.getlength(name)) for name in names)
    column = line + text + 3 * gap
    picture = Image.new("RGB", (columns * column + gap, rows * line + 2 * gap), "white")
    draw = ImageDraw.Draw(picture)
    for index, (name, color) in enumerate(zip(names, colors, strict=True)):
        x = gap + index // rows * column
        y = gap + index % rows * line
        box = (x, y + line // 8, x + line - 1, y + line - 1 - line // 8)
        draw.rectangle(box, tuple(color.tolist()), _RIM)
        draw.text((x + line + gap, y + line / 2), name, _INK, font, anchor="lm")
    return picture


def sheet(
    tiles,
    titles=None,
    columns: int = 4,
    tile=256,
    *,
    gap: int = 8,
    background="white",
) -> Image.Image:
    """Puts pictures side by side, each fitted into a tile with its proportions.

    Args:
        tiles: Pictures, as `overlay` takes them, in reading order; or rows, a
            list of lists of pictures, which set the columns. `None` leaves a tile
            empty.
        titles: One text per picture, in the shape of `tiles`, written above it. A
            line break starts a new line; what is too long is cut.
        columns: Pictures in a row.
        tile: `(height, width)` of a tile in pixels; an int means square.
        gap: Pixels between tiles and around them.
        background: Colour around the pictures.

    Returns:
        PIL image of mode `"RGB"`.

    Raises:
        ValueError: If there is no picture, or the number of titles differs.
    """
    _check_count("columns", columns)
    height, width = (tile, tile) if isinstance(tile, Integral) else tile
    _check_count("tile", height)
    _check_count("tile", width)
    tiles, titles, columns = _flatten(list(tiles), titles, columns)
    font = ImageFont.load_default(max(11, round(width / 17)))
    line = sum(font.getmetrics())
    titles = [_fit(text, font, width) for text in titles]
    head = line * max((text.count("\n") + 1 if text else 0) for text in titles)
    rows = -(-len(tiles) // columns)
    step_x, step_y = width + gap, height + head + gap
    size = (columns * step_x + gap, rows * step_y + gap)
    result = Image.new("RGB", size, background)
    draw = ImageDraw.Draw(result)
    dark = sum(result.getpixel((0, 0))) < 3 * 128
    for index, (picture, text) in enumerate(zip(tiles, titles, strict=True)):
        x = gap + index % columns * step_x
        y = gap + index // columns * step_y
        if text:
            ink = "white" if dark else _INK
            draw.text((x + width / 2, y), text, ink, font, "ma", 0, "center")
        if picture is not None:
            picture = _fitted(picture, height, width)
            left, top = (width - picture.width) // 2, (height - picture.height) // 2
            result.paste(picture, (x + left, y + head + top))
    return result


def _flatten(tiles, titles, columns):
    """Tiles and titles in reading order, rows filled up with empty tiles."""
    if not tiles:
        raise ValueError("`tiles` must hold a picture. Received: tiles=[]")
    if any(isinstance(row, list | tuple) for row in tiles):
        columns = max(len(row) for row in tiles)
        lengths = [len(row) for row in tiles]
        if titles is not None and [len(row) for row in titles] != lengths:
            raise ValueError(
                "`titles` must hold one text per picture, in rows like `tiles`. "
                f"Received: rows of {[len(row) for row in titles]} titles for rows of "
                f"{lengths} pictures"
            )
        texts = titles or [[""] * n for n in lengths]
        titles = [t for row in texts for t in [*row, *[""] * (columns - len(row))]]
        tiles = [t for row in tiles for t in [*row, *[None] * (columns - len(row))]]
    titles = [""] * len(tiles) if titles is None else [str(text) for text in titles]
    if len(titles) != len(tiles):
        raise ValueError(
            "`titles` must hold one text per picture. "
            f"Received: {len(titles)} titles, {len(tiles)} pictures"
        )
    return tiles, titles, min(columns, len(tiles))


def _fit(text, font, width):
    """Each line cut, with an ellipsis, so that it is no wider than a tile."""
    lines = []
    for line in text.splitlines():
        if font.getlength(line) > width:
            while line and font.getlength(line + "…") > width:
                line = line[:-1]
            line = line.rstrip() + "…"
        lines.append(line)
    return "\n".join(lines)


def _fitted(picture, height, width):
    picture = as_picture("tiles", picture)
    scale = min(height / picture.height, width / picture.width)
    size = [max(1, round(n * scale)) for n in picture.size]
    # Enlarged pixels stay visible as pixels from twice the size on.
    how = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS
    return picture.resize(size, how)


def _check_count(name, value):
    if not isinstance(value, Integral | np.integer) or value < 1:
        raise ValueError(
            f"`{name}` must be a positive integer. Received: {name}={value!r}"
        )
