"""sweep from Python: what `import sweep` gives, its data frames, its figures, and a notebook."""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient
from plotly.graph_objects import Figure
from typer.testing import CliRunner

import sweep
from studies.run import FinishedRun, Run
from studies.tasks import Task
from sweep.tables import CURVE_COLUMNS, RUN_COLUMNS

NOTEBOOKS = Path(__file__).parent.parent / "studies" / "notebooks"

STUDY = """
[task]
name = "first-value"
records = 64

[search]
sampler = "random"
trials = 6
enqueue = [ { layers = 3, optimizer = "adam" } ]

[space]
layers = { low = 1, high = 4 }
optimizer = ["adam", "sgd"]

[training]
units = 4
epochs = 40
replicates = 3
"""


def made_up(runs: Iterable[Run | None], task: Task) -> Iterator[FinishedRun]:
    """Runs with a plateau of 3 epochs a layer, then 4 to the target; sgd stays on its plateau."""
    for run in runs:
        if run is None:
            continue
        configuration = run.configuration
        escape = run.epochs if configuration.optimizer == "sgd" else 3 * configuration.layers
        escape += run.seed
        epochs = np.arange(1, min(run.epochs, escape + 4) + 1)
        share = np.clip((epochs - escape) / 4, 0.0, 1.0)
        curves = np.stack([0.7 * (1 - share) + 0.01, 0.5 + 0.5 * share], axis=1)
        ended = "solved" if share[-1] == 1.0 else "censored"
        yield FinishedRun(run, ended, curves.astype(np.float32))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a study file; runs are made up instead of trained."""
    import sweep.workers

    monkeypatch.setattr(sweep.workers, "trained_by", lambda *_, **__: nullcontext(made_up))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEP_STORAGE", raising=False)
    (tmp_path / "small.toml").write_text(STUDY)
    return tmp_path


@pytest.fixture
def result(here: Path) -> sweep.Result:
    return sweep.run("small.toml", progress=False)


def command_line(*words: str) -> Any:
    """The JSON document that a command prints."""
    from sweep.cli import app

    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_importing_sweep_imports_nothing_heavy() -> None:
    heavy = ("numpy", "pandas", "plotly", "optuna", "tensorflow", "sqlalchemy", "typer")
    script = f"import sys, sweep; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_everything_named_is_there_and_nothing_else() -> None:
    for name in sweep.__all__:
        assert getattr(sweep, name).__doc__
        assert name in dir(sweep)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = sweep.nonsense  # type: ignore[attr-defined]


def test_a_study_that_was_run_is_opened_the_same(result: sweep.Result) -> None:
    again = sweep.open("small")
    assert again.name == "small"
    assert again.answer == result.answer
    pd.testing.assert_frame_equal(again.runs, result.runs)
    assert (
        repr(result)
        == repr(again)
        == ("<Result 'small': 6 trials, 18 runs, in sqlite:///sweep.db>")
    )


def test_the_storage_is_the_one_that_the_environment_names(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEP_STORAGE", "sqlite:///elsewhere.db")
    sweep.run("small.toml", progress=False)
    assert (here / "elsewhere.db").exists()
    assert not (here / "sweep.db").exists()
    sweep.run("small.toml", progress=False, storage="sqlite:///given.db")
    assert (here / "given.db").exists()


def test_the_best_and_the_trials_say_what_the_command_line_says(result: sweep.Result) -> None:
    shown = command_line("show", "small")["configurations"]
    assert result.best == shown[0]
    frame = result.trials
    assert frame["place"].tolist() == [*range(1, 7)]
    for row, document in zip(frame.to_dict("records"), shown, strict=True):
        for key, value in {**document.pop("params"), **document}.items():
            if value is None:
                assert np.isnan(row[key])
            else:
                assert row[key] == value
    assert frame.loc[frame["trial"] == 0, "enqueued"].tolist() == [True]
    kinds = frame.dtypes
    assert kinds["solved"] == kinds["trial"] == "int64"
    assert kinds["epochs_median"] == kinds["ert"] == "float64"


def test_runs_and_curves_are_the_exported_tables(result: sweep.Result) -> None:
    from sweep.cli import app

    assert CliRunner().invoke(app, ["export", "small", "-o", "a.parquet"]).exit_code == 0
    pd.testing.assert_frame_equal(result.runs, pd.read_parquet("a.parquet"))
    pd.testing.assert_frame_equal(result.curves, pd.read_parquet("a.curves.parquet"))
    assert set(RUN_COLUMNS) | {"layers", "units", "learning_rate"} <= set(result.runs.columns)
    assert list(result.curves.columns) == list(CURVE_COLUMNS)
    assert len(result.curves) == result.runs["epochs"].sum()
    censored = result.runs[result.runs["ended"] == "censored"]
    assert len(censored)
    assert censored["transition"].isna().all()


def test_a_frame_that_is_changed_changes_no_other(result: sweep.Result) -> None:
    for name in ("trials", "runs"):
        frame = getattr(result, name)
        frame["more"] = 1
        frame.loc[0, "trial"] = 99
        assert "more" not in getattr(result, name)
        assert 99 not in getattr(result, name)["trial"].tolist()


def test_the_figures_are_those_of_the_report(result: sweep.Result) -> None:
    from sweep.report import figures

    expected = figures(result.details)
    assert list(result.figures) == list(expected)
    assert len(result.figures) == len(expected) > 3
    for name, figure in result.figures.items():
        assert isinstance(figure, Figure)
        assert figure == expected[name]
        assert figure.layout.paper_bgcolor == "#ffffff"
    assert repr(result.figures) == "Figures: " + ", ".join(expected)


def test_the_curves_of_chosen_trials_are_drawn(result: sweep.Result) -> None:
    names = [trace.name for trace in result.draw(4, 0).data if trace.showlegend]
    assert [name.partition(":")[0] for name in names] == ["trial 4", "trial 0"]


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        ((), "0 trials: a figure has the curves of 1 to 6"),
        ((17,), "small has no trial 17; its trials are 0 to 5"),
    ],
)
def test_curves_that_cannot_be_drawn_are_refused(
    result: sweep.Result, trials: tuple[int, ...], said: str
) -> None:
    with pytest.raises(sweep.BadInput, match=said):
        result.draw(*trials)


def test_a_figure_that_there_is_not_is_refused_with_the_nearest(result: sweep.Result) -> None:
    with pytest.raises(sweep.BadInput, match="no figure 'curve'; did you mean 'curves'"):
        _ = result.figures["curve"]
    assert "curve" not in result.figures
    assert result.figures.get("curve") is None


def test_the_report_goes_where_it_is_told(result: sweep.Result, here: Path) -> None:
    assert result.report() == Path("small.html")
    assert (here / "small.html").read_text().startswith("<!doctype html>")
    assert result.report(here / "page.html") == here / "page.html"
    with pytest.raises(sweep.BadInput, match="there is no directory"):
        result.report("nowhere/page.html")


def test_values_of_a_setting_are_compared(result: sweep.Result) -> None:
    found = result.compare(by="optimizer")
    document = command_line("compare", "small", "--by", "optimizer")
    assert list(found.finding) == document["finding"]
    assert found.groups["group"].tolist() == [group["group"] for group in document["groups"]]
    assert found.groups["median"].dtype == "float64"
    assert found.contrasts["p_adjusted"].tolist() == [
        contrast["p_adjusted"] for contrast in document["contrasts"]
    ]
    assert "<table" in found._repr_html_()


def test_trials_and_studies_are_compared(result: sweep.Result) -> None:
    assert len(result.compare(trials=[0, 1]).groups) == 2
    other = sweep.run("small.toml", name="other", seed=5, progress=False)
    assert result.compare(other).groups["group"].tolist() == ["small", "other"]
    assert "other" not in result.compare(other, by="optimizer").groups["group"].tolist()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "compare by what\\? by= takes one of layers, optimizer"),
        ({"by": "optimiser"}, "optimiser"),
        ({"by": "optimizer", "measure": "hours"}, "measure 'hours': has to be one of epochs"),
        ({"trials": [0, 1], "by": "layers"}, "leave out by="),
        ({"trials": [0, 99]}, "99"),
    ],
)
def test_a_comparison_that_cannot_be_is_refused(
    result: sweep.Result, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(sweep.BadInput, match=said):
        result.compare(**arguments)


def test_a_setting_in_the_place_of_a_study_is_refused(result: sweep.Result) -> None:
    with pytest.raises(sweep.BadInput, match="a setting is given as by="):
        result.compare("optimizer")  # type: ignore[arg-type]


def test_an_explanation_has_its_verdict_and_its_effects(
    result: sweep.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sweep.explain as module

    def job(runs: Iterable[Run], task: Task, hidden: bool) -> Iterator[FinishedRun]:
        return made_up(runs, task)

    monkeypatch.setattr(module, "explain", partial(module.explain, train=job))
    why = result.explain(0, seeds=12, progress=False)
    document = module.explanation_json(why.details)
    assert list(why.verdict) == document["verdict"]
    effects = why.effects
    assert effects["name"].tolist() == [one["name"] for one in document["interventions"]]
    assert effects["ratio"].dtype == effects["p_adjusted"].dtype == "float64"
    assert why.verdict[0] in repr(why)
    with pytest.raises(sweep.BadInput, match="12"):
        result.explain(0, seeds=3, progress=False)


def test_studies_are_listed(result: sweep.Result) -> None:
    frame = sweep.studies()
    assert frame["study"].tolist() == ["small"]
    assert frame.loc[0, ["trials", "runs"]].tolist() == [6, 18]
    assert str(frame["created"].dt.tz) == "UTC"


def test_progress_is_told_to_a_function(here: Path) -> None:
    seen: list[Any] = []
    sweep.run("small.toml", progress=seen.append)
    assert seen[-1].trials_done == 6


def test_progress_is_shown_on_standard_error(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep.run("small.toml")
    shown = capsys.readouterr()
    assert "done" in shown.err
    assert shown.out == ""


def test_an_interrupted_study_goes_on(here: Path) -> None:
    def interrupt(progress: Any) -> None:
        if progress.runs_done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="the same call goes on"):
        sweep.run("small.toml", progress=interrupt)
    assert len(sweep.run("small.toml", progress=False).trials) == 6


def test_a_csv_lends_its_name_and_settings_are_taken(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{i % 2},{i % 7},{i % 5},{i % 2}" for i in range(40)]
    (here / "mine.csv").write_text("\n".join(["a,b,c,target", *lines]))
    result = sweep.run(
        csv=here / "mine.csv",
        trials=2,
        replicates=2,
        settings={"training.units": 4, "training.batch_size": 8},
    )
    assert "target" in capsys.readouterr().err
    assert result.name == "mine"
    assert result.runs["batch_size"].unique().tolist() == [8]
    assert "units" not in result.trials


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"study": "helo-lstm"}, "did you mean hello-lstm"),
        ({"study": "small.toml", "trials": 0}, "search.trials"),
        ({"study": "small.toml", "settings": {"training.unit": 4}}, "training.unit"),
        (
            {"study": "small.toml", "trials": 3, "settings": {"search.trials": 4}},
            "search.trials is given as an argument as well",
        ),
        ({"csv": "missing.csv"}, "missing.csv: there is no such file"),
        ({"csv": ".hidden.csv"}, "name=… in Python"),
        ({"study": "small.toml", "storage": "nonsense"}, "nonsense"),
    ],
)
def test_a_study_that_cannot_be_is_refused(
    here: Path, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(sweep.BadInput, match=said):
        sweep.run(**arguments, progress=False)
    assert not list(here.glob("*.db"))


@pytest.mark.parametrize("key", ["model", "function"])
def test_a_person_s_function_is_run_only_where_that_is_allowed(here: Path, key: str) -> None:
    Path("mine.py").write_text(
        "import pathlib\n\npathlib.Path('imported').touch()\n\n\ndef build(units, layers,"
        " optimizer):\n    pass\n\n\ndef data():\n    return [[0.0], [1.0]] * 20, [0, 1] * 20\n"
    )
    text = STUDY + 'model = "mine:build"\n'
    if key == "function":
        text = STUDY.replace('name = "first-value"\nrecords = 64', 'function = "mine:data"')
    Path("mine.toml").write_text(text)
    with pytest.raises(sweep.BadInput, match=f"{key} = mine:.* is Python code.*allow_code=True"):
        sweep.run("mine.toml", progress=False)
    assert not Path("imported").exists()
    assert not Path("sweep.db").exists()

    result = sweep.run("mine.toml", progress=False, allow_code=True)
    assert len(result.runs) == 18
    # Runs are made up here, so only the data's function is called in this process.
    assert Path("imported").exists() == (key == "function")


def test_a_study_or_a_storage_that_is_not_there_is_refused(here: Path) -> None:
    with pytest.raises(sweep.BadInput, match=r"sweep\.db"):
        sweep.open("small")
    with pytest.raises(sweep.BadInput, match=r"sweep\.db"):
        sweep.studies()
    sweep.run("small.toml", progress=False)
    with pytest.raises(sweep.BadInput, match="did you mean small"):
        sweep.open("smal")


def test_a_study_without_trials_has_empty_frames(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sweep.workers

    def none(runs: Iterable[Run | None], task: Task) -> Iterator[FinishedRun]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(sweep.workers, "trained_by", lambda *_, **__: nullcontext(none))
    with pytest.raises(KeyboardInterrupt):
        sweep.run("small.toml", progress=False)
    result = sweep.open("small")
    assert result.best is None
    assert "no answer so far" in result.answer
    for frame in (result.trials, result.runs, result.curves):
        assert len(frame) == 0
        assert "trial" in frame
    assert "no answer so far" in result._repr_html_()


def test_a_name_that_is_markup_is_shown_as_text(here: Path) -> None:
    (here / "b.toml").write_text(STUDY)
    result = sweep.run("b.toml", name="<b>&amp;", progress=False)
    page = result._repr_html_()
    assert "<strong>&lt;b&gt;&amp;amp;</strong>" in page
    assert page.count("<tr>") == 7


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SWEEP_STORAGE", raising=False)
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, kernel_name="python3", resources=where).execute()
    outputs = [output for cell in code for output in cell.outputs]
    assert [one.text for one in outputs if one.get("name") == "stderr"] == []
    assert outputs[0].data["text/plain"] == "done"
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    assert kinds.count("application/vnd.plotly.v1+json") == 2
    assert (tmp_path / "sweep.db").exists()
    shown = "".join(output.get("data", {}).get("text/html", "") for output in outputs)
    assert "learned the task in the fewest epochs" in shown
