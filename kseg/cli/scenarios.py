"""Commands that use a net on photos and videos of people: portrait, try-on, …"""

from pathlib import Path
from typing import Annotated

import typer

from kseg.cli.shell import app, console, load_keras_quietly, warnings_as_notes

Photo = Annotated[Path, typer.Argument(help="A photo with a person.")]
NewPhoto = Annotated[Path, typer.Option("-o", "--output", help="The new photo.")]
PartModel = Annotated[
    str | None,
    typer.Option(
        help="A .keras or .tflite file with named classes, or the name of a net that "
        "ships; by default clothes_float16."
    ),
]
Lightness = Annotated[
    float, typer.Option(help="0 keeps how light it is, 1 makes it as light as the dye.")
]


@app.command()
def portrait(
    photo: Photo,
    output: NewPhoto,
    strength: Annotated[
        float, typer.Option(help="0 leaves the photo as it is, 1 is a fast lens.")
    ] = 0.5,
):
    """Blur the background of a photo as a lens would."""
    from kseg.mobile.scenarios.portrait import portrait as scenario

    write(photo, output, scenario, strength=strength)


@app.command()
def background(
    source: Annotated[
        Path, typer.Argument(help="A photo or a video, or a folder of its frames.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The new photo, or the .mp4 file.")
    ],
    picture: Annotated[
        Path | None, typer.Option(help="A picture to put behind the people.")
    ] = None,
    color: Annotated[
        str | None, typer.Option(help="Or a colour, such as white or #00b140.")
    ] = None,
    blur: Annotated[
        float | None, typer.Option(help="Or a blur of what is there, of 0-1.")
    ] = None,
):
    """Put another background behind the people of a photo or a video."""
    how = {"picture": picture, "color": color, "blur": blur}
    if output.suffix == ".mp4":
        from kseg.mobile.scenarios.background_video import background_video

        with warnings_as_notes():
            count = background_video(source, output, **how)
        console.print(f"Wrote {count} frames to {output}")
        return
    from kseg.mobile.scenarios.background import background as scenario

    write(source, output, scenario, **how)


@app.command()
def tryon(
    photo: Photo,
    output: NewPhoto,
    model: PartModel = None,
    garment: Annotated[str, typer.Option(help="Which of the net's classes.")] = "top",
    mask: Annotated[
        Path | None, typer.Option(help="Or a picture that is white at the garment.")
    ] = None,
    color: Annotated[
        str | None, typer.Option(help="A colour, such as navy or #203060.")
    ] = None,
    pattern: Annotated[
        Path | None, typer.Option(help="Or a tile of a pattern.")
    ] = None,
    tile: Annotated[float, typer.Option(help="A tile's share of the width.")] = 0.25,
    lightness: Lightness = 0.0,
    strength: Annotated[float, typer.Option(help="0 changes nothing.")] = 1.0,
):
    """Give a garment another colour or pattern; its folds and shading stay."""
    from kseg.mobile.scenarios.tryon import tryon as scenario

    if model is not None and mask is not None:
        raise ValueError(
            "Give either `--mask`, a picture that is white at the garment, or `--model`. "
            "Received: both"
        )
    write(
        photo,
        output,
        scenario,
        segmenter=load_part_model(model),
        garment=garment,
        mask=mask,
        color=color,
        pattern=pattern,
        tile=tile,
        lightness=lightness,
        strength=strength,
    )


@app.command()
def makeup(
    photo: Photo,
    output: NewPhoto,
    model: PartModel = None,
    lips: Annotated[
        str | None, typer.Option(help="A colour, such as crimson or #a01030.")
    ] = None,
    hair: Annotated[str | None, typer.Option(help="A colour.")] = None,
    lips_mask: Annotated[
        Path | None, typer.Option(help="In place of --model, white at the lips.")
    ] = None,
    hair_mask: Annotated[
        Path | None, typer.Option(help="In place of --model, white at the hair.")
    ] = None,
    lightness: Lightness = 0.0,
    strength: Annotated[float, typer.Option(help="0 changes nothing.")] = 0.6,
):
    """Colour lips and hair; their light and shade stay."""
    from kseg.mobile.scenarios.makeup import makeup as scenario

    if lips is not None and lips_mask is None and model is None:
        raise ValueError(
            "Give `--lips-mask`, a picture that is white at the lips, or `--model`, a net "
            "with lips: the net that ships finds hair alone. Received: neither"
        )
    masks = {"lips": lips_mask, "hair": hair_mask}
    masks = {part: path for part, path in masks.items() if path is not None}
    write(
        photo,
        output,
        scenario,
        segmenter=load_part_model(model),
        lips=lips,
        hair=hair,
        masks=masks or None,
        lightness=lightness,
        strength=strength,
    )


def write(photo, output, scenario, **options):
    """Writes what a scenario makes of a photo, and what it has to say."""
    from kseg.mobile.scenarios.photos import write_photo

    with warnings_as_notes():
        write_photo(photo, output, scenario, **options)
    console.print(f"Wrote {output}")


def load_part_model(model):
    """Opens a net of `--model`; `None` without one."""
    if model is None:
        return None
    from kseg.mobile.segmenter import load

    with warnings_as_notes():
        if not model.endswith(".tflite"):
            load_keras_quietly()
        return load(model)
