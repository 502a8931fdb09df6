"""The figures are valid plotly, and draw the numbers that the runs have."""

import base64
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from studies.run import FinishedRun
from sweep.analysis.plateau import chance_band, plateaus_of
from sweep.report import (
    curves,
    drawing,
    front,
    landscape,
    laws,
    parallel,
    settings,
    solved,
    time_spent,
)
from sweep.report.drawing import MOST_POINTS, PALETTE, colours, log_ticks, plain, thinned
from sweep.report.groups import grouped
from sweep.report.importances import importance_bars, importances
from sweep.report.rows import ranked
from sweep.report.story import tell

TARGET = "100\u202f%"


def unpacked(values):
    return np.frombuffer(base64.b64decode(values["bdata"]), dtype="<f4")


def valid(figure):
    """The figure as plotly's own validation takes it; raises ValueError for what it does not."""
    return go.Figure({"data": figure["data"], "layout": figure["layout"]})


@pytest.mark.parametrize("outcome", ["mixed", "censored", "diverged"])
def test_every_figure_is_valid_plotly(make_result, make_study, outcome):
    study = make_study(search={"objective": ["epochs", "flops"]})
    rows = ranked(make_result(15, study=study, outcome=outcome))
    frame = curves.curves_layout(chance_band((98, 102)), 1.0)
    for row in rows:
        drawn = curves.learning_curves(row, records=200)
        valid({"data": drawn["data"], "layout": frame | drawn["layout"]})
    for x, y in landscape.pairs(["layers", "units", "optimizer", "learning_rate"]):
        valid(landscape.landscape(rows, x, y, TARGET))
    valid(time_spent.time_spent(rows, 100, TARGET))
    valid(time_spent.side_by_side(rows, 100, TARGET))
    for name in ("optimizer", "learning_rate"):
        valid(solved.solved_by(grouped(rows, name), 100, TARGET))
    valid(front.objectives(rows, ["epochs", "flops"]))
    names = ["layers", "units", "optimizer", "learning_rate"]
    valid(parallel.parallel(rows, names, {"units"}))


def test_every_colour_that_a_figure_uses_has_its_dark_one(result):
    rows, swaps = ranked(result), colours()
    drawn = str(
        [curves.learning_curves(rows[0], records=200), time_spent.time_spent(rows[:5], 100, TARGET)]
    )
    used = {light for light in swaps if light in drawn}
    assert PALETTE[0][0] in used
    assert all(swaps[colour] != colour for colour in used)


def test_a_run_that_ended_early_holds_its_last_value(result):
    row = ranked(result)[0]
    quick = row.runs[0]
    short = FinishedRun(quick.run, "solved", quick.curves[:1])
    lines = curves.held([short, quick], "accuracy")
    assert np.all(lines[0] == quick.curve("accuracy")[0])
    np.testing.assert_array_equal(lines[1], quick.curve("accuracy"))


def test_a_diverged_run_holds_its_last_finite_loss(make_result):
    row = ranked(make_result(2, outcome="diverged"))[0]
    for run, line in zip(row.runs, curves.held(row.runs, "loss"), strict=False):
        finite = run.curve("loss")[np.isfinite(run.curve("loss"))]
        if len(finite):
            assert np.isfinite(line).all()


def test_the_line_is_the_median_over_replicates_and_the_band_their_middle_half(result):
    row = next(row for row in ranked(result) if row.enqueued)
    data = curves.learning_curves(row, records=200)["data"]
    accuracy = [trace for trace in data if trace["yaxis"] == "y"]
    median = next(trace for trace in accuracy if trace["meta"] == "median")
    low, high = (trace for trace in accuracy if trace["meta"] == "band")
    lines = np.sort(curves.held(row.runs, "accuracy"), axis=0)
    np.testing.assert_allclose(unpacked(median["y"]), lines[2], rtol=1e-6)
    np.testing.assert_allclose(unpacked(low["y"]), lines[1], rtol=1e-6)
    np.testing.assert_allclose(unpacked(high["y"]), lines[3], rtol=1e-6)


