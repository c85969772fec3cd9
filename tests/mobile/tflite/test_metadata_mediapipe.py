"""Files with kseg's metadata in MediaPipe's own ImageSegmenter, in Python and a browser.

The photos have the size of the net's input: at another size the two stretch them in
different ways (`test_at_another_size_…` shows that nothing else differs).
"""

import base64
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from kseg import losses, models
from kseg.data import datasets
from kseg.mobile import ImageSegmenter, export
from kseg.mobile.browser.chromium import find_chromium, find_modules, run_page
from kseg.mobile.images import PHOTOS, read_image

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-mediapipe" / "bin" / "python"
WORKER = Path(__file__).with_name("mediapipe_worker.py")
PAGE = Path(__file__).with_name("tasks_vision.html")
PERSON = ROOT / "mobile" / "weights" / "person_float16.tflite"
SIZE = (64, 96)
CHOICES = (
    ("float32", "probabilities"),
    ("float32", "logits"),
    ("float16", "probabilities"),
    ("full_int8", "probabilities"),
)
# WebGL in software.
GPU = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
LEAST_EQUAL = {"CPU": 0.995, "GPU": 0.99}


@pytest.fixture(scope="module")
def streets(data_dir):
    """Sixteen street scenes of CamVid with their masks of eleven classes."""
    samples = datasets.CamVid(data_dir("camvid"), "train")
    images, masks = [], []
    for index in range(0, 160, 10):
        sample = samples[index]
        image = Image.fromarray(sample.image).resize(SIZE[::-1])
        mask = Image.fromarray(sample.mask).resize(SIZE[::-1], Image.Resampling.NEAREST)
        images.append(np.asarray(image))
        masks.append(np.asarray(mask))
    return np.stack(images), np.stack(masks)


@pytest.fixture(scope="module")
def pairs(streets, tmp_path_factory):
    """Pairs of a net and a photo of its input's size: one class, and eleven."""
    folder = tmp_path_factory.mktemp("mediapipe")
    images, masks = streets
    keras.utils.set_random_seed(0)
    net = models.unet((*SIZE, 3), 11, filters=(8, 12, 16), batch_norm=True)
    net.compile(
        keras.optimizers.Adam(0.01), losses.SparseCrossEntropy(), jit_compile=False
    )
    for _ in range(20):
        net.train_on_batch(images.astype("float32"), masks)
    labels = [f"class {index}" for index in range(11)]
    person, street = folder / "person.png", folder / "street.png"
    photo = Image.open(PHOTOS / "ccp_0001.jpg")
    photo.resize((256, 256), Image.Resampling.LANCZOS).save(person)
    Image.fromarray(images[3]).save(street)
    found = [(PERSON, person)]
    for precision, output in CHOICES:
        path = folder / f"{precision}_{output}.tflite"
        export(
            net,
            path,
            precision=precision,
            output=output,
            calibration=images,
            labels=labels,
            verbose=False,
        )
        found.append((path, street))
    return found


@pytest.fixture(scope="module")
def in_python(tmp_path_factory):
    """Returns a function that gives what the Python package makes of pairs."""
    if not PYTHON.exists():
        pytest.skip(
            "needs MediaPipe in .venv-mediapipe (make .venv-mediapipe/bin/python)"
        )

    def segment(pairs):
        output = tmp_path_factory.mktemp("answers") / "answers.npz"
        arguments = [str(path) for pair in pairs for path in pair]
        subprocess.run([PYTHON, WORKER, output, *arguments], check=True)
        with np.load(output) as found:
            return [
                tuple(
                    found[f"{kind}_{n}"]
                    for kind in ("labels", "category", "confidence")
                )
                for n in range(len(pairs))
            ]

    return segment


@pytest.fixture(scope="module")
def in_browser():
    """Returns a function that gives what tasks-vision makes of pairs."""
    try:
        find_chromium(), find_modules()
    except (FileNotFoundError, ImportError) as missing:
        pytest.skip(str(missing))

    def segment(pairs, delegate):
        files = {}
        for number, (net, photo) in enumerate(pairs):
            files |= {f"model_{number}": net, f"photo_{number}": photo}
        query = {"count": len(pairs), "delegate": delegate}
        flags = GPU if delegate == "GPU" else ()
        found = run_page(PAGE, query, files=files, flags=flags)["answers"]
        shapes = [read_image(photo).shape[:2] for _, photo in pairs]
        return list(map(_decoded, found, shapes))

    return segment


def _decoded(answer, shape):
    def array(text, dtype):
        return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)

    confidence = [array(text, "float32") for text in answer["confidence"]]
    return (
        answer["labels"],
        array(answer["category"], "uint8"),
        np.stack(confidence, -1),
    )


def check(pairs, answers, least_equal, tolerance):
    """Compares MediaPipe's answers with kseg's."""
    for (net, photo), (labels, category, confidence) in zip(
        pairs, answers, strict=True
    ):
        segmenter = ImageSegmenter(net)
        ours = segmenter.segment(photo)
        mask = ours.category_mask
        if segmenter.num_classes == 1:  # MediaPipe's: 0 is the class, 255 is none
            mask = np.where(mask == 1, 0, 255)
        assert tuple(labels) == segmenter.labels[-segmenter.num_classes :], net.name
        assert len(np.unique(mask)) > 1, "a mask of one class alone shows little"
        assert np.mean(category == mask) >= least_equal, net.name
        np.testing.assert_allclose(
            confidence, ours.confidence_masks, atol=tolerance, err_msg=net.name
        )


def test_in_python(in_python, pairs):
    # int8 kernels of different releases round differently: three steps of 1/256.
    check(pairs, in_python(pairs), LEAST_EQUAL["CPU"], 3 / 256)


def test_in_a_browser_on_the_cpu(in_browser, pairs):
    check(pairs, in_browser(pairs, "CPU"), LEAST_EQUAL["CPU"], 3 / 256)


def test_in_a_browser_on_the_gpu(in_browser, pairs):
    # MediaPipe's GPU takes no file whose output is uint8; half precision otherwise.
    floats = [pair for pair in pairs if "int8" not in pair[0].name]
    check(floats, in_browser(floats, "GPU"), LEAST_EQUAL["GPU"], 0.02)


def test_at_another_size_only_the_sampling_differs(in_python, pairs, tmp_path):
    """MediaPipe takes single points, from the corner on; kseg averages, from the middle."""
    net, photo = pairs[0]
    large = tmp_path / "large.png"
    image = Image.open(photo).resize((512, 512), Image.Resampling.BICUBIC)
    image.save(large)
    ((_, _, confidence),) = in_python([(net, large)])
    points = np.mgrid[0:512:2, 0:512:2].astype("float32")
    sampled = [
        ndimage.map_coordinates(channel, points, order=1)
        for channel in np.moveaxis(np.asarray(image), -1, 0)
    ]
    ours = ImageSegmenter(net).segment(np.stack(sampled, axis=-1)).confidence_masks
    resized = Image.fromarray(ours[..., 0]).resize(
        (512, 512), Image.Resampling.BILINEAR
    )
    np.testing.assert_allclose(confidence[..., 0], np.asarray(resized), atol=1e-5)
