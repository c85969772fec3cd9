"""Batches are functions of seed, epoch and index, whoever asks for them, and how."""

import ctypes
import random
import re
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import keras
import numpy as np
import pytest

from kseg import data
from kseg.data import Sample, augment, loader, loading


class Pictures:
    """Samples in memory; the first pixel column of sample `i` is `i`."""

    def __init__(self, count=10, height=24, width=30, mask_dtype="uint8"):
        self.shape = (height, width)
        self.ids = tuple(f"photo{i}" for i in range(count))
        self.mask_dtype = mask_dtype
        self.reads = []

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, index):
        self.reads.append(index)
        rng = np.random.default_rng(index)
        image = rng.integers(0, 256, (*self.shape, 3), "uint8")
        image[:, 0] = index
        mask = rng.integers(0, 3, self.shape).astype(self.mask_dtype)
        return Sample(image, mask, self.ids[index])


def indices(batch):
    """The samples that a batch of whole photos, at their own size, is made of."""
    return batch[0][:, 0, 0, 0].astype(int).tolist()


def whole(dataset, batch_size, **arguments):
    """Batches that `indices` can read."""
    return loader(dataset, batch_size, dataset.shape, **arguments)


def by_sample(batches, epoch):
    """The bytes of every sample of an epoch, in order of the sample's index."""
    batches.epoch = epoch
    order = batches._order(epoch)
    images, masks = (np.concatenate(part) for part in zip(*batches, strict=True))
    pairs = zip(order.tolist(), images, masks, strict=True)
    return {index: (image.tobytes(), mask.tobytes()) for index, image, mask in pairs}


def distance(y_true, y_pred):
    """A loss of pixels that takes every label, 255 too."""
    return keras.ops.square(y_pred[..., 0] - keras.ops.cast(y_true, "float32") / 255)


