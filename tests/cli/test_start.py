"""Starting: what is imported, what is printed where, how errors end."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEAVY = ["tensorflow", "keras", "optuna", "plotly", "scipy", "pandas", "alembic", "jinja2"]

PROBE = """
import sys
from sweep.cli import app
try:
    app(sys.argv[1:], prog_name="sweep")
finally:
    print("imported:", *sorted(set(sys.modules) & set({heavy!r})), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words", ["--help", "list", "status", "show small", "show small 0", "run --help", "code --help"]
)
def test_what_trains_nothing_imports_nothing_heavy(stored: Path, words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=HEAVY), *words.split()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1].strip() == "imported:"


@pytest.mark.parametrize("named", [["-m", "sweep"], ["-msweep"], ["-m", "sweep.__main__"]])
def test_a_person_s_modules_may_have_any_library_s_name(
    stored: Path, named: list[str], in_the_way: list[str]
) -> None:
    assert {"csv", "typing", "optuna", "keras", "sqlalchemy", "storage"} < set(in_the_way)
    Path("studies").mkdir()
    Path("studies/__init__.py").write_text("raise RuntimeError('theirs')\n")
    done = subprocess.run(
        [sys.executable, *named, "list"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "small" in done.stdout


def test_another_s_program_that_imports_sweep_finds_its_own_modules(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("")
    (tmp_path / "program.py").write_text("import sweep, beside\nprint(beside.__name__)\n")
    done = subprocess.run(
        [sys.executable, "-m", "program", "sweep"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "beside\n", done.stderr


def test_a_module_that_took_the_place_of_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / "storage.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", "import storage, sweep"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{tmp_path / 'storage.py'} was imported in its place" in done.stderr


def test_version_is_the_package_s(sweep: Any) -> None:
    from importlib.metadata import version

    assert sweep("--version").stdout.strip() == f"sweep {version('sweep')}"


def test_a_reader_that_has_enough_is_no_error(stored: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "sweep", "show", "small", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=60)
    assert errors == b""


def test_a_fault_of_the_program_asks_for_a_report(
    stored: Path, sweep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import storage.trials

    def fault(*_: Any) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(storage.trials, "study_lines", fault)
    with pytest.raises(ZeroDivisionError) as raised:
        sweep("list")
    assert "report" in raised.value.__notes__[0]


def test_a_storage_that_fails_ends_with_its_message(
    stored: Path, sweep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import storage.trials
    from storage.database import StorageFailure

    def failing(*_: Any) -> None:
        raise StorageFailure("sqlite:///sweep.db is locked")

    monkeypatch.setattr(storage.trials, "study_lines", failing)
    result = sweep("list")
    assert result.exit_code == 1
    assert result.stderr == "sweep: sqlite:///sweep.db is locked\n"


def test_a_pipe_gets_plain_text(stored: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sweep", "show", "small", "0"],
        capture_output=True,
        check=True,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    assert b"\x1b" not in done.stdout


def test_a_terminal_without_unicode_is_no_reason_to_fail(stored: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sweep", "show", "small", "0"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0, done.stderr
    assert "loss by epoch" in done.stdout
