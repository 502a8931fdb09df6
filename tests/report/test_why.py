"""The section that says why a configuration waits, from an explanation with a known answer."""

from pathlib import Path

import pytest

from storage.database import open_database
from storage.trials import add_attributes, find_study
from studies.study import read_study
from sweep.explain import Explanation, explain
from sweep.report import render_report, write_report
from sweep.report.story import tell
from sweep.report.why import explanations, sections
from sweep.results import read_results
from sweep.search import run_study

from ..explain.conftest import World, by_learning_rate
from .test_figures import unpacked, valid


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A storage with the first trials of hello-lstm, and all the runs that explain it."""
    url = f"sqlite:///{tmp_path_factory.mktemp('why') / 'e.db'}"
    world = World(by_learning_rate)
    study = read_study("hello-lstm").changed({"search.trials": 3})
    run_study(study, url, train=lambda runs, task: world(filter(None, runs), task, False))
    explain(url, "hello-lstm", train=world)
    return url


@pytest.fixture(scope="module")
def found(url: str) -> Explanation:
    with open_database(url) as database:
        (found,) = explanations(database, read_results(database, "hello-lstm"))
    return found


@pytest.fixture(scope="module")
def explained(result, found):
    return sections(tell(result, [found]))[0]


def test_the_verdict_is_told_sentence_by_sentence(result, found):
    html = render_report(result, why=[found])
    assert '<h2 id="why-title">Why it waits</h2>' in html
    assert html.count("<li>") >= len(found.verdict)
    assert "learning rate × 16" in html
    assert '<a href="#why">Why it waits</a>' in html


def test_each_change_has_its_ratio_with_its_interval(explained, found):
    strongest, every = explained.plots[0].variants
    points = [
        (x, down, up)
        for trace in every.figure["data"]
        for x, down, up in zip(
            trace["x"], trace["error_x"]["arrayminus"], trace["error_x"]["array"], strict=True
        )
    ]
    assert len(points) == len(found.effects)
    known = {(e.ratio.value, e.ratio.low, e.ratio.high) for e in found.effects if e.ratio.value}
    drawn = {(x, x - down, x + up) for x, down, up in points}
    for value, low, high in known:
        if low is not None and high is not None:
            assert any((x, a, b) == pytest.approx((value, low, high)) for x, a, b in drawn), (
                value,
                low,
                high,
            )
    groups = {effect.intervention.group for effect in found.effects}
    assert sum(len(trace["x"]) for trace in strongest.figure["data"]) == len(groups)
    valid(strongest.figure)
    valid(every.figure)


def test_what_shortens_and_lengthens_it_most_is_named(explained, found):
    finding = explained.plots[0].variants[1].finding
    known = [effect for effect in found.effects if effect.ratio.value is not None]
    least = min(effect.ratio.value for effect in known)
    names = [e.intervention.name for e in known if e.ratio.value == least]
    share = f"{100 * least:.1f}".removesuffix(".0")
    assert any(f"(most of all {name}, to {share}\u202f% of it)" in finding for name in names)
    assert "10 lengthen it (sgd at 0.01 at least 5-fold)" in finding


def test_what_is_known_from_one_side_only_is_a_triangle(explained, found):
    bounds = sum(effect.ratio.value is None for effect in found.effects)
    symbols = [
        symbol
        for trace in explained.plots[0].variants[1].figure["data"]
        for symbol in trace["marker"]["symbol"]
    ]
    assert symbols.count("triangle-right") == bounds > 0


def test_what_moves_under_the_flat_curve_is_drawn_with_the_plateau_tinted(explained, found):
    drawn = explained.plots[1].variants[0].figure
    contrast = drawn["data"][-1]
    assert contrast["name"] == "nats apart"
    assert unpacked(contrast["y"])[0] == pytest.approx(found.hidden.curves["contrast"][0])
    assert drawn["layout"]["yaxis3"]["type"] == "log"
    assert drawn["layout"]["shapes"][0]["x1"] == found.baseline.plateau.value + 1
    valid(drawn)


def test_without_an_explanation_there_is_no_section(result, tmp_path: Path):
    assert sections(tell(result)) == []
    assert "why-title" not in render_report(result)
    with open_database(f"sqlite:///{tmp_path}/e.db") as database:
        assert explanations(database, result) == ()


def test_a_study_that_nobody_asked_about_has_none(tmp_path: Path):
    url, world = f"sqlite:///{tmp_path}/e.db", World(by_learning_rate)
    study = read_study("hello-lstm").changed({"search.trials": 2})
    run_study(study, url, train=lambda runs, task: world(filter(None, runs), task, False))
    with open_database(url) as database:
        assert explanations(database, read_results(database, "hello-lstm")) == ()


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A storage with a study of which two trials were explained, one of them twice."""
    url, world = f"sqlite:///{tmp_path_factory.mktemp('several') / 'e.db'}", World(by_learning_rate)
    study = read_study("hello-lstm").changed({"search.trials": 3})
    run_study(study, url, train=lambda runs, task: world(filter(None, runs), task, False))
    explain(url, "hello-lstm", 1, seeds=12, train=world)
    explain(url, "hello-lstm", 0, seeds=14, train=world)
    explain(url, "hello-lstm", 0, seeds=12, train=world)
    return url


def test_every_explanation_is_found_however_it_was_asked(several):
    with open_database(several) as database:
        found = explanations(database, read_results(database, "hello-lstm"))
    assert [(one.trial, one.replicates) for one in found] == [(0, 14), (1, 12)]


def test_what_another_program_noted_in_that_place_is_passed_over(several):
    with open_database(several) as database:
        stored = find_study(database, "hello-lstm")
        known = stored.user_attrs["explained"]
        add_attributes(database, stored, {"explained": {"0": "many", "x": 12, "9": 12, "1": 12}})
        found = explanations(database, read_results(database, "hello-lstm"))
        add_attributes(database, stored, {"explained": "yes"})
        assert explanations(database, read_results(database, "hello-lstm")) == ()
        add_attributes(database, stored, {"explained": known})
    assert [one.trial for one in found] == [1]


def test_several_explanations_have_a_section_each(open_report, several, tmp_path: Path):
    with open_database(several) as database:
        result = read_results(database, "hello-lstm")
        write_report(result, tmp_path / "whys.html", why=explanations(database, result))
    page = open_report(tmp_path / "whys.html").page
    assert page.inner_text("#why-title") == "Why trial 0 waits"
    assert page.inner_text("#why-1-title") == "Why trial 1 waits"
    assert "14 seeds" in page.inner_text("#why > p")
    assert page.locator("#plot-effects-1 .scatterlayer .trace").count() >= 2
    assert page.locator("nav a[href='#why-1']").count() == 1


def test_the_section_opens_in_a_browser(open_report, result, found, tmp_path: Path):
    write_report(result, tmp_path / "why.html", why=[found])
    reader = open_report(tmp_path / "why.html")
    page = reader.page
    assert page.locator(".verdict li").count() == len(found.verdict)
    first = page.inner_text("#plot-effects-finding")
    page.select_option("select[data-variants=plot-effects]", "1")
    assert page.inner_text("#plot-effects-finding") != first
    assert page.locator("#plot-under .scatterlayer .trace").count() == 3
    assert reader.complaints == []
