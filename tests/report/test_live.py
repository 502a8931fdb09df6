"""The report while its study runs, in a real browser, over HTTP."""

import queue
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from studies.errors import BadInput
from studies.run import FinishedRun, Run
from studies.study import Study
from studies.tasks import Task
from sweep.report import live
from sweep.search import run_study

from .conftest import CHROMIUM, FLAGS

STUDY = Study.from_document(
    {
        "task": {"name": "first-value", "records": 40},
        "search": {"sampler": "random", "trials": 12},
        "space": {"units": {"low": 4, "high": 32}, "optimizer": ["adam", "sgd"]},
        "training": {"epochs": 30, "replicates": 1},
    },
    "growing",
)


class Slow:
    """Trains a run for each permission, so that a test says how far the study is."""

    def __init__(self) -> None:
        self.permits: queue.Queue[None] = queue.Queue()

    def allow(self, runs: int) -> None:
        for _ in range(runs):
            self.permits.put(None)

    def __call__(self, runs: Iterable[Run | None], task: Task) -> Iterator[FinishedRun]:
        for run in runs:
            if run is None:
                continue
            self.permits.get()
            end = 3 + run.configuration.units // 4
            accuracy = np.where(np.arange(end) < end - 1, 0.5, 1.0)
            curves = np.column_stack([np.linspace(0.7, 0.1, end), accuracy]).astype(np.float32)
            yield FinishedRun(run, "solved", curves)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/sweep.db"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LEAST_PAUSE", 0.1)
    monkeypatch.setattr(live, "SHARE", 0)
    monkeypatch.setattr(live, "LOOK", 0.1)


def fetched(url: str, **headers: str) -> str:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def test_trials_come_into_an_open_page_which_keeps_what_its_reader_chose(url, quick):
    train = Slow()

    def study(shown: live.Live) -> None:
        def tell(progress):
            shown.show("in words", progress.runs_done, progress.runs_total)

        run_study(STUDY, url, on_progress=tell, train=train)

    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        page = browser.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        with live.watched(url, "growing") as shown:
            thread = threading.Thread(target=study, args=(shown,), daemon=True)
            thread.start()
            train.allow(4)
            page.goto(shown.url)
            page.wait_for_function(
                "() => document.querySelectorAll('#configurations tbody tr').length >= 3"
            )
            page.fill("#filter", "adam")
            page.locator("#configurations").get_by_role("button", name="units").click()
            train.allow(8)
            thread.join()
            page.wait_for_function(
                "() => document.querySelectorAll('#configurations tbody tr').length === 12"
            )
            assert page.input_value("#filter") == "adam"
            rows = page.locator("#configurations tbody tr:visible")
            assert 0 < rows.count() < 12
            assert page.locator("th[aria-sort=ascending]").inner_text().startswith("units")
            assert page.locator("#live p").inner_text().startswith("Running · in words")
            assert page.evaluate("document.querySelector('#live progress').max") == 12
            assert page.locator(".plot .scatterlayer .trace").count() > 0
        page.wait_for_function(
            "() => document.querySelector('#live p').textContent.startsWith('Finished')"
        )
        browser.close()
    assert complaints == []


def test_what_came_in_before_a_page_listens_is_told_to_it(url, quick):
    run_study(STUDY.changed({"search.trials": 2}), url, train=_at_once)
    with live.watched(url, "growing") as shown:
        page = fetched(shown.url)
        stamp = re.search(r'data-stamp="([^"]+)"', page)[1]
        run_study(STUDY.changed({"search.trials": 3}), url, train=_at_once)
        address = f"{shown.url}events?since={urllib.parse.quote(stamp)}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            lines = [answer.readline().decode().strip() for _ in range(4)]
    assert "event: changed" in lines


def test_before_the_study_is_there_the_page_says_so_and_asks_again(url):
    with live.watched(url, "growing") as shown:
        text = fetched(shown.url)
    assert "is being opened" in text
    assert 'http-equiv="refresh"' in text


def test_what_a_page_takes_in_has_no_scripts_of_its_own(url):
    run_study(STUDY.changed({"search.trials": 2}), url, train=_at_once)
    with live.watched(url, "growing") as shown:
        whole, state = fetched(shown.url), fetched(f"{shown.url}state")
    assert "connect-src 'self'" in whole
    assert whole.count("* plotly.js v") == 1
    assert "plotly.js v" not in state
    assert len(state) < 200_000
    assert '<table id="configurations"' in state


def _at_once(runs: Iterable[Run | None], task: Task) -> Iterator[FinishedRun]:
    train = Slow()
    train.allow(100)
    return train(runs, task)


def test_a_page_of_another_name_gets_nothing(url):
    with (
        live.watched(url, "growing") as shown,
        pytest.raises(urllib.error.HTTPError, match="400"),
    ):
        fetched(shown.url, Host="evil.example")


def test_it_listens_on_this_machine_alone_and_on_the_port_that_it_is_told(url):
    with live.watched(url, "growing") as first:
        assert first.url.startswith("http://127.0.0.1:")
        port = int(first.url.rsplit(":", 1)[1].strip("/"))
        with (
            pytest.raises(OSError, match=f"cannot listen on port {port}"),
            live.watched(url, "growing", port),
        ):
            pass


def test_without_the_extra_it_is_named(url, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find(name)
    )
    with pytest.raises(BadInput, match=r"uv sync --extra server"), live.watched(url, "x"):
        pass


def test_all_is_over_soon_after_the_study_ends(url):
    with live.watched(url, "growing") as shown:
        address = shown.url
    with pytest.raises(OSError, match="refused"):
        fetched(address)
