"""The report's figures as plotly objects, for notebooks and other dashboards."""

import itertools
import json

import plotly.graph_objects as go
import pytest

from sweep.report import figures
from sweep.report.rows import ranked


def test_every_figure_of_the_report_is_there_and_says_what_it_shows(result):
    found = figures(result)
    assert {"curves", "time", "time: best", "importances", "parallel"} <= set(found)
    assert "landscape: layers × units" in found
    assert {"solved: optimizer", "solved: learning rate"} <= set(found)
    for figure in found.values():
        assert isinstance(figure, go.Figure)
        assert figure.layout.title.text
        assert len(figure.layout.title.subtitle.text) > 20
        assert json.loads(figure.to_json())["data"]


def test_the_curves_are_those_that_were_asked_for_each_in_its_colour(result):
    numbers = [row.number for row in ranked(result)[3:6]]
    drawn = figures(result, trials=numbers)["curves"]
    medians = [trace for trace in drawn.data if trace.meta == "median" and trace.showlegend]
    assert [trace.name.split(":")[0] for trace in medians] == [f"trial {n}" for n in numbers]
    assert len({trace.line.color for trace in medians}) == 3
    assert len({trace.line.dash for trace in medians}) == 3


def test_the_tints_of_several_plateaus_follow_one_another(result):
    drawn = figures(result)["curves"]
    waits = [shape for shape in drawn.layout.shapes if shape.name == "wait"]
    ends = [(shape.x0, shape.x1) for shape in waits]
    assert len(ends) >= 2
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(ends))


def test_more_curves_than_colours_are_cut(result):
    drawn = figures(result, trials=range(40))["curves"]
    assert sum(trace.meta == "median" and trace.showlegend for trace in drawn.data) == 6


@pytest.mark.parametrize("outcome", ["censored", "diverged"])
@pytest.mark.parametrize("trials", [0, 1, 12])
def test_odd_studies_have_the_figures_that_they_can_have(make_result, outcome, trials):
    found = figures(make_result(trials, outcome=outcome))
    assert ("curves" in found) == (trials > 0)
    assert not any(name.startswith("solved") for name in found)