def weights_after_fit(batches, *, epochs=2, initial_epoch=0, start=None, **arguments):
    """Weights after plain SGD: other batches, or another order, are other weights."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((*batches.size, 3))
    outputs = keras.layers.Dense(2)(keras.layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, outputs)
    if start is not None:
        model.set_weights(start)
    optimizer = keras.optimizers.SGD(0.1)
    # Metrics make Keras read a batch of the first epoch before it begins.
    model.compile(optimizer, distance, metrics=[distance], run_eagerly=True)
    model.fit(
        batches, epochs=epochs, initial_epoch=initial_epoch, verbose=0, **arguments
    )
    return model.get_weights()


def assert_same_weights(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("size", [16, (12, 20), [8, np.int64(9)]])
@pytest.mark.parametrize("mask_dtype", ["uint8", "uint16", "int32", "int64"])
def test_dtypes_shapes_and_values(size, mask_dtype):
    batches = loader(Pictures(mask_dtype=mask_dtype), 4, size)
    images, masks = batches[0]
    height, width = (16, 16) if size == 16 else size
    assert isinstance(batches, keras.utils.PyDataset)
    assert images.shape == (4, height, width, 3)
    assert images.dtype == "float32"
    assert images.min() >= 0
    assert 120 < images.max() <= 255
    assert masks.shape == (4, height, width)
    assert masks.dtype == "int32"
    assert set(np.unique(masks)) == {0, 1, 2}


def test_without_augmentation_samples_are_unchanged_at_their_own_size():
    dataset = Pictures()
    images, masks = whole(dataset, 10, shuffle=False)[0]
    for index in range(10):
        np.testing.assert_array_equal(images[index], dataset[index].image)
        np.testing.assert_array_equal(masks[index], dataset[index].mask)


@pytest.mark.parametrize(
    ("arguments", "sizes"),
    [
        ({"batch_size": 4}, [4, 4]),
        ({"batch_size": 5}, [5, 5]),
        ({"batch_size": 10}, [10]),
        ({"batch_size": 16}, [10]),
        ({"batch_size": 4, "shuffle": False}, [4, 4, 2]),
        ({"batch_size": 16, "shuffle": False}, [10]),
        ({"batch_size": 4, "drop_last": False}, [4, 4, 2]),
        ({"batch_size": 4, "shuffle": False, "drop_last": True}, [4, 4]),
        ({"batch_size": 16, "drop_last": True}, [10]),
    ],
)
def test_the_short_last_batch(arguments, sizes):
    batches = whole(Pictures(), **arguments)
    assert len(batches) == len(sizes)
    assert [len(images) for images, _ in batches] == sizes
    seen = sum(map(indices, batches), [])
    assert len(set(seen)) == len(seen)


def test_order_is_the_data_sets_without_shuffle():
    batches = whole(Pictures(), 3, shuffle=False)
    assert sum(map(indices, batches), []) == list(range(10))


def test_order_is_a_permutation_of_its_own_in_each_epoch_and_seed():
    orders = set()
    for seed in (0, 1):
        batches = whole(Pictures(), 4, seed=seed, drop_last=False)
        for epoch in range(5):
            batches.epoch = epoch
            order = sum(map(indices, batches), [])
            assert sorted(order) == list(range(10))
            orders.add(tuple(order))
    assert len(orders) == 10


def test_a_sample_depends_on_seed_epoch_and_index_alone():
    arguments = {"augment": augment.standard(), "drop_last": False}
    expected = by_sample(loader(Pictures(), 4, 16, **arguments), 3)
    for batch_size, workers, shuffle in [(3, 0, True), (1, 3, True), (10, 2, False)]:
        batches = loader(
            Pictures(),
            batch_size,
            16,
            workers=workers,
            shuffle=shuffle,
            **arguments,
        )
        assert by_sample(batches, 3) == expected


def test_another_epoch_and_another_seed_are_another_augmentation():
    arguments = {"augment": augment.standard(), "drop_last": False}
    first = by_sample(loader(Pictures(), 4, 16, **arguments), 3)
    for other in (
        by_sample(loader(Pictures(), 4, 16, **arguments), 4),
        by_sample(loader(Pictures(), 4, 16, seed=1, **arguments), 3),
    ):
        assert all(other[index] != first[index] for index in range(10))


class Mark(augment.Mix):
    """Takes the last column of the other sample, so that both are known."""

    def region(self, mask, rng):
        return np.indices(mask.shape)[1] == mask.shape[1] - 1


class Marked(Pictures):
    def __getitem__(self, index):
        sample = super().__getitem__(index)
        sample.image[:, -1] = index
        sample.mask[:, 0] = sample.mask[:, -1] = index
        return sample


def partners(seed=0, epoch=0, probability=1.0, **arguments):
    """For every sample the one that was mixed into it, itself where none was."""
    batches = whole(
        Marked(), mix=Mark(probability), seed=seed, drop_last=False, **arguments
    )
    batches.epoch = epoch
    found = {}
    for images, masks in batches:
        np.testing.assert_array_equal(masks[:, 0, [0, -1]], images[:, 0, [0, -1], 0])
        found.update(masks[:, 0, [0, -1]].tolist())
    return found


def test_what_is_mixed_into_a_sample_depends_on_seed_epoch_and_index_alone():
    expected = partners(batch_size=4)
    assert len(expected) == 10
    assert all(own != other for own, other in expected.items())
    for batch_size, workers, shuffle in [(3, 0, True), (1, 3, True), (10, 2, False)]:
        seen = partners(batch_size=batch_size, workers=workers, shuffle=shuffle)
        assert seen == expected
    assert partners(seed=1, batch_size=4) != expected
    assert partners(epoch=1, batch_size=4) != expected


def test_any_other_sample_is_mixed_in_and_as_often_as_it_is_told():
    pairs = [
        pair
        for epoch in range(150)
        for pair in partners(epoch=epoch, probability=0.5, batch_size=10).items()
    ]
    mixed = [pair for pair in pairs if pair[0] != pair[1]]
    assert abs(len(mixed) / len(pairs) - 0.5) < 0.07
    assert len(set(mixed)) == 90  # each of the other nine, for each of the ten


def test_the_other_sample_is_augmented_on_its_own_and_maps_come_last():
    arguments = {"augment": augment.standard(), "drop_last": False, "shuffle": False}
    plain = loader(Pictures(), 10, 16, **arguments)[0]
    mixed = loader(
        Pictures(), 10, 16, mix=augment.ClassMix(1.0), maps=np.sign, **arguments
    )[0]
    own = (mixed[0] == plain[0]).all(-1)
    assert 0.05 < own.mean() < 0.95
    np.testing.assert_array_equal(mixed[1][own], plain[1][own])
    np.testing.assert_array_equal(mixed[2], np.sign(mixed[1]))


def test_one_sample_alone_is_not_mixed():
    images, _ = whole(Pictures(1), 1, mix=Mark(1.0))[0]
    np.testing.assert_array_equal(images[0], Pictures(1)[0].image)


def test_a_broken_sample_that_is_mixed_in_is_named_with_the_other():
    batches = whole(Broken(2), 1, mix=Mark(1.0), shuffle=False)
    batches.dataset.broken = 1
    with pytest.raises(ValueError, match=r"'photo0' .*mixed into it.*'photo1' .*trunc"):
        batches[0]


class Clips(Pictures):
    """Clips of three frames, each with a mask."""

    frames = 3

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        image = rng.integers(0, 256, (self.frames, *self.shape, 3), "uint8")
        mask = rng.integers(0, 3, (self.frames, *self.shape), "uint8")
        return Sample(image, mask, self.ids[index])


def test_batches_of_clips():
    dataset = Clips()
    images, masks = whole(dataset, 4, shuffle=False)[0]
    assert images.shape == (4, 3, 24, 30, 3) and images.dtype == "float32"
    assert masks.shape == (4, 3, 24, 30) and masks.dtype == "int32"
    np.testing.assert_array_equal(images[2], dataset[2].image)
    np.testing.assert_array_equal(masks[2], dataset[2].mask)
    batches = loader(dataset, 4, 16, augment=augment.standard(), mix=augment.CutMix())
    assert batches[0][0].shape == (4, 3, 16, 16, 3)


def test_clips_of_unequal_length_are_refused():
    class Unequal(Clips):
        def __getitem__(self, index):
            self.frames = 3 + (index == 2)
            return super().__getitem__(index)

    with pytest.raises(ValueError, match=r"'photo2' is broken.*as many frames"):
        whole(Unequal(), 4, shuffle=False, workers=0)[0]


def test_indexing_twice_gives_the_same_batch():
    batches = loader(Pictures(), 4, 16, augment=augment.standard())
    for a, b in zip(batches[1], batches[-1], strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(IndexError):
        batches[2]


def test_a_loop_of_ones_own_moves_on_at_each_end_of_epoch():
    batches = whole(Pictures(), 4)
    orders = []
    for epoch in range(3):
        assert batches.epoch == epoch
        orders.append(sum(map(indices, batches), []))
        batches.on_epoch_end()
    assert len(set(map(tuple, orders))) == 3


def test_fit_goes_through_the_epochs_from_the_one_that_was_set():
    batches = whole(Pictures(), 4, workers=0)
    weights_after_fit(batches, epochs=3)
    assert batches.epoch == 3
    batches.epoch = 7
    weights_after_fit(batches, epochs=2)
    assert batches.epoch == 9


def test_fit_takes_the_batches_in_order():
    dataset = Pictures(12)
    batches = whole(dataset, 4, workers=0)
    expected = [batches._order(epoch).tolist() for epoch in range(2)]
    weights_after_fit(batches)
    # Keras reads up to two batches beforehand, for their shapes.
    assert dataset.reads[-24:] == expected[0] + expected[1]


@pytest.mark.parametrize(
    ("workers", "arguments"), [(0, {}), (1, {}), (3, {}), (1, {"shuffle": False})]
)
def test_fit_does_not_depend_on_workers_or_pythons_generator(workers, arguments):
    expected = weights_after_fit(whole(Pictures(), 3, workers=0), shuffle=False)
    random.seed(workers + 5)
    seen = weights_after_fit(whole(Pictures(), 3, workers=workers), **arguments)
    assert_same_weights(seen, expected)


def test_a_run_that_goes_on_equals_one_that_was_not_stopped():
    make = augment.standard
    expected = weights_after_fit(loader(Pictures(), 3, 16, augment=make()), epochs=4)
    half = weights_after_fit(loader(Pictures(), 3, 16, augment=make()), epochs=2)
    batches = loader(Pictures(), 3, 16, augment=make())
    batches.epoch = 2
    seen = weights_after_fit(batches, epochs=4, initial_epoch=2, start=half)
    assert_same_weights(seen, expected)


def test_evaluate_and_predict_see_every_sample_once_and_in_order():
    batches = whole(Pictures(), 4, shuffle=False)
    model = keras.Sequential([keras.Input((24, 30, 3)), keras.layers.Identity()])
    predicted = model.predict(batches, verbose=0)
    assert predicted[:, 0, 0, 0].astype(int).tolist() == list(range(10))
    model.compile(loss=lambda y_true, y_pred: y_pred[..., 0, 0, 0])
    assert model.evaluate(batches, verbose=0) == pytest.approx(4.5)


class Broken(Pictures):
    """Sample 7 cannot be read."""

    broken = 7

    def paths(self, index):
        return (f"{self.ids[index]}.jpg", f"{self.ids[index]}.png")

    def __getitem__(self, index):
        if index == self.broken:
            raise OSError("image file is truncated")
        return super().__getitem__(index)


@pytest.mark.parametrize(
    ("workers", "shuffle"), [(0, True), (1, True), (3, True), (1, False)]
)
def test_a_broken_sample_stops_fit_and_is_named(workers, shuffle):
    batches = whole(Broken(12), 2, workers=workers, shuffle=shuffle)
    with pytest.raises(Exception, match=r"photo7\.jpg, photo7\.png.*truncated"):
        weights_after_fit(batches)


def test_a_broken_sample_stops_evaluate_and_predict():
    model = keras.Sequential([keras.Input((24, 30, 3)), keras.layers.Identity()])
    model.compile(loss=distance)
    for method in (model.evaluate, model.predict):
        with pytest.raises(Exception, match=r"photo7\.jpg.*truncated"):
            method(whole(Broken(12), 2, shuffle=False), verbose=0)


def test_a_broken_sample_is_raised_for_its_batch_and_not_before():
    batches = iter(whole(Broken(12), 2, shuffle=False, workers=2))
    for _ in range(3):
        next(batches)
    with pytest.raises(ValueError, match=r"'photo7' \(photo7\.jpg"):
        next(batches)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((24, 30), "uint8")}, "`image` must be uint8"),
        ({"image": np.zeros((24, 30, 3), "float32")}, "`image` must be uint8"),
        ({"mask": np.zeros((24, 29), "uint8")}, "`mask` must be"),
        ({"mask": np.zeros((24, 30, 1), "uint8")}, "`mask` must be"),
        ({"mask": np.zeros((24, 30), "float32")}, "integer class ids"),
        ({"mask": np.zeros((24, 30), "bool")}, "integer class ids"),
    ],
)
def test_a_sample_of_the_wrong_kind_is_named(change, message):
    class Wrong(Pictures):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            fields = {"image": sample.image, "mask": sample.mask, "id": sample.id}
            return Sample(**{**fields, **(change if index == 3 else {})})

    with pytest.raises(ValueError, match=f"'photo3' is broken.*{re.escape(message)}"):
        list(whole(Wrong(), 4, shuffle=False))


def test_an_augmentation_of_another_size_is_refused():
    def wrong(image, mask, rng, size):
        return image[:1, :1], mask[:1, :1]  # NumPy would spread it over the batch

    with pytest.raises(ValueError, match=r"`augment` must return.*\(1, 1, 3\)"):
        loader(Pictures(), 4, 16, augment=wrong)[0]


def test_a_function_serves_as_augmentation():
    def flip(image, mask, rng, size):
        return image[:, ::-1], mask[:, ::-1]

    dataset = Pictures()
    images, masks = whole(dataset, 4, augment=flip, shuffle=False)[0]
    np.testing.assert_array_equal(images[2], dataset[2].image[:, ::-1])
    np.testing.assert_array_equal(masks[2], dataset[2].mask[:, ::-1])


@pytest.mark.parametrize("channels", [(), (3,)])
def test_maps_of_the_augmented_masks_end_the_batch(channels):
    def flip(image, mask, rng, size):
        return image[:, ::-1], mask[:, ::-1]

    def maps(mask):
        return np.broadcast_to(
            (mask == 2)[(..., *(None,) * len(channels))], (24, 30, *channels)
        )

    batches = whole(Pictures(), 4, augment=flip, maps=maps, workers=2)
    for images, masks, third in batches:
        assert third.dtype == "float32" and third.shape == (
            *images.shape[:3],
            *channels,
        )
        expected = masks == 2
        np.testing.assert_array_equal(third[..., 0] if channels else third, expected)


def test_maps_reach_the_loss_as_sample_weight():
    """In `fit` and in `evaluate`: a loss that returns their sum."""
    dataset = Pictures(4)
    batches = whole(dataset, 4, maps=lambda mask: mask == 1, shuffle=False)
    counted = sum(np.sum(dataset[i].mask == 1) for i in range(4))

    class Summed(keras.losses.Loss):
        def __call__(self, y_true, y_pred, sample_weight=None):
            return keras.ops.sum(sample_weight) + 0 * keras.ops.sum(y_pred)

    inputs = keras.Input((24, 30, 3))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", Summed())
    assert model.evaluate(batches, verbose=0) == counted
    assert model.fit(batches, verbose=0).history["loss"] == [counted]


def test_maps_that_fail_name_the_sample():
    def fail(mask):
        raise ValueError("no object")

    with pytest.raises(ValueError, match="'photo0' is broken: ValueError: no object"):
        whole(Pictures(), 4, maps=fail, shuffle=False)[0]


def test_check_comes_first(monkeypatch):
    checked = []

    def check(dataset):
        checked.append(len(dataset.reads))
        raise ValueError("photo3.jpg is damaged")

    monkeypatch.setattr(data, "check", check, raising=False)
    with pytest.raises(ValueError, match="photo3"):
        loader(Pictures(), 4, 16, check=True)
    loader(Pictures(), 4, 16)
    assert checked == [0]


@pytest.mark.parametrize("ahead", [1, 3])
def test_no_more_is_made_ahead_than_asked_for(ahead):
    dataset = Pictures(40)
    batches = whole(dataset, 2, workers=2, max_queue_size=ahead)
    iterator = iter(batches)
    for taken in (1, 2, 3):
        next(iterator)
        time.sleep(0.3)  # more than the workers need
        assert len(dataset.reads) == 2 * (taken + ahead)


def test_memory_is_bounded_by_the_queue_whatever_the_epoch_holds():
    dataset = Pictures(80, 128, 128)
    batch = 4 * 128 * 128 * (3 * 4 + 4)  # bytes
    batches = whole(dataset, 4, workers=2, max_queue_size=3)
    tracemalloc.start()
    for _ in batches:
        time.sleep(0.02)  # the model is slower than the loader
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Three ahead, the one in use and the one before it; a sample under way in each
    # worker. An epoch has 20.
    assert batch < peak < 6 * batch


@pytest.mark.parametrize("end", [SystemExit, MemoryError, KeyError])
def test_a_worker_that_is_ended_names_the_sample(end):
    class Ending(Pictures):
        def __getitem__(self, index):
            if index == 5:
                raise end("out")
            return super().__getitem__(index)

    batches = whole(Ending(), 2, workers=2, shuffle=False)
    with pytest.raises(ValueError, match=f"'photo5' is broken: {end.__name__}: .*out"):
        list(batches)


def test_a_worker_that_is_killed_is_an_error_that_names_the_sample():
    """Its thread gets an exit from outside, as threads can be killed in Python."""
    started, threads = threading.Event(), []

    class Endless(Pictures):
        def __getitem__(self, index):
            threads.append(threading.get_ident())
            started.set()
            for _ in range(6000):
                time.sleep(0.01)
            raise TimeoutError("nobody killed it")

    def kill():
        started.wait()
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(threads[0]), ctypes.py_object(SystemExit)
        )

    batches = whole(Endless(1), 1, workers=1)
    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(ValueError, match="'photo0' is broken: SystemExit"):
        next(iter(batches))
    killer.join()


def test_workers_that_are_gone_are_an_error_and_not_a_hang():
    """Threads do not survive a fork: the child would wait for them without end."""
    file = Path(loading.__file__).with_name("prefetching.py")
    code = f"""
