"""The Android and iOS clients: what they say of the net, and that they are whole.

What only Gradle, Xcode or a phone could tell is not tested here; the clients' README
files say so.
"""

import plistlib
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from defusedxml import ElementTree
from PIL import Image

import kseg
from kseg.mobile import read_metadata
from kseg.mobile.tflite.runtime import open_interpreter

MOBILE = Path(__file__).parents[2] / "mobile"
ANDROID, IOS = MOBILE / "android", MOBILE / "ios"
KOTLIN = ANDROID / "app" / "src" / "main" / "kotlin" / "org" / "kseg" / "portrait"
RESOURCES = ANDROID / "app" / "src" / "main" / "res"
MODELS = {
    "kotlin": KOTLIN / "PersonModel.kt",
    "swift": IOS / "Shared" / "PersonModel.swift",
}
SOURCES = {
    "kotlin": sorted([*ANDROID.rglob("*.kt"), *ANDROID.glob("**/*.kts")]),
    "swift": sorted(IOS.rglob("*.swift")),
}
PINNED = re.compile(r"\d+\.\d+(\.\d+)?")


def constants(language):
    """Reads the constants of a source: text, integers and floats by lower-case name."""
    declared = r"^\s*(?:const val|static let) (\w+)(?:: \w+)? = ([^\s/]+)"
    values = re.findall(declared, MODELS[language].read_text(), re.MULTILINE)
    read = {}
    for name, value in values:
        if value.startswith('"'):
            read[name.lower()] = value.strip('"')
        else:
            read[name.lower()] = float(value.removesuffix("f"))
    return read


def app_text(folder, *patterns):
    files = [file for pattern in patterns for file in sorted(folder.rglob(pattern))]
    return "\n".join(file.read_text() for file in files)


