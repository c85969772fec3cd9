"""Which image belongs to which mask: two folders, one stem."""

import os
import unicodedata
from collections import defaultdict
from pathlib import Path

_EXTENSIONS = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"),
    # Listed so that a file PIL may be unable to open is named, not passed over.
    *(".avif", ".heic", ".heif", ".jp2"),
)
_SHOWN = 10


def pair_files(images: Path, masks: Path) -> list[tuple[str, Path, Path]]:
    """Pairs the picture files of two folders by their path without extension.

    Sub-folders and links are followed; hidden files and files of other kinds are
    passed over. Accented names match however they are composed, as macOS stores
    them otherwise than Linux.

    Args:
        images: Folder of the images.
        masks: Folder of the masks, with the same sub-folders if there are any.

    Returns:
        List of `(id, image path, mask path)` sorted by id, where the id is the path
        below `images` without extension.

    Raises:
        ValueError: If a folder is missing, there are no pairs, an image or a mask
            has no counterpart, or several files share one stem.
    """
    for name, folder in (("images", images), ("masks", masks)):
        if not folder.is_dir():
            raise ValueError(
                f"`{name}` must be a folder. Received: {name}={str(folder)!r}"
            )
    if images.samefile(masks):
        raise ValueError(
            "`images` and `masks` must be two folders. "
            f"Received: images={str(images)!r}, masks={str(masks)!r}"
        )
    of_image = _files_by_stem(images, leave_out=masks)
    of_mask = _files_by_stem(masks, leave_out=images)

    problems = []
    for what, of in (("images", of_image), ("masks", of_mask)):
        several = [" and ".join(map(str, f)) for f in of.values() if len(f) > 1]
        problems += _listed(f"several {what} of one stem", several)
    alone = sorted(of_image.keys() - of_mask.keys())
    problems += _listed("images without a mask", [of_image[s][0] for s in alone])
    widows = sorted(of_mask.keys() - of_image.keys())
    problems += _listed("masks without an image", [of_mask[s][0] for s in widows])
    if problems or not of_image:
        raise ValueError(
            "`images` and `masks` must hold one mask per image, of the same path but "
            f"for the extension. Received: images={str(images)!r} with "
            f"{len(of_image)} stems, masks={str(masks)!r} with {len(of_mask)}"
            + "".join(f"\n- {problem}" for problem in problems)
            + _suffix_hint(of_image, widows)
        )
    return [(stem, of_image[stem][0], of_mask[stem][0]) for stem in sorted(of_image)]


def _files_by_stem(root, leave_out):
    found = defaultdict(list)
    visited = {leave_out.resolve()}  # one folder may lie inside the other
    for folder, folders, files in os.walk(root, followlinks=True):
        real = Path(folder).resolve()
        if real in visited:  # a link back to a parent would never end
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith((".", "__MACOSX")))
        for file in sorted(files):
            path = Path(folder, file)
            if path.suffix.lower() in _EXTENSIONS and not file.startswith("."):
                stem = path.relative_to(root).with_suffix("").as_posix()
                found[unicodedata.normalize("NFC", stem)].append(path)
    return found


def _listed(what, entries):
    if not entries:
        return []
    more = f" and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
    return [f"{len(entries)} {what}: " + ", ".join(map(str, entries[:_SHOWN])) + more]


def _suffix_hint(of_image, mask_stems):
    """The fix for masks that are all named as their image plus a fixed ending."""
    if not mask_stems:
        return ""
    first = mask_stems[0]
    for end in range(len(first) - 1, 0, -1):
        ending = first[end:]
        if first[:end] in of_image and all(
            stem.endswith(ending) and stem.removesuffix(ending) in of_image
            for stem in mask_stems
        ):
            return f"\nThe masks end in {ending!r}: rename them without it."
    return ""
