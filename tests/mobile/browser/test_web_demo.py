"""The browser demo's server: what is served, and to whom."""

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import kseg
from kseg.cli.showing import demo
from kseg.mobile.browser import chromium
from kseg.mobile.browser.web_demo import web_server
from kseg.mobile.images import PHOTOS


def test_the_page_gets_the_net_and_its_samples(address):
    def get(path):
        with urllib.request.urlopen(address + path.removeprefix("/")) as answer:
            assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
            return answer.headers["Content-Type"], answer.read()

    models = json.loads(get("files/models.json")[1])
    assert models["clothes"] is None or models["clothes"]["garments"]
    assert get(models["person"])[1][4:8] == b"TFL3"
    assert len(models["samples"]) == len(list(PHOTOS.glob("*.jpg")))
    for sample in models["samples"]:
        kind, content = get(sample["file"])
        assert (kind, content[:2]) == ("image/jpeg", b"\xff\xd8")
    assert get("")[0] == "text/html"
    assert get("files/app.js")[0] == "text/javascript"  # else no module
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get("files/person.md")


def test_the_net_that_ships_is_what_the_page_takes():
    segmenter = kseg.load("person_float16")
    assert segmenter.num_classes == 1
    assert segmenter.labels == ("background", "person")
    # Probabilities of raw 0-255: the page neither normalises nor activates.
    from kseg.mobile.tflite.metadata import read_metadata

    metadata = read_metadata(segmenter.model)
    assert metadata.activation == "none"
    assert (set(metadata.mean), set(metadata.std)) == ({0.0}, {1.0})


def test_the_command_serves_until_it_is_interrupted(address):
    command = [sys.executable, "-c", "from kseg.cli import main; main()"]
    process = subprocess.Popen(
        [*command, "demo", "--web"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        (url,) = re.findall(r"http://127\.0\.0\.1:\d+/", line)
        with urllib.request.urlopen(url) as answer:
            assert b"kseg in the browser" in answer.read()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert errors == ""


def test_the_page_cannot_train_a_net():
    with pytest.raises(ValueError, match="`--web` or `--data`.*--data photos"):
        demo(data=Path("photos"), web=True)


def test_missing_libraries_are_said_with_what_installs_them(tmp_path, monkeypatch):
    package = json.dumps({"dependencies": {"@litertjs/core": "1.0.0"}})
    (tmp_path / "package.json").write_text(package)
    monkeypatch.setattr(chromium, "JAVASCRIPT", tmp_path)
    with pytest.raises(ImportError, match="needs @litertjs/core. Install with: npm ci"):
        web_server()