def test_the_plateau_is_shaded_up_to_the_escape_and_the_target_marked(result):
    row = next(row for row in ranked(result) if row.enqueued)
    drawn = curves.learning_curves(row, records=200)
    veil, bar, line, rest = drawn["layout"]["shapes"]
    assert (veil["x0"], veil["x1"]) == (bar["x0"], bar["x1"]) == (1, row.escape)
    assert line["x0"] == line["x1"] == row.escape
    assert rest["x1"] == row.median
    assert [t["x"] for t in drawn["data"] if t["meta"] == "target"] == [[row.median]] * 2


def test_a_run_that_never_left_chance_is_shaded_to_its_end(make_result):
    row = ranked(make_result(1, outcome="censored"))[0]
    shapes = curves.learning_curves(row, records=200)["layout"]["shapes"]
    assert [shape["x1"] for shape in shapes] == [100, 100]


def test_a_level_held_after_the_escape_is_outlined_in_the_strip(make_result, make_study):
    study = make_study(training={"epochs": 80, "replicates": 3})
    row = ranked(make_result(1, study=study))[0]
    accuracy = np.concatenate([np.full(10, 0.5), np.full(40, 0.75), np.full(29, 0.99), [1.0]])
    loss = np.concatenate([np.full(10, 0.69), np.full(40, 0.4), np.full(30, 0.05)])
    values = np.column_stack([loss, accuracy]).astype(np.float32)
    runs = tuple(FinishedRun(run.run, "solved", values) for run in row.runs)
    row = replace(row, runs=runs, plateaus=plateaus_of(runs, (98, 102)), escape=11.0, median=80.0)
    drawn = curves.learning_curves(row, records=200)["layout"]["shapes"]
    boxes = [shape for shape in drawn if shape["line"].get("width") == 1.2]
    assert (11, 51) in [(box["x0"], box["x1"]) for box in boxes]


def test_long_curves_are_thinned(result):
    row = ranked(result)[0]
    run = row.runs[0]
    long = np.column_stack([np.linspace(1, 0, 9_000), np.linspace(0, 1, 9_000)]).astype(np.float32)
    runs = (FinishedRun(run.run, "solved", long),)
    row = replace(row, runs=runs, plateaus=plateaus_of(runs, (98, 102)))
    for trace in curves.learning_curves(row, records=200)["data"]:
        if "dx" in trace:
            assert trace["dx"] == 23
            assert len(unpacked(trace["y"])) <= curves.MOST_EPOCHS


def test_the_size_of_curves_is_known_before_they_are_drawn(result):
    for row in ranked(result):
        for lines in (True, False):
            data = curves.learning_curves(row, records=200, lines=lines)["data"]
            size = sum(len(unpacked(trace["y"])) for trace in data if "dx" in trace)
            assert size <= curves.curve_values(row, lines=lines)


def test_layers_and_units_and_learning_rate_and_optimizer_come_first():
    names = ["layers", "units", "optimizer", "learning_rate"]
    assert landscape.pairs(names)[:2] == [("units", "layers"), ("learning_rate", "optimizer")]
    assert landscape.pairs(["optimizer", "cell"]) == [("optimizer", "cell")]
    assert landscape.pairs(["units"]) == []


def test_a_grid_is_a_heat_map_with_censored_cells_marked(grid):
    rows = ranked(grid)
    drawn = landscape.landscape(rows, "learning_rate", "optimizer", TARGET)
    heat, crosses = drawn["data"]
    assert heat["type"] == "heatmap"
    without = [row for row in rows if row.median is None]
    assert without, "the example has configurations without a median"
    assert len(crosses["x"]) == len(without) == len(drawn["layout"]["shapes"])
    assert sum(z is not None for line in heat["z"] for z in line) == 18 - len(without)


