"""Segments photos with MediaPipe's own ImageSegmenter, in an environment of its own.

    .venv-mediapipe/bin/python mediapipe_worker.py OUT.npz MODEL PHOTO [MODEL PHOTO ...]

Writes `category_N` (uint8) and `confidence_N` (float32, channels last) for pair N, and
`labels_N`.
"""

import sys

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision


def main(output, *pairs):
    found = {}
    for number, (model, photo) in enumerate(zip(pairs[::2], pairs[1::2], strict=True)):
        options = vision.ImageSegmenterOptions(
            base_options=BaseOptions(model_asset_path=model),
            output_category_mask=True,
            output_confidence_masks=True,
        )
        with vision.ImageSegmenter.create_from_options(options) as segmenter:
            result = segmenter.segment(mediapipe.Image.create_from_file(photo))
            found[f"labels_{number}"] = np.array(segmenter.labels)
        masks = [mask.numpy_view().squeeze() for mask in result.confidence_masks]
        found[f"confidence_{number}"] = np.stack(masks, axis=-1)
        found[f"category_{number}"] = result.category_mask.numpy_view().squeeze().copy()
    np.savez(output, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
