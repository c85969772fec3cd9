"""Lines of handwriting: a small net finds the ink of pages, and the lines are cut out.

    python examples/handwriting_lines.py path/to/diva-hisdb -o runs/lines
    python examples/handwriting_lines.py path/to/diva-hisdb -o runs/lines --page mine.jpg

The net learns from crops of DIVA-HisDB's training pages which pixels are text (main text
or comment, but no decoration); one page is enough to begin with, in three minutes on 2
cores. On its validation pages, or yours, text is smeared along the lines, a line is what
hangs together then, and each letter goes to the line next to it: the smearing methods of
Likforman-Sulem et al., "Text line segmentation of historical documents" (IJDAR 2007).
Where letters of two lines touch all along, as in dense glosses, they become one.
For each page it writes its lines as pictures, their boxes (left, top, right, bottom) as
JSON, and the page with the boxes drawn on it.
"""

import argparse
import functools
from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.ndimage import find_objects

import kseg
from kseg.files import write_json, write_whole

COMMENT, MAIN_TEXT = 1, 3  # class ids of `DIVAHisDB`
SIZE = 256  # of a crop, in pixels
CROPS = 64  # of each page in an epoch


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder of DIVA-HisDB")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/lines"))
    parser.add_argument("--page", type=Path, action="append", help="a photo of a page")
    parser.add_argument("--columns", action="store_true", help="lines run downwards")
    parser.add_argument("--epochs", type=int, default=15)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    arguments.output.mkdir(parents=True, exist_ok=True)

    file = arguments.output / "ink.keras"
    if file.exists():
        net = kseg.load(file).model
    else:
        net = train(Ink(arguments.data, "train"), arguments.epochs)
        write_whole(file, net.save)
    if arguments.page:
        for path in arguments.page:
            write_lines(kseg.mobile.read_image(path), net, path.stem, arguments)
        return
    for page in Ink(arguments.data, "validation"):
        boxes = write_lines(page.image, net, page.id.replace("/", "_"), arguments)
        truth = find_lines(page.mask == 1, arguments.columns)
        found = sum(any(overlap(a, b) > 0.5 for b in boxes) for a in truth)
        print(f"{page.id}: {found} of the {len(truth)} lines of the true ink are found")


class Ink(kseg.data.datasets.DIVAHisDB):
    """Pages of DIVA-HisDB with one class, text; boundaries stay 255."""

    def read_mask(self, path):
        mask = super().read_mask(path)
        text = np.isin(mask, (COMMENT, MAIN_TEXT))
        return np.where(mask == self.ignore_class, mask, text).astype("uint8")


def train(pages, epochs):
    height = np.mean([page.image.shape[0] for page in pages])
    share = SIZE / height  # crops of about the page's own resolution
    batches = kseg.data.loader(
        [page for page in pages for _ in range(CROPS)],
        8,
        SIZE,
        augment=kseg.data.augment.standard(
            scale=(0.7 * share, min(1.0, 1.5 * share)), degrees=5
        ),
    )
    net = kseg.models.unet(
        (None, None, 3),
        1,
        filters=(16, 32, 64),
        batch_norm=True,
        dropout_rate=0.0,
        activation="sigmoid",
    )
    loss = kseg.losses.Sum([kseg.losses.SparseCrossEntropy(), kseg.losses.Dice()])
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * len(batches))
    net.compile(keras.optimizers.Adam(rate), loss)
    net.fit(batches, epochs=epochs, verbose=2)
    return net


def write_lines(image, net, name, arguments):
    """Writes the lines of a page into the output folder, and returns their boxes."""
    scores = kseg.postprocess.predict_tiles(net, image, 2 * SIZE, stride=4)
    boxes = find_lines(scores[..., 0] > 0.5, arguments.columns)
    folder = arguments.output / name
    folder.mkdir(exist_ok=True)
    page = Image.fromarray(image)
    drawn = page.copy()
    draw = ImageDraw.Draw(drawn)
    for number, box in enumerate(boxes):
        save(page.crop(box), folder / f"{number:03}.jpg")
        draw.rectangle(box, outline=(0, 114, 178), width=max(2, image.shape[0] // 600))
    save(drawn, arguments.output / f"{name}.jpg")
    write_json(arguments.output / f"{name}.json", boxes)
    print(f"{name}: {len(boxes)} lines")
    return boxes


def save(picture, path):
    write_whole(path, functools.partial(picture.save, quality=90))


def find_lines(ink, columns=False):
    """Boxes of the lines of a page, from top to bottom or from left to right.

    Args:
        ink: bool array of shape `(height, width)`.
        columns: Whether lines run down the page, as in Chinese books.

    Returns:
        List of `[left, top, right, bottom]` in pixels, right and bottom outside.
    """
    if columns:
        boxes = find_lines(ink.T)
        return [[left, top, right, bottom] for top, left, bottom, right in boxes]
    letters, _ = ndimage.label(ink, np.ones((3, 3)))
    parts = find_objects(letters)
    # What goes down a third of the page is its edge, a frame or a shadow.
    high = [n for n, (y, _) in enumerate(parts, 1) if y.stop - y.start > len(ink) / 3]
    ink = ink & ~np.isin(letters, high)
    if not ink.any():
        return []
    sides = [min(s.stop - s.start for s in part) for part in parts]
    area = np.bincount(letters[ink], minlength=len(parts) + 1)[1:]
    # Half of the ink is in larger parts, so that neither specks nor the shadow of the
    # page's edge say how large letters are.
    order = np.argsort(sides)
    half = np.searchsorted(np.cumsum(area[order]), area.sum() / 2)
    size = sides[order[half]]
    smeared = ndimage.gaussian_filter(ink.astype("float32"), (0.25 * size, 2 * size))
    # What is far less dark than the darkest within a letter's height is between lines.
    darkest = ndimage.maximum_filter(smeared, (2 * size + 1, 1))
    dark = np.maximum(0.65 * darkest, 0.3 * np.median(smeared[ink]))
    cores, _ = ndimage.label(smeared > dark)
    away, nearest = ndimage.distance_transform_edt(cores == 0, return_indices=True)
    line_of = np.where(ink & (away <= size), cores[tuple(nearest)], 0)
    area = np.bincount(line_of.ravel())
    boxes = []
    for line, place in enumerate(find_objects(line_of), 1):
        if place is not None and area[line] > size**2:
            (top, bottom), (left, right) = ((s.start, s.stop) for s in place)
            boxes.append([left, top, right, bottom])
    return sorted(boxes, key=lambda box: box[1])


def overlap(a, b):
    """IoU of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(0, width) * max(0, height)
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in (a, b)]
    return both / (sum(areas) - both)


if __name__ == "__main__":
    main()
