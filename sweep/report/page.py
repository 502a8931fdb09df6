"""The report: a study's results as one HTML file that opens offline.

`render_report` makes the page and `write_report` puts it into a file. The template gets plain
values only; whatever a user gave (names, labels, descriptions) is escaped by jinja2 in the text, by
`drawing.plain` in figures, and by `_embedded` in the data.
"""

import json
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studies.errors import BadInput
from sweep.machine import versions
from sweep.report import (
    curves,
    front,
    hero,
    laws,
    matters,
    method,
    sentences,
    settings,
    solved,
    table,
    time_spent,
    versus,
    why,
)
from sweep.report.data import OfRows, document, whole
from sweep.report.drawing import DASHES, PALETTE, QUIET, colours, hover, swapped
from sweep.report.packing import MARK
from sweep.report.rows import count, number
from sweep.report.story import Section, Story, tell
from sweep.results import StudyResult

if TYPE_CHECKING:
    from sweep.explain import Explanation

SectionMaker = Callable[[Story], Section | None]

SECTIONS: tuple[SectionMaker, ...] = (
    curves.section,
    front.section,
    time_spent.section,
    settings.section,
    solved.section,
    versus.section,
    matters.section,
    laws.section,
)
"""The sections between the answer and the table, in the order in which a reader asks."""

LIVE_SECTIONS = tuple(make for make in SECTIONS if make is not versus.section)
"""Those of a study that is running: nothing is tested again and again while runs come in."""


