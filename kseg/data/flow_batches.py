"""Batches of clips with their optical flow."""

import keras
import numpy as np


class FlowBatches(keras.utils.PyDataset):
    """Batches of clips with their optical flow, for `netwarp`.

    The flow is that of the frames as they are in the batch: of a mirrored clip it is
    mirrored. The first frame of a clip has zeros.

    Args:
        batches: What `kseg.data.loader` makes of clips.
        flow: Function of a frame and the one before that returns the optical flow from
            the one to the other: `kseg.data.flow.optical_flow`, or a
            `kseg.data.flow.FlowCache`, which pays where frames are not augmented. What
            it does not know (NaN or infinite) is taken for 0.

    Returns:
        By index, pairs: a dict of `"image"`, float32 of shape `(batch, frames, height,
        width, 3)`, and `"flow"`, of shape `(batch, frames, height, width, 2)`; and masks.
    """

    def __init__(self, batches, flow):
        super().__init__(workers=1)
        if not callable(flow):
            raise TypeError(f"`flow` must be a function. Received: flow={flow!r}")
        self.batches = batches
        self.flow = flow

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        images, *rest = self.batches[index]
        if images.ndim != 5:
            raise ValueError(
                "`batches` must be of clips, (batch, frames, height, width, 3). "
                f"Received: batches of shape {images.shape}"
            )
        flow = np.zeros((*images.shape[:-1], 2), "float32")
        for clip, flows in zip(images.round().astype("uint8"), flow, strict=True):
            for t in range(1, len(clip)):
                flows[t] = self.flow(clip[t], clip[t - 1])
        np.nan_to_num(flow, copy=False, nan=0, posinf=0, neginf=0)
        return ({"image": images, "flow": flow}, *rest)

    def on_epoch_begin(self):
        self.batches.on_epoch_begin()

    def on_epoch_end(self):
        self.batches.on_epoch_end()
