"""The report: a study's results as one HTML file that opens offline.

`render_report` makes the page and `write_report` puts it into a file. The template gets plain
values only; whatever a user gave (names, labels, descriptions) is escaped by jinja2 in the text, by
`drawing.plain` in figures, and by `_embedded` in the data.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from studies.errors import BadInput
from sweep.analysis.plateau import chance_band
from sweep.machine import versions
from sweep.report import curves, figures, landscape, method, sentences, table
from sweep.report.drawing import DASHES, MOST_POINTS, PALETTE, Figure, colours, percent
from sweep.report.measure import Measure, first, ranked_by
from sweep.report.rows import Row, count, number, ranked, searched, words
from sweep.results import StudyResult

CURVE_BUDGET = 160_000
"""Numbers that the page holds for learning curves: with plotly's script they make it 6 MB."""

MOST_CURVES = 200
"""Configurations whose curves the page holds."""

MOST_BARS = 12
"""Configurations in the figure of where the time goes, besides those of the study file."""


def write_report(result: StudyResult, path: Path | str, *, made: datetime | None = None) -> None:
    """Writes the report of a study to a file, whole or not at all.

    `made` is the time it gives as its own; now, if left out. An existing file is replaced. Raises
    BadInput when `path` cannot be a file: a directory or a device, or in a directory that does not
    exist or cannot be written to; OSError when the disk fails.
    """
    path = Path(path)
    if path.is_dir():
        raise BadInput(f"{path} is a directory; the report needs a file name, such as report.html")
    if path.exists() and not path.is_file():
        raise BadInput(f"{path} is not an ordinary file, so the report cannot take its place")
    # A link stays a link: the file that it leads to is replaced.
    path = path.resolve()
    if not path.parent.is_dir():
        raise BadInput(f"cannot write the report {path}: there is no directory {path.parent}")
    page = render_report(result, made=made)
    try:
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except PermissionError as error:
        raise BadInput(
            f"cannot write the report {path}: no permission to write in {path.parent.absolute()}"
        ) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page)
        Path(beside).chmod(0o666 & ~_umask())
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def render_report(result: StudyResult, *, made: datetime | None = None) -> str:
    """The report of a study as an HTML page, for any number of trials, solved or not."""
    return _template().render(context(result, made or datetime.now(UTC)))


def context(result: StudyResult, made: datetime) -> dict[str, Any]:
    """Everything that the template shows, as plain values."""
    rows = ranked(result)
    names = searched(result.trials)
    goals = result.study.search.objectives
    budget, target = _budget(result), percent(result.study.training.target)
    drawings: dict[str, list[Figure]] = {}

    chosen = chosen_rows(rows)
    kept = curve_rows(rows, chosen)
    shown = _learning(result, rows, chosen, kept, target) if rows else None
    landscapes = _landscapes(result, rows, target, first(goals), drawings) if len(rows) > 1 else []
    others = _figures(rows, names, goals, budget, target, drawings) if rows else []
    listing = table.listing(rows, names, goals, target) if rows else None
    sections = [
        ("answer", "The answer"),
        *([("curves", "Learning curves")] if shown else []),
        *([("landscape", "Settings")] if rows else []),
        *[(figure["section"], figure["short"]) for figure in others],
        *([("table", "Configurations")] if rows else []),
        ("method", "Method"),
    ]
    data = {
        "figures": drawings,
        "dark": colours(),
        "palette": [light for light, _ in PALETTE],
        "dashes": DASHES,
        "curves": shown and shown.pop("data"),
        "name": result.name,
    }
    return {
        "name": result.name,
        "description": result.study.description,
        "meta": _meta(result, rows),
        "sections": [{"id": key, "title": title} for key, title in sections],
        "answer": sentences.answer(rows, budget, target, goals),
        "tiles": _tiles(rows, target, first(goals)),
        "measures": table.measures(rows, target),
        "measures_note": table.MEASURES_NOTE,
        "target": target,
        "curves": shown,
        "landscapes": landscapes if rows else None,
        "no_landscape": _no_landscape(names, len(rows)),
        "landscape_caption": _landscape_caption(rows),
        "figures": others,
        "table": listing,
        "definitions": method.definitions(target, budget, goals),
        "facts": method.facts(result, rows, goals),
        "repeat": method.repeat(result),
        **method.study_file(result),
        "version": versions()["sweep"],
        "made": method.day(made),
        "data": _embedded(data),
        "style": _inline("report.css"),
        "script": _inline("report.js"),
        "plotly": _plotly(),
    }


