"""The example that quantizes a net, and fine-tunes it for that."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import kseg
from kseg.data.datasets import CCP

SIZE = (96, 64)


@pytest.mark.slow
def test_three_files_are_measured_on_the_same_photos(few_photos, tmp_path, run_example):
    train, validation = (
        CCP(few_photos, split, "person") for split in ("train", "validation")
    )
    keras.utils.set_random_seed(0)
    net = kseg.models.unet(
        (*SIZE, 3), 1, filters=(8, 12, 16), batch_norm=True, activation="sigmoid"
    )
    net.compile(keras.optimizers.Adam(0.01), kseg.losses.SparseCrossEntropy())
    net.fit(kseg.data.loader(train, 8, SIZE), epochs=10, verbose=0)
    net.save(tmp_path / "net.keras")

    output = tmp_path / "out"
    net_file = tmp_path / "net.keras"
    run_example("quantize_person.py", few_photos, "-o", output, "--net", net_file)

    results = json.loads((tmp_path / "out" / "results.json").read_text())
    files = [tmp_path / "out" / f"{name}.tflite" for name in results["iou"]]
    assert len(files) == 3
    for file, iou in zip(files, results["iou"].values(), strict=True):
        segmenter = kseg.mobile.ImageSegmenter(file)
        assert iou == kseg.training.evaluate(segmenter, validation)
    kinds = [Interpreter(str(file)).get_input_details()[0]["dtype"] for file in files]
    assert kinds == [np.float32, np.uint8, np.uint8]
    timed = results["benchmark"]["models"]
    assert [Path(model["path"]).name for model in timed] == [
        file.name for file in files
    ]
    assert all(model["rows"][0]["median"] > 0 for model in timed)
