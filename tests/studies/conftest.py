"""A small study, as a file and read."""

from pathlib import Path

import pytest

from studies.study import Study, read_study

SMALL = """
description = "a small one"
[task]
name = "first-value"
records = 20
[search]
trials = 7
enqueue = [{ units = 15, optimizer = "sgd", momentum = 0.5 }]
[space]
units = { low = 4, high = 32, log = true }
optimizer = ["adam", "sgd"]
momentum = { low = 0.0, high = 0.9, when = { optimizer = "sgd" } }
[training]
layers = 3
epochs = 50
"""


@pytest.fixture
def text() -> str:
    """A small study file."""
    return SMALL


@pytest.fixture
def put(tmp_path):
    """Writes a study file."""

    def _put(text: str, name: str = "small.toml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return _put


@pytest.fixture
def small(put) -> Study:
    return read_study(put(SMALL))
