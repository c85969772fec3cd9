from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from kseg import cli
from kseg.mobile.scenarios.makeup import makeup


def face(height=90, width=100):
    """Skin with lips and hair, and the masks of both."""
    photo = np.full((height, width, 3), (210, 160, 140), np.uint8)
    lips, hair = np.zeros((2, height, width), bool)
    lips[60:70, 40:60] = True
    hair[:20] = True
    photo[lips], photo[hair] = (170, 90, 90), (70, 50, 40)
    return photo, {"lips": lips, "hair": hair}


class Segmenter:
    """Answers every photo with the masks of `face`, and counts."""

    def __init__(self, labels=("skin", "hair", "u_lip", "l_lip")):
        masks = face()[1]
        upper, lower = masks["lips"].copy(), masks["lips"].copy()
        upper[65:], lower[:65] = False, False
        maps = [~(masks["lips"] | masks["hair"]), masks["hair"], upper, lower]
        self.masks = np.stack(maps, -1).astype(np.float32)
        self.labels, self.count = labels, 0

    def segment(self, image):
        self.count += 1
        return SimpleNamespace(confidence_masks=self.masks)


def test_the_net_that_ships_is_taken_by_default(monkeypatch):
    photo, _ = face()
    names, net = [], Segmenter(labels=("background", "hair", "skin", "top"))
    monkeypatch.setattr(
        "kseg.mobile.segmenter.load", lambda name: names.append(name) or net
    )
    result = makeup(photo, hair="blue")
    assert names == ["clothes_float16"]
    np.testing.assert_array_equal(result, makeup(photo, net, hair="blue"))
    with pytest.raises(ValueError, match="the net that ships finds hair alone"):
        makeup(photo, lips="red")


def test_what_has_a_mask_is_not_looked_for():
    photo, masks = face()
    net = Segmenter(labels=("background", "hair", "skin", "top"))
    result = makeup(photo, net, hair="blue", lips="red", masks={"lips": masks["lips"]})
    apart = makeup(photo, net, hair="blue")
    apart = makeup(apart, lips="red", masks={"lips": masks["lips"]})
    np.testing.assert_array_equal(result, apart)
    assert net.count == 2


@pytest.mark.parametrize("parts", [("lips",), ("hair",), ("lips", "hair")])
def test_only_what_has_a_color_changes(parts):
    photo, masks = face()
    colors = dict.fromkeys(parts, "#6020d0")
    result = np.asarray(makeup(photo, masks=masks, **colors))
    for part, mask in masks.items():
        changed = (result != photo).any(-1)[mask]
        assert changed.all() if part in parts else not changed.any()
    skin = ~(masks["lips"] | masks["hair"])
    assert (result[skin] == photo[skin]).all()


def test_stronger_is_closer_to_the_color():
    photo, masks = face()
    blue = [
        np.asarray(makeup(photo, masks=masks, lips="#4040ff", strength=s))[65, 50, 2]
        for s in (0, 0.3, 0.7, 1)
    ]
    assert blue[0] == photo[65, 50, 2]
    assert sorted(set(blue)) == blue


def test_strength_zero_returns_the_photo():
    photo, masks = face()
    result = makeup(photo, masks=masks, lips="red", hair="blue", strength=0)
    assert (np.asarray(result) == photo).all()


def test_both_lips_of_a_net_are_one_part_and_it_is_asked_once():
    photo, masks = face()
    net = Segmenter()
    result = np.asarray(makeup(photo, net, lips="#6020d0", hair="#20d060"))
    assert net.count == 1
    inner = np.s_[62:68, 43:57]
    assert (result[inner] != photo[inner]).any(-1).all()
    assert (result[5:15] != photo[5:15]).any(-1).all()
    assert (result[30:50] == photo[30:50]).all()


def test_part_that_is_not_there_is_said_and_the_rest_is_done():
    photo, masks = face()
    masks["lips"][:] = False
    with pytest.warns(UserWarning, match="no lips found"):
        result = np.asarray(makeup(photo, masks=masks, lips="red", hair="blue"))
    assert (result[20:] == photo[20:]).all()
    assert (result[:20] != photo[:20]).any(-1).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Received: neither of them"),
        ({"lips": "reddish"}, "`lips` must be.*Received: lips='reddish'"),
        (
            {"lips": "red", "masks": {"lip": np.ones((90, 100))}},
            r"keys but \['hair', 'lips'\]. Received: masks with keys \['lip'\]",
        ),
        ({"lips": "red", "masks": {}}, 'must have "lips".*Received: neither'),
        ({"lips": "red", "strength": 1.5}, "Received: strength=1.5"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    photo, masks = face()
    with pytest.raises(ValueError, match=message):
        makeup(photo, **{"masks": masks, **arguments})


def test_net_without_lips_is_refused():
    net = Segmenter(labels=("skin", "hair", "a", "b"))
    with pytest.raises(ValueError, match=r"labelled 'lips'.*Received: 4 classes"):
        makeup(face()[0], net, lips="red")


@pytest.mark.parametrize("size", [(1, 1), (2, 3)])
def test_tiny_photos_work(size):
    photo = np.full((*size, 3), 90, np.uint8)
    masks = {"lips": np.ones(size, bool)}
    assert makeup(photo, masks=masks, lips="red").size == size[::-1]


def test_grey_photo_becomes_colored_and_opacity_is_kept():
    photo, masks = face()
    assert makeup(photo[..., 0], masks=masks, lips="red").mode == "RGB"
    image = Image.fromarray(photo)
    image.putalpha(90)
    assert (np.asarray(makeup(image, masks=masks, lips="red"))[..., 3] == 90).all()


def test_real_lips_turn_red_and_teeth_do_not(data_dir):
    folder = data_dir("celebamask")
    for path in sorted((folder / "images").iterdir())[:4]:
        tags = np.asarray(Image.open(folder / "masks" / f"{path.stem}.png"))
        photo = np.asarray(Image.open(path).convert("RGB"))
        lips = (tags == 11) | (tags == 12)
        result = np.asarray(makeup(photo, masks={"lips": lips}, lips="crimson"))
        assert (result[~lips] == photo[~lips]).all()
        redder = (result[lips].astype(int) - photo[lips]) @ (2, -1, -1)
        assert redder.mean() > 20


def test_command_writes_what_the_call_returns(tmp_path):
    photo, masks = face()
    paths = [str(tmp_path / name) for name in ("photo.png", "mask.png", "out.png")]
    Image.fromarray(photo).save(paths[0])
    Image.fromarray(masks["lips"]).save(paths[1])
    arguments = ["makeup", paths[0], "--lips-mask", paths[1], "-o", paths[2]]
    arguments += ["--lips", "crimson"]
    done = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    assert "Wrote" in done.output
    expected = np.asarray(makeup(photo, masks=masks, lips="crimson"))
    assert (np.asarray(Image.open(paths[2])) == expected).all()
