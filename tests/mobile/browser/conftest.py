"""The browser demo, served while a test needs it."""

import contextlib
import threading

import pytest

from kseg.mobile.browser import web_demo
from kseg.mobile.browser.local_server import address_of
from kseg.mobile.nets import WEIGHTS


@pytest.fixture(scope="session")
def served():
    """Returns a function from a folder of nets to the context of a demo: its address."""

    @contextlib.contextmanager
    def serve(weights=WEIGHTS):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(web_demo, "WEIGHTS", weights)
            try:
                server = web_demo.web_server()
            except ImportError as missing:
                pytest.skip(str(missing))
        with server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield address_of(server)
            server.shutdown()

    return serve


@pytest.fixture(scope="module")
def address(served):
    with served() as address:
        yield address
