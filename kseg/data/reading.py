"""Image and mask files -> arrays; every failure is a ValueError naming the file."""

import contextlib
from pathlib import Path

import numpy as np
from PIL import Image

_ORIENTATION = 274  # the EXIF tag
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# More than 8 bits per value: PIL would clip them on the way to RGB. The range of 16 bits
# is known, as PNG has it; 32 bits and floats may hold anything.
_16_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
_DEEP_MODES = ("I", "F", *_16_BIT_MODES)
_LOSSY = ("JPEG", "MPO", "JPEG2000", "WEBP", "AVIF")


def read_image(path: str | Path) -> np.ndarray:
    """Reads a photo as RGB, turned upright by its EXIF orientation.

    Greyscale, palette, CMYK and transparent pictures are converted; transparency
    is dropped. Grey values of 16 bits, 0 to 65535, become 0 to 255, as on the phone
    (`kseg.mobile.images.read_image`). Only the first frame of an animation is read.

    Args:
        path: A file that PIL can open.

    Returns:
        uint8 array of shape `(height, width, 3)`.

    Raises:
        ValueError: If the file is absent, damaged, truncated or no picture, holds
            values of 32 bits, or exceeds PIL's limit against decompression bombs
            (twice `PIL.Image.MAX_IMAGE_PIXELS`).
    """
    with _naming(path), Image.open(path) as image:
        image.load()
        orientation = _orientation(image)
    if image.mode in ("I", "F"):
        raise ValueError(
            "An image must have 8 or 16 bits per value; how deeper values become 0..255 "
            "is for you to say: scale them and save an 8-bit PNG. "
            f"Received: image={str(path)!r} of PIL mode {image.mode!r}"
        )
    if image.mode in _16_BIT_MODES:
        values = np.rint(np.asarray(image).astype("float32") / 257)
        image = Image.fromarray(values.astype("uint8"))
    with _naming(path):
        image = _to_rgb(image)
    if orientation in _TRANSPOSE:
        image = image.transpose(_TRANSPOSE[orientation])
    return np.array(image)


def read_orientation(path: str | Path) -> int:
    """Reads the EXIF orientation of a photo; 1 is upright."""
    with _naming(path), Image.open(path) as image:
        return _orientation(image)


def read_mask(path: str | Path) -> np.ndarray:
    """Reads the values of a mask as they are stored.

    A palette mask gives its indices, a 1-bit mask 0 and 1, a grey picture saved as
    RGB its grey values. Nothing is rescaled and no EXIF orientation is applied.

    Args:
        path: A file in a lossless format that PIL can open (PNG, TIFF, BMP, GIF).

    Returns:
        uint8 array of shape `(height, width)`, int32 where values exceed 255.

    Raises:
        ValueError: If the file is absent, damaged, lossy, coloured, transparent,
            of floating point, or a greyscale picture of 2 or 4 bits.
    """
    return mask_values(open_mask(path), path)


def read_mask_colors(path: str | Path) -> np.ndarray:
    """Reads a mask painted in colours as uint8 of shape `(height, width, 3)`."""
    image = open_mask(path)
    if image.mode not in ("1", "L", "P", "RGB"):
        raise ValueError(
            "A mask painted in colours must be opaque with 8 bits per colour. "
            f"Received: mask={str(path)!r} of PIL mode {image.mode!r}"
        )
    return np.array(_to_rgb(image))


def open_mask(path: str | Path) -> Image.Image:
    """Decodes a mask file, refusing formats that cannot hold class ids faithfully."""
    with _naming(path), Image.open(path) as image:
        arguments = image.tile[0].args if image.tile else None
        # A TIFF file tells its compression, which may be JPEG as well.
        coding = image.info.get("compression") or image.format
        image.load()
    if str(coding).upper().removeprefix("TIFF_") in _LOSSY:
        raise ValueError(
            "A mask must be stored without loss, as PNG for example: JPEG and its "
            "like blur class ids into their neighbours. "
            f"Received: mask={str(path)!r} of format {coding}"
        )
    packing = str(arguments[0] if isinstance(arguments, tuple) else arguments)
    if packing in ("L;2", "L;4") or (
        ";16" in packing and image.mode not in _DEEP_MODES
    ):
        # PIL stretches 2 and 4 bits to 0..255 and cuts 16-bit colours to 8 bits.
        raise ValueError(
            "A mask must be greyscale of 1, 8 or 16 bits or have a palette: in other "
            "depths class ids cannot be told from grey levels. Save it as 8-bit PNG. "
            f"Received: mask={str(path)!r} of depth {packing!r}"
        )
    return image


def mask_values(image: Image.Image, path: str | Path) -> np.ndarray:
    """Returns the stored values of a decoded mask; `path` is for messages."""
    if image.mode in ("L", "P", "1"):
        return np.array(image).astype(np.uint8)
    if image.mode in _DEEP_MODES and image.mode != "F":
        values = np.array(image).astype(np.int32)
        fits = values.min() >= 0 and values.max() <= 255
        return values.astype(np.uint8) if fits else values
    if image.mode in ("LA", "PA", "RGB", "RGBA"):
        bands = np.array(image)
        if image.mode != "RGB" and bands[..., -1].min() < 255:
            raise ValueError(
                "A mask must be opaque: what lies under transparent pixels is "
                f"undefined. Received: mask={str(path)!r} of PIL mode {image.mode!r}"
            )
        colors = bands[..., :3] if image.mode.startswith("RGB") else bands[..., :1]
        if (colors == colors[..., :1]).all():
            return colors[..., 0].copy()
        raise ValueError(
            "A mask must hold one class id per pixel (greyscale or palette). For "
            "masks painted in colours pass their meaning to `ImageFolder`, as in "
            "`colors={(0, 0, 0): 0, (255, 0, 255): 1}`; for the command line save them "
            "as class ids, with a name per line in classes.txt beside them. "
            f"Received: mask={str(path)!r} in colours such as "
            f"{_some_colors(colors)}"
        )
    raise ValueError(
        "A mask must hold one integer class id per pixel. "
        f"Received: mask={str(path)!r} of PIL mode {image.mode!r}"
    )


def _to_rgb(image):
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # PIL warns on the straight way to RGB
    return image.convert("RGB")


def _some_colors(colors):
    found = np.unique(colors.reshape(-1, 3), axis=0)[:4]
    return ", ".join(str(tuple(map(int, color))) for color in found)


def _orientation(image):
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # PIL parses EXIF loosely; a damaged block says nothing
        return 1


@contextlib.contextmanager
def _naming(path):
    try:
        yield
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:
        raise ValueError(
            "A picture must stay below twice `PIL.Image.MAX_IMAGE_PIXELS`, PIL's "
            "guard against decompression bombs. Cut it into tiles, or raise the "
            f"limit if you trust the file. Received: {str(path)!r} ({error})"
        ) from error
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, …
        raise ValueError(
            "A picture must be a whole file that can be read. "
            f"Received: {str(path)!r} ({type(error).__name__}: {error})"
        ) from error
