"""The picture of the answer: how the best configuration learns, and what it is compared with.

An SVG made here, since it has to be there at first sight, on paper and without JavaScript. Its
colours are the page's (`--c0`, `--c1` and so on), so that it follows the reader's light or dark.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.errors import BadInput
from sweep.report.curves import MOST_LINES, held
from sweep.report.drawing import PALETTE, PAPER, QUIET
from sweep.report.rows import Row, number
from sweep.report.sentences import plural, sentence
from sweep.report.story import Story

WIDE, NARROW = (1104, 384), (360, 360)
"""Sizes of the picture, in pixels: of a page, and of a phone."""

ALONE = (760, 350)
"""Size of the picture of a single trial."""

CHARACTER = 7.0
"""Width of a character of the text, in pixels, on average."""


def hero(story: Story) -> dict[str, str] | None:
    """The picture for wide and for narrow pages, with its finding; None without trials."""
    rows = _drawable(story)
    if not rows:
        return None
    finding = hero_finding(rows, story.target, story.budget)
    return {
        "finding": finding,
        "caption": _caption(rows, story.target),
        "trials": " ".join(str(row.number) for row in rows),
        "wide": _Picture(story, rows, *WIDE).svg(finding),
        "narrow": _Picture(story, rows, *NARROW).svg(finding),
    }


def _caption(rows: Sequence[Row], target: str) -> str:
    """How to read the picture, and nothing that is not in it."""
    caption = "Thick lines are medians over replicates, thin lines single ones"
    if all(len(row.runs) == 1 for row in rows):
        caption = "A line is the one replicate of its configuration"
    caption += "; a bar is the median plateau"
    if any(row.median is not None for row in rows):
        caption += f", a diamond the median epoch of reaching {target}"
    return f"{caption}."


def answer_picture(story: Story) -> str:
    """The picture of the answer as an SVG file of its own, in the light colours.

    Raises BadInput where there is no finished trial to draw.
    """
    rows = _drawable(story)
    if not rows:
        raise BadInput(f"{story.result.name} has no finished trial yet, so nothing to draw")
    return _file(story, rows, WIDE)


def _drawable(story: Story) -> list[Row]:
    """The trials to draw: none where there is no chance, and none without an accuracy to reach."""
    if story.band is None or story.result.study.training.bound is not None:
        return []
    return [row for row in shown_rows(story.rows) if held(row.runs, "accuracy").size]


def trial_picture(story: Story) -> str:
    """The picture of a story's first row as an SVG file of its own, in the light colours."""
    return _file(story, list(story.rows[:1]), ALONE)


def shown_rows(rows: Sequence[Row]) -> list[Row]:
    """The best configuration, and the one that was given, else the slowest that learns
    for sure."""
    given = [row for row in rows[1:] if row.enqueued][:1]
    slow = [row for row in rows[1:] if row.all_solved][-1:]
    return [*rows[:1], *(given or slow or rows[-1:] if len(rows) > 1 else [])]


def hero_finding(rows: Sequence[Row], target: str, budget: int) -> str:
    """What the picture shows, in a sentence."""
    parts: list[str] = []
    for row in rows:
        name = row.name + (", given to be tried first," if row.enqueued else "")
        if row.plateau is None:
            text = f"{name} stays at chance for all of its {plural(budget, 'epoch')}"
            if row.diverged == row.replicates:
                text = f"{name} diverges"
        elif row.median is None or row.transition is None:
            text = f"{name} leaves chance after {plural(row.plateau, 'epoch')}, and most of its "
            text += f"replicates do not reach {target}"
        elif row.plateau == 0:
            text = f"{name} leaves chance at once and reaches {target} in epoch "
            text += number(row.median)
        else:
            text = f"{name} sits at chance for {plural(row.plateau, 'epoch')} and reaches {target} "
            text += f"in epoch {number(row.median)}"
        parts.append(text)
    return sentence("; ".join(parts))


