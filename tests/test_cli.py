"""Every command on small files, and what it says when the input is wrong."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from PIL import Image

from kseg import cli

ROOT = Path(__file__).parents[1]


def kseg(*arguments):
    """Runs the command line in this process; returns what it printed."""
    from typer.testing import CliRunner

    result = CliRunner().invoke(cli.app, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


@pytest.fixture(scope="session")
def run_folder(squares_folder, tmp_path_factory):
    """The run folder of `kseg train` on the twelve photos."""
    output = tmp_path_factory.mktemp("runs") / "squares"
    printed = kseg(
        "train",
        squares_folder,
        "-o",
        output,
        *("--size", 64, "--epochs", 3, "--batch-size", 4),
        *("--model", "unet", "--backbone", "none"),
        *("--model-arguments", '{"filters": [4, 8]}'),
    )
    return output, printed


def test_help_answers_without_keras_or_tensorflow():
    code = (
        "import sys; from typer.testing import CliRunner; from kseg import cli;"
        "result = CliRunner().invoke(cli.app, ['--help']);"
        "print(result.exit_code, {'keras', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "0 set()", done.stderr


def test_train_says_what_it_inferred_and_leaves_a_whole_folder(run_folder):
    output, printed = run_folder
    assert "background" in printed
    assert "255" in printed
    assert {path.name for path in output.iterdir()} == {
        "best.keras",
        "config.json",
        "curves.png",
        "last.keras",
        "metrics.csv",
        "model.tflite",
        "summary.json",
        "validation.png",
    }
    summary = json.loads((output / "summary.json").read_text())
    assert 0 <= summary["validation"]["mean_iou"] <= 1
    assert len((output / "metrics.csv").read_text().splitlines()) == 4


def test_evaluate_prints_the_figures_of_the_summary(run_folder, squares_folder):
    output, _ = run_folder
    summary = json.loads((output / "summary.json").read_text())
    printed = kseg("evaluate", output / "best.keras", squares_folder)
    # The command runs Keras step by step, training a compiled graph: a pixel may flip.
    shown = float(re.search(r"mean_iou +│ (\d\.\d{4})", printed)[1])
    assert shown == pytest.approx(summary["validation"]["mean_iou"], abs=5e-4)


def test_evaluate_takes_all_photos_of_a_plain_folder(run_folder, squares_folder):
    output, _ = run_folder
    printed = kseg("evaluate", output / "best.keras", squares_folder, "--split", "all")
    assert "on 12 photos" in " ".join(printed.split())


def test_train_says_when_training_did_not_improve_the_start(
    squares_folder, tmp_path, monkeypatch
):
    from kseg import training

    start = {"mean_iou": 0.75}
    summary = {
        "kept": "start",
        "tried": {"start": start, "epoch 3": {"mean_iou": 0.5}},
        "validation": start,
        "config": {"size": [32, 32]},
    }
    received = {}
    monkeypatch.setattr(
        training, "train", lambda *_, **arguments: received.update(arguments) or summary
    )
    monkeypatch.setattr(cli.training, "export_best", lambda *_: "float32")
    printed = kseg("train", squares_folder, "-o", tmp_path, "--start", "person")
    assert "did not improve" in printed
    assert "0.7500" in printed
    assert "model.tflite (float32)" in " ".join(printed.split())
    assert received["size"] is received["learning_rate"] is None
    assert received["start"].output_shape[-1] == 1


def test_a_tflite_cannot_be_the_start(squares_folder, tmp_path):
    with pytest.raises(ValueError, match=r"`--start` must be .*'person_float16'"):
        kseg(
            *("train", squares_folder, "-o", tmp_path / "run"),
            *("--start", "person_float16"),
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing", [("float16",), ("float16", "float32")])
def test_a_net_beyond_half_precision_is_exported_in_single(
    tmp_path, monkeypatch, capsys, failing
):
    from kseg import mobile

    def export(net, path, *, precision, size, **more):
        assert size == (256, 256)
        if precision in failing:
            raise mobile.ParityError(f"largest error of {precision} is 0.3", None)

    monkeypatch.setattr(mobile, "export", export)
    weights = ROOT / "mobile" / "weights"
    shutil.copy(weights / "person.keras", tmp_path / "best.keras")
    arguments = tmp_path, (256, 256), None, ("background", "person")
    if "float32" in failing:
        with pytest.raises(RuntimeError, match=r"best\.keras.*no model\.tflite.*0\.3"):
            cli.training.export_best(*arguments)
    else:
        assert cli.training.export_best(*arguments) == "float32"
        assert "largest error of float16" in capsys.readouterr().out


def test_predict_writes_a_mask_and_an_overlay_at_the_size_of_each_photo(
    run_folder, squares_folder, tmp_path
):
    output, _ = run_folder
    kseg(
        "predict",
        output / "model.tflite",
        squares_folder / "images",
        "-o",
        tmp_path / "out",
    )
    masks = sorted((tmp_path / "out").glob("*_mask.png"))
    assert len(masks) == 12
    with Image.open(masks[0]) as mask:
        assert mask.size == (64, 48)
    assert len(list((tmp_path / "out").glob("*_overlay.jpg"))) == 12


def test_predict_writes_a_file_for_an_annotation_tool(squares_folder, tmp_path):
    photos = squares_folder / "images"
    for tool, count in (("labelme", 12), ("coco", 1)):
        output = tmp_path / f"[{tool}]"  # no colour of the terminal
        printed = kseg("predict", "person", photos, "-o", output, "--annotations", tool)
        assert f"[{tool}]" in "".join(printed.split())  # lines are wrapped
        assert len(list(output.iterdir())) == 2 * 12 + count
    with pytest.raises(ValueError, match="for photos. Received: --annotations coco"):
        kseg(
            *("predict", "person", "--video", photos, "-o", tmp_path / "out.mp4"),
            *("--annotations", "coco"),
        )


@pytest.mark.parametrize("precision", ["float32", "full_int8"])
def test_export_prints_the_parity_report(tmp_path, precision):
    photos = ROOT / "mobile" / "weights" / "photos"
    target = tmp_path / "net.tflite"
    printed = kseg(
        *("export", "person", "-o", target, "--precision", precision),
        *("--calibration", photos),
    )
    assert precision in printed
    assert target.stat().st_size > 10_000


def test_export_takes_every_option_of_the_call(squares_folder, run_folder, tmp_path):
    output, _ = run_folder
    target = tmp_path / "net.tflite"
    printed = kseg(
        *("export", output / "best.keras", "-o", target, "--size", "64x64"),
        *("--precision", "weight_int8", "--data", squares_folder),
        *("--camera-size", "48x96", "--input-dtype", "float32"),
        *("--keep-float", "scores", "--keep-float", "up*", "--sensitivity"),
    )
    assert "48 x 96 (the net: 64 x 64)" in printed
    assert "masks 0." in printed
    assert "loss  equal classes  mean IoU" in printed
    with pytest.raises(ValueError, match="either `--calibration` or `--data`"):
        kseg(
            *("export", output / "best.keras", "-o", target),
            *("--calibration", tmp_path, "--data", squares_folder),
        )
    with pytest.raises(ValueError, match="`--camera-size` must be a positive number"):
        kseg("export", output / "best.keras", "-o", target, "--camera-size", "720p")


def test_info_of_both_kinds_of_file(run_folder):
    output, _ = run_folder
    for name in ("best.keras", "model.tflite"):
        assert "64" in kseg("info", output / name)


def test_convert_makes_a_folder_of_an_export(data_dir, tmp_path):
    source = data_dir("annotations") / "labelme" / "semantic_segmentation"
    printed = kseg("convert", "labelme", source, tmp_path / "out")
    masks = list((tmp_path / "out" / "masks").iterdir())
    photos = list((tmp_path / "out" / "images").iterdir())
    assert {m.stem for m in masks} == {p.stem for p in photos} != set()
    assert str(len(masks)) in printed


def test_convert_refuses_a_rename_that_is_none(tmp_path):
    with pytest.raises(ValueError, match="`--rename` must be label=class"):
        kseg("convert", "coco", tmp_path, tmp_path / "out", "--rename", "truck")


def test_data_check_of_a_whole_data_set_and_of_a_damaged_one(squares_folder, tmp_path):
    sheet = tmp_path / "sheet.png"
    printed = kseg("data", "check", "folder", squares_folder, "--sheet", sheet)
    assert "background" in printed
    with Image.open(sheet) as picture:
        assert min(picture.size) > 100
    damaged = tmp_path / "damaged"
    shutil.copytree(squares_folder, damaged)
    for path in (damaged / "images").iterdir():
        path.write_bytes(path.read_bytes()[:-40])
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from kseg.cli import main; main()"),
            *("data", "check", "folder", damaged),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert path.name in done.stdout


def test_data_check_of_labels_that_a_data_set_has_not(tmp_path):
    with pytest.raises(
        ValueError, match="`--labels` must be left out.*Received: --lab"
    ):
        kseg("data", "check", "camvid", tmp_path, "--labels", "person")


def test_data_check_draws_clouds_and_tells_of_no_sheet_without_samples(
    data_dir, tmp_path
):
    sheet = tmp_path / "sheet.png"
    scenes = data_dir("kinect-scenes")
    (tmp_path / "few").mkdir()
    few = tmp_path / "few" / "learn0.npz"
    few.symlink_to(scenes / "learn0.npz")
    printed = kseg("data", "check", "kinect-scenes", few.parent, "--sheet", sheet)
    assert "1 samples, 0 of them unusable" in printed
    assert "The contact sheet is" in printed
    assert sheet.exists()
    few.unlink()
    few.write_bytes(b"no")
    printed = kseg("data", "check", "kinect-scenes", few.parent, "--sheet", sheet)
    assert "1 of them unusable" in printed
    assert "contact sheet" not in printed


def test_data_check_of_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match=r"camvid.*Received: 'imagenet'"):
        kseg("data", "check", "imagenet", tmp_path)


def test_lint_prints_the_verdict_of_both_gpus():
    net = ROOT / "mobile" / "weights" / "person_float16.tflite"
    printed = kseg("lint", net)
    assert "delegate  takes all of it" in printed
    operations = json.loads(kseg("lint", net, "--json"))["operations"]
    assert f"{len(operations)} operations" in printed


def test_lint_fails_where_a_gpu_refuses(tmp_path):
    net, keras_net = tmp_path / "mask.tflite", tmp_path / "net.keras"
    keras.Sequential(
        [keras.Input((32, 48, 3)), keras.layers.Conv2D(3, 1, activation="softmax")]
    ).save(keras_net)
    kseg(
        *("export", keras_net, "-o", net, "--precision", "float32"),
        *("--output-kind", "category_mask"),
    )
    done = [
        subprocess.run(
            [
                sys.executable,
                "-c",
                "from kseg.cli import main; main()",
                "lint",
                net,
                *more,
            ],
            capture_output=True,
            text=True,
        )
        for more in ([], ["--profile", "delegate"], ["--profile", "litert"])
    ]
    assert [d.returncode for d in done] == [1, 1, 0]
    assert "ARG_MAX" in done[0].stdout


def test_portrait_without_a_person_says_so(tmp_path):
    photo = tmp_path / "photo.png"
    Image.new("RGB", (90, 120), (90, 120, 150)).save(photo)
    assert "no person found" in kseg("portrait", photo, "-o", tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (90, 120)


def test_doctor_finds_the_core_packages():
    printed = kseg("doctor")
    assert "keras" in printed
    assert "backend tensorflow" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "nothing.keras"], "nothing.keras"),
        (["info", "nobody"], "nobody"),
        (["evaluate", "person", "."], "images/"),
        (["train", "no_such_folder", "-o", "run"], "no_such_folder"),
        (["info", "README.md"], "README.md"),
    ],
)
def test_wrong_input_is_one_message_and_no_stack(arguments, message, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "from kseg.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_model_arguments_must_be_a_json_object(squares_folder, tmp_path):
    with pytest.raises(ValueError, match=r"`--model-arguments` must be a JSON object"):
        kseg(
            *("train", squares_folder, "-o", tmp_path / "run"),
            *("--model-arguments", "width=2"),
        )


def test_size_is_one_number_or_height_x_width():
    assert cli.shell.parse_size("256") == 256
    assert cli.shell.parse_size("240x320") == (240, 320)


@pytest.mark.parametrize("text", ["", "0", "-3", "1x2x3", "240x", "big", "2.5"])
def test_other_sizes_are_refused(text):
    with pytest.raises(ValueError, match=r"`--size` must be .* Received: "):
        cli.shell.parse_size(text)


def test_choices_of_the_options_are_those_of_the_functions():
    from kseg.losses.frequencies import METHODS
    from kseg.mobile.exporting.exporter import PRECISIONS
    from kseg.mobile.linting.profiles import PROFILES
    from kseg.mobile.prediction import ANNOTATIONS
    from kseg.training.run import SCHEDULES

    assert {str(s) for s in cli.shell.Schedule} == set(SCHEDULES)
    assert tuple(map(str, cli.shell.ClassWeights)) == METHODS
    assert {str(p) for p in cli.shell.Precision} == set(PRECISIONS)
    assert {str(p) for p in cli.shell.Profile} == set(PROFILES)
    assert {str(a) for a in cli.shell.Annotations} == set(ANNOTATIONS)
