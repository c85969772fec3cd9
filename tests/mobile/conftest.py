"""Nets that the tests of the phone side share, trained for 20 steps on real photos."""

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

SIZE = (64, 96)
CLASSES = ("background", "skin", "clothes")
SKIN = 41  # CCP's ids: 0 is null, 41 skin


@pytest.fixture(scope="session")
def crops(data_dir):
    """Returns 24 photos and masks, `(n, 64, 96, 3)` and `(n, 64, 96)`, 3 classes."""
    folder = data_dir("ccp")
    images, masks = [], []
    for number in range(1, 25):
        photo = Image.open(folder / "photos" / f"{number:04d}.jpg")
        mask = Image.open(folder / "annotations" / "pixel-level" / f"{number:04d}.png")
        width, height = photo.size
        box = (0, 0, width, round(width * SIZE[0] / SIZE[1]))  # the upper body
        images.append(np.asarray(photo.crop(box).resize(SIZE[::-1])))
        ids = np.asarray(mask.crop(box).resize(SIZE[::-1], Image.Resampling.NEAREST))
        masks.append(np.where(ids == 0, 0, np.where(ids == SKIN, 1, 2)))
    return np.stack(images), np.stack(masks)


@pytest.fixture(scope="session")
def streets(data_dir):
    """Returns 24 frames of a video from a car and their masks, as `crops`, 3 classes.

    They are what stands (buildings, trees, the sky), the ground, and what moves on it.
    """
    folder = data_dir("camvid")
    kinds = np.array([0, 0, 2, 1, 1, 0, 2, 0, 2, 2, 2, 255])  # by CamVid's ids
    images, masks = [], []
    for photo in sorted((folder / "val").glob("*.jpg"))[:24]:
        box = (0, 40, 480, 360)
        image = Image.open(photo).crop(box).resize(SIZE[::-1])
        mask = Image.open(folder / "valannot" / f"{photo.stem}.png").crop(box)
        mask = np.asarray(mask.resize(SIZE[::-1], Image.Resampling.NEAREST))
        images.append(np.asarray(image.convert("RGB")))
        masks.append(kinds[mask])
    return np.stack(images), np.stack(masks)


def small_net(num_classes, activation, size=(None, None), batch=None):
    """Builds a net with what exports stumble over: dilation, gates, odd upsampling."""

    def conv(x, filters, **kwargs):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, **kwargs)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        return layers.ReLU(max_value=6)(x)

    image = keras.Input((*size, 3), batch_size=batch)
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    skip = conv(conv(x, 8, strides=2), 16, strides=2)
    x = conv(skip, 24, dilation_rate=2)
    x = layers.DepthwiseConv2D(3, dilation_rate=4, padding="same")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(24, 1, activation="hard_sigmoid")(gate)
    x = layers.Concatenate()([layers.Multiply()([x, gate]), skip])
    x = layers.Conv2DTranspose(8, 2, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(num_classes, 1)(x)
    x = layers.UpSampling2D(2, interpolation="bilinear", name="logits")(x)
    if activation:
        x = layers.Activation(activation, name="probabilities")(x)
    return keras.Model(image, x, name="small_net")


@pytest.fixture(scope="session")
def build_net():
    """Returns the function that builds the small net, untrained."""
    return small_net


def train(model, images, targets, loss):
    """Trains 20 steps, so that the answers are no near-ties."""
    # XLA would take longer to compile than the steps to run.
    model.compile(keras.optimizers.Adam(0.01), loss, jit_compile=False)
    for _ in range(20):
        model.train_on_batch(images.astype("float32"), targets)
    return model


@pytest.fixture(scope="session")
def net(crops):
    """Returns a trained net of three classes that takes any size."""
    keras.utils.set_random_seed(0)
    images, masks = crops
    model = small_net(3, "softmax")
    return train(model, images[:16], masks[:16], "sparse_categorical_crossentropy")


@pytest.fixture(scope="session")
def person_net(crops):
    """Returns a trained net of one class, for 64 x 96 only."""
    keras.utils.set_random_seed(0)
    images, masks = crops
    model = small_net(1, "sigmoid", SIZE)
    targets = (masks[:16, ..., None] > 0).astype("float32")
    return train(model, images[:16], targets, "binary_crossentropy")


@pytest.fixture(scope="session")
def exported(net, crops, tmp_path_factory):
    """Returns a function that exports the three-class net once per choice."""
    from kseg.mobile import export

    folder = tmp_path_factory.mktemp("exported")
    reports = {}

    def get(precision="float32", output="probabilities"):
        if (precision, output) not in reports:
            reports[precision, output] = export(
                net,
                folder / f"{precision}_{output}.tflite",
                size=SIZE,
                precision=precision,
                output=output,
                calibration=crops[0],
                labels=CLASSES,
                verbose=False,
            )
        return reports[precision, output]

    return get


@pytest.fixture
def quick(tmp_path, crops):
    """Returns a function that exports to a fresh path, compared on four crops."""

    from kseg.mobile import export

    def run(model, **kwargs):
        kwargs = {"calibration": crops[0][:4], "verbose": False, **kwargs}
        return export(model, tmp_path / "net.tflite", **kwargs)

    return run
