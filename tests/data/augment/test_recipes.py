"""The default recipe on odd pictures and on real ones."""

import numpy as np
import pytest
from PIL import Image

from kseg.data import augment


@pytest.mark.parametrize(
    "source", [(1, 1), (1, 500), (500, 1), (3, 2), (1200, 40), (64, 48)]
)
def test_any_picture_gives_the_size_asked_for_and_no_new_label(source):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*source, 3), "uint8")
    mask = rng.choice([0, 7, 200], source).astype("uint8")
    recipe = augment.standard()
    for seed in range(15):
        out, kept = recipe(image, mask, np.random.default_rng(seed), (40, 56))
        assert out.shape == (40, 56, 3)
        assert out.dtype == "uint8"
        assert kept.shape == (40, 56)
        assert set(np.unique(kept)) <= {0, 7, 200, 255}


def test_strength_zero_is_geometry_only():
    image = np.full((60, 40, 3), (200, 30, 90), "uint8")
    mask = np.zeros((60, 40), "uint8")
    recipe = augment.standard(strength=0)
    for seed in range(10):
        out, kept = recipe(image, mask, np.random.default_rng(seed), (32, 32))
        assert np.all(out[kept == 0] == (200, 30, 90))
        assert (kept == 0).mean() > 0.5


def test_seeds_give_different_pictures():
    image = np.random.default_rng(0).integers(0, 256, (60, 40, 3), "uint8")
    seen = {
        augment.standard()(image, None, np.random.default_rng(seed), (16, 16))[
            0
        ].tobytes()
        for seed in range(50)
    }
    assert len(seen) == 50


def test_strength_out_of_range_is_named():
    with pytest.raises(ValueError, match="`strength` must .* Received: strength=2"):
        augment.standard(strength=2)


def test_real_photos_keep_their_labels_and_most_of_their_picture(data_dir):
    folder = data_dir("ccp")
    recipe = augment.standard()
    for number in (1, 2, 3, 4):
        image = np.asarray(
            Image.open(folder / f"photos/{number:04}.jpg").convert("RGB")
        )
        file = folder / f"annotations/pixel-level/{number:04}.png"
        mask = np.asarray(Image.open(file))
        for seed in range(4):
            rng = np.random.default_rng(seed)
            out, kept = recipe(image, mask, rng, (128, 128))
            assert set(np.unique(kept)) <= {*np.unique(mask), 255}
            assert (kept == 255).mean() < 0.25
            assert out.std() > 2
