"""What makes our studies good in Optuna's dashboard: a note, our figures, and files of each trial.

`prepare` writes the note and the figures into Optuna's study, by the dashboard's own functions, so
that any Optuna dashboard on the storage shows them. A note that somebody changed is theirs, and
stays. `Artifacts` gives the files of a trial (its curves as a picture and as a table, a Keras
script) at the moment that they are asked for; nothing of them is kept.
"""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from storage.database import Database
from storage.mirror import ARTIFACTS, artifact_of
from storage.trials import StoredStudy, find_study, study_lines
from sweep.machine import versions
from sweep.report.plots import figures
from sweep.report.rows import count, number, ranked
from sweep.results import StudyResult, TrialResult, read_results
from sweep.values import MOST_TRIALS

if TYPE_CHECKING:
    from optuna import Study as OptunaStudy

SHOWN = "sweep:shown"
"""The system attribute of Optuna's study that says what the note and the figures were made of."""

WRITTEN = "sweep:note"
"""The system attribute with the digest of the note as we wrote it, to know another's from ours."""

BEST = 10
"""Configurations in the note's table."""

FIGURES = ("curves", "time", "importances", "front")
"""The figures that the dashboard is given; two landscapes and one of the runs solved besides."""


@dataclass(frozen=True)
class Prepared:
    """What was done for a study: its figures by name, and what was left out, in a sentence."""

    name: str
    figures: tuple[str, ...]
    left_out: str


def prepare(db: Database) -> Iterator[Prepared]:
    """Brings the notes and the figures of all studies up to date, one after the other.

    Studies that have not changed since are passed over. What is left out of a study for its size is
    said of it every time.
    """
    import optuna

    storage = db.optuna_storage()
    names = {summary.study_name for summary in optuna.get_all_study_summaries(storage, False)}
    for line in study_lines(db):
        stored = find_study(db, line.name)
        if stored is None or line.name not in names:
            continue
        left_out = _left_out(line.name, line.trials)
        study_id = storage.get_study_id_from_name(line.name)
        state = _state(stored, line.trials)
        if storage.get_study_system_attrs(study_id).get(SHOWN) == state:
            if left_out:
                yield Prepared(line.name, (), left_out)
            continue
        result = read_results(db, line.name)
        study = optuna.load_study(study_name=line.name, storage=storage)
        known = storage.get_study_system_attrs(study_id).get(WRITTEN)
        text = note(result, left_out)
        if _save_note(study, text, known):
            storage.set_study_system_attr(study_id, WRITTEN, _digest(text))
        drawn = _save_figures(study, result)
        storage.set_study_system_attr(study_id, SHOWN, state)
        yield Prepared(line.name, drawn, left_out)


def _state(stored: StoredStudy, trials: int) -> str:
    return f"{stored.uuid} {stored.revision} {trials} {versions()['sweep']}"


def _left_out(name: str, trials: int) -> str:
    """What the dashboard does not show of a large study."""
    if trials <= MOST_TRIALS:
        return ""
    return (
        f"{name} has {count(trials)} trials, and the dashboard loads all of them at once, which "
        f"takes long from some {count(MOST_TRIALS)} on; their mean curves (intermediate values) "
        "and their files are left out, and figures show a part of them. The report has no such "
        f"limit: python -m sweep report {name}"
    )


def _save_note(study: "OptunaStudy", text: str, known: str | None) -> bool:
    """Writes the note, unless the one that is there is somebody's: not as `known` says."""
    from optuna_dashboard import get_note, save_note

    there = get_note(study)
    if there and _digest(there) != known:
        return False
    save_note(study, text)
    return True


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _save_figures(study: "OptunaStudy", result: StudyResult) -> tuple[str, ...]:
    """Writes the figures, and returns their names."""
    from optuna_dashboard import save_plotly_graph_object

    found = figures(result)
    landscape = [name for name in found if name.startswith("landscape")][:2]
    solved = [name for name in found if name.startswith("solved")][:1]
    wanted = [name for name in [*FIGURES, *landscape, *solved] if name in found]
    for place, name in enumerate(wanted):
        # The dashboard's cards have a height of their own.
        figure = _without_loss(found[name]) if name == "curves" else found[name]
        figure.update_layout(height=None, title={"x": 0.02, "xref": "container"})
        save_plotly_graph_object(study, figure, graph_object_id=f"sweep-{place}")
    return tuple(wanted)


def _without_loss(curves: Any) -> Any:
    """The figure of learning curves without the loss: a card is too low for three panels."""
    curves.data = [trace for trace in curves.data if trace.yaxis != "y2"]
    layout = curves.layout
    layout.shapes = [shape for shape in layout.shapes if shape.yref != "y2"]
    layout.annotations = [one for one in layout.annotations if one.yref != "y2"]
    layout.yaxis2 = None
    layout.yaxis.domain, layout.yaxis3.domain = (0.2, 1.0), (0.0, 0.14)
    layout.xaxis.anchor = "y3"
    return curves


