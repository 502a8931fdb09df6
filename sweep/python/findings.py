"""What a result gives besides tables: its figures by name, a comparison, an explanation."""

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from studies.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

    from sweep.comparing import StudyComparison
    from sweep.explain import Explanation

SUMMARY = ("group", "replicates", "solved", "median", "median_low", "median_high")
"""What a comparison shows of its groups in a notebook."""


class Figures(Mapping[str, "Figure"]):
    """Figures by name: a mapping whose own text is the list of their names."""

    def __init__(self, figures: "Mapping[str, Figure]") -> None:
        self._figures = dict(figures)

    def __getitem__(self, name: str) -> "Figure":
        """The figure of that name; BadInput with the names that there are for another."""
        if name not in self._figures:
            from studies.problems import nearest

            near = nearest(name, self._figures)
            raise UnknownFigure(
                f"no figure {name!r}"
                + (f"; did you mean {near!r}?" if near else "")
                + f" (there are: {', '.join(self._figures) or 'none'})"
            )
        return self._figures[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._figures)

    def __len__(self) -> int:
        return len(self._figures)

    def __repr__(self) -> str:
        return "Figures: " + (", ".join(self._figures) or "none")

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._figures)


class UnknownFigure(BadInput, KeyError):
    """A name that no figure has; a KeyError too, as a mapping's callers expect."""

    __str__ = BadInput.__str__


@dataclass(frozen=True, eq=False, repr=False)
class Why:
    """Why a configuration waits: the verdict, and what each change did.

    `details` has everything as plain Python objects.
    """

    details: "Explanation"

    @property
    def verdict(self) -> tuple[str, ...]:
        """What was found, a sentence or a few each."""
        return self.details.verdict

    @property
    def effects(self) -> "pd.DataFrame":
        """A row a change, in the order in which they are tried, with the keys of `explain --json`.

        `ratio` is the median plateau under the change over that of the unchanged configuration,
        with its 95 % interval `ratio_low` … `ratio_high` over pairs of equal seeds, and
        `p_adjusted` Holm's p-value; `epochs_…` and `plateau_…` are in epochs. Numbers that do not
        exist are NaN.
        """
        from sweep.explain import explanation_json

        return _frame(explanation_json(self.details)["interventions"])

    def __repr__(self) -> str:
        return "\n".join(self.verdict)

    def _repr_html_(self) -> str:
        return "<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in self.verdict) + "</ul>"


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Groups of runs against one another: what was found in words, and its numbers.

    `details` has everything as plain Python objects, the survival curves among them.
    """

    details: "StudyComparison"

    @property
    def finding(self) -> tuple[str, ...]:
        """What was found, in sentences."""
        from sweep.comparing import finding

        return tuple(finding(self.details))

    @property
    def notes(self) -> tuple[str, ...]:
        """How the groups were made, and what the comparison does not show."""
        return self.details.notes

    @property
    def groups(self) -> "pd.DataFrame":
        """A row a group, with the keys of `compare --json`; times in the measure's unit.

        `success_rate`, `median`, `mean_within_budget`, `ert` and `plateau_median` (always in
        epochs) have their 95 % intervals beside them, as `…_low` and `…_high`; an end or a number
        that does not exist is NaN.
        """
        rows = self._document["groups"]
        return _frame([{k: v for k, v in row.items() if k != "survival"} for row in rows])

    @property
    def contrasts(self) -> "pd.DataFrame":
        """A row a pair of groups, with the keys of `compare --json`.

        `ratio` is that of `other`'s median to `baseline`'s and `mean_ratio` that of the means
        within the budget, with their 95 % intervals; `p_adjusted` is Holm's p-value.
        """
        return _frame(self._document["contrasts"])

    @cached_property
    def _document(self) -> dict[str, Any]:
        from sweep.comparing import as_json

        return as_json(self.details)

    def __repr__(self) -> str:
        return "\n".join(self.finding)

    def _repr_html_(self) -> str:
        table = self.groups[list(SUMMARY)].to_html(index=False, border=0, na_rep="–")
        return "<div>" + "".join([*paragraphs(self.finding), table]) + "</div>"


def _frame(rows: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    """Rows of JSON's values as a data frame; columns of numbers are numbers, with NaN for null."""
    import pandas as pd

    names = rows[0] if rows else ()
    numbers = [name for name in names if all(_is_number_or_null(row[name]) for row in rows)]
    whole = [name for name in numbers if all(isinstance(row[name], int) for row in rows)]
    kinds = {name: "int64" if name in whole else "float64" for name in numbers}
    return pd.DataFrame(rows).astype(kinds)


def _is_number_or_null(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def paragraphs(texts: Iterable[str]) -> list[str]:
    """Each text as a paragraph of HTML."""
    return [f"<p>{html.escape(text)}</p>" for text in texts]
