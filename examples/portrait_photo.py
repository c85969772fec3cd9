"""Portrait mode step by step: the photo, what the net finds, the matte, two lenses.

    python examples/portrait_photo.py photo.jpg another.jpg -o runs/portrait
    python examples/portrait_photo.py  # the photos that ship with kseg, which are small

Writes `NAME_portrait.jpg` and `NAME_steps.jpg` for every photo, and says where it found
nobody. `kseg portrait photo.jpg -o out.jpg` is the same without the steps.
"""

import argparse
import functools
import time
from pathlib import Path

import numpy as np
from PIL import Image

import kseg
from kseg.files import write_whole
from kseg.mobile.images import PHOTOS
from kseg.mobile.scenarios.lens import blur_background, lens_radius
from kseg.mobile.scenarios.subjects import person_alpha


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path, nargs="*", help="photos of people")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/portrait"))
    parser.add_argument("--net", default="person_float16", help="a file, or its name")
    parser.add_argument("--strength", type=float, default=0.5, help="0 to 1")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    net = kseg.load(arguments.net)
    for path in arguments.photos or sorted(PHOTOS.glob("*.jpg")):
        take_apart(path, net, arguments.strength, arguments.output)


def take_apart(path, net, strength, output):
    """Writes the portrait of one photo, and a sheet of the steps to it."""
    photo = kseg.mobile.read_image(path)
    mask = net.segment(photo).category_mask
    start = time.perf_counter()
    # The matte follows the edges of the photo, to which the net's own are coarse.
    alpha = person_alpha(photo, net, threshold=0.5)
    if alpha is None:
        print(f"{path.name}: nobody found, no portrait written")
        return
    blurred = blur_background(photo, alpha, lens_radius(alpha.shape, strength))
    ms = 1e3 * (time.perf_counter() - start)
    print(f"{path.name}: {(alpha > 0.5).mean():.0%} of it is person; {ms:.0f} ms")
    save(Image.fromarray(blurred), output / f"{path.stem}_portrait.jpg")

    fast = blur_background(photo, alpha, lens_radius(alpha.shape, 1.0))
    matte = np.rint(255 * alpha).astype("uint8")
    sheet = kseg.plot.sheet(
        [photo, kseg.plot.overlay(photo, mask), matte, blurred, fast],
        ["photo", "mask of the net", "matte", f"strength {strength:g}", "strength 1"],
        columns=5,
        tile=(480, 360),
    )
    save(sheet, output / f"{path.stem}_steps.jpg")


def save(picture, path):
    write_whole(path, functools.partial(picture.save, quality=92))


if __name__ == "__main__":
    main()
