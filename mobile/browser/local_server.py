"""Serves a page, its libraries and named files on 127.0.0.1, and nothing else."""

import contextlib
import functools
import http.server
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path

_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
}


def local_server(
    page: Path,
    modules: Path,
    files: Mapping[str, Path | bytes],
    posted: Callable[[bytes], None] | None = None,
) -> http.server.ThreadingHTTPServer:
    """Returns a server on a free port of 127.0.0.1, to be started and closed.

    The page is isolated from other origins, which is what threads of WebAssembly ask
    for.

    Args:
        page: The page, an HTML file.
        modules: The folder of the libraries, found under `/node_modules/`.
        files: Further files: name under `/files/` to path or content.
        posted: Called with what the page posts to `/result`.
    """
    handler = functools.partial(_Handler, page, modules, dict(files), posted)
    return http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)


def address_of(server: http.server.ThreadingHTTPServer) -> str:
    """Returns the address of a server's page."""
    return f"http://127.0.0.1:{server.server_port}/"


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, page, modules, files, posted, *args):
        self.page, self.modules, self.files, self.posted = page, modules, files, posted
        super().__init__(*args)

    def do_GET(self):
        name = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        content = self._content(name.removeprefix("/"))
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        kind = _TYPES.get(Path(name).suffix if name != "/" else ".html")
        self.send_header("Content-Type", kind or "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the browser was ended meanwhile
            self.wfile.write(content)

    def do_POST(self):
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(204)
        self.end_headers()
        if self.path == "/result" and self.posted is not None:
            self.posted(content)

    def _content(self, name):
        room, _, rest = name.partition("/")
        if not room:
            found = self.page
        elif room == "files":
            found = self.files.get(rest)
        else:
            found = (self.modules / rest).resolve()
            inside = found.is_relative_to(self.modules.resolve())
            if room != "node_modules" or not inside:
                return None
        if isinstance(found, Path):
            return found.read_bytes() if found.is_file() else None
        return found

    def log_message(self, *args):
        """Keeps requests off the terminal."""
