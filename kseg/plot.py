"""Pictures that people look at: overlays, legends, sheets and training curves."""

import csv
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Okabe and Ito's colours, which people with any colour vision tell apart.
_OKABE_ITO = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)


def palette(count):
    """Returns `count` RGB triples that are told apart easily; the first is black."""
    colors = [(0, 0, 0), *_OKABE_ITO]
    while len(colors) < count:
        index = len(colors)
        hue = (index * 0.618034) % 1.0
        value = (0.95, 0.65, 0.8)[index % 3]
        sector = hue * 6
        ramp = [np.clip(abs((sector + k) % 6 - 3) - 1, 0, 1) for k in (0, 4, 2)]
        colors.append(tuple(int(255 * value * (0.25 + 0.75 * r)) for r in ramp))
    return colors[:count]


def overlay(image, mask, colors=None, alpha=0.5, ignore_class=255):
    """Draws the classes of a mask over a photo."""
    image = np.asarray(image.convert("RGB") if isinstance(image, Image.Image) else image)
    mask = np.asarray(mask)
    if mask.shape != image.shape[:2]:
        raise ValueError(
            "`mask` must have the height and width of `image`. "
            f"Received: mask of shape {mask.shape}, image of shape {image.shape}"
        )
    valid = mask != ignore_class
    count = int(mask[valid].max(initial=0)) + 1
    table = np.array(palette(count) if colors is None else colors, "float32")
    shown = valid & (mask > 0) if colors is None else valid & (table[np.where(valid, mask, 0)].any(-1))
    out = image.astype("float32")
    out[shown] += alpha * (table[mask[shown]] - out[shown])
    return Image.fromarray(np.rint(out).astype("uint8"))


def sheet(tiles, titles=None, columns=4, tile=256):
    """Puts pictures side by side, each with its title."""
    rows = math.ceil(len(tiles) / columns)
    bar, gap = 26, 6
    font = ImageFont.load_default(15)
    out = Image.new(
        "RGB", (columns * (tile + gap) + gap, rows * (tile + bar + gap) + gap), "white"
    )
    draw = ImageDraw.Draw(out)
    for index, picture in enumerate(tiles):
        picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        picture = picture.convert("RGB")
        scale = tile / max(picture.size)
        picture = picture.resize([max(1, round(n * scale)) for n in picture.size])
        x = gap + (index % columns) * (tile + gap)
        y = gap + (index // columns) * (tile + bar + gap)
        if titles:
            draw.text((x, y + 3), titles[index], "black", font)
        out.paste(picture, (x + (tile - picture.width) // 2, y + bar))
    return out


def curves(csv_path, png_path):
    """Draws loss and mIoU over the epochs of a run."""
    from matplotlib.figure import Figure

    with Path(csv_path).open(newline="", encoding="utf-8") as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    for axes, words in zip(figure.subplots(1, 2), ("loss", "iou"), strict=True):
        for name in [n for n in rows[0] if words in n]:
            axes.plot([r["epoch"] for r in rows], [r[name] for r in rows], label=name)
        axes.set_xlabel("epoch")
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
    temporary = Path(png_path).with_suffix(".partial.png")
    figure.savefig(temporary, dpi=110)
    temporary.replace(png_path)