def note(result: StudyResult, left_out: str = "") -> str:
    """The note of a study, in Markdown: its answer, its best configurations, how to read it."""
    from sweep.report.sentences import answer
    from sweep.report.story import tell

    story = tell(result)
    rows = story.rows
    lines = [f"## {_plain(result.name)}", ""]
    if result.study.description:
        lines += [f"*{_plain(result.study.description)}*", ""]
    for paragraph in answer(rows, story.budget, story.target, story.goals):
        lines += [_plain(paragraph), ""]
    if rows:
        lines += [
            f"| rank {story.by} | trial | configuration | solved | median epochs | plateau |",
            "|---|---|---|---|---|---|",
            *(
                f"| {row.place} | {row.number} | {_plain(row.label)} | "
                f"{row.solved}/{row.replicates} | {number(row.median)} | {number(row.plateau)} |"
                for row in rows
                if row.place <= BEST or row.enqueued
            ),
            "",
        ]
    budget, replicates = story.budget, result.study.training.replicates
    lines += [
        "### How to read this study",
        "",
        f"- **Value**: what is minimised, {story.measure.by.removeprefix('by ')}. A trial is "
        f"trained from {replicates} seeds; a run that does not reach {story.target} within "
        f"{budget} epochs counts as {2 * budget}. Values from {2 * budget} on: no run got there.",
        "- **Intermediate values**: the mean training loss of the runs by epoch. A flat start is "
        "the plateau.",
        "- **User attributes**: `success_rate` and `solved`, `epochs_median` with `epochs_low` and "
        "`epochs_high` (95 % interval), `plateau_median` (epochs at chance), `escape_median` (the "
        "epoch that left chance), `par2`, `ert`, `parameters`, `flops`.",
        "- **Graph** page: the report’s figures. **Artifacts** of a trial: its curves, and a plain "
        "Keras script that trains its first run again.",
        f"- The whole report: `python -m sweep report {_code(result.name)}`",
    ]
    if left_out:
        lines += [f"- {_plain(left_out)}."]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Text that Markdown shows as it stands, in a cell of a table too."""
    for sign in "\\`*_{}[]<>#|~$":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("\n", " ")


def _code(text: str) -> str:
    import shlex

    return shlex.quote(text).replace("`", "'")


class Artifacts:
    """Optuna's artifact store whose files are made when they are read.

    Their ids are those that Optuna's copy of a trial has (`storage.mirror.artifacts`). What others
    would put here has no place.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """The file of this id; ArtifactNotFound where there is none."""
        from optuna.artifacts.exceptions import ArtifactNotFound

        asked = artifact_of(artifact_id)
        text = None if asked is None else self._text(*asked)
        if text is None:
            raise ArtifactNotFound(f"no file {artifact_id}")
        return io.BytesIO(text.encode())

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        raise PermissionError("files of sweep’s trials are made from its runs; add them elsewhere")

    def remove(self, artifact_id: str) -> None:
        raise PermissionError("files of sweep’s trials are made from its runs, and stay")

    def _text(self, uuid: str, number_: int, file: str) -> str | None:
        stored = next((s for s in self._studies() if s.uuid == uuid), None)
        if stored is None:
            return None
        result = read_results(self._db, stored.name)
        trial = next((t for t in result.trials if t.number == number_), None)
        if trial is None:
            return None
        return _MAKERS[file](result, trial)

    def _studies(self) -> Iterator[StoredStudy]:
        for line in study_lines(self._db):
            stored = find_study(self._db, line.name)
            if stored is not None:
                yield stored


def _picture(result: StudyResult, trial: TrialResult) -> str:
    from sweep.report.hero import trial_picture
    from sweep.report.story import Story

    rows = tuple(row for row in ranked(result) if row.number == trial.number)
    return trial_picture(Story(result, rows))


def _table(result: StudyResult, trial: TrialResult) -> str:
    lines = ["replicate,seed,epoch,loss,accuracy"]
    for place, run in enumerate(trial.runs):
        for epoch, (loss, accuracy) in enumerate(
            zip(run.curve("loss"), run.curve("accuracy"), strict=True), start=1
        ):
            lines.append(f"{place},{run.run.seed},{epoch},{loss:.7g},{accuracy:.7g}")
    return "\n".join(lines) + "\n"


def _script(result: StudyResult, trial: TrialResult) -> str | None:
    from studies.errors import BadInput
    from studies.study import CsvTask
    from sweep.keras.script import data_lines, keras_script

    asked, reading = result.study.task, None
    try:
        if isinstance(asked, CsvTask):
            task, reading = asked.read()
        else:
            task = asked.load()
        data = data_lines(asked, task, reading)
    except (BadInput, OSError):
        return None
    if data is None or task.fingerprint != result.task.fingerprint:
        return None
    title = f"{result.name}, trial {trial.number}, replicate 0"
    return keras_script(trial.runs[0], task, data, title=title, picture=f"trial-{trial.number}.png")


_MAKERS: dict[str, Any] = dict(zip(ARTIFACTS, (_picture, _table, _script), strict=True))
