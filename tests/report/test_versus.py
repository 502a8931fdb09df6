"""The values of a setting against one another, in the report."""

from dataclasses import replace

import pytest

from sweep.comparing import compare_setting, finding
from sweep.report import render_report, versus, write_report
from sweep.report.story import tell


@pytest.fixture(scope="module")
def shown(grid):
    return versus.section(tell(grid)).more["comparisons"]


def test_every_searched_setting_is_compared_as_the_command_does(grid, shown):
    assert [one["title"] for one in shown] == ["By optimizer", "By learning rate"]
    for name, one in zip(("optimizer", "learning_rate"), shown, strict=True):
        found = compare_setting([grid], name)
        assert [one["finding"], *one["more"]] == finding(found)
        values, contrasts = one["tables"]
        assert [line[0] for line in values["lines"]] == [group.label for group in found.groups]
        assert [int(line[1]) for line in values["lines"]] == [g.runs for g in found.result.groups]
        assert len(contrasts["lines"]) == len(found.groups) - 1


def test_a_contrast_has_its_ratio_with_interval_and_p(grid, shown):
    found = compare_setting([grid], "optimizer")
    columns = [heading for heading, _ in shown[0]["tables"][1]["columns"]]
    assert columns[0] == f"against {found.first.label}"
    assert columns[-1] == "p (Holm)"
    for line in shown[0]["tables"][1]["lines"]:
        assert line[1].startswith(("×", "≥"))


def test_where_nothing_differs_or_nothing_was_solved_there_is_no_section(make_result, grid):
    assert versus.section(tell(make_result(1))) is None
    unsolved = replace(grid, trials=())
    assert versus.section(tell(unsolved)) is None


def test_of_more_configurations_than_a_page_compares_the_command_is_named(grid, monkeypatch):
    monkeypatch.setattr(versus, "MOST_TRIALS", 3)
    section = versus.section(tell(grid))
    assert section.more == {}
    assert f"sweep compare {grid.name} --by" in section.note
    assert section.note in render_report(grid)


def test_it_opens_in_a_browser_the_first_setting_unfolded(open_report, grid, shown, tmp_path):
    write_report(grid, tmp_path / "grid.html")
    page = open_report(tmp_path / "grid.html").page
    assert page.locator("#versus details").count() == len(shown)
    assert page.locator("#versus details[open] table").count() == 2
    assert page.inner_text("#versus .finding >> nth=0") == shown[0]["finding"]
