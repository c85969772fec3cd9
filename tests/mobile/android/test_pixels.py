"""Pixels.kt of the Android client, compiled and run where there is a Kotlin compiler."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

SOURCE = (
    Path(__file__).parents[3]
    / "mobile/android/app/src/main/kotlin/org/kseg/portrait/Pixels.kt"
)
RUN_PIXELS = """
import java.io.*
import org.kseg.portrait.*

fun main() {
    val input = DataInputStream(BufferedInputStream(System.`in`))
    val (width, height, radius) = List(3) { input.readInt() }
    val pixels = IntArray(width * height) { input.readInt() }
    val mask = FloatArray(width * height) { input.readFloat() }
    val output = DataOutputStream(BufferedOutputStream(System.out))
    blurBackground(pixels, mask, width, height, radius).forEach(output::writeInt)
    toInput(pixels, 3f, 2f).forEach(output::writeFloat)
    activate(mask, "sigmoid").forEach(output::writeFloat)
    output.writeBoolean(hasPerson(mask))
    output.flush()
}
"""


def kotlin_compiler():
    """Returns `(command, class path to run with)`, or skips."""
    if shutil.which("kotlinc"):
        home = Path(shutil.which("kotlinc")).resolve().parents[1]
        return ["kotlinc"], str(home / "lib" / "kotlin-stdlib.jar")
    kernel = importlib.util.find_spec("run_kotlin_kernel")
    if kernel is None or not shutil.which("java"):
        pytest.skip("needs kotlinc, or Java and the package kotlin-jupyter-kernel")
    jars = Path(kernel.origin).parent / "jars"
    (compiler,) = jars.glob("kotlin-jupyter-kernel-*-all.jar")
    (library,) = jars.glob("kotlin-stdlib-*.jar")
    main = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
    options = ["-no-stdlib", "-no-reflect", "-classpath", str(library)]
    return ["java", "-cp", str(compiler), main, *options], str(library)


@pytest.fixture(scope="module")
def run_pixels(tmp_path_factory):
    """Returns a function that runs `Pixels.kt`, compiled, on a picture and a mask."""
    compiler, library = kotlin_compiler()
    folder = tmp_path_factory.mktemp("kotlin")
    (folder / "RunPixels.kt").write_text(RUN_PIXELS)
    sources = [str(folder / "RunPixels.kt"), str(SOURCE)]
    command = [*compiler, "-Werror", *sources, "-d", str(folder / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr

    def run(image, mask, radius):
        height, width = mask.shape
        packed = (image.astype("u4") << [16, 8, 0]).sum(axis=-1) | 0xFF << 24
        header = np.array([width, height, radius], ">u4").tobytes()
        done = subprocess.run(
            ["java", "-cp", f"{folder / 'out'}:{library}", "RunPixelsKt"],
            input=header
            + packed.astype(">u4").tobytes()
            + mask.astype(">f4").tobytes(),
            capture_output=True,
            check=True,
            timeout=60,
        )
        count = height * width
        pixels = np.frombuffer(done.stdout, ">u4", count).reshape(height, width, 1)
        floats = np.frombuffer(done.stdout[: 20 * count], ">f4", 4 * count, 4 * count)
        return {
            "alpha": pixels[..., 0] >> 24,
            "blurred": (pixels >> [16, 8, 0]) & 0xFF,
            "input": floats[: 3 * count].reshape(height, width, 3),
            "activated": floats[3 * count :].reshape(height, width),
            "person": bool(done.stdout[20 * count]),
        }

    return run


def test_kotlins_blur_is_scipys_without_the_person(run_pixels):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (30, 44, 3))
    mask = rng.random((30, 44)).astype("float32")
    mask[5:20, 10:25] = 1
    found = run_pixels(image, mask, 3)

    def blur(plane):
        for _ in range(3):
            plane = uniform_filter(plane, 7, mode="constant")
        return plane

    weights = 1 - mask.astype("float64")
    colours = [blur(image[..., channel] * weights) for channel in range(3)]
    expected = np.stack(colours, axis=-1) / blur(weights)[..., None]
    # 0.5 by rounding to integers, and what float32 adds up to near one half.
    np.testing.assert_allclose(found["blurred"], expected, rtol=0, atol=0.51)
    assert np.all(found["alpha"] == 255)
    np.testing.assert_array_equal(found["input"], (image - 3) / 2)
    sigmoid = 1 / (1 + np.exp(-mask.astype("float64")))
    np.testing.assert_allclose(found["activated"], sigmoid, rtol=1e-6)
    assert found["person"]


def test_kotlins_blur_leaves_no_halo(run_pixels):
    image = np.full((24, 40, 3), (10, 200, 90))
    mask = np.zeros((24, 40), "float32")
    image[4:20, 12:28], mask[4:20, 12:28] = (255, 0, 0), 1
    found = run_pixels(image, mask, 4)
    np.testing.assert_array_equal(found["blurred"][mask == 0], image[mask == 0])


def test_kotlin_says_when_nobody_is_there(run_pixels):
    image, mask = np.zeros((25, 40, 3), int), np.full((25, 40), 0.5, "float32")
    found = run_pixels(image, mask, 0)
    assert not found["person"]
    mask[3, 7] = 0.6  # a thousandth
    assert run_pixels(image, mask, 0)["person"]
