"""Keras' preprocessing layers of colour among kseg's transforms."""

import keras
import numpy as np

from kseg.data.augment.transform import Transform

# Those that move no pixel, so that the mask stays as it is. RandomColorJitter is not
# among them: it draws from its own generator, whatever `seed` it is given.
_COLOR_LAYERS = (
    "AutoContrast",
    "CLAHE",
    "Equalization",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomContrast",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPosterization",
    "RandomSaturation",
    "RandomSharpness",
    "Solarization",
)


class KerasLayer(Transform):
    """A preprocessing layer of Keras that changes colours, applied to each photo.

    The layer draws from the generator of the sample instead of its own `seed`. Layers
    that move pixels are refused; the first lines of `geometry.py` say why.

    Example:

    ```python
    layer = keras.layers.RandomPosterization(4, value_range=(0, 255))
    augment = kseg.data.augment.Compose([RandomCrop(), KerasLayer(layer)])
    ```

    Args:
        layer: One of Keras' image preprocessing layers that leave masks alone, made
            for values from 0 to 255.
    """

    def __init__(self, layer):
        classes = [getattr(keras.layers, name, ()) for name in _COLOR_LAYERS]
        if type(layer) not in classes:
            raise ValueError(
                f"`layer` must be one of {', '.join(_COLOR_LAYERS)} of keras.layers. "
                f"Received: layer={layer}"
            )
        value_range = tuple(getattr(layer, "value_range", (0, 255)))
        if value_range != (0, 255):
            raise ValueError(
                "`layer` must be made with value_range=(0, 255). "
                f"Received: a {type(layer).__name__} with value_range={value_range}"
            )
        self.layer = layer

    def extend(self, plan, rng, size):
        seed = int(rng.integers(2**31))

        def call(image):
            # A generator and not an integer, which would give every choice that the
            # layer makes the same random number.
            generator = keras.random.SeedGenerator(seed)
            images = keras.ops.convert_to_tensor(image[None].astype("float32"))
            choices = self.layer.get_random_transformation(
                images, training=True, seed=generator
            )
            images = self.layer.transform_images(images, choices, training=True)
            values = keras.ops.convert_to_numpy(images)[0]
            return np.rint(values.clip(0, 255)).astype("uint8")

        return plan.then(call)
