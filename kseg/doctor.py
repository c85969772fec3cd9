"""Examines an installation: versions, backends, delegates, extras and clashes."""

import importlib.util
import json
import os
import platform
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

# Two distributions that write the same files: whichever was installed last wins.
CLASHES = [
    (
        {
            "opencv-python",
            "opencv-python-headless",
            "opencv-contrib-python",
            "opencv-contrib-python-headless",
        },
        "cv2",
    ),
    ({"tensorflow", "tensorflow-cpu", "tf-nightly"}, "tensorflow"),
]
BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
VULKAN_DRIVERS = [
    Path("/usr/share/vulkan/icd.d"),
    Path("/etc/vulkan/icd.d"),
    Path("/usr/lib/chromium/vk_swiftshader_icd.json"),
]


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        state: `"ok"`, `"missing"` (optional) or `"wrong"`.
        what: What was examined.
        found: What is there.
        fix: What to do about it; empty when nothing is.
    """

    state: str
    what: str
    found: str
    fix: str = ""


def examine():
    """Examines this Python environment.

    Returns:
        A list of `Finding`.
    """
    return [
        Finding("ok", "Python", platform.python_version()),
        Finding("ok", "kseg", version("kseg") or "not installed as a package"),
        *requirements(),
        *backends(),
        *delegates(),
        *clashes(),
    ]


def requirements():
    """Every package that kseg or one of its extras asks for."""
    from packaging.requirements import Requirement

    findings = []
    for line in metadata.requires("kseg") or []:
        requirement = Requirement(line)
        extra = re.search(r"extra == ['\"](\w+)['\"]", line)
        found = version(requirement.name)
        what = requirement.name + (f" ({extra[1]})" if extra else "")
        if found is None:
            state = "missing" if extra else "wrong"
            target = f"kseg[{extra[1]}]" if extra else requirement.name
            findings.append(Finding(state, what, "", f"pip install '{target}'"))
        elif not requirement.specifier.contains(found, prereleases=True):
            fix = f"pip install '{requirement.name}{requirement.specifier}'"
            findings.append(Finding("wrong", what, found, fix))
        else:
            findings.append(Finding("ok", what, found))
    return findings


def backends():
    """Keras' backends, and whether the one that is chosen is there."""
    chosen, where = chosen_backend()
    findings = []
    if chosen not in BACKENDS:
        known = ", ".join(BACKENDS)
        findings.append(
            Finding(
                "wrong",
                "Keras' backend",
                f"{chosen} ({where})",
                f"choose one of {known} in {where}",
            )
        )
    for backend, module in BACKENDS.items():
        there = importlib.util.find_spec(module) is not None
        state = "ok" if there else "wrong" if backend == chosen else "missing"
        found = (version(module) or "") + (" (chosen)" if backend == chosen else "")
        fix = "" if there else f"pip install {module}"
        findings.append(Finding(state, f"backend {backend}", found.strip(), fix))
    if os.environ.get("TF_USE_LEGACY_KERAS", "0").lower() in ("1", "true"):
        findings.append(
            Finding(
                "wrong",
                "TF_USE_LEGACY_KERAS",
                os.environ["TF_USE_LEGACY_KERAS"],
                "unset TF_USE_LEGACY_KERAS: it puts Keras 2 in place of Keras 3",
            )
        )
    return findings


def chosen_backend():
    """The backend that Keras will take, and where it was chosen."""
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"], "the environment variable KERAS_BACKEND"
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        settings = json.loads((home / "keras.json").read_text("utf-8"))
        return str(settings["backend"]), str(home / "keras.json")
    except (OSError, ValueError, KeyError, TypeError):  # as Keras does without it
        return "tensorflow", "by default"


def delegates():
    """What LiteRT can run a .tflite on here."""
    if importlib.util.find_spec("ai_edge_litert") is None:
        return []  # already named among the extras
    drivers = [str(path) for path in VULKAN_DRIVERS if path.exists()]
    return [
        Finding("ok", "LiteRT on the CPU (XNNPACK)", version("ai-edge-litert") or ""),
        Finding("ok", "LiteRT on the GPU", "Vulkan: " + ", ".join(drivers))
        if drivers
        else Finding(
            "missing",
            "LiteRT on the GPU",
            "no Vulkan driver",
            "install a GPU driver with Vulkan; a software one comes with chromium",
        ),
    ]


def clashes():
    """Distributions that overwrite each other's files, and dead ones."""
    findings = []
    for names, module in CLASHES:
        installed = sorted(name for name in names if version(name))
        if len(installed) > 1:
            findings.append(
                Finding(
                    "wrong",
                    f"several distributions of {module}",
                    ", ".join(installed),
                    f"pip uninstall {' '.join(installed)}, then install one again",
                )
            )
    if version("tensorflow-addons"):
        findings.append(
            Finding(
                "wrong",
                "tensorflow-addons",
                version("tensorflow-addons"),
                "pip uninstall tensorflow-addons: it imports on no TensorFlow after "
                "2.15; the README names what replaces it",
            )
        )
    return findings


def version(name):
    """Version of an installed distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