def test_a_scatter_has_every_configuration_once_and_crosses_for_the_censored(result):
    rows = ranked(result)
    drawn = landscape.landscape(rows, "units", "layers", TARGET)
    points = {trace["name"]: len(unpacked(trace["x"])) for trace in drawn["data"]}
    assert points.pop("given to be tried first") == 1
    assert points["by none (censored)"] == sum(not row.solved for row in rows)
    assert points["solved by every replicate"] == sum(row.all_solved for row in rows)
    assert sum(points.values()) == 40


def test_rates_that_span_decades_have_a_logarithmic_axis(result):
    rows = ranked(result)
    assert landscape.axis(rows, "learning_rate").layout["type"] == "log"
    assert landscape.axis(rows, "layers").levels == (1, 2, 3, 4)
    assert landscape.axis(rows, "optimizer").layout["ticktext"] == ["adam", "rmsprop", "sgd"]


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (4, 31, ["5", "10", "20"]),
        (1e-4, 0.1, ["0.0001", "0.001", "0.01", "0.1"]),
        (3, 3, []),
    ],
)
def test_logarithmic_axes_have_round_ticks(low, high, texts):
    assert log_ticks(low, high)["ticktext"] == texts


def test_a_range_searched_on_a_logarithmic_scale_is_drawn_on_one(result):
    rows = ranked(result)
    drawn = landscape.landscape(rows, "units", "layers", TARGET, {"units"})
    assert drawn["layout"]["xaxis"]["type"] == "log"
    plain_scale = landscape.landscape(rows, "units", "layers", TARGET)
    assert "type" not in plain_scale["layout"]["xaxis"]


def test_bars_end_where_the_epochs_to_the_target_do_for_a_single_replicate(make_result, make_study):
    study = make_study(training={"epochs": 100, "replicates": 1})
    rows = [row for row in ranked(make_result(20, study=study)) if row.median is not None]
    plateau, transition = time_spent.time_spent(rows, 100, TARGET)["data"][:2]
    ends = [a + b for a, b in zip(plateau["x"], transition["x"], strict=True)]
    assert ends == [row.median for row in reversed(rows)]


def test_the_share_solved_ends_at_all_runs_solved(result):
    rows = ranked(result)
    for trace in solved.solved_by(grouped(rows, "optimizer"), 100, TARGET)["data"]:
        name = trace["name"].split()[0]
        runs = [run for row in rows if row.settings["optimizer"] == name for run in row.runs]
        share = sum(run.ended == "solved" for run in runs) / len(runs)
        assert unpacked(trace["y"])[-1] == pytest.approx(share)
        assert f"({len(runs)} runs)" in trace["name"]


def test_markup_in_text_is_no_markup_for_plotly():
    assert plain("<b>a</b> & c") == "&lt;b&gt;a&lt;/b&gt; &amp; c"


def test_thousands_of_points_are_thinned_with_the_best_and_the_given_kept(result):
    row = ranked(result)[0]
    many = [replace(row, place=place, enqueued=place == 4_321) for place in range(1, 5_001)]
    kept = thinned(many)
    assert len(kept) <= MOST_POINTS + 1
    assert [row.place for row in kept[:1_000]] == list(range(1, 1_001))
    assert any(row.enqueued for row in kept)


def test_side_by_side_every_configuration_ends_where_its_parts_do(result):
    rows = ranked(result)
    data = time_spent.side_by_side(rows, 100, TARGET)["data"]
    for row, *parts in zip(rows, *(trace["y"] for trace in data), strict=True):
        if row.plateau is None or row.transition is None:
            assert sum(parts) == 100
        else:
            assert sum(parts) == row.plateau + row.transition + 1
    assert len(data) >= 3


def test_thousands_of_columns_are_spaced_by_rank_with_the_given_kept(result):
    row = ranked(result)[0]
    many = [replace(row, place=place, enqueued=place == 4_321) for place in range(1, 5_001)]
    kept = time_spent.spaced(many)
    assert len(kept) <= time_spent.MOST_COLUMNS + 1
    assert (kept[0].place, kept[-1].place) == (1, 5_000)
    assert any(row.enqueued for row in kept)


