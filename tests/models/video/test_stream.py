"""Streams: every schedule on every kind of network, by what ran and what came out."""

import threading
from itertools import pairwise

import keras
import numpy as np
import pytest
from keras import ops

from kseg import models
from kseg.models.video import Stream, clockwork_fcn, low_latency, netwarp, parts, stfcn
from kseg.models.video.schedules import LowLatency

OF_STAGES = [
    *("every", "skip:2", "fixed:2", "fixed:1,2,4", "pipeline:2", "pipeline:3"),
    *("adaptive:0", "adaptive:0.05", "adaptive:2", "low_latency:2"),
]
OF_KEYS = ["every", "skip:2", "fixed:3", "adaptive:0", "adaptive:0.5", "adaptive:1"]


@pytest.fixture(scope="module")
def at(image_net):
    """Behind the last layer of each level of the encoder, in order."""
    return [
        name
        for name in (layer.name for layer in image_net.layers)
        if name in ("down1_relu2", "down2_relu2", "dropout3")
    ]


@pytest.fixture(scope="module")
def staged(image_net, at):
    return clockwork_fcn(image_net, at)


@pytest.fixture(scope="module")
def key_net(image_net, at):
    keras.utils.set_random_seed(2)
    return low_latency(image_net, (at[0], at[-1]), filters=4, kernel_size=3)


def masks_of(stream, frames):
    return np.stack([stream(frame) for frame in frames])


def expected(net, frames):
    """Masks of an image model without a stream: frames have its size, no resizing."""
    return net.predict_on_batch(frames.astype("float32")).argmax(-1)


def works(stream, frames):
    found = []
    for frame in frames:
        stream(frame)
        found.append(stream.work.parts)
    return found


@pytest.mark.parametrize("schedule", ["every", "fixed:1", "adaptive:0", "fixed:1,1,1"])
def test_all_of_the_net_on_every_frame_is_the_net(schedule, image_net, at, moving):
    stream = Stream(image_net, schedule, at=at)
    masks = masks_of(stream, moving)
    assert masks.dtype == "uint8"
    np.testing.assert_array_equal(masks, expected(image_net, moving))
    assert stream.work.share == pytest.approx(1)


@pytest.mark.parametrize("schedule", OF_STAGES)
def test_static_video_is_the_image_net_by_every_schedule(schedule, staged, moving):
    still = np.repeat(moving[:1], 5, 0)
    masks = masks_of(Stream(staged, schedule), still)
    np.testing.assert_array_equal(masks, expected(staged, still))


@pytest.mark.parametrize(
    "schedule, ran",
    [
        ("fixed:2", ["123f", "12f", "123f", "12f", "123f"]),
        ("fixed:1,2,4", ["123f", "1f", "12f", "1f", "123f"]),
        ("pipeline:2", ["123f", "312f", "312f", "312f", "312f"]),
        ("pipeline:3", ["123f", "321f", "321f", "321f", "321f"]),
        ("skip:2", ["123f", "", "123f", "", "123f"]),
        ("adaptive:2", ["123f", "12f", "12f", "12f", "12f"]),
        ("low_latency:2", ["123f", "12f", "123f", "12f", "123f"]),
    ],
)
def test_the_parts_that_run(schedule, ran, staged, moving):
    schedule = LowLatency(2, delay=1) if schedule == "low_latency:2" else schedule
    names = {str(n): f"stage{n}" for n in (1, 2, 3)} | {"f": "fusion"}
    found = works(Stream(staged, schedule), moving[:5])
    assert found == [tuple(names[key] for key in keys) for keys in ran]