def _file(story: Story, rows: Sequence[Row], size: tuple[int, int]) -> str:
    drawn = _Picture(story, rows, *size).svg(hero_finding(rows, story.target, story.budget))
    colours = ";".join(f"--c{slot}:{light}" for slot, (light, _) in enumerate(PALETTE))
    each = "".join(
        f"polyline.c{slot},line.c{slot}{{stroke:var(--c{slot})}}"
        f"text.c{slot},.fill.c{slot}{{fill:var(--c{slot})}}"
        for slot in range(len(rows))
    )
    style = (
        f"svg{{{colours};--paper:{PAPER[0]};background:{PAPER[0]};font:13px sans-serif}}"
        f".band{{fill:#f0f0ec}}.goal{{stroke:{QUIET[0]};stroke-dasharray:2 4}}"
        f".axis{{stroke:#dedfd9}}.quiet{{fill:{QUIET[0]};font-size:12px}}"
        "polyline{fill:none}.thin{stroke-width:1;opacity:.45}.thick{stroke-width:3}"
        f".rest{{stroke-width:2.5}}{each}"
        ".inside{fill:var(--paper);font-weight:600}.name{font-weight:600}"
    )
    tag = f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}"'
    return drawn.replace("<svg", tag, 1).replace(">", f"><style>{style}</style>", 1)


