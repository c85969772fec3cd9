"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
DATA = Path(os.environ.get("KSEG_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def data_dir():
    """Returns the folder of a real data set, or skips the test that asks for it."""

    def find(name: str) -> Path:
        folder = DATA / name
        if not folder.exists():
            pytest.skip(f"needs the data set {name!r} in {DATA} (KSEG_TEST_DATA)")
        return folder

    return find
