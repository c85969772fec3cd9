"""A garment in other colours and patterns, and cut out as a visual search takes it.

    python examples/try_on.py photo.jpg --garment dress
    python examples/try_on.py photo.jpg --mask dress.png -o runs/try_on

The net that ships finds the garment, or `--net` another, whose classes have names in the
`.tflite` or beside the `.keras`; or a picture says where it is, white there. Writes
`NAME_looks.jpg`, and `NAME_garment.png`, the garment alone on a transparent ground.
"""

import argparse
import functools
from pathlib import Path

import numpy as np
from PIL import Image

import kseg
from kseg.files import write_whole
from kseg.mobile.scenarios.subjects import part_alpha

LOOKS = {
    "navy": {"color": "navy"},
    "crimson, as light as the colour": {"color": "crimson", "lightness": 1.0},
    "stripes": {"pattern": "stripes", "lightness": 1.0, "tile": 0.15},
    "dots": {"pattern": "dots", "tile": 0.2},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/try_on"))
    parser.add_argument("--net", default="clothes_float16", help="a file, or its name")
    parser.add_argument("--mask", type=Path, help="white at the garment")
    parser.add_argument("--garment", default="top", help="class of the net")
    arguments = parser.parse_args()
    photo = kseg.mobile.read_image(arguments.photo)
    net = None if arguments.mask else open_net(parser, arguments)
    alpha = part_alpha(photo, net, (arguments.garment.lower(),), arguments.mask)
    if alpha is None:
        parser.exit(1, f"no {arguments.garment} found in {arguments.photo}\n")

    pictures, titles = [photo], ["photo"]
    for title, options in LOOKS.items():
        options = dict(options)
        if "pattern" in options:
            options["pattern"] = PATTERNS[options["pattern"]]()
        pictures.append(kseg.mobile.tryon(photo, mask=alpha, **options))
        titles.append(title)
    arguments.output.mkdir(parents=True, exist_ok=True)
    target = arguments.output / arguments.photo.stem
    sheet = kseg.plot.sheet(pictures, titles, columns=len(pictures), tile=(480, 320))
    save = functools.partial(sheet.save, quality=92)
    write_whole(target.with_name(f"{target.name}_looks.jpg"), save)
    crop, share, box = kseg.mobile.garment_crop(photo, alpha)
    garment = np.dstack([crop, np.rint(255 * share).astype("uint8")])
    picture = Image.fromarray(garment)
    write_whole(target.with_name(f"{target.name}_garment.png"), picture.save)
    print(
        f"the {arguments.garment} is at {box}, left, top, right, bottom; see {target}*"
    )


def open_net(parser, arguments):
    """Opens the net, or says which classes it has."""
    net = kseg.load(arguments.net)
    if arguments.garment.lower() not in [name.lower() for name in net.labels]:
        known = ", ".join(net.labels) or "no names"
        parser.error(f"{arguments.net} has no class {arguments.garment!r}, but {known}")
    return net


def stripes(side=64):
    """A tile of a sailor's shirt."""
    tile = np.full((side, side, 3), (245, 243, 235), "uint8")
    tile[: side // 3] = (32, 48, 96)
    return tile


def dots(side=64):
    """A tile with one dot in the middle, and a quarter of one at each corner."""
    y, x = np.mgrid[:side, :side] / side
    near = [np.hypot(y - cy, x - cx) < 0.2 for cy in (0, 1) for cx in (0, 1)]
    near.append(np.hypot(y - 0.5, x - 0.5) < 0.2)
    colors = np.array([(176, 40, 60), (250, 245, 240)], "uint8")
    return colors[np.any(near, axis=0).astype(int)]


PATTERNS = {"stripes": stripes, "dots": dots}


if __name__ == "__main__":
    main()
