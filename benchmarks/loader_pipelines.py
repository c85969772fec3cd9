"""The standard recipe of augmentation in kseg, tf.data and albumentations.

Each function takes the settings of `benchmarks/loader.py` and returns batches of images
and masks. Libraries are imported in the function, as each has an environment of its own.
"""

from pathlib import Path

FILL = (124, 116, 104)
AHEAD = 4  # batches


def load_kseg(ccp, size, batch_size, workers, recipe, **_):
    from kseg.data import augment, datasets, loader

    transforms = augment.standard().transforms
    if recipe == "colour":
        left_out = augment.RandomGaussianBlur, augment.RandomNoise, augment.RandomJpeg
        transforms = [t for t in transforms if not isinstance(t, left_out)]
    return loader(
        datasets.CCP(ccp),
        batch_size,
        size,
        augment=augment.Compose(transforms),
        workers=workers,
        max_queue_size=AHEAD,
    )


def load_albumentations(ccp, size, batch_size, workers, recipe, **_):
    import albumentations as A
    import cv2
    import torch

    cv2.setNumThreads(0)
    transforms = [
        A.RandomResizedCrop((size, size), scale=(0.0625, 1.0), ratio=(0.6, 1.25)),
        A.HorizontalFlip(p=0.5),
        A.Rotate((-15, 15), fill=FILL, fill_mask=255, border_mode=0, p=1.0),
        A.GaussianBlur(blur_limit=0, sigma_limit=(0.3, 2.0), p=0.15),
        A.ColorJitter((0.6, 1.4), (0.6, 1.4), (0.5, 1.5), (-0.03, 0.03), p=1.0),
        A.ToGray(p=0.05),
        A.GaussNoise(std_range=(2 / 255, 12 / 255), p=0.15),
        A.ImageCompression(quality_range=(30, 90), p=0.15),
    ]
    if recipe == "colour":
        left_out = A.GaussianBlur, A.GaussNoise, A.ImageCompression
        transforms = [t for t in transforms if not isinstance(t, left_out)]
    augment = A.Compose(transforms)
    pairs = list_pairs(ccp)

    class Photos(torch.utils.data.Dataset):
        def __len__(self):
            return len(pairs)

        def __getitem__(self, index):
            photo, mask = pairs[index]
            image = cv2.cvtColor(cv2.imread(photo), cv2.COLOR_BGR2RGB)
            made = augment(image=image, mask=cv2.imread(mask, cv2.IMREAD_GRAYSCALE))
            return torch.from_numpy(made["image"]), torch.from_numpy(made["mask"])

    loader = torch.utils.data.DataLoader(
        Photos(),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        prefetch_factor=max(1, AHEAD // max(1, workers)),
        persistent_workers=workers > 0,
    )

    class Epochs:
        def __iter__(self):
            # As bytes the batches pass from process to process in a quarter of the time.
            return ((images.float(), masks.int()) for images, masks in loader)

    return Epochs()


def load_tf(ccp, size, batch_size, workers, recipe, **_):
    import numpy as np
    import tensorflow as tf

    photos, masks = zip(*list_pairs(ccp), strict=True)
    yiq = np.array(
        [[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]],
        "float32",
    )

    def uniform(low, high):
        return tf.random.uniform((), low, high)

    def warp(picture, matrix, interpolation, fill):
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=picture[None],
            transforms=tf.concat([tf.reshape(matrix[:2], (1, 6)), [[0.0, 0.0]]], 1),
            output_shape=[size, size],
            fill_value=fill,
            interpolation=interpolation,
            fill_mode="CONSTANT",
        )[0]

    def geometry(image):
        """Crop, flip and rotation as one matrix, so that one warp does for all."""
        shape = tf.cast(tf.shape(image), tf.float32)
        scale, mix, jitter = uniform(0.25, 1), uniform(0, 1), uniform(-1, 1)
        height = shape[0] * scale
        ratio = (shape[1] / shape[0]) ** (1 - mix) * 1.25**jitter
        width = tf.minimum(height * ratio, shape[1])
        top = uniform(0, 1) * (shape[0] - height)
        left = uniform(0, 1) * (shape[1] - width)
        sign = tf.where(uniform(0, 1) < 0.5, 1.0, -1.0)
        angle = uniform(-np.pi / 12, np.pi / 12)
        cos, sin = tf.cos(angle), tf.sin(angle)
        to_middle = [[width / size, 0.0, -width / 2], [0.0, height / size, -height / 2]]
        turn = [[sign * cos, -sign * sin], [sin, cos]]
        matrix = tf.linalg.matmul(turn, to_middle)
        return matrix + [[0.0, 0.0, left + width / 2], [0.0, 0.0, top + height / 2]]

    def color(image):
        """All changes of colour as one matrix."""
        gain, contrast = uniform(0.6, 1.4), uniform(0.6, 1.4)
        saturation, angle = uniform(0.5, 1.5), 2 * np.pi * uniform(-0.03, 0.03)
        saturation *= tf.where(uniform(0, 1) < 0.05, 0.0, 1.0)
        cos, sin = saturation * tf.cos(angle), saturation * tf.sin(angle)
        turn = [[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]]
        matrix = tf.matmul(np.linalg.inv(yiq), tf.matmul(turn, yiq))
        matrix *= tf.random.uniform((3, 1), 0.9, 1.1)
        image = tf.tensordot(image, tf.transpose(gain * contrast * matrix), 1)
        return tf.clip_by_value(image + (1 - contrast) * 127.5, 0.0, 255.0)

    def sometimes(change, image):
        return tf.cond(uniform(0, 1) < 0.15, lambda: change(image), lambda: image)

    def blur(image):
        taps = tf.exp(-(tf.range(-6.0, 7.0) ** 2) / (2 * uniform(0.3, 2.0) ** 2))
        taps = tf.tile((taps / tf.reduce_sum(taps))[:, None, None], (1, 1, 3))[
            ..., None
        ]
        image = tf.nn.depthwise_conv2d(image[None], taps, [1] * 4, "SAME")
        taps = tf.transpose(taps, (1, 0, 2, 3))
        return tf.nn.depthwise_conv2d(image, taps, [1] * 4, "SAME")[0]

    def noise(image):
        image += tf.random.normal((size, size, 3), 0.0, uniform(2, 12))
        return tf.clip_by_value(image, 0.0, 255.0)

    def jpeg(image):
        quality = tf.random.uniform((), 30, 91, tf.int32)
        image = tf.cast(image, tf.uint8)
        return tf.cast(tf.image.adjust_jpeg_quality(image, quality), tf.float32)

    def make(photo, mask):
        image = tf.io.decode_jpeg(tf.io.read_file(photo), 3)
        mask = tf.io.decode_png(tf.io.read_file(mask), 1)
        matrix = geometry(image)
        image = tf.cast(warp(image, matrix, "BILINEAR", 116.0), tf.float32)
        mask = warp(mask, matrix, "NEAREST", 255.0)[..., 0]
        steps = [blur, color, noise, jpeg] if recipe == "standard" else [color]
        for step in steps:
            image = step(image) if step is color else sometimes(step, image)
        return tf.ensure_shape(image, (size, size, 3)), tf.cast(mask, tf.int32)

    data = tf.data.Dataset.from_tensor_slices((list(photos), list(masks)))
    data = data.shuffle(len(photos)).map(make, tf.data.AUTOTUNE, deterministic=False)
    return data.batch(batch_size, drop_remainder=True).prefetch(AHEAD)


def list_pairs(ccp):
    photos = sorted(Path(ccp, "photos").glob("*.jpg"))
    masks = Path(ccp, "annotations", "pixel-level")
    return [(str(photo), str(masks / f"{photo.stem}.png")) for photo in photos]
