"""The harness around Chromium, with a script in the browser's place."""

import json
import sys
import textwrap

import pytest

from kseg.mobile.browser import chromium

# Fetches what it is told to and posts what it got, as a page would.
BROWSER = """
    import json, sys, urllib.error, urllib.request

    address = sys.argv[-1]
    found = {"address": address, "arguments": sys.argv[1:]}
    for name in NAMES:
        try:
            with urllib.request.urlopen(address.split("?")[0] + name) as answer:
                found[name] = [answer.status, answer.read().decode()]
                found["headers"] = dict(answer.headers)
        except urllib.error.HTTPError as error:
            found[name] = [error.code, ""]
    content = json.dumps(found).encode()
    urllib.request.urlopen(address.split("?")[0] + "result", content)
"""


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page, a library for it, and a secret that lies beside the libraries."""
    library = tmp_path / "javascript" / "node_modules" / "lib"
    library.mkdir(parents=True)
    (library / "index.js").write_text("library")
    (tmp_path / "javascript" / "secret").write_text("secret")
    package = json.dumps({"dependencies": {"lib": "1.0.0"}})
    (tmp_path / "javascript" / "package.json").write_text(package)
    monkeypatch.setattr(chromium, "JAVASCRIPT", tmp_path / "javascript")
    (tmp_path / "page.html").write_text("page")
    return tmp_path / "page.html"


@pytest.fixture
def browser(tmp_path, monkeypatch):
    """Returns a function that puts a Python script in the browser's place."""

    def install(code):
        path = tmp_path / "browser"
        path.write_text(f"#!{sys.executable}\n{textwrap.dedent(code)}")
        path.chmod(0o755)
        monkeypatch.setenv("CHROME_PATH", str(path))

    return install


def test_a_page_gets_its_files_and_libraries_and_nothing_else(page, browser, tmp_path):
    (tmp_path / "net.tflite").write_text("net")
    names = {
        "": [200, "page"],
        "node_modules/lib/index.js": [200, "library"],
        "files/model": [200, "net"],
        "files/net.tflite": [404, ""],
        "secret": [404, ""],
        "node_modules/../secret": [404, ""],
        "node_modules/%2e%2e/secret": [404, ""],
        "node_modules//etc/passwd": [404, ""],
        "files/../page.html": [404, ""],
        "node_modules/lib": [404, ""],
    }
    browser(f"NAMES = {list(names)}\n{textwrap.dedent(BROWSER)}")
    found = chromium.run_page(
        page, {"runs": 3, "name": "a b"}, files={"model": tmp_path / "net.tflite"}
    )
    assert {name: found[name] for name in names} == names
    assert found["address"].startswith("http://127.0.0.1:")
    assert found["address"].endswith("/?runs=3&name=a+b")
    # Threads of WebAssembly need a page that is isolated from other origins.
    assert found["headers"]["Cross-Origin-Opener-Policy"] == "same-origin"
    assert found["headers"]["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert "--headless=new" in found["arguments"]


def test_what_the_page_says_failed_is_an_error(page, browser):
    browser("""
        import sys, urllib.request
        urllib.request.urlopen(sys.argv[-1] + "result", b'{"error": "no WebGPU"}')
    """)
    with pytest.raises(RuntimeError, match=r"page\.html failed in Chromium: no WebGPU"):
        chromium.run_page(page)


def test_a_browser_that_ends_early_is_an_error_with_what_it_said(page, browser):
    browser("import sys; print('no display', file=sys.stderr); sys.exit(3)")
    with pytest.raises(RuntimeError, match=r"ended with status 3 .*no display"):
        chromium.run_page(page)


def test_a_page_without_an_answer_is_given_up_and_its_browser_ended(
    page, browser, tmp_path
):
    browser(f"""
        import os, pathlib, time
        pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
        time.sleep(60)
    """)
    with pytest.raises(RuntimeError, match=r"took more than 2 s without an answer"):
        chromium.run_page(page, timeout=2)
    pid = (tmp_path / "pid").read_text()
    with pytest.raises(ProcessLookupError):
        chromium.os.kill(int(pid), 0)


def test_a_missing_browser_is_said_with_what_installs_it(page, monkeypatch):
    monkeypatch.setenv("CHROME_PATH", "/none/chrome")
    with pytest.raises(FileNotFoundError, match=r"apt-get install chromium.*Received:"):
        chromium.run_page(page)


def test_missing_libraries_are_said_with_what_installs_them(page, browser, tmp_path):
    browser("")
    package = json.dumps({"dependencies": {"lib": "1.0.0", "@a/other": "2.0.0"}})
    (tmp_path / "javascript" / "package.json").write_text(package)
    with pytest.raises(ImportError, match="needs @a/other. Install with: npm ci"):
        chromium.run_page(page)
