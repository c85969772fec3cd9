"""`kseg demo --web`: the shipped nets in a browser, served on this machine."""

import json
from pathlib import Path

from kseg.mobile.browser.chromium import find_modules
from kseg.mobile.browser.local_server import address_of, local_server
from kseg.mobile.images import PHOTOS
from kseg.mobile.nets import WEIGHTS
from kseg.mobile.tflite.metadata import read_metadata

_NO_CLOTHES = ("background", "hair", "skin")
WEB = Path(__file__).parents[1] / "web"


def web_server():
    """Returns the demo's server on a free port of 127.0.0.1, to be started and closed.

    The page runs a net with LiteRT.js, on the GPU by WebGPU or by WebAssembly, on a
    photo or the camera, and shows portrait mode, another background, clothes in another
    colour (where a clothes net lies beside the person net), or the mask. It asks no
    other machine for anything.

    Returns:
        An `http.server.ThreadingHTTPServer`.

    Raises:
        ImportError: If LiteRT.js is not installed.
    """
    person, clothes = (WEIGHTS / f"{n}_float16.tflite" for n in ("person", "clothes"))
    photos = sorted(PHOTOS.glob("*.jpg"))
    # What the page may use: its nets and its samples.
    models = {
        "person": f"/files/{person.name}",
        "clothes": _garments(clothes) if clothes.is_file() else None,
        "samples": [
            {"name": f"Photo {number}", "file": f"/files/{photo.name}"}
            for number, photo in enumerate(photos, 1)
        ],
    }
    paths = [person, clothes, *photos, *WEB.glob("*.js"), *WEB.glob("*.css")]
    files = {path.name: path for path in paths}
    files["models.json"] = json.dumps(models).encode()
    return local_server(WEB / "index.html", find_modules(), files)


def _garments(net):
    """The classes of a clothes net that are clothes, with their places in its output."""
    labels = read_metadata(net).labels
    kept = [[label, i] for i, label in enumerate(labels) if label not in _NO_CLOTHES]
    return {"file": f"/files/{net.name}", "garments": kept}


def web_demo():
    """Serves the demo until Ctrl-C, after printing its address.

    Raises:
        ImportError: If LiteRT.js is not installed.
    """
    with web_server() as server:
        # Flushed, for who reads it from a pipe.
        print(f"The demo is at {address_of(server)}  Ctrl-C ends it.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
