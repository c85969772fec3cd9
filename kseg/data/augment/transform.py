"""What a transform is, and transforms in a row."""

import numpy as np

from kseg.data.augment.plan import Plan


class Transform:
    """A random change of a photo together with its mask.

    A subclass implements `extend`. Random choices are drawn there, from the generator
    that is passed in and from nothing else, and always as many of them: then the same
    generator gives the same choices, and a transform that happens not to act leaves
    the choices of the next ones as they are.

    Call arguments:
        image: uint8 array of shape `(height, width, 3)`, or `(frames, height, width,
            3)` for a clip, whose frames all get the same.
        mask: uint8 or int32 array of shape `(height, width)`, class ids; for a clip
            `(frames, height, width)`, or `(height, width)` for its last frame alone; or
            None.
        rng: `numpy.random.Generator` to draw from.
        size: Height and width of the result.

    Returns:
        A pair: the image, uint8 of shape `(*size, 3)`, and the mask of shape `size`,
        255 beyond the photo; with `(frames, …)` where they came with it.
    """

    def extend(self, plan: Plan, rng: np.random.Generator, size) -> Plan:
        """Draws the random choices and returns `plan` with them added.

        Args:
            plan: What is done to the sample so far.
            rng: Generator to draw from.
            size: Height and width that the sample will have in the end.
        """
        raise NotImplementedError

    def sample(self, rng: np.random.Generator, source, size, truth=None) -> Plan:
        """Draws the choices for a sample, to be applied to as much as one likes.

        Args:
            rng: Generator to draw from.
            source: Height and width of the sample.
            size: Height and width of the result.
            truth: Mask of the sample, for transforms that look where a class is.
        """
        return self.extend(Plan.of(*source, truth), rng, size).resize(*size)

    def __call__(self, image, mask, rng, size):
        if image.ndim == 4:
            return self._call_on_clip(image, mask, rng, size)
        plan = self.sample(rng, image.shape[:2], size, mask)
        return plan.image(image), None if mask is None else plan.mask(mask)

    def _call_on_clip(self, frames, mask, rng, size):
        many = mask is not None and mask.ndim == 3
        if many and len(mask) != len(frames):
            raise ValueError(
                "`mask` must have as many frames as the clip, or be of its last frame. "
                f"Received: image of shape {frames.shape}, mask of shape {mask.shape}"
            )
        truth = mask[-1] if many else mask
        plan = self.sample(rng, frames.shape[1:3], size, truth)
        if (
            mask is not None
            and not many
            and any(hasattr(s, "bind") for s in plan.steps)
        ):
            raise ValueError(
                "`mask` must have a mask for each frame where a transform such as "
                "RandomBackground replaces what the mask leaves: that of the last frame "
                "would wipe out what moves. "
                f"Received: image of shape {frames.shape}, mask of shape {mask.shape}"
            )
        truths = mask if many else [truth] * len(frames)
        clip = np.stack(
            [plan.image(f, truth=t) for f, t in zip(frames, truths, strict=True)]
        )
        if many:
            return clip, np.stack([plan.mask(m) for m in mask])
        return clip, None if mask is None else plan.mask(mask)


class Compose(Transform):
    """Transforms, one after the other, with one resampling for all of them.

    Example:

    ```python
    augment = kseg.data.augment.Compose([RandomCrop(), RandomFlip()])
    image, mask = augment(image, mask, np.random.default_rng(0), (224, 224))
    plan = augment.sample(np.random.default_rng(0), frames[0].shape[:2], (224, 224))
    frames = [plan.image(frame) for frame in frames]
    ```

    Args:
        transforms: Transforms of `kseg.data.augment`. None at all resizes only.
    """

    def __init__(self, transforms=()):
        transforms = tuple(transforms)
        for transform in transforms:
            if not isinstance(transform, Transform):
                raise TypeError(
                    "`transforms` must be transforms of `kseg.data.augment`. "
                    f"Received: transforms={transforms}"
                )
        self.transforms = transforms

    def extend(self, plan, rng, size):
        for transform in self.transforms:
            plan = transform.extend(plan, rng, size)
        return plan


def check_probability(name, value):
    """Returns `value`; raises ValueError where it is not from 0 to 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"`{name}` must be from 0 to 1. Received: {name}={value}")
    return value


def check_range(name, values, low, high=np.inf):
    """Returns `values` as a pair; raises ValueError where it is no range in bounds."""
    try:
        first, last = values
        fits = low <= first <= last <= high
    except (TypeError, ValueError):
        fits = False
    if not fits:
        limit = f"at least {low}" if high == np.inf else f"from {low} to {high}"
        raise ValueError(
            f"`{name}` must be a pair of numbers {limit}, the smaller first. "
            f"Received: {name}={values}"
        )
    return (first, last)