def test_share_counts_multiplications(staged, moving):
    # Of U-Net with 4, 8 and 16 filters at 32x48; two 3x3 convolutions per level, an up
    # convolution of 2x2 (per input position), scores of 1x1.
    pixels = 32 * 48
    one = pixels * 9 * (3 * 4 + 4 * 4)
    two = pixels // 4 * 9 * (4 * 8 + 8 * 8)
    three = pixels // 16 * 9 * (8 * 16 + 16 * 16)
    fusion = pixels // 16 * 4 * 16 * 8 + pixels // 4 * 9 * (16 * 8 + 8 * 8)
    fusion += pixels // 4 * 4 * 8 * 4 + pixels * 9 * (8 * 4 + 4 * 4) + pixels * 4 * 3
    total = one + two + three + fusion
    stream = Stream(staged, "fixed:1,2,4")
    shares = []
    for frame in moving[:3]:
        stream(frame)
        shares.append(stream.work.share)
    assert shares == pytest.approx(
        [1, (one + fusion) / total, (one + two + fusion) / total]
    )


@pytest.mark.parametrize("depth", [2, 3])
def test_pipeline_fuses_frames_as_composed_by_hand(depth, staged, moving):
    stage1, stage2, stage3, fusion = parts(staged).values()

    def run(part, cache):
        return part({name: cache[name] for name in part.input})

    found = masks_of(Stream(staged, f"pipeline:{depth}"), moving)
    for t in range(1, len(moving)):
        frames = [moving[max(0, t - age)] for age in range(3)]
        caches = [{"image": frame[None].astype("float32")} for frame in frames]
        for cache in caches:
            cache |= run(stage1, cache)
            cache |= run(stage2, cache)
            cache |= run(stage3, cache)
        # Two stages: the deep features are of the frame before. Three: those of the
        # middle too, and the deep ones of the frame before that one.
        ages = {1: (0, 0, 1), 2: (0, 1, 2)}[depth - 1]
        mixed = {"image": caches[0]["image"]}
        for stage, age in zip((stage1, stage2, stage3), ages, strict=True):
            mixed |= {name: caches[age][name] for name in stage.output}
        scores = ops.convert_to_numpy(run(fusion, mixed)["probabilities"])
        np.testing.assert_array_equal(found[t], scores[0].argmax(-1), err_msg=str(t))


def test_clip_shorter_than_the_pipeline(staged, moving):
    stream = Stream(staged, "pipeline:3")
    np.testing.assert_array_equal(stream(moving[0]), expected(staged, moving[:1])[0])


def test_adaptive_renews_where_the_labels_change(staged, moving):
    stage1, stage2, *_ = parts(staged).values()
    cut = next(iter(stage2.output))

    def labels(frame):
        cache = {"image": frame[None].astype("float32")}
        for stage in (stage1, stage2):
            cache |= stage({name: cache[name] for name in stage.input})
        return ops.convert_to_numpy(cache[cut]).argmax(-1)

    steps = [(labels(a) != labels(b)).mean() for a, b in pairwise(moving)]
    threshold = 1.5 * float(np.mean(steps))  # of one step at least, of some at most
    ran, reference = [], labels(moving[0])
    for frame in moving[1:]:
        now = labels(frame)
        ran.append((now != reference).mean() >= threshold)
        reference = now if ran[-1] else reference
    assert True in ran and False in ran
    found = works(Stream(staged, f"adaptive:{threshold}"), moving)
    assert ["stage3" in names for names in found] == [True, *ran]


@pytest.mark.parametrize("schedule", OF_KEYS)
def test_static_video_of_a_low_latency_net_by_its_parts(schedule, key_net, moving):
    still = np.repeat(moving[:1], 4, 0)
    stream = Stream(key_net, schedule)
    masks = masks_of(stream, still)
    image = still[:1].astype("float32")
    whole = key_net.predict_on_batch({"key_image": image, "image": image})
    own, moved = (
        whole[name][0].argmax(-1) for name in ("key_probabilities", "probabilities")
    )
    np.testing.assert_array_equal(masks[0], own)
    propagates = schedule in ("fixed:3", "adaptive:0.5", "adaptive:1")
    is_key = whole["deviation"][0, 0] >= 0.5 and schedule == "adaptive:0.5"
    np.testing.assert_array_equal(masks[1], moved if propagates and not is_key else own)


