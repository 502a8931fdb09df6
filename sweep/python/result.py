"""A study as Python has it: its answer in words, its tables as data frames, its figures."""

import html
import os
from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studies.errors import BadInput
from sweep.python.findings import Comparison, Figures, Why, paragraphs
from sweep.python.progress import Shown, shown

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

    from sweep.report.rows import Row
    from sweep.results import StudyResult

BEST = 10
"""Configurations in what a result shows of itself, besides those that were given."""

MOST_CURVES = 6
"""Trials in one figure of learning curves; more colours cannot be told apart."""


class Result:
    """A study and what its runs say, as it was when it was read.

    `details` has everything as plain Python objects. In a notebook a result shows its answer and
    its best configurations.
    """

    def __init__(self, details: "StudyResult", url: str) -> None:
        self.details = details
        self._url = url

    @property
    def name(self) -> str:
        """The study's name."""
        return self.details.name

    @property
    def storage(self) -> str:
        """The database as an SQLAlchemy URL, without a password."""
        return self.details.storage

    @cached_property
    def _rows(self) -> "list[Row]":
        from sweep.report.rows import ranked

        return ranked(self.details)

    @property
    def answer(self) -> str:
        """What was found, in words: paragraphs with an empty line between them."""
        return "\n\n".join(self._paragraphs())

    def _paragraphs(self) -> list[str]:
        from sweep.report.drawing import percent
        from sweep.report.sentences import answer

        training, objectives = self.details.study.training, self.details.study.search.objectives
        return answer(self._rows, training.epochs, percent(training.target), objectives)

    @property
    def best(self) -> dict[str, Any] | None:
        """The most efficient configuration under the keys that `run --json` has; None without any.

        `params` are its searched settings; a number that does not exist is None.
        """
        from sweep.results import configuration_json

        if not self._rows:
            return None
        number = self._rows[0].number
        return configuration_json(next(t for t in self.details.trials if t.number == number))

    @cached_property
    def _trials(self) -> "pd.DataFrame":
        import pandas as pd

        from sweep.analysis.survival import Summary
        from sweep.results import configuration_json

        kinds = {f.name: "int64" if f.type is int else "float64" for f in fields(Summary)}
        kinds = {"place": "int64", "trial": "int64", "enqueued": "bool"} | kinds
        by_number = {trial.number: trial for trial in self.details.trials}
        rows: list[dict[str, Any]] = []
        names: dict[str, str] = {}
        for row in self._rows:
            document = configuration_json(by_number[row.number])
            params = document.pop("params")
            for key in params:
                names.setdefault(key, f"params.{key}" if key in kinds else key)
            settings = {names[key]: value for key, value in params.items()}
            rows.append(document | {"place": row.place, "enqueued": row.enqueued} | settings)
        columns = ["place", "trial", *names.values(), *list(kinds)[2:]]
        return pd.DataFrame(rows, columns=columns).astype(kinds)

    @property
    def trials(self) -> "pd.DataFrame":
        """A row a configuration, the most efficient first.

        Columns: `place` from 1 (int64), `trial` (int64), each searched setting by its name,
        `enqueued` (bool: it was given), then the numbers over its replicates under the
        keys that `run --json` has: `replicates`, `solved`, `censored`, `diverged` and `parameters`
        are int64, all others float64, NaN where there is no such number. `epochs_median`, with its
        95 % interval `epochs_low` … `epochs_high`, `par2`, `ert`, `escape_median`, `plateau_median`
        and `transition_median` are in epochs, `success_rate` in [0, 1], `flops` the training FLOPs
        to the target. A setting that a trial does not have is NaN; one of the name of another
        column is under `params.` and its name.
        """
        return self._trials.copy()

    @property
    def runs(self) -> "pd.DataFrame":
        """A row a run: the table that `export` writes.

        Columns: those of `sweep.tables.RUN_COLUMNS`, where they are described, then every setting
        of the configuration by its name, searched or not. Epochs are counted from 1; `escape` and
        `transition` are float64, NaN where the run never escaped or never solved the task; `loss`
        is in nats, `accuracy` in [0, 1]; `ended` is "solved", "censored" or "diverged".
        """
        return self._table_of_runs.copy()

    @cached_property
    def _table_of_runs(self) -> "pd.DataFrame":
        from sweep.tables import run_table

        return run_table(self.details.study, self.details.trials).to_pandas()

    @property
    def curves(self) -> "pd.DataFrame":
        """A row a run and epoch, in the order of trials, replicates and epochs.

        Columns: `trial`, `replicate` and `epoch` from 1 (int64), `loss` in nats and `accuracy` in
        [0, 1] (float32), each the mean over the epoch's batches before their updates. Join it with
        `runs` by `trial` and `replicate`; `curves.pivot(index="epoch", columns=["trial",
        "replicate"], values="accuracy")` has a column a run.
        """
        from sweep.tables import curve_table

        return curve_table(self.details.trials).to_pandas()

    @cached_property
    def figures(self) -> Figures:
        """The report's figures by name, in its light colours; each shows itself in a notebook."""
        from sweep.report.plots import figures

        return Figures(figures(self.details))

    def draw(self, *trials: int) -> "Figure":
        """The learning curves of these trials, one to six of them, with their plateaus marked.

        Raises BadInput for another number of them, or a trial that the study does not have.
        """
        from sweep.cli.inspect import trial_of
        from sweep.report.plots import curves_figure
        from sweep.report.story import tell

        numbers = list(dict.fromkeys(trial_of(self.details, trial).number for trial in trials))
        if not 1 <= len(numbers) <= MOST_CURVES:
            raise BadInput(f"{len(numbers)} trials: a figure has the curves of 1 to {MOST_CURVES}")
        by_number = {row.number: row for row in self._rows}
        return curves_figure(tell(self.details), [by_number[number] for number in numbers])

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Writes the report, one HTML file that opens offline, and returns where it is.

        What `explain` found about trials of the study is in it. `path` left out is NAME.html in
        the working directory; an existing file is replaced. Raises BadInput where no file can be
        written there, OSError where the disk fails.
        """
        from storage.database import open_database
        from sweep.cli.options import file_for
        from sweep.report import write_report
        from sweep.report.why import explanations

        file = Path(path) if path is not None else file_for(self.name, ".html")
        with open_database(self._url, create=False) as database:
            why = explanations(database, self.details)
        write_report(self.details, file, why=why)
        return file

    def explain(
        self, trial: int | None = None, *, seeds: int | None = None, progress: Shown = True
    ) -> Why:
        """Why a trial sits on its plateau: changes one thing at a time and sees what shortens it.

        `trial` left out is the first that was given, else the best. Every change is
        trained from the seeds 0 … `seeds` − 1, 30 if left out and 12 at least, as the trial itself
        is; the runs are kept, and a second call trains none. Raises BadInput for a trial that is
        not there or too few seeds, StorageFailure where the storage cannot be used.
        """
        from sweep.explain import SEEDS, explain

        many = SEEDS if seeds is None else seeds
        with shown(progress) as show:
            found = explain(self._url, self.name, trial, seeds=many, on_progress=show)
        return Why(found)

    def compare(
        self,
        *others: "Result",
        by: str | None = None,
        trials: Sequence[int] = (),
        measure: str = "epochs",
    ) -> Comparison:
        """Groups of runs against one another: how often and how fast they solve the task.

        The groups are the values of the setting `by`, over this study and `others`; else the
        `trials` of this study; else the studies themselves. Without any of these it is the setting
        that the study searches, if it is one. `measure` is "epochs", "updates" or "flops" to the
        target, or "plateau", in epochs.

        Raises BadInput for a setting, trial or measure that there is not, or one group only.
        """
        from sweep.comparing import MEASURES, compare_setting, compare_studies, compare_trials
        from sweep.comparing.groups import searched_settings

        for other in others:
            if not isinstance(other, Result):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise BadInput(
                    f"{other!r}: compare takes other results, as sweep.open gives them; a setting "
                    "is given as by=…"
                )
        if measure not in MEASURES:
            raise BadInput(f"measure {measure!r}: has to be one of {', '.join(MEASURES)}")
        if trials and (by is not None or others):
            raise BadInput("trials= compares trials of one study; leave out by= and other studies")
        results = [self.details, *(other.details for other in others)]
        if trials:
            return Comparison(compare_trials(self.details, list(trials), measure))
        if by is None and others:
            return Comparison(compare_studies(results, measure))
        there = searched_settings(results)
        if by is None and len(there) != 1:
            what = f"one of {', '.join(there)}" if there else "a setting; this study searches none"
            raise BadInput(f"compare by what? by= takes {what}")
        return Comparison(compare_setting(results, by or there[0], measure))

    def __repr__(self) -> str:
        runs = sum(len(trial.runs) for trial in self.details.trials)
        return f"<Result {self.name!r}: {len(self._rows)} trials, {runs} runs, in {self.storage}>"

    def _repr_html_(self) -> str:
        heading = f"<p><strong>{html.escape(self.name)}</strong></p>"
        parts = [heading, *paragraphs(self._paragraphs())]
        best = [row for row in self._rows if row.place <= BEST or row.enqueued]
        if best:
            parts.append(_ranking(best))
        if len(best) < len(self._rows):
            parts.append(f"<p>{len(self._rows) - len(best)} more are in <code>trials</code>.</p>")
        return "<div>" + "".join(parts) + "</div>"


def _ranking(rows: "Sequence[Row]") -> str:
    """The configurations as an HTML table."""
    from sweep.report.drawing import interval
    from sweep.report.rows import number

    headings = ("place", "trial", "configuration", "solved", "epochs (95 %)", "plateau")
    lines: list[str] = []
    for row in rows:
        epochs = "–" if row.median is None else f"{number(row.median)} {interval(row)}".rstrip()
        cells = (str(row.place), f"{row.number}{' (given)' * row.enqueued}", row.label)
        cells = (*cells, f"{row.solved}/{row.replicates}", epochs, number(row.plateau))
        lines.append("".join(f"<td>{html.escape(cell)}</td>" for cell in cells))
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
