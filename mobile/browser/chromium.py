"""Runs a page in a headless Chromium, and gives what the page found."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from kseg.mobile.browser.local_server import address_of, local_server

# The page's JavaScript libraries, as package.json pins them.
JAVASCRIPT = Path(__file__).parents[1] / "javascript"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
_FLAGS = (
    "--headless=new",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--mute-audio",
    # What a page asks for elsewhere is not there.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--enable-logging=stderr",
)
_LOG_LINES = 5


def run_page(
    page: Path,
    query: Mapping[str, object] | None = None,
    *,
    files: Mapping[str, Path] | None = None,
    flags: tuple[str, ...] = (),
    timeout: float = 300.0,
) -> dict:
    """Opens a page in a headless Chromium and returns what it posts to `/result`.

    The page comes from a server on 127.0.0.1, and is isolated from other origins, which
    is what threads of WebAssembly ask for. It finds the libraries of
    `javascript/package.json` under `/node_modules/`.

    Args:
        page: The page, an HTML file.
        query: Values for the page's address.
        files: Further files that it may fetch: name under `/files/` to path.
        flags: Further options for Chromium.
        timeout: Seconds until the page is given up.

    Returns:
        The JSON object that the page posts. A page that posts `error` has failed.

    Raises:
        FileNotFoundError: If there is no Chromium.
        ImportError: If the libraries are not installed.
        RuntimeError: If Chromium ends early, or the page fails or takes too long.
    """
    browser, modules = find_chromium(), find_modules()
    found = _Mailbox()
    with (
        local_server(page, modules, files or {}, found.put) as server,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = address_of(server)
        if query:
            address += "?" + urllib.parse.urlencode(query)
        try:
            result = _drive(browser, flags, profile, address, found, timeout)
        finally:
            server.shutdown()
    if "error" in result:
        raise RuntimeError(f"{page.name} failed in Chromium: {result['error']}")
    return result


def find_chromium() -> str:
    """Returns the path of Chromium or Chrome: of `CHROME_PATH`, or of the system."""
    named = os.environ.get("CHROME_PATH")
    candidates = [named] if named else [*_NAMES, str(_MAC)]
    for name in candidates:
        path = shutil.which(name)
        if path:
            return path
    raise FileNotFoundError(
        "Running in a browser needs Chromium or Chrome. Install Debian's package "
        "chromium (apt-get install chromium), or set CHROME_PATH. Received: "
        f"CHROME_PATH={named!r} and none of {', '.join(_NAMES)} in PATH"
    )


def find_modules() -> Path:
    """Returns the folder of the JavaScript libraries."""
    modules = JAVASCRIPT / "node_modules"
    wanted = json.loads((JAVASCRIPT / "package.json").read_text("utf-8"))
    missing = [name for name in wanted["dependencies"] if not (modules / name).is_dir()]
    if missing:
        raise ImportError(
            f"Running in a browser needs {' and '.join(missing)}. Install with: "
            f"npm ci --prefix {str(JAVASCRIPT)!r}"
        )
    return modules


class _Mailbox:
    """What the page posts, for the thread that waits for it."""

    def __init__(self):
        self.arrived, self.content = threading.Event(), b""

    def put(self, content):
        self.content = content
        self.arrived.set()


def _drive(browser, flags, profile, address, found, timeout):
    """Runs Chromium until the page has posted."""
    command = [browser, *_FLAGS, *flags, f"--user-data-dir={profile}"]
    # Chromium's sandbox does not start for root, who is whoever runs a container.
    if sys.platform != "win32" and os.geteuid() == 0:
        command.append("--no-sandbox")
    with open(Path(profile) / "stderr.txt", "wb+") as log:
        process = subprocess.Popen(
            [*command, address], stdout=subprocess.DEVNULL, stderr=log
        )
        try:
            deadline = time.monotonic() + timeout
            while not found.arrived.wait(0.1):
                ended = process.poll()
                if ended is None and time.monotonic() < deadline:
                    continue
                if found.arrived.is_set():  # posted, and ended at once
                    break
                log.seek(0)
                lines = log.read().decode(errors="replace").splitlines()
                what = f"took more than {timeout:g} s"
                if ended is not None:
                    what = f"ended with status {ended}"
                raise RuntimeError(
                    f"Chromium {what} without an answer. It said: "
                    + ("\n".join(lines[-_LOG_LINES:]) or "nothing")
                )
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
    return json.loads(found.content)
