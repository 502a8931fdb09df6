"""Laws on a terminal: the exponents, and a line's medians beside its law."""

import textwrap
from collections.abc import Sequence

import numpy as np
from rich.table import Table

from sweep.analysis.laws import Law
from sweep.cli.plot import COLOURS, GREY, Plot
from sweep.cli.screens import table
from sweep.comparing import StudyLaw
from sweep.comparing.laws import exponent_text, signed
from sweep.report.rows import number, words

HEIGHT = 10


def laws_table(found: Sequence[StudyLaw]) -> Table:
    """The exponent of every line, beside what theory says and what fits best."""
    headings = [("setting", "left"), ("runs", "right"), ("exponent (95 %)", "right")]
    headings += [("theory", "right"), ("off by", "right"), ("fits best", "left")]
    lines: list[tuple[str, ...]] = []
    for one in found:
        setting = words(one.key) + (f" ({one.others})" if one.others else "")
        theory = "–" if one.theory is None else one.theory.form or signed(one.theory.exponent)
        if one.law is None:
            lines.append((setting, "–", "–", theory, "–", "–"))
            continue
        law = one.law
        off = f"×{number(law.misfit)}"
        lines.append((setting, str(law.runs), exponent_text(law), theory, off, law.best))
    return table(headings, lines)


def levels_table(found: StudyLaw, law: Law) -> Table:
    """The values of a line: how many runs got there, their median, the law's."""
    unit = "escape" if found.measure.name == "plateau" else found.measure.many
    headings = [(words(found.key), "right"), ("runs", "right"), ("there", "right")]
    headings += [(f"median {unit}", "right"), ("law", "right"), ("median/law", "right")]
    return table(
        headings,
        (
            (
                number(level.x),
                str(level.runs),
                str(level.reached),
                number(level.median),
                number(level.law),
                f"×{number(level.median / level.law)}",
            )
            for level in law.levels
        ),
    )


def law_plot(found: StudyLaw, law: Law, width: int, colours: bool) -> str:
    """The medians of a line and its power law, both axes logarithmic, in `width` columns."""
    xs = np.log10([level.x for level in law.levels])
    medians = np.log10([level.median for level in law.levels])
    fitted = np.log10([level.law for level in law.levels])
    low = float(min(medians.min(), fitted.min()))
    high = float(max(medians.max(), fitted.max()))
    edge = max(0.05, 0.06 * (high - low))
    span = float(xs[-1] - xs[0])
    labels = {float(place): number(10**place) for place in np.linspace(low, high, 4)}
    margin = max(len(label) for label in labels.values()) + 1
    plot = Plot(
        max(8, width - margin),
        HEIGHT,
        (float(xs[0]) - 0.02 * span, float(xs[-1]) + 0.02 * span),
        (low - edge, high + edge),
    )
    plot.curve(xs, fitted, GREY)
    for x, median in zip(xs.tolist(), medians.tolist(), strict=True):
        plot.letter(x, median, "o", COLOURS[0])
    marks = {float(x): number(level.x) for x, level in zip(xs, law.levels, strict=True)}
    what = "escape" if found.measure.name == "plateau" else f"{found.measure.many} to target"
    said = f"{what} by {words(found.key)}, both logarithmic – o: medians, line: the power law"
    return "\n".join([textwrap.fill(said, width), *plot.lines(marks, labels, colours)])