def test_key_frames_of_a_fixed_schedule(key_net, moving):
    stream = Stream(key_net, "fixed:3")
    key = moving[0:1].astype("float32")
    for index, frame in enumerate(moving[:4]):
        mask = stream(frame)
        if index % 3 == 0:
            assert stream.work.parts == ("low", "high", "head")
            key, name = frame[None].astype("float32"), "key_probabilities"
        else:
            assert stream.work.parts == ("low", "propagation", "adapter")
            name = "probabilities"
        inputs = {"key_image": key, "image": frame[None].astype("float32")}
        scores = key_net.predict_on_batch(inputs)[name]
        np.testing.assert_array_equal(mask, scores[0].argmax(-1))


def test_scheduler_threshold_of_zero_makes_every_frame_a_key(key_net, moving):
    assert works(Stream(key_net, "adaptive:0"), moving[:4]) == [
        ("low", "high", "head"),
        *[("low", "scheduler", "high", "head")] * 3,
    ]


def test_scheduler_threshold_of_one_makes_only_the_first_a_key(key_net, moving):
    assert works(Stream(key_net, "adaptive:1"), moving[:4]) == [
        ("low", "high", "head"),
        *[("low", "scheduler", "propagation", "adapter")] * 3,
    ]


@pytest.mark.parametrize("delay", [1, 2, 5])
def test_key_of_the_background_comes_into_use_after_the_delay(delay, key_net, moving):
    stream = Stream(key_net, LowLatency(3, delay=delay))
    asked, key = None, 0
    for t, frame in enumerate(moving):
        mask = stream(frame)
        if t == 0:
            asked_last = 0
            continue
        if asked is not None and t - asked >= delay:
            key, asked = asked, None
        asks = asked is None and t - asked_last >= 3
        if asks:
            asked = asked_last = t
        expected_parts = {"low", "propagation", "adapter"} | (
            {"high"} if asks else set()
        )
        assert set(stream.work.parts) == expected_parts, t
        inputs = {"key_image": moving[key], "image": frame}
        inputs = {k: x[None].astype("float32") for k, x in inputs.items()}
        scores = key_net.predict_on_batch(inputs)["probabilities"]
        np.testing.assert_array_equal(mask, scores[0].argmax(-1), err_msg=str(t))


def test_no_frame_waits_for_the_key(key_net, moving, monkeypatch):
    stream = Stream(key_net, "low_latency:1")
    stream(moving[0])
    net, may_go_on, threads = stream._net, threading.Event(), []
    compute = net.compute

    def slow(name, inputs):
        if name == "high":
            threads.append(threading.current_thread())
            assert may_go_on.wait(60)
        return compute(name, inputs)

    monkeypatch.setattr(net, "compute", slow)
    first_key = net.cache["key_low"]
    for frame in moving[1:5]:  # all come out while the key of the first is not made
        stream(frame)
        assert net.cache["key_low"] is first_key
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()
    may_go_on.set()
    net.job.result(60)
    stream(moving[5])
    low = parts(key_net)["low"]({"image": moving[1:2].astype("float32")})["low"]
    np.testing.assert_allclose(
        net.cache["key_low"], ops.convert_to_numpy(low), rtol=1e-5, atol=1e-4
    )


def test_error_of_the_background_is_raised(key_net, moving, monkeypatch):
    stream = Stream(key_net, LowLatency(1, delay=1))
    stream(moving[0])
    compute = stream._net.compute

    def broken(name, inputs):
        if name == "high":
            raise MemoryError("no room")
        return compute(name, inputs)

    monkeypatch.setattr(stream._net, "compute", broken)
    stream(moving[1])
    with pytest.raises(MemoryError, match="no room"):
        stream(moving[2])
    stream.reset()


