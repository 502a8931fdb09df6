"""The numbers of a comparison as the cells of tables, for a terminal or a page.

A table is its headings, each with the side on which its cells stand ("left" or "right"), and lines
of text.
"""

import math

from sweep.analysis.estimate import Estimate
from sweep.comparing.comparison import StudyComparison
from sweep.comparing.sentences import p_text
from sweep.report.drawing import percent
from sweep.report.rows import number, words

Cells = tuple[list[tuple[str, str]], list[tuple[str, ...]]]


def groups_cells(found: StudyComparison, letters: str = "") -> Cells:
    """What the runs of each group say, each with its letter where there are any."""
    plateau = found.measure.name == "plateau"
    scale, unit = scaled(found)
    first = found.by if found.by in ("trial", "study") else words(found.by)
    headings = [("", "left")] if letters else []
    headings += [(first, "left"), ("runs", "right")]
    headings += [("escaped (95 %)" if plateau else "solved (95 %)", "right")]
    if not found.timed:
        return headings, [
            (
                *([letters[place : place + 1]] if letters else []),
                group.label,
                str(group.runs),
                _share(group.success),
            )
            for place, group in enumerate(found.result.groups)
        ]
    headings += [(f"{unit} (95 %)", "right")]
    headings += [("mean (95 %)", "right")] if plateau else [("ERT (95 %)", "right")]
    headings += [] if plateau else [("plateau", "right")]
    lines: list[tuple[str, ...]] = []
    for place, group in enumerate(found.result.groups):
        line = [letters[place : place + 1]] if letters else []
        line += [group.label, str(group.runs), _share(group.success)]
        line += [_estimate(group.median, scale)]
        line += [_estimate(group.mean if plateau else group.ert, scale)]
        line += [] if plateau else [number(group.plateau.value)]
        lines.append(tuple(line))
    return headings, lines


def contrasts_cells(found: StudyComparison, letters: str = "") -> Cells:
    """Every other group against the first."""
    base = found.first.label
    pairs = found.result.against(base)
    paired = any(pair.paired for pair in pairs)
    headings = [("against", "left")] if letters else []
    headings += [(base if letters else f"against {base}", "left"), ("medians (95 %)", "right")]
    headings += [("means (95 %)", "right")]
    headings += [("slower/faster", "right")] if paired else []
    headings += [("p (Holm)", "right")]
    lines: list[tuple[str, ...]] = []
    labels = [group.label for group in found.result.groups]
    for pair in pairs:
        place = labels.index(pair.other)
        line = [letters[place : place + 1]] if letters else []
        line += [pair.other, _ratio(pair.ratio), _ratio(pair.mean_ratio)]
        if paired:
            line.append(f"{pair.slower}/{pair.faster}" if pair.paired else "–")
        line.append(p_text(pair.p_adjusted).removeprefix("p = ").removeprefix("p "))
        lines.append(tuple(line))
    return headings, lines


def scaled(found: StudyComparison) -> tuple[float, str]:
    """By what the numbers are divided, so that they can be read, and the unit that they then have.

    The quickest group decides: its median has one to three digits before the point.
    """
    unit = found.measure.many
    if found.measure.name != "flops":
        return 1.0, unit
    medians = [group.median.value for group in found.result.groups]
    least = min((value for value in medians if value), default=found.result.budget)
    power = min(15, max(0, 3 * int(math.log10(max(least, 1.0)) // 3)))
    prefix = {0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}[power]
    return 10.0**power, f"{prefix}{unit}"


def _share(found: Estimate) -> str:
    share = percent(round(found.value or 0.0, 2))
    if found.low is None or found.high is None:
        return share
    return f"{share} ({100 * found.low:.0f}–{100 * found.high:.0f})"


def _estimate(found: Estimate, scale: float = 1.0) -> str:
    value, low, high = (
        None if part is None else part / scale for part in (found.value, found.low, found.high)
    )
    if value is None:
        return "–" if low is None else f"≥ {number(low)}"
    ends = _ends(low, high)
    return f"{number(value)} ({ends})" if ends else number(value)


def _ratio(found: Estimate) -> str:
    if found.value is None:
        return "–" if found.low is None else f"≥ ×{number(found.low)}"
    ends = _ends(found.low, found.high)
    return f"×{number(found.value)} ({ends})" if ends else f"×{number(found.value)}"


def _ends(low: float | None, high: float | None) -> str:
    if low is None:
        return "" if high is None else f"–{_end(high)}"
    return f"{_end(low)}+" if high is None else f"{_end(low)}–{_end(high)}"


def _end(value: float) -> str:
    return number(value, 3 if value >= 100 else 2)
