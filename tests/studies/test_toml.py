"""TOML read with plain errors, and written."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.errors import BadInput
from studies.toml import parse_value, read_toml, write_toml

scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(keys, v, max_size=3)
)
tables = st.dictionaries(keys, values, max_size=4)


@given(document=st.dictionaries(keys, scalars | st.lists(values, max_size=3) | tables, max_size=5))
def test_what_is_written_is_read_back(document):
    assert tomllib.loads(write_toml(document)) == document


def test_none_is_left_out():
    assert write_toml({"task": {"label": None, "csv": "a.csv"}}) == '[task]\ncsv = "a.csv"\n'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("16", 16),
        ("1e-3", 0.001),
        ("true", True),
        ('"16"', "16"),
        ("adam", "adam"),
        ("[1, 2]", [1, 2]),
        ("{ low = 1 }", {"low": 1}),
        ("2024-01-01", "2024-01-01"),
        ("a.csv", "a.csv"),
        ("", ""),
        ("1\nother = 2", "1\nother = 2"),
        ("[" * 5000, "[" * 5000),
    ],
)
def test_an_option_is_toml_or_else_text(text, value):
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"a = 1\nb = = 2\n", "line 2, column 5"),
        (b"a = 1\nb = ", "line 2, column 5: Invalid value (the file ends here)"),
        (b"a = 1\na = 2\n", "line 2, column"),
        (b"a = [1,\n2\n", "the file ends here"),
        (b'a = "\xe9"\n', "line 1: byte 0xe9 is not UTF-8"),
        ("a = 1".encode("utf-16"), "UTF-16"),
        (b"a = " + b"[" * 10_000, "too deep"),
        (b"a = " + b"1" * 5_000, "a value cannot be read"),
        (b"#" * 1_000_001, "larger than"),
    ],
)
def test_what_is_no_toml_is_refused_with_its_place(tmp_path, content, place):
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        read_toml(path)
    assert str(caught.value).startswith(str(path))
    assert place in str(caught.value)


def test_a_byte_order_mark_does_no_harm(tmp_path):
    path = tmp_path / "study.toml"
    path.write_bytes("a = 1\r\n".encode("utf-8-sig"))
    assert read_toml(path) == {"a": 1}


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no such file"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(BadInput, match="directory"):
        read_toml(tmp_path)
    with pytest.raises(BadInput, match="file's name"):
        read_toml("a\0.toml")