@pytest.mark.parametrize(
    "schedule", [*OF_STAGES[:-1], LowLatency(2, delay=2), LowLatency(0.05, delay=1)]
)
def test_pieces_are_the_whole(schedule, staged, moving):
    whole = masks_of(Stream(staged, schedule), moving)
    first, second = Stream(staged, schedule), Stream(staged, schedule)
    pieces = [first(frame) for frame in moving[:5]]
    second.state = first.state
    assert second.num_frames == 5
    pieces += [second(frame) for frame in moving[5:]]
    np.testing.assert_array_equal(pieces, whole)


def recurrent_net():
    keras.utils.set_random_seed(5)
    return stfcn(
        (32, 48, 3),
        3,
        recurrence="shared",
        padding="same",
        width_multiplier=0.02,
        units=2,
        score_initializer="glorot_uniform",
    )


def constant_flow(frame, _):
    return np.full((*frame.shape[:2], 2), (-3, 0), "float32")


@pytest.mark.parametrize(
    "kind, schedule",
    [
        ("stfcn", "every"),
        ("stfcn", "skip:2"),
        ("netwarp", "every"),
        ("low_latency", "fixed:3"),
        ("low_latency", "adaptive:0.5"),
        ("low_latency", LowLatency(2, delay=2)),
    ],
)
def test_pieces_and_a_reset_with_state_of_any_kind(
    kind, schedule, image_net, key_net, moving
):
    net = {
        "stfcn": recurrent_net,
        "netwarp": lambda: netwarp(image_net, "dropout3", initial_weights=(0.5, 0.5)),
        "low_latency": lambda: key_net,
    }[kind]()
    first, second = (Stream(net, schedule, flow=constant_flow) for _ in range(2))
    whole = masks_of(first, moving)
    first.reset()
    pieces = [first(frame) for frame in moving[:5]]
    second(moving[-1])  # of another video, to be forgotten
    second.state = first.state
    pieces += [second(frame) for frame in moving[5:]]
    np.testing.assert_array_equal(pieces, whole)


@pytest.mark.parametrize("schedule", [*OF_STAGES[:-1], LowLatency(2, delay=3)])
def test_reset_is_a_new_stream(schedule, staged, moving):
    stream = Stream(staged, schedule)
    first = masks_of(stream, moving)
    stream.reset()
    assert stream.num_frames == 0
    np.testing.assert_array_equal(masks_of(stream, moving), first)


def test_streams_of_one_net_do_not_touch_each_other(staged, moving):
    alone = masks_of(Stream(staged, "pipeline:3"), moving)
    one, other = Stream(staged, "pipeline:3"), Stream(staged, "pipeline:3")
    both = [(one(a), other(b)) for a, b in zip(moving, moving[::-1], strict=True)]
    np.testing.assert_array_equal([mask for mask, _ in both], alone)