import importlib.util, os, sys, time
spec = importlib.util.spec_from_file_location("prefetching", {str(file)!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
name = lambda epoch, index: f"Sample 'photo{{index}}'"
prefetcher = module.Prefetcher(lambda epoch, index: index, 2, 2, name)
assert [prefetcher.get(0, index, 9) for index in range(3)] == [0, 1, 2]
time.sleep(0.2)
child = os.fork()
if not child:
    try:
        prefetcher.get(0, 6, 9)
    except RuntimeError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert re.search("A worker .*ended.*Sample 'photo6'", done.stdout), done


def test_threads_end_with_the_epoch():
    before = set(threading.enumerate())
    batches = whole(Pictures(), 2, workers=2)
    next(iter(batches))
    threads = set(threading.enumerate()) - before
    assert len(threads) == 2
    batches.on_epoch_end()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"batch_size": 0}, ValueError),
        ({"batch_size": 2.5}, TypeError),
        ({"batch_size": True}, TypeError),
        ({"size": 0}, ValueError),
        ({"size": (16, 16, 3)}, ValueError),
        ({"size": (16, 0)}, ValueError),
        ({"size": 16.5}, ValueError),
        ({"size": None}, ValueError),
        ({"seed": -1}, ValueError),
        ({"seed": None}, TypeError),
        ({"workers": -1}, ValueError),
        ({"max_queue_size": 0}, ValueError),
        ({"augment": "standard"}, TypeError),
        ({"mix": augment.standard()}, TypeError),
        ({"maps": "border"}, TypeError),
        ({"dataset": []}, ValueError),
    ],
)
def test_arguments_that_make_no_sense_are_named(arguments, error):
    defaults = {"dataset": Pictures(), "batch_size": 4, "size": 16}
    name = next(iter(arguments))
    with pytest.raises(error, match=rf"`{name}` must .*Received: {name}="):
        loader(**{**defaults, **arguments})


def test_an_epoch_that_makes_no_sense_is_named():
    with pytest.raises(ValueError, match="`epoch` must .*Received: epoch=-1"):
        whole(Pictures(), 4).epoch = -1


def test_real_photos(data_dir):
    dataset = data.datasets.CCP(data_dir("ccp"), labels="person")[:12]
    batches = loader(dataset, 6, 64, augment=augment.standard())
    images, masks = batches[0]
    assert images.shape == (6, 64, 64, 3)
    assert set(np.unique(masks)) <= {0, 1, 255}
    assert 0.02 < (masks == 1).mean() < 0.9
