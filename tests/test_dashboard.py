"""Optuna's dashboard on a storage of ours, in a real browser: note, figures, curves, files."""

import json
import threading
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import numpy as np
import optuna
import pytest
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna_dashboard import get_note, save_note, wsgi
from playwright.sync_api import Page, sync_playwright

from storage.database import Database, open_database
from storage.mirror import artifact_of, artifacts
from storage.trials import find_study
from studies.run import FinishedRun, Run
from studies.study import Study
from studies.tasks import Task
from sweep.dashboard import Artifacts, prepare
from sweep.search import run_study
from tests.conftest import CHROMIUM, FLAGS

NAME = "shown <b>here"
STUDY = Study.from_document(
    {
        "description": "A study | with *signs*.",
        "task": {"name": "first-value", "records": 40},
        "search": {"sampler": "random", "trials": 24, "enqueue": [{"units": 15, "layers": 3}]},
        "space": {"units": {"low": 4, "high": 32}, "layers": {"low": 1, "high": 4}},
        "training": {"epochs": 40, "replicates": 2},
    },
    NAME,
)


def train(runs: Iterable[Run | None], task: Task) -> Iterator[FinishedRun]:
    for run in runs:
        if run is not None:
            wait = 4 * run.configuration.layers
            accuracy = np.concatenate([np.full(wait, 0.5), [0.8, 1.0]])
            loss = np.concatenate([np.full(wait, 0.69), [0.4, 0.1]])
            curves = np.column_stack([loss, accuracy]).astype(np.float32)
            yield FinishedRun(run, "solved", curves)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('dashboard') / 'sweep.db'}"
    run_study(STUDY, url, train=train)
    return url


@pytest.fixture(scope="module")
def database(url: str) -> Iterator[Database]:
    with open_database(url) as database:
        list(prepare(database))
        yield database


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(database: Database) -> Iterator[str]:
    app = wsgi(database.optuna_storage(), artifact_store=Artifacts(database))
    server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser.new_page(viewport={"width": 1400, "height": 1000})
        browser.close()


def test_learning_curves_and_our_figures_are_drawn(page: Page, address: str) -> None:
    page.goto(f"{address}/dashboard/studies/1")
    page.wait_for_selector("text=Intermediate values")
    page.wait_for_function(
        """() => ['Learning curves', 'Where the time goes', 'What matters',
                  'Epochs to 100\\u202f% over the settings', 'When runs solve the task']
            .every((title) => [...document.querySelectorAll('.gtitle')]
                .some((text) => text.textContent.startsWith(title)))"""
    )
    lines = page.evaluate(
        """() => [...document.querySelectorAll('.js-plotly-plot')]
            .map((plot) => plot.data.filter((trace) => trace.name?.startsWith('trial')).length)"""
    )
    # Our learning curves, and Optuna's own of every trial.
    assert max(lines) >= 20
    drawn = page.evaluate(
        """() => [...document.querySelectorAll('.js-plotly-plot')].map((plot) =>
            plot.querySelectorAll('.trace, .points path, .heatmaplayer image').length)"""
    )
    assert len(drawn) >= 9
    assert all(drawn)


def test_the_note_has_the_answer_and_how_to_read_it(page: Page, address: str) -> None:
    page.goto(f"{address}/dashboard/studies/1/note")
    page.wait_for_selector("text=How to read this study")
    text = page.inner_text("body")
    assert "Of 24 configurations, trial " in text
    assert "learned the task in the fewest epochs" in text
    assert NAME in text
    assert "A study | with *signs*." in text
    assert page.locator("b", has_text="here").count() == 0
    assert page.locator("td", has_text="3 layers").count() >= 1


def test_a_trial_has_its_curves_and_a_script_as_files(page: Page, address: str) -> None:
    page.goto(f"{address}/dashboard/studies/1/trials?numbers=0")
    page.wait_for_selector("text=trial-0-script.py")
    for file in ("trial-0-curves.svg", "trial-0-curves.csv"):
        assert page.locator(f"text={file}").count() >= 1
    page.wait_for_function(
        """() => [...document.querySelectorAll('img')]
            .some((image) => image.src.includes('/artifacts/') && image.naturalWidth > 100)"""
    )
    assert "epochs_median" in page.inner_text("body")


def fetched(address: str) -> str:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read().decode()


def files(database: Database, number: int) -> dict[str, str]:
    stored = find_study(database, NAME)
    assert stored is not None
    found = [json.loads(text) for text in artifacts(stored.uuid, number).values()]
    return {meta["filename"]: meta["artifact_id"] for meta in found}


def test_the_files_hold_the_runs_and_the_script_is_python(
    database: Database, address: str, tmp_path: Path
) -> None:
    there = files(database, 0)
    lines = fetched(f"{address}/artifacts/1/1/{there['trial-0-curves.csv']}").splitlines()
    assert lines[0] == "replicate,seed,epoch,loss,accuracy"
    assert len(lines) == 1 + 2 * 14
    assert lines[14] == "0,0,14,0.1,1"
    picture = fetched(f"{address}/artifacts/1/1/{there['trial-0-curves.svg']}")
    assert picture.startswith("<svg xmlns=")
    assert "12 epochs at chance" in picture
    script = fetched(f"{address}/artifacts/1/1/{there['trial-0-script.py']}")
    assert "keras" in script
    compile(script, "script.py", "exec")


def test_a_file_that_there_is_not_is_said_to_be_missing(database: Database) -> None:
    store = Artifacts(database)
    known = files(database, 23)["trial-23-curves.csv"]
    assert artifact_of(known) is not None
    for unknown in (known.replace("00000017", "00000099"), "0" * 36 + known[36:], "../x", ""):
        with pytest.raises(ArtifactNotFound):
            store.open_reader(unknown)


def test_what_is_up_to_date_is_not_written_again(database: Database) -> None:
    assert list(prepare(database)) == []


def test_a_note_that_somebody_changed_is_theirs(url: str, tmp_path: Path) -> None:
    own = f"sqlite:///{tmp_path}/own.db"
    run_study(STUDY, own, train=train)
    with open_database(own) as database:
        list(prepare(database))
    study = optuna.load_study(study_name=NAME, storage=own)
    save_note(study, "My own words.")
    more = STUDY.changed({"search.trials": 26})
    run_study(more, own, train=train)
    with open_database(own) as database:
        prepared = list(prepare(database))
    assert [study.figures != () for study in prepared] == [True]
    assert get_note(optuna.load_study(study_name=NAME, storage=own)) == "My own words."


def test_our_own_note_follows_the_study(tmp_path: Path) -> None:
    own = f"sqlite:///{tmp_path}/own.db"
    run_study(STUDY.changed({"search.trials": 3}), own, train=train)
    with open_database(own) as database:
        list(prepare(database))
    run_study(STUDY.changed({"search.trials": 5}), own, train=train)
    with open_database(own) as database:
        list(prepare(database))
    assert "Of 5 configurations" in get_note(optuna.load_study(study_name=NAME, storage=own))


def test_of_a_large_study_it_is_said_what_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sweep.dashboard

    monkeypatch.setattr(sweep.dashboard, "MOST_TRIALS", 10)
    own = f"sqlite:///{tmp_path}/own.db"
    run_study(STUDY, own, train=train)
    with open_database(own) as database:
        said = [study.left_out for study in prepare(database)]
        again = [study.left_out for study in prepare(database)]
    assert said == again
    assert "has 24 trials" in said[0]
    assert "their mean curves (intermediate values) and their files are left out" in said[0]
    assert "left out" in get_note(optuna.load_study(study_name=NAME, storage=own))
