"""The answer in words, and the grammar that all sentences of the page share.

Every sentence is computed from the rows, and claims no more than they bear: it names its measure,
its replicates, and says so where configurations cannot be told apart.
"""

from collections.abc import Sequence
from typing import Any

from sweep.report.drawing import interval, percent
from sweep.report.measure import MEASURES, Measure, first, ranked_by
from sweep.report.rows import Row, count, describe, number, plural, words


def listed(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(parts) < 2:
        return "".join(parts)
    return ", ".join(parts[:-1]) + " and " + parts[-1]


def sentence(text: str) -> str:
    """The text with a capital at its beginning and a full stop at its end."""
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def setting(name: str, value: Any) -> str:
    """ "3 layers", "adam", "learning rate 0.001"."""
    return describe({name: value})


def _median(row: Row) -> str:
    between = interval(row).strip("()")
    note = f" (95\N{NO-BREAK SPACE}% interval {between})" if between else ""
    return f"{plural(row.median or 0, 'epoch')}{note}"


def _solved(row: Row) -> str:
    return f"{row.solved} of {plural(row.replicates, 'replicate')}"


def _waited(row: Row) -> str:
    """How long a row sat on its plateau, as a clause with "it" for its subject."""
    if row.plateau is None:
        return "most of its replicates never left chance"
    if row.plateau <= 0:
        return "it left chance in its first epoch, so it had no plateau"
    return f"it sat on its plateau, at chance, for {plural(row.plateau, 'epoch')}"


def answer(rows: Sequence[Row], budget: int, target: str, objectives: Sequence[str]) -> list[str]:
    """The study's answer in a few paragraphs; the first is a sentence, the answer itself.

    `target` is how the text calls the target accuracy ("100 %"); `rows` are ranked by the first of
    the `objectives`.
    """
    measure = first(objectives)
    if not rows:
        return [
            "No trial of this study is complete yet, so there is no answer so far. Trials come in "
            "by their number, each when those before it are done."
        ]
    if not all(row.timed for row in rows):
        return _partly_timed(rows, budget, target, objectives)
    if not any(row.solved for row in rows):
        return _nothing_solved(rows, budget, target, ranked_by(objectives))
    if len(rows) == 1:
        return _one_trial(rows[0], budget, target)
    best = rows[0]
    more = [_of_the_winner(best, target), _ties(rows, measure)]
    lead = _winner(rows, budget, target) if measure.in_epochs else _cheapest(rows, measure, target)
    paragraphs = [lead, " ".join(text for text in more if text)]
    if len(objectives) > 1:
        paragraphs.append(_front(rows, objectives))
    by = ranked_by(objectives)
    paragraphs += [own_place(row, len(rows), target, by) for row in rows[1:] if row.enqueued][:3]
    return [text for text in paragraphs if text]


def _partly_timed(
    rows: Sequence[Row], budget: int, target: str, objectives: Sequence[str]
) -> list[str]:
    """The answer where of some trials only a last value is known, and no epoch."""
    timed, bare = [row for row in rows if row.timed], [row for row in rows if not row.timed]
    solved, best = sum(row.solved > 0 for row in bare), bare[0]
    some = count(solved) if solved else "none"
    others = "others" if timed else "configurations"
    lead = (
        f"Of {count(len(bare))} {others}, {some} reached {target}; trial {best.number} "
        f"({best.label}) came {'furthest' if solved else 'nearest'}, to {number(best.reported)}."
    )
    why = (
        "They reported their last value only: in which epoch they reached it, and how they came "
        "there, is unknown."
    )
    if not timed:
        return [lead, why]
    return [*answer(timed, budget, target, objectives), f"{lead} {why}"]


def _of_the_winner(best: Row, target: str) -> str:
    wait = _waited(best)
    text = f"{wait[0].upper()}{wait[1:]}"
    if best.plateau and best.transition is not None:
        text += f", then went from its escape to {target} in {plural(best.transition, 'epoch')}"
    if best.enqueued:
        text += ". It is a configuration that was given, to be tried first"
    if best.validated is not None:
        text += f". On the records held back it ended at an accuracy of {percent(best.validated)}"
        text += " (median)" if best.replicates > 1 else ""
    return text + "."


def _ties(rows: Sequence[Row], measure: Measure) -> str:
    best, close = rows[0], indistinguishable(rows, measure)
    if not close:
        return ""
    what = "" if measure.in_epochs else f" in {words(measure.name)}"
    overlap = "its interval overlaps" if close == 1 else "their intervals overlap"
    few = "is" if best.replicates == 1 else "are"
    return (
        f"By the median, {plural(close, 'other configuration')} cannot be told apart from it{what}:"
        f" {overlap} the winner’s, and {plural(best.replicates, 'replicate')} each {few} too few "
        "to part them."
    )


def _front(rows: Sequence[Row], objectives: Sequence[str]) -> str:
    front = sum(row.front for row in rows)
    names = listed([words(name) for name in objectives])
    extremes = ends(rows, objectives)
    amounts = [
        f"{MEASURES[name].text(MEASURES[name].value(row))} {words(name)}" for name, row in extremes
    ]
    best = extremes[0][1]
    if not all(row is best for _, row in extremes):
        which = "Its ends: " + "; ".join(
            f"{amount}: trial {row.number} ({row.label})"
            for amount, (_, row) in zip(amounts, extremes, strict=True)
        )
    elif front == 1:
        which = f"Best in each is trial {best.number} ({best.label}), with {listed(amounts)}"
    else:
        which = (
            f"All of them have {listed(amounts)}; the first is trial {best.number} ({best.label})"
        )
    return (
        f"{plural(front, 'configuration')} of {count(len(rows))} {'is' if front == 1 else 'are'} "
        f"on the Pareto front of {names}: no other that was solved is as good in every objective "
        f"and better in one. {which}."
    )


def ends(rows: Sequence[Row], objectives: Sequence[str]) -> list[tuple[str, Row]]:
    """Of each objective, the configuration on the front that has the least of it."""
    front = [row for row in rows if row.front]
    return [
        (name, min(front, key=lambda row: row.objectives[place]))
        for place, name in enumerate(objectives)
        if front
    ]


def _nothing_solved(rows: Sequence[Row], budget: int, target: str, by: str) -> list[str]:
    runs, diverged = sum(row.replicates for row in rows), sum(row.diverged for row in rows)
    where = (
        "the one configuration tried" if len(rows) == 1 else f"{count(len(rows))} configurations"
    )
    if diverged == runs:
        return [
            f"Every run diverged: the loss of all {plural(runs, 'run')} of {where} stopped being "
            f"finite, so none reached {target}.",
            "A lower learning rate is the first thing to try.",
        ]
    sentences: list[str] = []
    if diverged:
        sentences.append(f"{plural(diverged, 'run')} diverged.")
    closest = max(rows, key=lambda row: (row.final_accuracy, -row.place))
    which = "It" if len(rows) == 1 else f"The closest, trial {closest.number} ({closest.label}),"
    sentences.append(f"{which} ended at a mean accuracy of {percent(closest.final_accuracy)}.")
    waiting = sum(row.escape is None for row in rows)
    if waiting:
        sentences.append(
            f"In {count(waiting)} of {plural(len(rows), 'configuration')} most replicates never "
            "left chance."
        )
    return [
        f"None of the {plural(runs, 'run')} of {where} reached {target} within the budget of "
        f"{plural(budget, 'epoch')}, so no configuration can be called efficient.",
        " ".join(sentences),
        *[
            own_place(row, len(rows), target, "by the final loss")
            for row in rows
            if row.enqueued and len(rows) > 1
        ][:2],
    ]


def _one_trial(row: Row, budget: int, target: str) -> list[str]:
    lead = (
        f"The one configuration tried, trial {row.number} ({row.label}), reached {target} in "
        f"{_solved(row)}"
    )
    if row.median is not None:
        lead += f", after a median of {_median(row)}."
    else:
        lead += f" within {plural(budget, 'epoch')}: too few for a median."
    wait = _waited(row)
    rest = f"{wait[0].upper()}{wait[1:]}. " if wait else ""
    return [lead, f"{rest}With a single trial there is nothing to compare it with."]


def _winner(rows: Sequence[Row], budget: int, target: str) -> str:
    best = rows[0]
    medians = [row.median for row in rows if row.median is not None]
    if best.median is None:
        return (
            f"Of {count(len(rows))} configurations none reached {target} in most of its "
            f"replicates; trial {best.number} ({best.label}) did best, in {_solved(best)} within "
            f"{plural(budget, 'epoch')}."
        )
    lead = f"Of {count(len(rows))} configurations, trial {best.number} ({best.label}) learned "
    reached = f"a median of {_median(best)} to {target}, solved by {_solved(best)}"
    if best.median <= min(medians):
        level = [row for row in rows[1:] if row.par2 == best.par2]
        if level:
            size = best.parameters
            least = size is not None and all((row.parameters or 0) >= size for row in level)
            size = ", none of which has fewer parameters" if least else ""
            return (
                f"{lead}the task in the fewest epochs, level with {plural(len(level), 'other')}"
                f"{size}: {reached}."
            )
        equal = medians.count(best.median) - 1
        if equal:
            return (
                f"{lead}the task in the fewest epochs, level with {plural(equal, 'other')} by the "
                f"median and ahead by the mean (PAR2 {number(best.par2)}): {reached}."
            )
        return f"{lead}the task in the fewest epochs: {reached}."
    quick = min((row for row in rows if row.median is not None), key=lambda r: r.median or 0)
    return (
        f"{lead}most efficiently by mean epochs, a run that failed counted as twice the budget "
        f"(PAR2 {number(best.par2)}): {reached}. The lowest median, "
        f"{plural(quick.median or 0, 'epoch')}, is that of trial {quick.number}, "
        f"solved by {_solved(quick)}."
    )


def _cheapest(rows: Sequence[Row], measure: Measure, target: str) -> str:
    """The winner by a measure other than epochs."""
    best = rows[0]
    amount = measure.text(measure.value(best))
    lead = (
        f"Of {count(len(rows))} configurations, trial {best.number} ({best.label}) learned the "
        f"task {measure.least}, {amount}"
    )
    if not measure.exact:
        lead += ", a run that failed counted as twice the budget"
    level = sum(measure.value(row) == measure.value(best) and row.solved > 0 for row in rows) - 1
    if level:
        lead += f" (level with {plural(level, 'other')} that took no fewer epochs)"
    if best.median is None:
        return f"{lead}: solved by {_solved(best)}, too few for a median."
    return f"{lead}: a median of {_median(best)} to {target}, solved by {_solved(best)}."


def own_place(row: Row, trials: int, target: str, by: str) -> str:
    """Where a configuration of the study file came among the others, and by which measure."""
    lead = (
        f"The configuration that was given, trial {row.number} ({row.label}), came in at "
        f"place {row.place} of {count(trials)} {by}"
    )
    if row.median is None:
        ending = f": {_solved(row)} reached {target}"
    else:
        ending = f": a median of {_median(row)} to {target}, solved by {_solved(row)}"
    if row.plateau:
        share = ""
        if row.median:
            share = f", about {percent(round(row.plateau / row.median, 2))} of the way"
        ending += f". It sat on its plateau for {plural(row.plateau, 'epoch')}{share}"
    elif row.plateau is None:
        ending += f"; {_waited(row)}"
    return f"{lead}{ending}."


def indistinguishable(rows: Sequence[Row], measure: Measure) -> int:
    """How many configurations have an interval of the median, in this measure, that overlaps the
    winner's; none where the measure is exact."""
    best = rows[0]
    if measure.exact or best.median is None or best.low is None:
        return 0
    high = float("inf") if best.high is None else measure.of(best, best.high)
    return sum(
        row.low is not None and row.median is not None and measure.of(row, row.low) <= high
        for row in rows[1:]
    )
