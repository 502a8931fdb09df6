"""`guess`, from the options to the table."""

import json
from pathlib import Path
from typing import Any

import pytest


def test_guesses_are_counted_and_their_share_has_an_interval(empty: Path, sweep: Any) -> None:
    for name, changed in (("short", "latch"), ("long", "copy-first")):
        more = "timesteps = 6" if name == "short" else "distractors = 6"
        (empty / f"{name}.toml").write_text(
            f'[task]\nname = "{changed}"\nrecords = 40\n{more}\n[training]\nunits = 2\n'
        )
    words = "guess short.toml long.toml --guesses 2000 --units 1"
    document = json.loads(sweep(*words.split(), "--json").stdout)
    assert document["network"] == {
        "cell": "rnn", "layers": 1, "units": 1, "limit": 10.0, "seed": 0,
    }  # fmt: skip
    latch, copy_first = document["rows"]
    assert (latch["study"], latch["task"], latch["records"]) == ("short", "latch", 40)
    assert latch["guesses"] == 2000
    assert latch["share"] == latch["solved"] / 2000
    assert 0 < latch["share_low"] < latch["share"] < latch["share_high"] < 0.05
    assert copy_first["solved"] == 0
    text = sweep(*words.split()).stdout
    assert "copy-first" in text
    assert f"{latch['solved']}" in text
    assert "A guess is 1 rnn layer of 1 unit" in text
    assert max(len(line) for line in text.splitlines()) <= 80


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("guess", "Missing argument"),
        ("guess latc", "did you mean latch?"),
        ("guess latch --cell lsmt", "--cell lsmt: must be one of"),
        ("guess latch --units 0", "--units 0: must be a whole number from 1"),
        ("guess latch --guesses 0", "--guesses"),
        ("guess latch --limit nan", "--limit"),
        ("guess latch --set task.recrds=3", "did you mean records?"),
    ],
)
def test_bad_input_is_refused(empty: Path, sweep: Any, words: str, said: str) -> None:
    result = sweep(*words.split())
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
