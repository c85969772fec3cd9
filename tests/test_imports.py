"""Which way imports point, and what importing kseg costs."""

import ast
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import kseg

ROOT = Path(__file__).parents[1]
CORE = {"layers", "backbones", "models", "losses", "metrics"}

# Room -> the rooms of kseg that it may import.
ALLOWED = {
    "layers": set(),
    "backbones": {"layers"},
    "models": {"layers", "backbones"},
    "postprocess": {"models"},
    "losses": set(),
    "metrics": set(),
    "plot": {"files"},
    "files": set(),
    "data": {"losses.maps", "plot", "files"},
    "training": {"models", "losses", "metrics", "data", "plot", "files"},
}
WITHOUT_KERAS = ("segmenter.py", "linter.py", "metadata.py", "scenarios")


def imported_modules(path):
    """Absolute names of all modules that the file imports, at any depth."""
    names = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.module == "kseg":
                names += [f"kseg.{alias.name}" for alias in node.names]
            else:
                names.append(node.module or "")
    return names


def room_of(path):
    return path.relative_to(ROOT / "kseg").parts[0].removesuffix(".py")


SOURCES = [
    path
    for path in sorted((ROOT / "kseg").rglob("*.py"))
    if room_of(path) not in ("__init__", "cli", "__main__", "doctor")
]
MOBILE = sorted((ROOT / "mobile").rglob("*.py"))


def test_every_room_has_its_rule():
    assert {room_of(path) for path in SOURCES} <= set(ALLOWED)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_of_a_room_point_one_way(path):
    room = room_of(path)
    for name in imported_modules(path):
        if not name.startswith("kseg."):
            continue
        target = name.removeprefix("kseg.")
        allowed = ALLOWED[room] | {room}
        assert any(target == a or target.startswith(f"{a}.") for a in allowed), name


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_core_rooms_are_backend_neutral(path):
    if room_of(path) in CORE:
        imported = {name.split(".")[0] for name in imported_modules(path)}
        assert not imported & {"tensorflow", "jax", "torch"}


@pytest.mark.parametrize("path", MOBILE, ids=lambda p: str(p.relative_to(ROOT)))
def test_phone_side_needs_no_keras_at_module_level(path):
    if not any(part in WITHOUT_KERAS for part in path.relative_to(ROOT).parts):
        return
    tree = ast.parse(path.read_text("utf-8"))
    tree.body = [n for n in tree.body if not isinstance(n, ast.FunctionDef)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        assert not {n.split(".")[0] for n in names} & {"keras", "tensorflow"}


def run(code):
    """Output of `code` in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_kseg_is_light_and_fast():
    code = (
        "import sys, time; start = time.perf_counter(); import kseg;"
        "print(time.perf_counter() - start, 'keras' in sys.modules,"
        "'tensorflow' in sys.modules)"
    )
    seconds, keras, tensorflow = min(run(code).split() for _ in range(3))
    assert (keras, tensorflow) == ("False", "False")
    assert float(seconds) < 0.05


def test_portrait_room_imports_neither_keras_nor_tensorflow():
    code = (
        "import sys, kseg; kseg.mobile.ImageSegmenter; kseg.plot; kseg.postprocess;"
        "print({'keras', 'tensorflow'} & set(sys.modules))"
    )
    assert run(code) == "set()"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A file with layers and a loss of kseg."""
    path = tmp_path_factory.mktemp("nets") / "net.keras"
    net = kseg.models.unet((32, 48, 3), 2, filters=(4, 8))
    net.compile("sgd", kseg.losses.SparseCrossEntropy())
    net.save(path)
    return path


@pytest.mark.parametrize("first", ["keras", "kseg"])
def test_both_import_orders_load_a_file_with_kseg_parts(first, saved):
    second = {"keras": "kseg", "kseg": "keras"}[first]
    loaded = run(
        f"import {first}; import {second};"
        f"segmenter = kseg.load({str(saved)!r});"
        "print(type(segmenter.model).__name__, segmenter.model.output_shape)"
    )
    assert loaded == "Functional (None, 32, 48, 2)"


def test_keras_itself_loads_the_file_after_any_room_is_used(saved):
    code = f"net = keras.saving.load_model({str(saved)!r}); print(net.output_shape)"
    assert run(f"import keras, kseg; {code}") == "(None, 32, 48, 2)"
    assert run(f"import kseg; kseg.layers; import keras; {code}").startswith("(None")


def test_what_is_registered_bears_the_name_of_its_room():
    """So that a loss and a metric of one name do not overwrite each other."""
    kseg.layers  # noqa: B018  The first use of a room registers all.
    registered = keras.saving.get_custom_objects()
    own = {name: kind for name, kind in registered.items() if name.startswith("kseg")}
    assert {"kseg.losses>IoU", "kseg.metrics>IoU"} <= own.keys()
    for name, kind in own.items():
        room = ".".join(kind.__module__.split(".")[:2])
        assert name == f"{room}>{kind.__name__}"
