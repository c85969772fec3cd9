"""Semantic segmentation for Keras 3, from the paper to the phone.

| room | what is in it |
|---|---|
| `kseg.layers` | building blocks, as `keras.layers.Layer` |
| `kseg.backbones` | encoders: an image in, feature maps out |
| `kseg.models` | the networks, each a function that returns a `keras.Model` |
| `kseg.losses`, `kseg.metrics` | for masks of integers, with an ignore class |
| `kseg.data` | data sets, paired augmentation, batches for `model.fit` |
| `kseg.training` | the loop behind `kseg train`, and its parts |
| `kseg.postprocess` | edge refinement of masks, dense CRF, tiles |
| `kseg.plot` | overlays, legends, sheets, curves |
| `kseg.mobile` | export to .tflite, and what runs on the phone |
| `kseg.load` | a trained net, from a file or by name |

Importing kseg imports neither Keras nor TensorFlow; the rooms do when they are used.
"""

import importlib
import sys

__version__ = "0.1.0"

# Rooms whose classes Keras must know before it can load a file that holds them.
_KERAS_ROOMS = ("layers", "backbones", "models", "losses", "metrics", "training")
_LIGHT_ROOMS = ("data", "mobile", "plot", "postprocess")

__all__ = [*_KERAS_ROOMS, *_LIGHT_ROOMS, "load"]


def load(path):
    """Loads a trained net as one thing to call on any image.

    Args:
        path: A `.keras` file, a `.tflite` file, or the name of a net that ships with
            kseg, such as `"person"` (a Keras model, which can be trained further) or
            `"person_float16"` (for LiteRT, without Keras or TensorFlow).

    Returns:
        A `kseg.mobile.ImageSegmenter`: `segmenter(image)` takes a path, a PIL image or
        a uint8 array of any size and returns its masks. `segmenter.model` is the
        `keras.Model`, or the path of the .tflite file.
    """
    from kseg.mobile import segmenter

    return segmenter.load(path)


def _register():
    """Imports every room that has classes for Keras to find by their name."""
    for room in _KERAS_ROOMS:
        importlib.import_module(f"kseg.{room}")


def __getattr__(name):
    if name in _KERAS_ROOMS:
        _register()
    elif name not in _LIGHT_ROOMS:
        raise AttributeError(f"module 'kseg' has no attribute {name!r}")
    return importlib.import_module(f"kseg.{name}")


def __dir__():
    return sorted([*globals(), *_KERAS_ROOMS, *_LIGHT_ROOMS])


# A script that imports keras first and then kseg only to load a file with kseg's
# layers names no attribute of kseg: what would trigger the registration must not be
# waited for.
if "keras" in sys.modules:
    _register()
