"""The pages for who comes from another tool: the same search written there and here."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import sweep.keras
from studies.study import read_study
from sweep.search import run_study

PAGES = Path(sweep.keras.__file__).parent


def files_of(page: str) -> dict[str, str]:
    """The files that a page shows, each in a block that begins with its name."""
    text = (PAGES / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```", text, flags=re.DOTALL)
    return dict(blocks)


def test_optuna_and_sweep_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import optuna

    files = files_of("from_optuna.md")
    assert set(files) == {"hello.py", "with_optuna.py", "hello.toml"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    subprocess.run([sys.executable, "with_optuna.py"], check=True, capture_output=True)
    theirs = optuna.load_study(study_name="hello", storage="sqlite:///optuna.db")
    values = {tuple(sorted(trial.params.items())): trial.value for trial in theirs.trials}
    assert len(values) == 4

    ours = run_study(read_study("hello.toml"), "sqlite:///sweep.db", allow_code=True).result
    assert [run.error for trial in ours.trials for run in trial.runs] == [None] * 8
    found = {tuple(sorted(trial.params.items())): trial.values[0] for trial in ours.trials}
    assert found == values


def test_both_pages_have_the_same_model_and_study() -> None:
    optunas, tuners = files_of("from_optuna.md"), files_of("from_keras_tuner.md")
    assert optunas["hello.py"] == tuners["hello.py"]
    assert optunas["hello.toml"] == tuners["hello.toml"]
    compile(tuners["with_keras_tuner.py"], "with_keras_tuner.py", "exec")