def test_a_scene_cut_resets(staged, moving):
    dark = (moving // 8).astype("uint8")
    stream = Stream(staged, "adaptive:2")
    cut = [*moving[:3], *dark[:3]]
    flags, masks = [], []
    for frame in cut:
        masks.append(stream(frame))
        flags.append(stream.work.is_cut)
    assert flags == [False, False, False, True, False, False]
    assert "stage3" in works(Stream(staged, "adaptive:2"), cut)[3]
    np.testing.assert_array_equal(masks[3], expected(staged, dark[:1])[0])
    without = Stream(staged, "adaptive:2", scene_cut=None)
    assert "stage3" not in works(without, cut)[3]


def test_a_real_scene_cut_is_found(staged, data_dir):
    from kseg.data.video import Video

    root = data_dir("davis2016") / "JPEGImages"
    first, second = (list(Video(folder)) for folder in sorted(root.iterdir()))
    height, width = (
        min(a.shape[i], b.shape[i]) for i in (0, 1) for a, b in [(first[0], second[0])]
    )
    frames = [frame[:height, :width] for frame in (*first[-20:], *second[:20])]
    stream = Stream(staged, "every")
    cuts = []
    for index, frame in enumerate(frames):
        stream(frame)
        if stream.work.is_cut:
            cuts.append(index)
    assert cuts == [20]


@pytest.mark.parametrize("schedule", ["every", "fixed:2"])
def test_frames_of_any_size_come_out_as_of_the_segmenter(schedule, image_net, at):
    import kseg

    frame = np.random.default_rng(0).integers(0, 255, (40, 70, 3), "uint8")
    mask = Stream(image_net, schedule, at=at)(frame)
    result = kseg.mobile.ImageSegmenter(image_net).segment(frame)
    assert mask.shape == (40, 70)
    # Pillow rounds its coefficients differently: only near-ties may fall otherwise.
    ranked = np.sort(result.confidence_masks, -1)
    is_clear = ranked[..., -1] - ranked[..., -2] > 1e-3
    assert is_clear.mean() > 0.9
    np.testing.assert_array_equal(mask[is_clear], result.category_mask[is_clear])


def test_change_of_size_is_refused_until_reset(staged, moving):
    stream = Stream(staged, "fixed:2")
    stream(moving[0])
    with pytest.raises(
        ValueError,
        match=r"size .*\(32, 48\); call `reset\(\)`.*frame 2 of size \(30, 48\)",
    ):
        stream(moving[0][:30])
    stream.reset()
    assert stream(moving[0][:30]).shape == (30, 48)


def test_open_size_follows_the_frames(moving):
    net = models.unet((None, None, 3), 3, filters=(4, 8, 16))
    stream = Stream(net, "pipeline:3")
    assert stream(moving[0]).shape == (32, 48)
    assert stream.scores.shape == (1, 32, 64, 3)  # multiples of 32
    stream.reset()
    assert stream(np.zeros((64, 64, 3), "uint8")).shape == (64, 64)
    assert stream.scores.shape == (1, 64, 64, 3)
    assert stream.work.parts == ("stage1", "stage2", "stage3", "fusion")


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_class_and_logits(activation, moving):
    keras.utils.set_random_seed(4)
    net = models.unet((32, 48, 3), 1, filters=(4, 8), activation=activation)
    scores = net.predict_on_batch(moving[:1].astype("float32"))[0, ..., 0]
    middle = 0.5 if activation else 0
    assert 0 < (scores > middle).mean() < 1
    np.testing.assert_array_equal(Stream(net)(moving[0]), scores > middle)


def test_state_of_a_recurrent_net_goes_on(moving):
    net = recurrent_net()
    found = masks_of(Stream(net), moving[:4])
    state = {"state": np.zeros((1, *net.input["state"].shape[1:]), "float32")}
    for mask, frame in zip(found, moving, strict=False):
        outputs = net.predict_on_batch(
            {"image": frame[None].astype("float32"), **state}
        )
        state = {"state": outputs["state"]}
        np.testing.assert_array_equal(mask, outputs["probabilities"][0].argmax(-1))
    with pytest.raises(
        ValueError, match='"skip:n" or "warp:n" for a network with state'
    ):
        Stream(net, "fixed:2")


def test_netwarp_gets_the_flow_to_the_frame_before(image_net, moving):
    calls = []

    def flow(frame, previous):
        calls.append((frame, previous))
        return np.full((*frame.shape[:2], 2), (-3, 0), "float32")

    net = netwarp(image_net, "dropout3", initial_weights=(0.5, 0.5))
    stream = Stream(net, flow=flow)
    masks_of(stream, moving[:3])
    for index, (frame, previous) in enumerate(calls):
        np.testing.assert_array_equal(frame, moving[index])
        np.testing.assert_array_equal(previous, moving[max(0, index - 1)])
    start = Stream(netwarp(image_net, "dropout3"), flow=flow)
    np.testing.assert_array_equal(masks_of(start, moving), expected(image_net, moving))


def test_scores_follow_the_flow_between(image_net, moving):
    asked = []

    def flow(frame, previous):
        asked.append((frame, previous))
        return np.full((*frame.shape[:2], 2), (-3, 0), "float32")

    stream = Stream(image_net, "warp:3", flow=flow)
    masks = masks_of(stream, moving[:4])
    own = expected(image_net, moving)
    np.testing.assert_array_equal(masks[[0, 3]], own[[0, 3]])
    for t in (1, 2):  # three columns to the right a frame
        np.testing.assert_array_equal(masks[t][:, 3 * t :], own[0][:, : -3 * t])
    assert len(asked) == 2
    for t, (frame, previous) in zip((1, 2), asked, strict=True):
        np.testing.assert_array_equal(frame, moving[t])
        np.testing.assert_array_equal(previous, moving[t - 1])
    pieces = Stream(image_net, "warp:3", flow=flow)
    other = Stream(image_net, "warp:3", flow=flow)
    first = masks_of(pieces, moving[:2])
    other.state = pieces.state
    found = np.concatenate([first, masks_of(other, moving[2:4])])
    np.testing.assert_array_equal(found, masks)


def test_missing_flow_is_named(image_net):
    with pytest.raises(ValueError, match="`flow` must be .*Warp"):
        Stream(image_net, "warp:2")
    with pytest.raises(
        ValueError, match="`flow` must be .*kseg.data.flow.optical_flow"
    ):
        Stream(netwarp(image_net, "dropout3"))


def test_flow_of_the_wrong_size_is_named(image_net, moving):
    stream = Stream(
        netwarp(image_net, "dropout3"), flow=lambda *_: np.zeros((16, 24, 2), "float32")
    )
    with pytest.raises(ValueError, match=r"flow.*\(1, 16, 24, 2\)"):
        stream(moving[0])


@pytest.mark.parametrize(
    "frame, error, message",
    [
        (np.zeros((32, 48, 3)), TypeError, "uint8 array of 0-255. Received: float64"),
        ("a.png", TypeError, "Received: str"),
        (np.zeros((32, 48), "uint8"), ValueError, r"frame.shape=\(32, 48\)"),
        (np.zeros((0, 48, 3), "uint8"), ValueError, r"frame.shape=\(0, 48, 3\)"),
    ],
    ids=["floats", "path", "grey", "empty"],
)
def test_what_is_no_frame(frame, error, message, staged):
    with pytest.raises(error, match=message):
        Stream(staged)(frame)


@pytest.mark.parametrize("schedule", ["pipeline:2", "fixed:1,2"])
def test_key_nets_have_no_stages(schedule, key_net):
    with pytest.raises(ValueError, match='key frames, as in "fixed:3"'):
        Stream(key_net, schedule)


@pytest.mark.parametrize(
    "schedule, message",
    [
        ("pipeline:4", r"at most 3.*Received: depth=4"),
        ("fixed:1,2", r"each of the 3 stages.*Received: periods=\(1, 2\)"),
    ],
)
def test_schedules_of_more_or_fewer_stages(schedule, message, staged, moving):
    with pytest.raises(ValueError, match=message):
        Stream(staged, schedule)(moving[0])


def test_what_is_no_network():
    with pytest.raises(TypeError, match="functional.*Received: model='net.tflite'"):
        Stream("net.tflite")
    x = keras.Input((32, 32, 3), name="picture")
    with pytest.raises(ValueError, match="name \"image\".*takes 'picture'"):
        Stream(keras.Model({"picture": x}, {"probabilities": x}))
    with pytest.raises(ValueError, match="`scene_cut` must be from 0 to 1"):
        Stream(models.unet((32, 32, 3), 2, filters=(2, 4)), scene_cut=50)


@pytest.mark.parametrize("schedule", ["skip:2", "warp:2"])
def test_a_net_that_takes_flow_runs_on_every_frame(schedule, image_net):
    net = netwarp(image_net, "dropout3")
    with pytest.raises(
        ValueError, match=r'"every" for a network that takes .*period=2'
    ):
        Stream(net, schedule, flow=lambda *_: None)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_unknown_flow_is_none(value, image_net, moving):
    def flow(frame, _):
        return np.full((*frame.shape[:2], 2), value)

    stream = Stream(image_net, "warp:2", flow=flow)
    first, second = masks_of(stream, moving[:2])
    np.testing.assert_array_equal(first, second)


def test_flow_is_of_the_colours_where_the_net_sees_grey(moving):
    asked = []

    def flow(frame, previous):
        asked.append((frame, previous))
        return np.zeros((*frame.shape[:2], 2), "float32")

    net = models.unet((32, 48, 1), 2, filters=(2, 4))
    masks_of(Stream(net, "warp:2", flow=flow), moving[:2])
    np.testing.assert_array_equal(asked, [(moving[1], moving[0])])


@pytest.mark.parametrize("schedule", ["every", "fixed:2"])
def test_input_of_a_users_net_may_have_any_name(moving, schedule):
    x = image = keras.Input((32, 48, 3), name="photo")
    x = keras.layers.Conv2D(2, 3, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.UpSampling2D(2)(x)
    net = keras.Model(image, keras.layers.Conv2D(2, 1, activation="softmax")(x))
    mask = Stream(net, schedule)(moving[0])
    scores = net.predict_on_batch(moving[:1].astype("float32"))
    np.testing.assert_array_equal(mask, scores[0].argmax(-1))


def test_scores_of_another_size_are_not_moved(moving):
    image = keras.Input((32, 48, 3), name="image")
    net = keras.Model(image, keras.layers.Conv2D(2, 3, activation="softmax")(image))
    stream = Stream(net, "warp:2", flow=lambda *_: np.zeros((32, 48, 2)))
    stream(moving[0])
    with pytest.raises(ValueError, match=r"size \(30, 46\) for .* size \(32, 48\)"):
        stream(moving[1])


def test_deviation_of_one_channel_is_that_of_its_sign(moving):
    x = image = keras.Input((32, 48, 3), name="image")
    for name in ("first", "second"):
        x = keras.layers.Conv2D(1, 1, strides=2, name=name)(x)
    scores = keras.layers.UpSampling2D(4)(keras.layers.Conv2D(2, 1)(x))
    net = keras.Model(image, scores)
    net.get_layer("first").set_weights(
        [np.float32([1, 0, 0]).reshape(1, 1, 3, 1), np.float32([-100])]
    )
    stream = Stream(net, "adaptive:2", at=["first", "second"])
    masks_of(stream, moving[:4])
    signs = moving[[0, 3], ::2, ::2, 0] > 100
    expected = (signs[0] != signs[1]).mean()
    assert 0 < stream._net.deviation() == pytest.approx(expected)


def test_layers_run_in_one_thread_at_a_time(
    image_net, at, key_net, moving, monkeypatch
):
    whole, staged = Stream(image_net), Stream(image_net, "fixed:2", at=at)
    (part,) = whole._net.parts.values()
    predict, held = part.predict_on_batch, []

    def watched(inputs):
        held.extend(
            lock.locked()
            for name in staged._net.parts
            for lock in staged._net.locks_of(name)
        )
        return predict(inputs)

    monkeypatch.setattr(part, "predict_on_batch", watched)
    whole(moving[0])
    assert len(held) > 10
    assert all(held)
    low_latency_net = Stream(key_net, "fixed:2")._net
    shared = set(low_latency_net.locks_of("high"))
    for name in ("low", "scheduler", "propagation", "adapter"):
        assert not shared & set(low_latency_net.locks_of(name))
