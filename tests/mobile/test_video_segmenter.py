"""Frames of a video in, masks out, with a file that hands its state on."""

import keras
import numpy as np
import pytest
from PIL import Image

from kseg import mobile
from kseg.mobile import ImageSegmenter, VideoSegmenter, prediction
from kseg.models.video import mask_feedback
from kseg.training.evaluation import category_mask

SIZE = (64, 96)


@pytest.fixture(scope="module")
def model():
    """What is bright, more so where it was bright before."""
    image = keras.Input((*SIZE, 4))
    conv = keras.layers.Conv2D(1, 1, activation="sigmoid", name="probabilities")
    net = keras.Model(image, conv(image))
    # Of the mean of the colours, and of a mask of 0 to 255.
    kernel = np.float32([1 / 96, 1 / 96, 1 / 96, 2 / 255])
    conv.set_weights([kernel.reshape(1, 1, 4, 1), np.float32([-4.5])])
    return mask_feedback(net)


@pytest.fixture(scope="module", params=["float32", "full_int8"])
def file(request, model, streets, tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / f"{request.param}.tflite"
    mobile.export(
        model,
        path,
        precision=request.param,
        calibration=streets[0][:16],
        verbose=False,
    )
    return path


def brightness(frame, before):
    """The net by hand, in float64."""
    logits = frame.astype("float64").sum(-1) / 96 + 2 * before - 4.5
    return 1 / (1 + np.exp(-logits))


def test_every_frame_sees_the_mask_of_the_one_before(file, streets):
    segmenter, mask = VideoSegmenter(file), np.zeros(SIZE)
    step = 0.02 if "int8" in file.name else 1e-5
    for frame in streets[0][:6]:
        mask = brightness(frame, mask)
        result = segmenter.segment(frame)
        found = result.confidence_masks[..., 0]
        np.testing.assert_allclose(found, mask, atol=step)
        np.testing.assert_array_equal(result.category_mask, found > 0.5)
    alone = brightness(frame, np.zeros(SIZE))
    assert np.abs(alone - found).max() > 0.2  # what the memory is worth


def test_masks_have_the_size_of_the_frames(file):
    frame = np.random.default_rng(0).integers(0, 256, (33, 50, 3), "uint8")
    segmenter = VideoSegmenter(file, labels=["bright"])
    for _ in range(2):
        assert segmenter.segment(frame).category_mask.shape == (33, 50)
    assert segmenter.input_size == SIZE and segmenter.num_classes == 1
    assert segmenter.labels == ("background", "bright")


def test_a_reset_segmenter_is_a_new_one(file, streets):
    first, second = streets[0][:2]
    segmenter = VideoSegmenter(file)
    expected = segmenter.segment(first).confidence_masks
    segmenter.segment(second)
    segmenter.reset()
    found = segmenter.segment(first).confidence_masks
    np.testing.assert_array_equal(found, expected)


def test_class_ids_have_as_many_classes_as_there_are_names(model, streets, tmp_path):
    path = tmp_path / "ids.tflite"
    options = {"calibration": streets[0][:4], "verbose": False}
    mobile.export(model, path, output="category_mask", **options)
    assert VideoSegmenter(path).num_classes is None
    segmenter = VideoSegmenter(path, labels=["background", "bright"])
    assert "VideoSegmenter" in repr(segmenter)
    mask = np.zeros(SIZE)
    for frame in streets[0][:3]:
        mask = brightness(frame, mask)
        found = segmenter.segment(frame).category_mask
        decided = np.abs(mask - 0.5) > 1e-3
        np.testing.assert_array_equal(found[decided], (mask > 0.5)[decided])


def test_a_file_without_state_is_refused(exported):
    with pytest.raises(ValueError, match="must take frames called 'image' and state"):
        VideoSegmenter(exported().path)


def test_a_file_with_state_is_no_image_segmenter_and_says_what_runs_it(file):
    with pytest.raises(ValueError, match="`kseg.mobile.VideoSegmenter` runs one"):
        ImageSegmenter(file)


def test_photos_have_nothing_to_do_with_each_other(file, streets, tmp_path):
    for number, frame in enumerate(streets[0][:3]):
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    assert isinstance(mobile.load(file), VideoSegmenter)
    paths = prediction.predict(file, tmp_path, tmp_path / "out")
    masks = [np.asarray(Image.open(path)) for path in paths]
    for frame, mask in zip(streets[0], masks, strict=False):
        alone = brightness(frame, np.zeros(SIZE))
        decided = np.abs(alone - 0.5) > 0.02
        np.testing.assert_array_equal(mask[decided], (alone > 0.5)[decided])
    frame = streets[0][5]
    segmenter = VideoSegmenter(file)
    first = segmenter.segment(frame).category_mask
    after = segmenter.segment(frame).category_mask
    assert (first != after).any()
    np.testing.assert_array_equal(category_mask(segmenter, frame), first)
    np.testing.assert_array_equal(category_mask(segmenter, frame), first)


def test_a_keras_model_is_refused_and_told_what_drives_it(model):
    with pytest.raises(TypeError, match="`kseg.models.video.Stream` drives"):
        VideoSegmenter(model)


def test_a_video_is_changed_with_it(file, streets, tmp_path):
    for number, frame in enumerate(streets[0][:4]):
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    segmenter = VideoSegmenter(file)
    segmenter.segment(np.full((*SIZE, 3), 255, "uint8"))  # of another video
    seen = []
    segment = segmenter.segment
    segmenter.segment = lambda frame: seen.append(segment(frame)) or seen[-1]
    output = tmp_path / "out.mp4"
    count = mobile.background_video(tmp_path, output, segmenter, color="white")
    assert count == len(seen) == 4
    expected = brightness(streets[0][0], np.zeros(SIZE))
    np.testing.assert_allclose(seen[0].confidence_masks[..., 0], expected, atol=0.02)
