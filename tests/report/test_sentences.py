"""What the page claims in words has to be what the data say."""

from dataclasses import replace

import numpy as np
import pytest

from sweep.report import curves, parallel, sentences, settings, solved, time_spent
from sweep.report.groups import grouped
from sweep.report.hero import hero_finding, shown_rows
from sweep.report.measure import MEASURES
from sweep.report.rows import ranked

ONE_HUNDRED = "100\u202f%"


def answer(result, objectives=("epochs",)):
    budget = result.study.training.epochs
    return sentences.answer(ranked(result), budget, ONE_HUNDRED, objectives)


def row_like(row, **changes):
    return replace(row, **changes)


def test_the_answer_names_the_winner_its_median_and_how_many_replicates_solved_it(result):
    best = ranked(result)[0]
    lead = answer(result)[0]
    assert f"Of 40 configurations, trial {best.number} ({best.label})" in lead
    assert f"a median of {best.median:.0f} epochs" in lead
    assert "solved by 5 of 5 replicates" in lead


def test_the_answer_gives_the_place_and_plateau_of_what_the_study_file_gave(result):
    own = next(row for row in ranked(result) if row.enqueued)
    text = " ".join(answer(result))
    assert f"trial 0 ({own.label}), came in at place {own.place} of 40 by mean" in text
    assert f"on its plateau for {own.plateau:.0f} epochs" in text


def test_without_enqueued_trials_none_is_spoken_of(make_result, make_study):
    assert "given" not in " ".join(answer(make_result(20, study=make_study(search={}))))


def test_what_was_held_back_is_answered_for_too(result):
    best, *others = ranked(result)
    assert "held back" not in " ".join(answer(result))
    runs = []
    for place, run in enumerate(best.runs):
        ends = np.full((len(run.curves), 2), 0.8 + 0.02 * place, np.float32)
        series = (*run.series, "val_loss", "val_accuracy")
        runs.append(replace(run, curves=np.hstack([run.curves, ends]), series=series))
    rows = [row_like(best, runs=tuple(runs)), *others]
    text = " ".join(sentences.answer(rows, 100, ONE_HUNDRED, ("epochs",)))
    assert "On the records held back it ended at an accuracy of 84\u202f% (median)." in text


def test_a_winner_by_mean_alone_is_not_said_to_have_the_fewest_epochs(result):
    rows = ranked(result)[:2]
    rows = [
        row_like(rows[0], median=6.0, par2=6.0, low=5.0, high=7.0),
        row_like(rows[1], median=4.0, par2=44.0, solved=4, low=3.0, high=None),
    ]
    lead = sentences.answer(rows, 100, ONE_HUNDRED, ["epochs"])[0]
    assert "in the fewest epochs" not in lead
    assert "most efficiently by mean epochs" in lead
    assert f"The lowest median, 4 epochs, is that of trial {rows[1].number}" in lead


def test_ties_and_overlapping_intervals_are_admitted(result):
    rows = [row_like(row, median=5.0, par2=5.0, low=4.0, high=6.0) for row in ranked(result)[:3]]
    text = " ".join(sentences.answer(rows, 100, ONE_HUNDRED, ["epochs"]))
    assert "level with 2 others, none of which has fewer parameters" in text
    assert "2 other configurations cannot be told apart from it" in text


def test_separate_intervals_are_no_tie(result):
    first, second = ranked(result)[:2]
    rows = [
        row_like(first, median=5.0, par2=5.0, low=4.0, high=6.0),
        row_like(second, median=9.0, par2=9.0, low=8.0, high=10.0),
    ]
    assert "told apart" not in " ".join(sentences.answer(rows, 100, ONE_HUNDRED, ["epochs"]))


def test_nothing_solved_is_said_outright(make_result):
    text = answer(make_result(12, outcome="censored"))
    assert text[0].startswith("None of the 60 runs of 12 configurations reached 100\u202f%")
    assert "learned" not in " ".join(text)


def test_everything_diverged_is_said_outright(make_result):
    assert answer(make_result(3, outcome="diverged"))[0].startswith("Every run diverged")


def test_a_single_trial_is_compared_with_nothing(make_result):
    text = " ".join(answer(make_result(1)))
    assert "The one configuration tried" in text
    assert "nothing to compare it with" in text
    assert "fewest" not in text


def test_a_study_without_trials_has_no_answer_yet(make_result):
    assert answer(make_result(0)) == [
        "No trial of this study is complete yet, so there is no answer so far. Trials come in by "
        "their number, each when those before it are done."
    ]


def test_several_objectives_are_answered_with_the_front(make_result, make_study):
    study = make_study(search={"objective": ["epochs", "parameters"]})
    result = make_result(80, study=study)
    front = sum(row.front for row in ranked(result))
    assert front > 1
    text = " ".join(answer(result, ["epochs", "parameters"]))
    assert f"{front} configuration" in text
    assert "Pareto front of epochs and parameters" in text
    assert " Its ends: " in text


@pytest.mark.parametrize(
    ("objectives", "alone", "says"),
    [
        (["epochs", "parameters"], True, "Best in each is trial {} ("),
        # Of one batch size the fewest epochs are the fewest updates.
        (["epochs", "updates"], False, "; the first is trial {} ("),
    ],
)
def test_what_is_best_in_every_objective_is_named_once(
    make_result, make_study, objectives, alone, says
):
    study = make_study(search={"objective": objectives})
    result = make_result(20, study=study)
    rows = ranked(result)
    assert (sum(row.front for row in rows) == 1) == alone
    text = " ".join(answer(result, objectives))
    assert says.format(rows[0].number) in text
    assert "Its ends" not in text


