"""LiteRT.js in a real Chromium, where there is one."""

import keras
import numpy as np
import pytest

from kseg.mobile.benchmarking.in_browser import benchmark_browser
from kseg.mobile.browser.chromium import find_chromium, find_modules
from kseg.mobile.exporting.conversion import concrete_function, convert


@pytest.fixture(scope="module", autouse=True)
def installed():
    try:
        find_chromium(), find_modules()
    except (FileNotFoundError, ImportError) as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """Returns a function that converts a net with one operation inside."""
    folder = tmp_path_factory.mktemp("browser")

    def converted(name, layer):
        image = keras.Input((32, 48, 3))
        x = layer(keras.layers.Conv2D(4, 3, padding="same", activation="relu")(image))
        model = keras.Model(image, keras.layers.Conv2D(3, 3)(x))
        path = folder / f"{name}.tflite"
        path.write_bytes(convert(concrete_function(model, (32, 48), "logits")))
        return path

    return converted


class SymmetricPadding(keras.layers.Layer):
    """What no GPU takes: a border that repeats the edge."""

    def call(self, inputs):
        return keras.ops.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)), "symmetric")


def test_both_backends_are_timed(net):
    path = net("resized", keras.layers.UpSampling2D(2, interpolation="bilinear"))
    wasm, webgpu = benchmark_browser(path, runs=6, seconds=60)
    assert (wasm.target, webgpu.target) == ("wasm", "webgpu")
    for row in (wasm, webgpu):
        assert row.runs == 6
        assert 0 < row.best <= row.median <= row.p90
        assert row.load > 0
        assert row.note == ""
    assert wasm.threads >= 1
    assert webgpu.fully_delegated is True
    # Only an adapter that Chromium does not call a fallback is a GPU.
    assert webgpu.software == ("swiftshader" in webgpu.delegate)


def test_a_graph_that_the_gpu_takes_in_part_is_told(net):
    path = net("padded", SymmetricPadding())
    (row,) = benchmark_browser(path, backends="webgpu", runs=5, seconds=0)
    assert row.fully_delegated is False
    assert 0 < row.taken < row.total
    assert "WebAssembly" in row.note
    assert np.isfinite(row.median)


def test_a_slow_net_is_cut_off_after_five_runs(net):
    path = net("resized", keras.layers.UpSampling2D(2, interpolation="bilinear"))
    (row,) = benchmark_browser(path, backends=["wasm"], runs=9999, seconds=0)
    assert row.runs == 5


def test_a_file_that_is_no_model_is_an_error(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(b"no model")
    with pytest.raises(RuntimeError, match=r"benchmark\.html failed in Chromium"):
        benchmark_browser(path, backends=["wasm"])


def test_what_cannot_be_timed_is_refused(tmp_path):
    path = tmp_path / "net.tflite"
    with pytest.raises(FileNotFoundError, match=r"Received: path=.*net\.tflite"):
        benchmark_browser(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"`backends` must be .*'metal'"):
        benchmark_browser(path, backends=["wasm", "metal"])
    with pytest.raises(ValueError, match=r"`backends` must be .*\[\]"):
        benchmark_browser(path, backends=[])
    with pytest.raises(ValueError, match="`runs` must be .*runs=0"):
        benchmark_browser(path, runs=0)
