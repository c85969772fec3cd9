"""The wheel, installed in an environment of its own, has the phone side in it."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
OPEN_SHIPPED_NET = """
import kseg, kseg.mobile, numpy as np
segmenter = kseg.load("person_float16")
mask = segmenter.segment(np.zeros((40, 30, 3), "uint8")).category_mask
print(kseg.__file__, kseg.mobile.__file__, mask.shape)
"""


def run(*command, **options):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_wheel_in_a_clean_environment_opens_the_shipped_net(tmp_path):
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    # A copy, so that the build leaves nothing behind in the repository.
    source = tmp_path / "source"
    tracked = run("git", "ls-files", "-z", "-co", "--exclude-standard", cwd=ROOT)
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    run(
        *(*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index"),
        *("--wheel-dir", tmp_path, source),
    )
    (wheel,) = tmp_path.glob("kseg-*.whl")
    # All of the phone side but the apps: every room, the nets, the page.
    apps = ("mobile/android/", "mobile/ios/")
    expected = {
        f"kseg/{file.relative_to(source).as_posix()}"
        for file in (source / "mobile").rglob("*")
        if file.is_file() and file.name != ".gitignore"
        if not file.relative_to(source).as_posix().startswith(apps)
    }
    assert expected - set(zipfile.ZipFile(wheel).namelist()) == set()
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel)

    # The dependencies come from this environment by PYTHONPATH, which, unlike a site
    # folder, does not bring the editable kseg with it.
    environment = {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")}
    printed = run(python, "-c", OPEN_SHIPPED_NET, cwd=tmp_path, env=environment).split()
    for file in printed[:2]:
        assert Path(file).is_relative_to(tmp_path / "venv")
    assert printed[2:] == ["(40,", "30)"]
