"""From the pictures of an export to the files that belong to them."""

import dataclasses
import io
from pathlib import Path

from PIL import Image

from kseg.data.annotations import documents, labelbox, labelme
from kseg.data.annotations.folder import Item
from kseg.data.annotations.photos import Photos, upright_size
from kseg.data.annotations.places import Place
from kseg.data.annotations.shapes import Bitmap, MaskFile, Picture
from kseg.data.scanning import raise_problems, scan


def locate(
    pictures: list[tuple[Path, Picture]], photos: Photos
) -> tuple[list[Item], list[str]]:
    """Finds the photo, and the files of masks, of every picture.

    Args:
        pictures: Pairs of a file of annotations and a picture in it.
        photos: The files there are.

    Returns:
        The pictures of which everything is known, and the names of missing files with
        their places.

    Raises:
        ValueError: If a file is no picture, or a size is not what the export states.
    """

    def find(pair):
        path, picture = pair
        photo = photos.find(picture, near=path.parent)
        content = None
        if photo is None and picture.embedded:
            content = labelme.photo(
                documents.read_document(path, Place(picture.place.file))
            )
            photo, size = _embedded(picture, path, content)
        elif photo is None:
            return f"{picture.place} {' or '.join(map(repr, picture.names))}"
        else:
            size = upright_size(photo)
        _check_size(picture, photo, size)
        lost = _find_masks(picture, photos, path.parent)
        if lost is not None:
            return f"{lost.place} {lost.name!r}"
        return Item(path, picture, photo, size, embedded=content is not None)

    results = scan(find, pictures, "Finding photos")
    problems = [str(result) for result in results if isinstance(result, Exception)]
    raise_problems(problems, len(pictures), "pictures")
    items = [item for item in results if isinstance(item, Item)]
    return items, [missing for missing in results if isinstance(missing, str)]


def _embedded(picture, path, content):
    """Name and size of a photo that the export itself holds."""
    place = Place(picture.place.file, "imageData")
    try:
        with Image.open(io.BytesIO(content)) as image:
            suffix = {"JPEG": ".jpg", "TIFF": ".tif"}.get(
                image.format, f".{(image.format or '').lower()}"
            )
            turned = image.getexif().get(274, 1) >= 5
            size = image.size if turned else image.size[::-1]
    except MemoryError:
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, …
        raise place.error(f"This must be a picture ({error}).") from error
    return path.with_suffix(suffix), size


def _check_size(picture, photo, size):
    limit = 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS else float("inf")
    for height, width in (size, picture.size or size):
        if height * width > limit:
            raise picture.place.error(
                f"A picture must have at most {limit} pixels, PIL's guard against "
                f"decompression bombs. Received: height={height}, width={width}"
            )
    if picture.size not in (None, size):
        hint = ""
        if picture.size == size[::-1]:
            hint = (
                " It may have been annotated as stored, before its EXIF orientation "
                "turns it upright."
            )
        raise picture.place.error(
            "The photo must have the height and width that the export states, "
            f"{picture.size}.{hint} Received: {str(photo)!r} of {size}"
        )


def _find_masks(picture, photos, near):
    """Puts files in place of the names of masks; returns a name without file."""
    for index, shape in enumerate(picture.shapes):
        parts = []
        for part in shape.parts:
            if isinstance(part, MaskFile):
                name = labelbox.last_part(part.name)
                path = photos.find_name(name, part.place, near)
                if path is None:
                    return part
                part = Bitmap(path.read_bytes, part.place)
            parts.append(part)
        picture.shapes[index] = dataclasses.replace(shape, parts=tuple(parts))
    return None