def write_report(
    result: StudyResult,
    path: Path | str,
    *,
    why: "Sequence[Explanation]" = (),
    made: datetime | None = None,
) -> None:
    """Writes the report of a study to a file, whole or not at all: a page, or the picture of its
    answer alone where the file is named .svg.

    `why` is what `explain` found about trials of it (see `sweep.report.why.explanations`), `made`
    the time that the page gives as its own; now, if left out. An existing file is replaced. Raises
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
    if path.suffix.lower() == ".svg":
        page = hero.answer_picture(tell(result))
    else:
        page = render_report(result, why=why, made=made)
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


def render_report(
    result: StudyResult,
    *,
    why: "Sequence[Explanation]" = (),
    made: datetime | None = None,
) -> str:
    """The report of a study as an HTML page, for any number of trials, solved or not."""
    return _template().render(context(tell(result, why), made or datetime.now(UTC)))


def render_live(result: StudyResult, *, stamp: str, whole: bool) -> str:
    """The report of a study that is running, to be served; `stamp` says which state it is.

    As a `whole` it has its scripts, and asks its server for what is new; else it is what an open
    page takes in.
    """
    values = context(tell(result), datetime.now(UTC), LIVE_SECTIONS) | {
        "live": True,
        "stamp": stamp,
    }
    if whole:
        values["script"] += _inline("live.js")
    else:
        values |= {"plotly": "", "script": ""}
    return _template().render(values)


def context(
    story: Story, made: datetime, makers: Sequence[SectionMaker] = SECTIONS
) -> dict[str, Any]:
    """Everything that the template shows, as plain values."""
    result = story.result
    timed = story.timed
    sections = [section for make in makers if (section := make(timed)) is not None]
    shown = next((section.more for section in sections if section.id == "curves"), None)
    listing = table.listing(story) if story.rows else None
    explained = why.sections(story)
    plots = [plot for section in (*sections, *explained) for plot in section.plots]
    marks = {hover(row): f"{MARK}{row.number}" for row in story.rows}
    figures = {
        plot.id: [
            {
                "title": v.title,
                "finding": v.finding,
                "caption": v.caption,
                "taken": document(v.data, story.names),
            }
            | swapped(v.figure, marks)
            for v in plot.variants
        ]
        for plot in plots
    }
    named = [v.data for plot in plots for v in plot.variants if isinstance(v.data, OfRows)]
    needed = {row.number: row for part in named for row in part.rows}
    needed |= {row.number: row for row in table.shown_rows(story.rows)}
    data = {
        "figures": figures,
        "numbers": whole(needed.values(), story.names),
        "texts": _used(figures, marks),
        "dark": colours(),
        "palette": [light for light, _ in PALETTE],
        "dashes": DASHES,
        "curves": shown["data"] if shown else None,
        "name": result.name,
    }
    return {
        "name": result.name,
        "description": result.study.description,
        "meta": _meta(story),
        "nav": [
            ("answer", "The answer"),
            *[(section.id, section.short) for section in sections],
            *([("table", "Configurations")] if listing else []),
            *[(section.id, section.short) for section in explained],
            ("method", "Method"),
        ],
        "answer": sentences.answer(story.rows, story.budget, story.target, story.goals),
        "hero": _hero(story),
        "tiles": _tiles(story),
        "measures": table.measures(story.rows, story.target),
        "measures_note": table.MEASURES_NOTE,
        "target": story.target,
        "sections": sections,
        "most_curves": len(PALETTE),
        "curve_numbers": shown["numbers"] if shown else set(),
        "table": listing,
        "why": explained,
        "definitions": method.definitions(story.target, story.budget, story.goals),
        "facts": method.facts(story),
        "repeat": method.repeat(story),
        **method.study_file(result),
        "version": versions()["sweep"],
        "made": method.day(made),
        "data": _embedded(data),
        "style": _style(),
        "script": _inline("filter.js") + _inline("report.js"),
        "plotly": _plotly(),
        "live": False,
    }


def _used(figures: dict[str, Any], marks: dict[str, str]) -> dict[str, str]:
    """The texts that the marks in the figures stand for."""
    used = set(re.findall(f"{MARK}[0-9]+", json.dumps(figures, ensure_ascii=False)))
    return {mark: text for text, mark in marks.items() if mark in used}


def _hero(story: Story) -> dict[str, Any] | None:
    from markupsafe import Markup

    drawn = hero.hero(story)
    if drawn is None:
        return None
    return {
        "finding": drawn["finding"],
        "caption": drawn["caption"],
        "trials": drawn["trials"],
        "wide": Markup(drawn["wide"]),
        "narrow": Markup(drawn["narrow"]),
    }


def _tiles(story: Story) -> list[dict[str, str]]:
    rows, target, measure = story.rows, story.target, story.measure
    if not rows:
        return []

    def epochs(amount: float | None) -> str:
        return "epoch" if amount == 1 else "epochs"

    best, given = rows[0], next((row for row in rows if row.enqueued), None)
    runs, solved = sum(row.replicates for row in rows), sum(row.solved for row in rows)
    tiles: list[dict[str, str]] = []
    if best.median is not None:
        name = f"trial {best.number}" + (f", the best {measure.by}" if len(rows) > 1 else "")
        tiles.append(
            _tile(f"Median epochs to {target}", number(best.median), epochs(best.median), name)
        )
        if best.plateau is not None:
            note = "median epochs at chance"
            tiles.append(_tile("Its plateau", number(best.plateau), epochs(best.plateau), note))
    if given is not None and given is not best:
        value, unit = number(given.median), epochs(given.median)
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


def _meta(story: Story) -> str:
    result, rows = story.result, story.rows
    runs = sum(row.replicates for row in rows)
    timed = not rows or any(row.timed for row in rows)
    budget = f"budget {sentences.plural(story.budget, 'epoch')} · " if timed else ""
    return (
        f"{sentences.plural(len(rows), 'configuration')} · {sentences.plural(runs, 'run')} · "
        f"{budget}task {result.task.name} · "
        f"last changed {method.day(result.updated)}"
    )


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
def _style() -> Any:
    """The style sheet, with the colours of series as variables."""
    from markupsafe import Markup

    pairs = [*PALETTE, QUIET]
    light, dark = (
        ";".join(f"--c{slot}:{pair[which]}" for slot, pair in enumerate(pairs)) for which in (0, 1)
    )
    own = f":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
    return Markup(own) + _inline("report.css")


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