def chosen_rows(rows: Sequence[Row]) -> list[Row]:
    """The configurations whose curves are shown at first: the best, those that the study file gave,
    and the slowest that every replicate still solved."""
    slow = [row for row in rows if row.all_solved][-1:] or [r for r in rows if r.solved][-1:]
    picks = [*rows[:1], *[row for row in rows if row.enqueued][:2], *slow, *rows[1:2]]
    distinct = {row.number: row for row in picks}
    return list(distinct.values())[:3]


def curve_rows(rows: Sequence[Row], chosen: Sequence[Row]) -> tuple[list[Row], bool]:
    """The rows whose curves the page holds, by rank, and whether replicates fit in as well.

    All of them if they fit into `CURVE_BUDGET`, else without replicates, else those chosen, the
    best half, and evenly spaced ones of the rest.
    """
    for lines in (True, False):
        sizes = [curves.curve_values(row, lines=lines) for row in rows]
        if len(rows) <= MOST_CURVES and sum(sizes) <= CURVE_BUDGET:
            return list(rows), lines
    most = min(MOST_CURVES, max(4, int(CURVE_BUDGET / max(1.0, float(np.mean(sizes))))))
    most = min(most, len(rows))
    best = list(rows[: most // 2])
    rest = np.linspace(len(best), len(rows) - 1, most - len(best)).astype(int)
    kept = {row.number: row for row in [*best, *chosen, *[rows[i] for i in rest]]}
    return sorted(kept.values(), key=lambda row: row.place), False


def _learning(
    result: StudyResult,
    rows: Sequence[Row],
    chosen: Sequence[Row],
    kept: tuple[list[Row], bool],
    target: str,
) -> dict[str, Any]:
    held, lines = kept
    band = chance_band(tuple(result.task.class_counts))
    caption = (
        "Lines are medians over the replicates, bands their middle half; a run that ended early "
        "(because it solved the task, or diverged) holds its last value. The tinted stretch, "
        "and the bar in the strip between accuracy and loss, is the median plateau of the "
        "configuration in that colour; a dotted line is its median escape, a diamond the median "
        "epoch of reaching the target. The grey band holds the accuracies that chance explains."
    )
    if lines:
        most = max((len(row.runs) for row in held), default=0)
        some = (
            f" Thin lines are the first {curves.MOST_LINES} of {most} replicates"
            if most > curves.MOST_LINES
            else " Thin lines are single replicates"
        )
        caption += f"{some}."
    else:
        caption += " To keep the file small, single replicates are left out."
    if len(held) < len(rows):
        caption += (
            f" Curves of {count(len(held))} of {count(len(rows))} configurations are in this file: "
            "the best, those shown at first, and evenly spaced ones of the rest."
        )
    longest = max((run.epochs for row in held for run in row.runs), default=0)
    if longest > curves.MOST_EPOCHS:
        caption += f" Curves are thinned to about {curves.MOST_EPOCHS} points."
    return {
        "finding": sentences.curves_finding(chosen, target),
        "caption": caption,
        "lines": lines,
        "numbers": {row.number for row in held},
        "options": [{"number": row.number, "text": _option(row)} for row in held],
        "data": {
            "layout": curves.curves_layout(band, result.study.training.target),
            "chosen": [row.number for row in chosen],
            "trials": {
                str(row.number): curves.learning_curves(row, lines=lines)
                | {
                    "name": f"{row.name}: {row.label}" + (" (given)" if row.enqueued else ""),
                    "epochs": max(run.epochs for run in row.runs),
                }
                for row in held
            },
        },
    }


def _option(row: Row) -> str:
    if row.median is None:
        ending = f"solved {row.solved}/{row.replicates}"
    else:
        ending = f"{number(row.median)} epochs"
    given = ", given" if row.enqueued else ""
    return f"{row.place} · {row.name}{given}: {row.label}: {ending}"


def _landscapes(
    result: StudyResult,
    rows: Sequence[Row],
    target: str,
    measure: Measure,
    drawings: dict[str, list[Figure]],
) -> list[dict[str, Any]]:
    """One figure for the most telling pair of settings, one for the others by choice."""
    chosen = landscape.pairs(searched(result.trials))
    logs = {name for name, span in result.study.space.items() if getattr(span, "log", False)}
    shown: list[dict[str, Any]] = []
    for number_, group in enumerate([chosen[:1], chosen[1:]], start=1):
        if not group:
            continue
        key = f"plot-landscape-{number_}"
        drawings[key] = [landscape.landscape(rows, x, y, target, logs) for x, y in group]
        variants = [
            {
                "title": f"{words(y).capitalize()} × {words(x)}",
                "finding": sentences.landscape_finding(rows, x, y, target, measure),
            }
            for x, y in group
        ]
        shown.append({"id": key, "variants": variants})
        for figure, variant in zip(drawings[key], variants, strict=True):
            figure["finding"] = variant["finding"]
            figure["title"] = variant["title"]
    return shown


def _no_landscape(names: Sequence[str], trials: int) -> str:
    if trials == 1:
        return "A single configuration was tried, so there is no map of settings to draw."
    if not names:
        return "The study searched no setting, so there is no map of settings to draw."
    return (
        f"The study searched one setting only ({words(names[0])}), so there is no map of two "
        "settings to draw; the table below has its values in order."
    )


def _landscape_caption(rows: Sequence[Row]) -> str:
    caption = (
        "A point is a configuration, a cell of a grid the best one tried there; the more it stands "
        "out from the background, the fewer the epochs."
    )
    if any(row.solved and not row.all_solved for row in rows):
        caption += (
            " A triangle was solved by most replicates, a hollow circle by too few for a median; a "
            "grid gives their number."
        )
    if any(not row.solved for row in rows):
        caption += " A cross was solved by none within the budget (censored)."
    caption += (
        " Points of a setting with few values are spread around it, to lie side by side. The other "
        "searched settings vary as well, so a pattern here may be theirs."
    )
    if len(rows) > MOST_POINTS:
        caption += (
            f" A scatter shows {count(MOST_POINTS)} of {count(len(rows))} configurations: the "
            "best, and evenly spaced ones of the rest."
        )
    return caption


def _figures(
    rows: Sequence[Row],
    names: Sequence[str],
    goals: Sequence[str],
    budget: int,
    target: str,
    drawings: dict[str, list[Figure]],
) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = []

    def add(section: str, short: str, heading: str, caption: str, variants: list[Figure]) -> None:
        key = f"plot-{section}"
        drawings[key] = variants
        shown.append(
            {
                "id": key,
                "section": section,
                "short": short,
                "heading": heading,
                "caption": caption,
                "choice": "By",
                "variants": [{"title": v["title"], "finding": v["finding"]} for v in variants],
            }
        )

    if len(goals) > 1:
        finding = sentences.objectives_finding(rows, goals)
        caption = "Left and below is better. Each point is a configuration."
        if len(goals) > 2:
            caption += f" The front is that of {len(goals)} objectives, of which two are drawn."
        drawn = figures.objectives(rows, goals) | {"finding": finding, "title": "objectives"}
        add("front", "Pareto front", "What is traded for what", caption, [drawn])
    bars = [*rows[:MOST_BARS], *[row for row in rows[MOST_BARS:] if row.enqueued][:3]]
    drawn = figures.time_spent(bars, budget, target)
    drawn |= {"finding": sentences.time_finding(bars), "title": "time"}
    own = ", and those that the study file gave" if bars[-1].place > MOST_BARS else ""
    which = (
        f"The {min(len(bars), MOST_BARS)} best {ranked_by(goals)}{own}. " if len(bars) > 1 else ""
    )
    caption = (
        f"{which}Bars are medians over the replicates; the second begins with the escape epoch. "
        "Medians of parts need not add up to the median of the whole, which is the diamond."
    )
    add("time", "Where the time goes", "Where the time goes", caption, [drawn])
    groups = [name for name in names if 2 <= len(landscape.axis(rows, name).levels) <= 6]
    variants = [
        figures.solved_by(rows, name, budget, target)
        | {
            "finding": sentences.solved_by_finding(rows, name, budget, target),
            "title": words(name),
        }
        for name in sorted(groups, key=lambda name: name != "optimizer")
    ]
    if variants and any(row.solved for row in rows):
        caption = (
            f"The share of all runs that had reached {target} by each epoch; runs censored at the "
            "budget, or diverged, stay in the number. The search tried good regions more often and "
            "the other settings vary, so this describes the runs made, and proves no cause."
        )
        add("solved", "When runs solve it", "When runs solve the task", caption, variants)
    return shown


def _tiles(rows: Sequence[Row], target: str, measure: Measure) -> list[dict[str, str]]:
    if not rows:
        return []
    best, given = rows[0], next((row for row in rows if row.enqueued), None)
    runs, solved = sum(row.replicates for row in rows), sum(row.solved for row in rows)
    tiles: list[dict[str, str]] = []
    if best.median is not None:
        name = f"trial {best.number}" + (f", the best {measure.by}" if len(rows) > 1 else "")
        tiles.append(_tile(f"Median epochs to {target}", number(best.median), "epochs", name))
        if best.plateau is not None:
            note = "median epochs at chance"
            tiles.append(_tile("Its plateau", number(best.plateau), "epochs", note))
    if given is not None and given is not best:
        value, unit = number(given.median), "epochs"
        if given.median is None:
            value, unit = f"{given.solved} of {given.replicates}", "solved"
        at = f"trial {given.number}, place {given.place} of {count(len(rows))}"
        if given.plateau is not None:
            at += f"; plateau {number(given.plateau)}"
        tiles.append(_tile("The given configuration", value, unit, at))
    diverged = sum(row.diverged for row in rows)
    note = f"{count(diverged)} diverged" if diverged else "none diverged"
    tiles.append(_tile("Runs solved", count(solved), f"of {count(runs)}", note))
    return tiles


def _tile(label: str, value: str, unit: str, note: str) -> dict[str, str]:
    return {"label": label, "value": value, "unit": unit, "note": note}


def _meta(result: StudyResult, rows: Sequence[Row]) -> str:
    runs = sum(row.replicates for row in rows)
    return (
        f"{sentences.plural(len(rows), 'configuration')} · {sentences.plural(runs, 'run')} · "
        f"budget {sentences.plural(_budget(result), 'epoch')} · task {result.task.name} · "
        f"last changed {method.day(result.updated)}"
    )


def _budget(result: StudyResult) -> int:
    return result.study.training.epochs


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _embedded(data: Any) -> Any:
    """JSON that is safe inside a script element."""
    from markupsafe import Markup

    text = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


@cache
def _inline(name: str) -> Any:
    """A file of this package, to stand in the page as it is."""
    from markupsafe import Markup

    return Markup((Path(__file__).parent / name).read_text(encoding="utf-8"))


@cache
def _plotly() -> Any:
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs())


@cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")