@dataclass
class _Picture:
    """Accuracy by epoch above, a bar for each configuration's plateau below."""

    story: Story
    rows: Sequence[Row]
    width: int
    height: int

    def __post_init__(self) -> None:
        band = self.story.band
        assert band is not None
        self.band = band
        self.left, self.right = 14.0, self.width - 14.0
        self.strip = 34.0 * len(self.rows)
        self.top, self.bottom = 44.0, self.height - 40.0 - self.strip
        self.longest = max((run.epochs for row in self.rows for run in row.runs), default=1)
        ends = [row.median for row in self.rows if row.median is not None]
        self.log = bool(ends) and self.longest > 15 * min(ends)
        target = self.story.result.study.training.target
        drawn = [held(row.runs, "accuracy") for row in self.rows]
        lowest = min([band.low, *(float(values.min()) for values in drawn if values.size)])
        self.low, self.high = lowest - 0.03, max(target, band.high)

    def x(self, epoch: float) -> float:
        """Where an epoch lies; the first has room on its left."""
        epoch = max(epoch, 0.6)
        if self.log:
            share = math.log(epoch / 0.6) / math.log(max(self.longest, 2) / 0.6)
        else:
            share = (epoch - 0.6) / (max(self.longest, 2) - 0.6)
        return self.left + share * (self.right - self.left)

    def y(self, accuracy: float) -> float:
        share = (accuracy - self.low) / (self.high - self.low)
        return self.bottom - share * (self.bottom - self.top)

    def svg(self, finding: str) -> str:
        parts = [*self._ground(), *self._axis()]
        for slot, row in reversed([*enumerate(self.rows)]):
            parts += self._curves(row, slot)
        for slot, row in enumerate(self.rows):
            parts += self._bar(row, slot)
        parts += self._ends()
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{html.escape(finding)}">{"".join(parts)}</svg>'
        )

    def _ground(self) -> list[str]:
        """The chance band and the target."""
        top, bottom = self.y(self.band.high), self.y(max(self.band.low, self.low))
        goal = self.y(self.story.result.study.training.target)
        return [
            f'<rect class="band" x="{self.left:.1f}" y="{top:.1f}" '
            f'width="{self.right - self.left:.1f}" height="{bottom - top:.1f}"/>',
            self._text(self.right - 8, bottom - 8, "what chance explains", "quiet", "end"),
            f'<line class="goal" x1="{self.left:.1f}" x2="{self.right:.1f}" y1="{goal:.1f}" '
            f'y2="{goal:.1f}"/>',
            self._text(self.left, goal - 7, f"{self.story.target} accuracy", "quiet", "start"),
        ]

    def _axis(self) -> list[str]:
        """Epochs below everything."""
        y = self.bottom + self.strip + 14
        parts = [
            f'<line class="axis" x1="{self.left:.1f}" x2="{self.right:.1f}" y1="{y}" y2="{y}"/>'
        ]
        if self.log:
            ticks = [e * 10**p for p in range(7) for e in (1, 2, 5) if e * 10**p <= self.longest]
        else:
            rough = max(self.longest, 2) / (10 if self.width > 500 else 5)
            size = 10 ** math.floor(math.log10(rough))
            step = max(1, next(size * m for m in (1, 2, 5, 10) if size * m >= rough))
            ticks = [1, *(t for t in range(int(step), self.longest + 1, int(step)) if t > 1)]
        last = -math.inf
        for tick in ticks:
            at = self.x(tick)
            if at - last < 30:
                continue
            last = at
            first = tick == ticks[0]
            parts.append(
                f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{y}" y2="{y + 4}"/>'
                + self._text(at, y + 18, f"epoch {tick}" if first else str(tick), "quiet", "middle")
            )
        return parts

    def _curves(self, row: Row, slot: int) -> list[str]:
        """The replicates as thin lines, their median as a thick one."""
        parts: list[str] = []
        if len(row.runs) > 1:
            for run in row.runs[:MOST_LINES]:
                parts.append(self._line(run.curve("accuracy"), f"thin c{slot}"))
        values = held(row.runs, "accuracy")
        if values.size:
            parts.append(self._line(np.median(values, axis=0), f"thick c{slot}"))
        return parts

    def _line(self, accuracy: np.ndarray, kind: str) -> str:
        step = max(1, math.ceil(len(accuracy) / 400))
        points = [
            f"{self.x(i + 1):.1f},{self.y(float(value)):.1f}"
            for i, value in enumerate(accuracy)
            if math.isfinite(value) and (i % step == 0 or i == len(accuracy) - 1)
        ]
        return f'<polyline class="{kind}" points="{" ".join(points)}"/>'

    def _bar(self, row: Row, slot: int) -> list[str]:
        """The plateau as a bar that says how long it is, and a line on to the target."""
        y = self.bottom + 12 + 34 * slot
        end = max(run.epochs for run in row.runs) if row.escape is None else row.escape
        start, stop = self.x(1), self.x(end)
        finish = stop if row.median is None else self.x(row.median)
        waits = "the whole budget" if row.plateau is None else plural(row.plateau, "epoch")
        said = f"{waits} at chance"
        if row.plateau == 0:
            said = "no wait at chance"
        elif row.diverged == row.replicates:
            said = "diverged"
        parts: list[str] = []
        if stop > start:
            parts.append(
                f'<rect class="fill c{slot}" x="{start:.1f}" y="{y}" '
                f'width="{stop - start:.1f}" height="22"/>'
            )
        if finish > stop:
            parts.append(
                f'<line class="rest c{slot}" x1="{stop:.1f}" x2="{finish:.1f}" y1="{y + 11}" '
                f'y2="{y + 11}"/>'
            )
        if row.median is not None:
            parts.append(self._diamond(finish, y + 11, slot))
        if CHARACTER * len(said) + 16 < stop - start:
            parts.append(self._text(start + 9, y + 15.5, said, "inside", "start"))
        else:
            parts.append(self._text(finish + 13, y + 15.5, said, f"c{slot}", "start"))
        return parts

    def _ends(self) -> list[str]:
        """Where the medians reach the target, by name, one above the other where they are near."""
        parts: list[str] = []
        goal = self.y(self.story.result.study.training.target)
        taken: list[tuple[float, float]] = []
        for slot, row in enumerate(self.rows):
            best = "the best" if slot == 0 and row.solved and len(self.rows) > 1 else ""
            which = "as given" if row.enqueued else best
            name = f"{row.name}, {which}" if which else row.name
            if row.median is None:
                values = held(row.runs, "accuracy")[:, -1:]
                at, y = self.right, self.y(float(np.median(values)) if values.size else self.low)
                text, y = f"{name}: {row.solved} of {row.replicates} solved", min(y, goal) - 14
            else:
                at, y = self.x(row.median), goal - 16
                text = f"{name}: {plural(row.median, 'epoch')}"
                parts.append(self._diamond(at, goal, slot))
            size = CHARACTER * len(text)
            start = min(max(self.left, at - size / 2), self.right - size)
            if start < self.left + 110 and y > goal - 30:
                start = max(start, self.left + 110)
            if any(start < b + 12 and a - 12 < start + size for a, b in taken):
                y -= 20
            taken.append((start, start + size))
            parts.append(self._text(start, y, text, f"name c{slot}", "start"))
        return parts

    def _diamond(self, x: float, y: float, slot: int) -> str:
        return (
            f'<path class="fill c{slot}" d="M{x:.1f} {y - 7:.1f}l7 7l-7 7l-7 -7z" '
            'stroke="var(--paper)" stroke-width="1.5"/>'
        )

    def _text(self, x: float, y: float, text: str, kind: str, anchor: str) -> str:
        return (
            f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f"{html.escape(text)}</text>"
        )