def test_many_values_of_a_setting_are_grouped_into_ranges_that_hold_every_row(result):
    rows = ranked(result)
    groups = grouped(rows, "learning_rate")
    assert len(groups) == 4
    assert sorted(row.number for group in groups for row in group.rows) == list(range(40))
    ends = [max(row.settings["learning_rate"] for row in group.rows) for group in groups]
    starts = [min(row.settings["learning_rate"] for row in group.rows) for group in groups]
    assert all(end < start for end, start in zip(ends[:-1], starts[1:], strict=True))
    assert [group.words for group in grouped(rows, "layers")][:2] == ["1 layer", "2 layers"]


def test_of_many_words_the_rare_ones_are_one_group(result):
    rows = [
        replace(row, settings={"cell": f"cell {min(row.number, 12)}"}) for row in ranked(result)
    ]
    groups = grouped(rows, "cell")
    assert groups[0].label == "cell 12"
    assert groups[-1].label == "8 others"
    assert sum(len(group.rows) for group in groups) == 40


def test_rows_without_a_setting_are_in_none_of_its_groups(result):
    rows = [
        replace(row, settings=row.settings | ({"momentum": 0.9} if row.number % 2 else {}))
        for row in ranked(result)
    ]
    assert sum(len(group.rows) for group in grouped(rows, "momentum")) == 20


def test_a_setting_that_decides_all_has_the_largest_importance(make_result):
    result = make_result(120)
    weighed = importances(tell(result))
    assert set(weighed) == {"the fewest epochs", "the shortest plateaus"}
    for shares in weighed.values():
        assert sum(shares.values()) == pytest.approx(1)
        assert set(shares) == {"layers", "units", "optimizer", "learning_rate"}
        assert max(shares, key=shares.get) in ("learning_rate", "optimizer")
    bars = importance_bars(weighed)["data"]
    assert [bar["y"][-1] for bar in bars] == [
        max(weighed["the fewest epochs"], key=weighed["the fewest epochs"].get).replace("_", " ")
    ] * 2
    valid(importance_bars(weighed))


def test_what_all_configurations_share_has_no_importances(make_result):
    assert importances(tell(make_result(40, outcome="diverged"))) == {}


def test_every_configuration_crosses_every_axis_within_the_figure(result):
    rows = ranked(result)
    drawn = parallel.parallel(rows, ["layers", "units", "optimizer", "learning_rate"], {"units"})
    lines = 0
    for trace in drawn["data"]:
        across, heights = unpacked(trace["x"]), unpacked(trace["y"])
        ends = np.flatnonzero(np.isnan(heights))
        if trace["name"] != "given to be tried first":
            lines += len(ends)
        assert len(trace["text"]) == len(across) == len(heights)
        assert np.nanmin(heights) >= -0.06
        assert np.nanmax(heights) <= 1.06
        assert across.max() == 4
    assert lines == 40


def test_a_quicker_configuration_ends_lower_on_the_axis_of_epochs(result):
    rows = [row for row in ranked(result) if row.median is not None]
    drawn = parallel.parallel(rows, ["layers", "units"], set())
    ends = {}
    for trace in drawn["data"]:
        heights = unpacked(trace["y"]).reshape(-1, 4)
        for text, height in zip(trace["text"][::4], heights[:, 2], strict=True):
            ends[text.split("</b>")[0].removeprefix("<b>trial ")] = height
    order = sorted(rows, key=lambda row: row.median)
    heights = [ends[str(row.number)] for row in order]
    assert heights == sorted(heights)


@pytest.fixture(scope="module")
def one_at_a_time(make_result, make_study):
    """A study that changes one setting at a time."""
    study = make_study(
        "laws",
        search={"sampler": "random"},
        space={
            "layers": {"low": 1, "high": 4},
            "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
        },
        training={"epochs": 200, "replicates": 8, "units": 15},
    )
    rates = [{"layers": 3, "learning_rate": 0.0005 * 2**power} for power in range(5)]
    layers = [{"layers": layers, "learning_rate": 0.001} for layers in (1, 2, 4)]
    return make_result([*rates, *layers], study=study)


