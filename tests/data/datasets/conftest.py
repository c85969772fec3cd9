"""Small folders of images and masks for the tests of the data sets."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def write():
    """Writes a picture file from an array or a PIL image, folders included."""

    def write(path, content, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, Image.Image):
            content = Image.fromarray(np.asarray(content, np.uint8))
        content.save(path, **options)
        return path

    return write


@pytest.fixture
def make_folder(tmp_path, write):
    """Makes `images/` and `masks/` from masks `{stem: array or PIL image}`."""

    def make(masks, root=tmp_path, images="images", to="masks"):
        for stem, mask in masks.items():
            if not isinstance(mask, Image.Image):
                mask = Image.fromarray(np.asarray(mask, np.uint8))
            write(root / images / f"{stem}.jpg", Image.new("RGB", mask.size))
            write(root / to / f"{stem}.png", mask)
        return root

    return make
