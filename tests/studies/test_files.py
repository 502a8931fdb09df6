"""Files of a user as bytes."""

import os

import pytest

from studies.errors import BadInput
from studies.files import first_bytes


def test_the_first_bytes_of_a_file_are_read(tmp_path):
    file = tmp_path / "a.bin"
    file.write_bytes(b"0123456789")
    assert first_bytes(file, 4) == b"0123"
    assert first_bytes(str(file), 100) == b"0123456789"


def test_a_file_that_is_not_there_comes_with_the_nearest_name_beside_it(tmp_path):
    (tmp_path / "study.toml").touch()
    (tmp_path / "stud\ny.toml").touch()
    with pytest.raises(BadInput, match=r"studi\.toml: there is no such file; did you mean study"):
        first_bytes(tmp_path / "studi.toml", 1)
    with pytest.raises(BadInput, match=r"quite-another: there is no such file$"):
        first_bytes(tmp_path / "quite-another", 1)
    with pytest.raises(BadInput, match=r"there is no such file$"):
        first_bytes(tmp_path / "nowhere" / "a.toml", 1)


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="not a regular file"):
        first_bytes(tmp_path / "pipe", 1)
    with pytest.raises(BadInput, match="this is a directory"):
        first_bytes(tmp_path, 1)
    with pytest.raises(BadInput, match="cannot be a file's name"):
        first_bytes("a\0b", 1)


def test_a_file_that_cannot_be_read_is_refused_with_the_reason():
    with pytest.raises(BadInput, match="cannot be read: File name too long"):
        first_bytes("x" * 300, 1)