@pytest.mark.parametrize(
    ("objective", "claim", "by"),
    [
        ("flops", "with the fewest training FLOPs, ", "by mean training FLOPs (PAR2)"),
        ("updates", "with the fewest optimizer updates, ", "by mean optimizer updates (PAR2)"),
        ("parameters", "with the fewest parameters, ", "by parameters"),
    ],
)
def test_a_claim_is_about_the_measure_that_was_searched_for(
    make_result, make_study, objective, claim, by
):
    given = {"layers": 3, "units": 15, "optimizer": "adam", "learning_rate": 0.001}
    study = make_study(search={"objective": [objective], "enqueue": [given]})
    result = make_result(30, study=study)
    rows = ranked(result)
    solved = [trial for trial in result.trials if trial.summary.solved]
    least = min(trial.values[0] for trial in solved)
    assert rows[0].objectives[0] == least
    text = answer(result, [objective])
    assert claim in text[0]
    assert MEASURES[objective].text(least) in text[0]
    own = next(row for row in rows if row.enqueued)
    assert f"came in at place {own.place} of 30 {by}:" in " ".join(text)
    finding = settings.landscape_finding(rows, "units", "layers", ONE_HUNDRED, MEASURES[objective])
    assert finding.startswith(f"The most efficient {by} is at")


def test_the_size_of_a_model_is_exact_and_has_no_interval(make_result, make_study):
    study = make_study(search={"objective": ["parameters"]})
    assert "told apart" not in " ".join(answer(make_result(30, study=study), ["parameters"]))


def test_success_by_setting_counts_all_runs(result):
    rows = ranked(result)
    text = settings.landscape_finding(
        rows, "learning_rate", "optimizer", ONE_HUNDRED, MEASURES["epochs"]
    )
    for name in ("adam", "sgd", "rmsprop"):
        runs = [run for row in rows if row.settings["optimizer"] == name for run in row.runs]
        share = round(100 * sum(run.ended == "solved" for run in runs) / len(runs))
        assert f"{share}\u202f% with {name}" in text


def test_the_share_of_the_plateau_is_that_of_the_rows_shown(result):
    rows = [row_like(row, plateau=2.0, median=8.0) for row in ranked(result)[:3]]
    rows[1] = row_like(rows[1], plateau=6.0)
    assert time_spent.best_finding(rows).startswith(
        "The plateau takes between 25\u202f% and 75\u202f% of the median epochs of the 3"
    )


@pytest.mark.parametrize("outcome", ["mixed", "solved", "censored", "diverged"])
@pytest.mark.parametrize("trials", [1, 2, 7])
def test_no_sentence_holds_a_number_that_does_not_exist(make_result, outcome, trials):
    result = make_result(trials, outcome=outcome)
    rows = ranked(result)
    said = [
        *answer(result),
        curves.curves_finding(rows, ONE_HUNDRED),
        time_spent.best_finding(rows),
        time_spent.time_finding(rows),
        parallel.parallel_finding(rows, ["layers", "optimizer"], "by mean epochs (PAR2)"),
        hero_finding(shown_rows(rows), ONE_HUNDRED, 100),
        settings.landscape_finding(rows, "units", "layers", ONE_HUNDRED, MEASURES["epochs"]),
        solved.solved_finding(grouped(rows, "optimizer"), 100, ONE_HUNDRED),
    ]
    for text in said:
        assert text.endswith(".")
        assert "None " not in text.replace("None of", "")
        assert "nan" not in text.split()
        assert "inf" not in text.split()


def test_survival_is_told_by_group_with_the_epoch_of_the_half(result):
    rows = ranked(result)
    text = solved.solved_finding(grouped(rows, "optimizer"), 100, ONE_HUNDRED)
    for name in ("adam", "sgd", "rmsprop"):
        runs = [run for row in rows if row.settings["optimizer"] == name for run in row.runs]
        epochs = sorted(run.epochs for run in runs if run.ended == "solved")
        assert f"{round(100 * len(epochs) / len(runs))}\u202f% " in text
        half = (len(runs) + 1) // 2
        if len(epochs) >= half:
            assert f"(half by epoch {epochs[half - 1]})" in text


def test_the_plateaus_share_is_told_of_the_quickest_and_the_slowest(result):
    rows = [
        row_like(row, median=10.0, plateau=2.0 if row.place <= 10 else 8.0)
        for row in ranked(result)
    ]
    rows = [row_like(row, median=5.0, plateau=1.0) if row.place <= 10 else row for row in rows]
    text = time_spent.time_finding(rows)
    assert "20\u202f% in the quickest quarter, 80\u202f% in the slowest" in text


def test_what_the_best_have_in_common_holds_for_each_of_them(result):
    rows = ranked(result)
    text = parallel.parallel_finding(rows, ["units", "optimizer"], "by mean epochs (PAR2)")
    best = [row for row in rows if row.solved][:3]
    low, high = (f(row.settings["units"] for row in best) for f in (min, max))
    assert f"{low} to {high} units" in text
    assert all(row.settings["optimizer"] in text for row in best)


def test_the_picture_compares_the_best_with_what_the_study_file_gave(result):
    rows = ranked(result)
    shown = shown_rows(rows)
    assert shown[0] is rows[0]
    assert shown[1].enqueued
    text = hero_finding(shown, ONE_HUNDRED, 100)
    assert f"Trial {rows[0].number} " in text
    assert "given to be tried first, sits at chance for" in text
