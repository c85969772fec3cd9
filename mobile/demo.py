"""`kseg demo`: from a net to three verified .tflite files, timed, and a portrait."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

from kseg.files import write_whole

PRECISIONS = ("float32", "float16", "full_int8")


def demo(output="demo", data=None):
    """Takes the shipped person net all the way to a phone, on one photo.

    Exports it to three precisions, compares each with Keras, times each on this CPU,
    and blurs the background of the photo. The photo is scikit-image's astronaut
    (NASA, public domain).

    Args:
        output: Folder to write to.
        data: Path of a data set to train a small net on first, for a minute or two,
            into the folder `training` of `output`.

    Returns:
        The path of the contact sheet, a PNG.
    """
    import kseg

    try:
        from skimage.data import astronaut
    except ImportError as error:
        raise ImportError(
            "`kseg demo` shows a photo of scikit-image: pip install 'kseg[demo]'"
        ) from error
    from kseg.mobile.benchmarking.benchmarking import benchmark
    from kseg.mobile.exporting.exporter import export
    from kseg.mobile.scenarios.portrait import portrait
    from kseg.mobile.segmenter import ImageSegmenter

    console = Console()
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    if data is not None:
        console.rule("Training a small net")
        _train_small(data, output / "training", console)

    photo = astronaut()
    model = kseg.load("person").model
    rows = []
    for precision in PRECISIONS:
        console.rule(f"Export to {precision}")
        path = output / f"person_{precision}.tflite"
        report = export(
            model,
            path,
            precision=precision,
            calibration=_crops(photo),
            labels=["person"],
        )
        latency = benchmark(path, threads=[1, 2])
        console.print(latency.table())
        rows.append((report, latency.models[0].rows))
    console.rule("Portrait mode")
    segmenter = ImageSegmenter(output / "person_float16.tflite")
    mask = segmenter.segment(photo).category_mask
    blurred = portrait(photo, segmenter)
    blurred.save(output / "portrait.jpg", quality=95)

    tiles = [Image.fromarray(photo), kseg.plot.overlay(photo, mask), blurred]
    titles = ["photo", "mask (float16)", "portrait mode"]
    if data is not None:
        tiles.append(Image.open(output / "training" / "validation.png"))
        titles.append("small net: truth and prediction")
    tiles.append(_table(rows))
    titles.append("on this CPU")
    sheet = output / "contact_sheet.png"
    picture = kseg.plot.sheet(tiles, titles=titles, columns=len(tiles), tile=400)
    write_whole(sheet, picture.save)
    return sheet


def _crops(photo, count=24):
    """Views of the photo at many sizes and places: ranges for int8, images to compare."""
    random = np.random.default_rng(0)
    side = min(photo.shape[:2])
    views = [photo]
    for _ in range(count - 1):
        size = int(random.uniform(0.4, 1.0) * side)
        top = random.integers(0, photo.shape[0] - size + 1)
        left = random.integers(0, photo.shape[1] - size + 1)
        view = photo[top : top + size, left : left + size]
        views.append(view[:, ::-1] if random.random() < 0.5 else view)
    return views


def _train_small(path, output, console):
    """A run of minutes on at most 160 photos of a data set."""
    from kseg import data, training

    label = "person" if (Path(path) / "label_list.mat").exists() else None
    photos, validation = (
        data.datasets.open_dataset(path, split=split, labels=label)
        for split in ("train", "validation")
    )
    summary = training.train(
        photos[:160],
        output,
        validation=validation[:20],
        size=128,
        epochs=6,
        learning_rate=2e-3,
    )
    for name, value in summary["validation"].items():
        console.print(f"{name}: {value:.3f}")


def _table(rows, size=400):
    """A picture of the table of sizes, times and parity."""
    picture = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(picture)
    large, small = (ImageFont.load_default(s) for s in (19, 15))
    y = 18
    for report, (one, two) in rows:
        draw.text((16, y), report.precision, "black", large)
        lines = [
            f"{report.size_bytes / 1e6:.2f} MB",
            f"{one.median:.1f} ms on 1 thread, {two.median:.1f} ms on 2",
            f"{report.parity.agreement:.2%} of decided pixels as in Keras",
        ]
        for line in lines:
            y += 24
            draw.text((16, y), line, (70, 70, 70), small)
        y += 46
    draw.text((16, size - 34), "median of single runs, LiteRT, XNNPACK", "gray", small)
    return picture