@pytest.mark.parametrize("language", list(MODELS))
def test_the_constants_are_those_of_the_shipped_file(language):
    says = constants(language)
    path = MOBILE / "weights" / says["file"]
    interpreter = open_interpreter(path.read_bytes(), name=says["file"])
    (input_,), (output,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    size = [1, says["height"], says["width"]]
    assert input_["shape"].tolist() == [*size, says["channels"]]
    assert output["shape"].tolist() == [*size, says["classes"]]
    assert input_["dtype"] == output["dtype"] == np.float32  # what the clients pass
    metadata = read_metadata(path)
    assert set(metadata.mean) == {says["mean"]}
    assert set(metadata.std) == {says["std"]}
    assert metadata.activation == says["activation"]
    assert metadata.labels == ("person",)  # the one mask is the person's


def test_the_names_are_those_of_the_shipped_files_signature():
    says = constants("kotlin")
    path = MOBILE / "weights" / says["file"]
    signatures = open_interpreter(path.read_bytes()).get_signature_list()
    ends = {"inputs": [says["input"]], "outputs": [says["output"]]}
    assert signatures == {says["signature"]: ends}


def test_both_clients_say_the_same():
    kotlin, swift = constants("kotlin"), constants("swift")
    for name in ("signature", "input", "output"):  # Swift counts the tensors instead
        del kotlin[name]
    assert kotlin == swift


def test_fed_as_the_clients_feed_it_the_net_finds_the_person():
    says = constants("kotlin")
    interpreter = open_interpreter((MOBILE / "weights" / says["file"]).read_bytes())
    interpreter.allocate_tensors()
    photo = Image.open(MOBILE / "weights" / "photos" / "ccp_0001.jpg").convert("RGB")
    size = (int(says["width"]), int(says["height"]))
    pixels = np.asarray(photo.resize(size), "float32")[None]
    (input_,), (output,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    interpreter.set_tensor(input_["index"], (pixels - says["mean"]) / says["std"])
    interpreter.invoke()
    mask = interpreter.get_tensor(output["index"])[0, ..., 0]
    assert says["activation"] == "none"
    net = kseg.load("person").model
    expected = np.asarray(net(pixels, training=False))[0, ..., 0]
    np.testing.assert_allclose(mask, expected, atol=0.01)  # the limit of float16
    # A street photo of one person in full figure, in the middle.
    assert mask[size[1] // 2, size[0] // 2] > 0.5
    assert mask[:, :8].max() < 0.5


@pytest.mark.parametrize("language", list(SOURCES))
def test_the_sources_parse(language):
    tree_sitter = pytest.importorskip("tree_sitter", reason="needs tree-sitter")
    grammar = pytest.importorskip(
        f"tree_sitter_{language}", reason=f"needs tree-sitter-{language}"
    )
    parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    assert SOURCES[language]
    for file in SOURCES[language]:
        source = file.read_bytes()
        assert not parser.parse(source).root_node.has_error, file
    broken = source[: source.rindex(b"}")]  # so that an error would be seen
    assert parser.parse(broken).root_node.has_error


def test_the_apps_bundle_the_net_that_their_constants_name():
    gradle = (ANDROID / "app" / "build.gradle.kts").read_text()
    (shipped,) = re.findall(r'shippedModel = "(.+)"', gradle)
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    project = yaml.safe_load((IOS / "project.yml").read_text())
    sources = project["targetTemplates"]["Portrait"]["sources"]
    (bundled,) = [
        source["path"] for source in sources if source.get("buildPhase") == "resources"
    ]
    for path, language in (
        (ANDROID / "app" / shipped, "kotlin"),
        (IOS / bundled, "swift"),
    ):
        assert path.is_file()
        assert path.name == constants(language)["file"]


def test_the_xcode_project_names_folders_and_pods_that_exist():
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    project = yaml.safe_load((IOS / "project.yml").read_text())
    (template,) = project["targetTemplates"].values()
    for source in template["sources"]:
        assert (IOS / source["path"]).exists()
    for target in project["targets"].values():
        (folder,) = target["sources"]
        assert list((IOS / folder).glob("*.swift"))
    podfile = (IOS / "Podfile").read_text()
    assert re.findall(r"target '(\w+)'", podfile) == list(project["targets"])
    pods = re.findall(r"^\s*pod '(\w+)', '([^']*)'", podfile, re.MULTILINE)
    assert len(pods) == len(re.findall(r"^\s*pod ", podfile, re.MULTILINE)) == 2
    assert all(PINNED.fullmatch(version) for _, version in pods)


def test_the_plist_says_why_the_camera_is_used():
    plist = plistlib.loads((IOS / "Shared" / "Info.plist").read_bytes())
    assert "AVCaptureSession" in app_text(IOS, "*.swift")
    # Without it iOS ends the app at the first frame.
    assert plist["NSCameraUsageDescription"]
    assert plist["CFBundleExecutable"] == "$(EXECUTABLE_NAME)"


def test_the_version_catalog_is_pinned_and_just_what_is_used():
    catalog = tomllib.loads((ANDROID / "gradle" / "libs.versions.toml").read_text())
    assert all(PINNED.fullmatch(version) for version in catalog["versions"].values())
    entries = [*catalog["libraries"].values(), *catalog["plugins"].values()]
    referred = {entry["version"]["ref"] for entry in entries}
    assert referred == set(catalog["versions"])
    accessors = {name.replace("-", ".") for name in catalog["libraries"]}
    accessors |= {f"plugins.{name.replace('-', '.')}" for name in catalog["plugins"]}
    assert set(re.findall(r"\(libs\.([\w.]+)\)", app_text(ANDROID, "*.kts"))) == (
        accessors
    )


def test_the_android_resources_are_whole():
    source = app_text(KOTLIN, "*.kt")
    attribute = "{http://schemas.android.com/apk/res/android}"
    manifest = ElementTree.parse(RESOURCES.parent / "AndroidManifest.xml").getroot()
    (activity,) = manifest.iter("activity")
    name = activity.get(f"{attribute}name").removeprefix(".")
    assert f"class {name}" in (KOTLIN / f"{name}.kt").read_text()
    (permission,) = manifest.iter("uses-permission")
    assert permission.get(f"{attribute}name") == "android.permission.CAMERA"

    texts = ElementTree.parse(RESOURCES / "values" / "strings.xml").getroot()
    defined = {text.get("name") for text in texts}
    layout = ElementTree.parse(RESOURCES / "layout" / "main.xml").getroot()
    values = [value for view in layout.iter() for value in view.attrib.values()]
    values += [value for view in manifest.iter() for value in view.attrib.values()]
    used = {value[8:] for value in values if value.startswith("@string/")}
    assert used | set(re.findall(r"R\.string\.(\w+)", source)) == defined
    ids = {value[5:] for value in values if value.startswith("@+id/")}
    assert set(re.findall(r"R\.id\.(\w+)", source)) == ids
    assert set(re.findall(r"R\.layout\.(\w+)", source)) == {"main"}
