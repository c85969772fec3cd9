"""Fixtures that every test may use."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image

REPOSITORY = Path(__file__).parents[1]
DATA = Path(os.environ.get("KSEG_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def data_dir():
    """Returns the folder of a real data set, or skips the test that asks for it."""

    def find(name: str) -> Path:
        folder = DATA / name
        if not folder.exists():
            pytest.skip(f"needs the data set {name!r} in {DATA} (KSEG_TEST_DATA)")
        return folder

    return find


@pytest.fixture(scope="session")
def squares_folder(tmp_path_factory):
    """Twelve photos of a bright square on a dark ground, with 0/255 masks."""
    folder = tmp_path_factory.mktemp("squares")
    rng = np.random.default_rng(3)
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for index in range(12):
        image = rng.integers(0, 90, (48, 64, 3), "uint8")
        mask = np.zeros((48, 64), "uint8")
        y, x = rng.integers(0, 20, 2)
        image[y : y + 24, x : x + 30] += 150
        mask[y : y + 24, x : x + 30] = 255
        Image.fromarray(image).save(folder / "images" / f"{index:02d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{index:02d}.png")
    return folder


@pytest.fixture(scope="session")
def gradient():
    """Returns a function: (scalar function, array) -> its gradient, a NumPy array."""

    def of(function, x, dtype="float32"):
        x = ops.convert_to_tensor(x, dtype)
        match keras.backend.backend():
            case "tensorflow":
                import tensorflow as tf

                with tf.GradientTape() as tape:
                    tape.watch(x)
                    value = function(x)
                result = tape.gradient(value, x)
            case "jax":
                import jax

                result = jax.grad(function)(x)
            case "torch":
                x = x.detach().clone().requires_grad_()
                function(x).backward()
                result = x.grad
        return ops.convert_to_numpy(ops.cast(result, "float32"))

    return of