def test_the_law_of_each_line_is_drawn_through_its_medians(one_at_a_time):
    section = laws.section(tell(one_at_a_time))
    variants = {variant.title: variant for variant in section.plots[0].variants}
    assert set(variants) == {"layers", "learning rate"}
    line, points = variants["learning rate"].figure["data"]
    medians = {
        trial.params["learning_rate"]: trial.summary.escape_median
        for trial in one_at_a_time.trials
        if trial.params["layers"] == 3
    }
    for x, y in zip(unpacked(points["x"]).tolist(), unpacked(points["y"]).tolist(), strict=True):
        rate = min(medians, key=lambda rate: abs(rate - x))
        assert y == pytest.approx(medians[rate], rel=0.25)
    slope = np.polyfit(np.log(unpacked(line["x"])), np.log(unpacked(line["y"])), 1)[0]
    assert slope == pytest.approx(float(line["name"].split()[1].replace("−", "-")), abs=0.02)
    assert "goes with the power" in variants["learning rate"].finding
    for variant in variants.values():
        valid(variant.figure)


def test_values_too_near_to_be_read_are_not_all_written_below_the_axis(make_result, make_study):
    study = make_study(
        "near",
        search={"sampler": "random"},
        space={"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}},
        training={"epochs": 200, "replicates": 8, "layers": 3, "units": 15},
    )
    rates = [0.0004, 0.002, 0.00205, 0.004]
    found = make_result([{"learning_rate": rate} for rate in rates], study=study)
    variant = laws.section(tell(found)).plots[0].variants[0]
    assert variant.figure["layout"]["xaxis"]["tickvals"] == [0.0004, 0.002, 0.004]


def test_a_study_in_which_all_settings_vary_has_no_law(result):
    assert laws.section(tell(result)) is None


def told(section):
    """Each figure's caption with the marks that are drawn."""
    for plot in section.plots:
        for variant in plot.variants:
            yield variant.caption or plot.caption, variant.figure["data"]


@pytest.mark.parametrize("outcome", ["mixed", "solved", "censored", "diverged"])
def test_captions_speak_of_what_is_drawn_and_of_nothing_else(make_result, grid, outcome):
    for result in (make_result(30, outcome=outcome), grid):
        for caption, data in told(time_spent.section(tell(result))):
            symbols = [trace.get("marker", {}).get("symbol") for trace in data]
            assert ("diamond" in caption) == ("diamond" in symbols)
            hatched = any("pattern" in trace["marker"] for trace in data)
            assert ("hatched" in caption) == hatched
        for caption, data in told(settings.section(tell(result))):
            drawn = {
                symbol
                for trace in data
                for symbol in np.atleast_1d(trace.get("marker", {}).get("symbol", "none")).tolist()
            }
            assert ("triangle" in caption) == ("triangle-up" in drawn)
            cells = any(trace["type"] == "heatmap" for trace in data)
            assert ("A cell" in caption) == cells
            assert ("A point" in caption) != cells
            if not cells:
                assert ("cross" in caption) == ("x-thin" in drawn)


def test_one_is_singular_at_points_and_in_captions(result):
    row = replace(ranked(result)[0], median=1.0, plateau=1.0, replicates=1, solved=1)
    text = drawing.hover(row)
    assert "median 1 epoch " in text
    assert "plateau 1 epoch<br>" in text + "<br>"
    assert "1 of 1 replicate<br>" in text


def test_a_line_at_the_floor_has_no_figure_and_the_page_says_why(make_result, make_study):
    study = make_study(
        "floor",
        search={"sampler": "random"},
        space={"learning_rate": {"low": 1e-3, "high": 1.0, "log": True}},
        training={"epochs": 100, "replicates": 5, "units": 15},
    )
    rates = [0.05, 0.06, 0.07, 0.08]
    found = make_result([{"learning_rate": rate} for rate in rates], study=study)
    section = laws.section(tell(found))
    assert section.plots == []
    assert "nothing can be said of a law of the escape" in section.note
