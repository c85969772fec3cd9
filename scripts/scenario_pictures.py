"""The README's pictures of portrait mode, backgrounds, try-on and make-up.

    python scripts/scenario_pictures.py path/to/ccp path/to/p3m -o docs

A minute on one core. The photos are of Clothing Co-Parsing (CCP, Apache-2.0) and of
P3M-10k (MIT, whose authors blurred the faces), and no others. People, garments and hair
are found by the nets that ship; lips are drawn below.
"""

import argparse
import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import kseg
from kseg.data.datasets import CCP
from kseg.files import write_whole
from kseg.mobile import background, garment_crop, makeup, portrait, tryon
from kseg.mobile.scenarios.subjects import part_alpha

MOST_BYTES = 150_000
LONG_SIDE = 512  # of a photo in which the corners of the lips are given
LIPS = {
    "0007": (
        *((141, 83.6), (147, 82.3), (150, 82.8), (153, 82.3), (159.4, 83.3)),
        *((155, 87.5), (150, 88.8), (145, 87.5)),
    ),
    "0855": (
        *((149.6, 73.3), (154, 74), (157.6, 73.6), (161, 74), (165.3, 73.6)),
        *((161, 76.8), (157.6, 77.5), (153, 76.5)),
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("ccp", type=Path, help="folder of Clothing Co-Parsing")
    parser.add_argument("p3m", type=Path, help="folder that holds P3M's `images`")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs"))
    parser.add_argument("--person", default="person_float16", help="another net")
    parser.add_argument("--clothes", default="clothes_float16", help="another net")
    arguments = parser.parse_args()
    photos = Photos(arguments.ccp, arguments.p3m, arguments.person, arguments.clothes)
    pictures = {
        "portrait": draw_portrait,
        "background": draw_background,
        "tryon": draw_tryon,
        "makeup": draw_makeup,
        "people": draw_people,
    }
    for name, draw in pictures.items():
        path = arguments.output / f"{name}.jpg"
        save(draw(photos), path)
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


class Photos:
    """The photos, and the nets that find people, garments and hair."""

    def __init__(self, ccp, p3m, person, clothes):
        self.person, self.clothes = kseg.load(person), kseg.load(clothes)
        self._ccp = CCP(ccp, "all", labels="clothes")
        self._p3m = p3m / "images"

    def p3m(self, name):
        return kseg.mobile.read_image(self._p3m / f"{name}.jpg")

    def ccp(self, number):
        return self._ccp.take([number])[0].image

    def part(self, number, name):
        """The matte of a garment or of hair."""
        return part_alpha(self.ccp(number), self.clothes, (name,))


def draw_portrait(photos):
    tiles = []
    for photo in (photos.p3m("p_bd6af989"), photos.p3m("p_514ca06a")):
        tiles += [
            photo,
            *(portrait(photo, photos.person, strength=s) for s in (0.4, 1.0)),
        ]
    titles = ["photo", "strength 0.4", "strength 1"] * 2
    return kseg.plot.sheet(tiles, titles, columns=6, tile=(300, 240))


def draw_background(photos):
    hows = {
        "photo": None,
        "--color white": {"color": "white"},
        '--color "#00b140"': {"color": "#00b140"},
        "--picture evening.jpg": {"picture": evening()},
    }
    rows = [
        [
            photo if how is None else background(photo, photos.person, **how)
            for how in hows.values()
        ]
        for photo in (photos.p3m("p_bd6af989"), photos.ccp("0850"))
    ]
    return kseg.plot.sheet(rows, [list(hows)] * len(rows), tile=(330, 300))


def draw_tryon(photos):
    shown = (
        ("0855", "outerwear", "teal", {"color": "teal"}),
        ("0865", "dress", "crimson", {"color": "crimson"}),
        ("0891", "top", "stripes", {"pattern": stripes(), "tile": 0.1}),
        ("0828", "bottom", "olive", {"color": "olive"}),
    )
    tiles, titles = [], []
    for number, garment, title, how in shown:
        photo, alpha = photos.ccp(number), photos.part(number, garment)
        crop, share, _ = garment_crop(photo, alpha)
        alone = 255 + share[..., None] * (crop.astype("float32") - 255)
        tiles += [photo, tryon(photo, mask=alpha, **how), alone.astype("uint8")]
        titles += ["photo", f"{garment}, {title}", "garment_crop"]
    return kseg.plot.sheet(tiles, titles, columns=6, tile=(300, 210))


def draw_makeup(photos):
    looks = {
        "photo": None,
        "--lips crimson": {"lips": "crimson"},
        '--hair "#3060c0"': {"hair": "#3060c0"},
        "both, --lightness 0.5": {
            "lips": "#a03070",
            "hair": "#b04a20",
            "lightness": 0.5,
        },
    }
    tiles = []
    for number, corners in LIPS.items():
        photo = photos.ccp(number)
        scale = max(photo.shape) / LONG_SIDE
        corners = scale * np.array(corners)
        masks = {"lips": polygon(corners, photo), "hair": photos.part(number, "hair")}
        x, y = corners.mean(0)
        box = (x - 50 * scale, y - 72 * scale, x + 50 * scale, y + 28 * scale)
        for look in looks.values():
            made = photo if look is None else makeup(photo, masks=masks, **look)
            face = Image.fromarray(np.asarray(made)).crop(box)
            tiles.append(face.resize((280, 280), Image.Resampling.LANCZOS))
    return kseg.plot.sheet(tiles, [*looks] * len(LIPS), columns=len(looks), tile=280)


def polygon(corners, photo, finer=8):
    """The matte of a polygon, whose edge is as soft as pixels make it."""
    size = [finer * side for side in photo.shape[1::-1]]
    drawn = Image.new("L", size)
    ImageDraw.Draw(drawn).polygon([(x, y) for x, y in finer * corners], fill=255)
    return np.asarray(drawn.reduce(finer)) / np.float32(255)


def draw_people(photos):
    """Two people, a small face, and nobody: what is said is the picture's title."""
    two = [photos.ccp(number)[:500] for number in ("0828", "0873")]
    small = photos.p3m("p_a09f6d7a")
    shown = {
        "two people": np.concatenate(two, axis=1),
        "a small figure": small,
        "nobody": small[:230, :150],
    }
    tiles, titles = [], []
    for title, photo in shown.items():
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            result = portrait(photo, photos.person, strength=1.0)
        tiles += [photo, result]
        spoken = [str(one.message).replace(": ", ":\n") for one in said]
        titles += [title, *(spoken or ["portrait"])]
    return kseg.plot.sheet(tiles, titles, columns=6, tile=240)


def evening(size=(600, 600)):
    """A sky after sunset, drawn."""
    height = np.linspace(0, 1, size[0])
    colors = np.array([(40, 50, 110), (150, 90, 130), (250, 160, 90), (60, 45, 60)])
    bands = [np.interp(height, (0, 0.55, 0.8, 1), band) for band in colors.T]
    sky = np.stack(bands, -1)[:, None]
    return np.broadcast_to(sky, (*size, 3)).astype("uint8")


def stripes(side=60):
    """One tile of a sailor's shirt."""
    tile = np.full((side, side, 3), (250, 248, 240), "uint8")
    tile[: side // 3] = (30, 50, 110)
    return tile


def save(picture, path):
    """Saves a JPEG in the best quality that is small enough for a README."""
    for quality in range(90, 40, -4):
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=quality, optimize=True)
        if content.tell() <= MOST_BYTES:
            break
    write_whole(path, content.getvalue())


if __name__ == "__main__":
    main()
