"""A person's function: imported when it may be, from beside its study file, in nobody's way."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from studies.errors import BadInput
from studies.functions import check_allowed, digest, function_of, located, told


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    path, modules = list(sys.path), dict(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]


def called(directory: Path, function: str) -> object:
    where = located(function, directory)
    return function_of(where, digest(where))()


def test_without_leave_nothing_is_read_and_the_reason_is_said(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("raise RuntimeError\n\ndef build():\n    pass\n")
    where = located("mine:build", tmp_path)
    for code in (digest(where), "another", None):
        with pytest.raises(BadInput, match=r"task.function = mine:build is Python code.*allow"):
            check_allowed("task.function", where, code, allow_code=False)
    check_allowed("task.function", where, digest(where), allow_code=True)
    (tmp_path / "mine.py").write_text("def build():\n    pass\n")
    with pytest.raises(BadInput, match=r"mine.py is not the file that the study was read with"):
        check_allowed("task.function", where, "another", allow_code=True)


def test_a_file_that_changed_is_not_imported_and_one_imported_stays(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("def build():\n    return 1\n")
    where = f"{path}:build"
    first = digest(where)
    assert function_of(where, first)() == 1
    path.write_text("def build():\n    return 22\n")
    assert function_of(where, first)() == 1
    with pytest.raises(BadInput, match="it changed since"):
        function_of(where, "0" * 16)
    assert function_of(where, digest(where))() == 22


def test_what_lies_beside_it_is_imported_and_takes_no_library_s_place(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("value = 3\n")
    (tmp_path / "wave.py").write_text("raise RuntimeError('theirs')\n")
    (tmp_path / "mine.py").write_text(
        "import beside\n\ndef build():\n    import wave\n    return beside.value, wave.__name__\n"
    )
    assert called(tmp_path, "mine:build") == (3, "wave")


@pytest.mark.parametrize("name", ["wave", "csv", "numpy", "studies"])
def test_its_file_may_have_a_library_s_name(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text(f"import {name}\n\ndef build():\n    return {name}\n")
    found = called(tmp_path, f"{name}:build")
    assert getattr(found, "__file__", None) != str(tmp_path / f"{name}.py")
    assert sys.modules[name] is found


def test_a_file_in_a_package_imports_from_it(tmp_path: Path) -> None:
    package = tmp_path / "networks" / "small"
    package.mkdir(parents=True)
    for directory in (package.parent, package):
        (directory / "__init__.py").touch()
    (package / "layers.py").write_text("width = 5\n")
    (package / "lstm.py").write_text(
        "from . import layers\nfrom networks.small.layers import width\n\n"
        "def build():\n    return layers.width, width\n"
    )
    assert called(tmp_path, "networks.small.lstm:build") == (5, 5)


def test_a_file_may_define_dataclasses(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n\n"
        "@dataclass\nclass Size:\n    width: int\n\ndef build():\n    return Size(4).width\n"
    )
    assert called(tmp_path, "mine:build") == 4


def test_a_file_that_fails_leaves_nothing_behind_and_has_its_traceback(tmp_path: Path) -> None:
    (tmp_path / "of_no_use.py").write_text("import absent_here\n\ndef build():\n    pass\n")
    where = located("of_no_use:build", tmp_path)
    with pytest.raises(ModuleNotFoundError) as raised:
        function_of(where, digest(where))
    assert "of_no_use" not in sys.modules
    lines = told(raised.value, where).splitlines()
    assert lines == [
        "Traceback (most recent call last):",
        f'  File "{tmp_path}/of_no_use.py", line 1, in <module>',
        "    import absent_here",
        "ModuleNotFoundError: No module named 'absent_here'",
    ]


def test_what_is_no_function_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("build = 3\n")
    with pytest.raises(BadInput, match=r"mine.py has no function build"):
        called(tmp_path, "mine:build")
