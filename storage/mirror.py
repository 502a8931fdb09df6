"""Optuna's study of a study of ours: what Optuna's tools and its dashboard read.

Written through Optuna's public interface only. The mirror knows what it mirrors: its user
attribute `sweep` holds our study's uuid and revision. A finished trial of Optuna's is immutable, so
a study of another revision is deleted and made anew.
"""

import json
import re
import shlex
import threading
import time
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from storage.database import Database
from storage.values import StoredStudy, StoredTrial
from studies.errors import BadInput

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

MARK = "sweep"
"""The user attribute of Optuna's study that says which study of ours, in which revision, it is; and
the system attribute of each of its trials that is ours."""


ARTIFACTS = ("curves.svg", "curves.csv", "script.py")
"""Files that the dashboard offers of a trial (`sweep.dashboard` makes them when they are read)."""

MOST_WITH_FILES = 1_000
"""Trials of a study that have such files; the dashboard is unusable with many more of them."""

CHECK_SECONDS = 1.0

PAGE = 100
"""Trials in memory at a time while they are added."""


def artifacts(study: str, number: int) -> dict[str, str]:
    """The system attributes by which Optuna knows the files of a trial: what
    `optuna.artifacts.upload_artifact` would set, were a finished trial not immutable."""
    if number >= MOST_WITH_FILES:
        return {}
    kinds = {"svg": "image/svg+xml", "csv": "text/csv", "py": "text/x-python"}
    found: dict[str, str] = {}
    for place, file in enumerate(ARTIFACTS):
        own = f"{study}-{number:08x}-{place:02x}"
        meta = {
            "artifact_id": own,
            "filename": f"trial-{number}-{file}",
            "mimetype": kinds[file.rpartition(".")[2]],
            "encoding": None,
        }
        found[f"artifacts:{own}"] = json.dumps(meta)
    return found


def artifact_of(artifact_id: str) -> tuple[str, int, str] | None:
    """The study's uuid, the trial's number and the file that an id of `artifacts` stands for."""
    match = re.fullmatch(r"([0-9a-f-]{36})-([0-9a-f]{8})-([0-9a-f]{2})", artifact_id)
    if match is None or int(match[3], 16) >= len(ARTIFACTS):
        return None
    return match[1], int(match[2], 16), ARTIFACTS[int(match[3], 16)]


def check_free(db: Database, name: str) -> None:
    """Raises BadInput if Optuna has a study of this name."""
    storage = db.optuna_storage()
    with db.plainly():
        if _find(storage, name) is not None:
            raise BadInput(_taken(db, name))


def complete(
    db: Database,
    stored: StoredStudy,
    total: int,
    *,
    read: Callable[[int, int], Sequence[StoredTrial]],
    check: Callable[[], None],
    enough: Callable[[float], bool],
) -> int:
    """Makes Optuna's study say what ours says; returns how many trials it still lacks.

    `total` is one more than the largest number of our trials, `read(first, end)` gives those from
    number `first` on that come before `end`. Optuna numbers trials itself, so a trial waits for all
    before it. `check` is called before anything is changed, and once a second while trials are
    added, and raises where that is no longer allowed; `enough` before each trial, with the seconds
    that the one before took, and true ends the work.

    Raises BadInput if Optuna's study is another's, or has trials that are not ours.
    """
    storage = db.optuna_storage()
    with db.plainly(), silent_optuna():
        check()
        study_id = _study_id(db, storage, stored)
        _describe(storage, study_id, stored)
        there = _count(storage, study_id, total)
        if not _last_is_ours(storage, study_id, there, total):
            _refuse_strangers(db, storage, study_id, stored)
            # It is our own: a coordinator that was suspended wrote together with its successor.
            check()
            study_id, there = _anew(db, storage, study_id, stored), 0
        took, checked = 0.0, time.monotonic()
        while there < total and not enough(took):
            page = read(there, there + PAGE)
            for trial in page:
                began = time.monotonic()
                if trial.number != there:
                    return total - there
                if began > checked + CHECK_SECONDS:
                    check()
                    checked = began
                with db.turn:
                    trial_id = storage.create_new_trial(study_id, _frozen(stored.uuid, trial))
                if storage.get_trial_number_from_id(trial_id) != trial.number:
                    # Somebody added one in this moment: the next time it is seen who.
                    return total - there
                there += 1
                took = time.monotonic() - began
                if trial is not page[-1] and enough(took):
                    return total - there
            if not page:
                break
        return total - there


def lacks(db: Database, stored: StoredStudy, total: int) -> int:
    """How many of our `total` trials Optuna's study lacks. Raises as `complete`."""
    storage = db.optuna_storage()
    with db.plainly():
        study_id = _find(storage, stored.name)
        if study_id is None:
            return total
        mark = _mark(storage, study_id)
        if mark.get("study") != stored.uuid:
            raise BadInput(_taken(db, stored.name))
        if mark.get("revision") != stored.revision:
            return total
        there = _count(storage, study_id, total)
        if _last_is_ours(storage, study_id, there, total):
            return total - there
        _refuse_strangers(db, storage, study_id, stored)
        return total


def remove(db: Database, stored: StoredStudy) -> None:
    """Deletes Optuna's study of ours, if it is there; one of another's is left alone."""
    storage = db.optuna_storage()
    with db.plainly():
        study_id = _find(storage, stored.name)
        if study_id is not None and _mark(storage, study_id).get("study") == stored.uuid:
            storage.delete_study(study_id)


def _find(storage: "RDBStorage", name: str) -> int | None:
    try:
        return storage.get_study_id_from_name(name)
    except KeyError:
        return None


def _mark(storage: "RDBStorage", study_id: int) -> dict[str, Any]:
    mark = storage.get_study_user_attrs(study_id).get(MARK)
    return mark if isinstance(mark, dict) else {}


def _is_blank(storage: "RDBStorage", study_id: int) -> bool:
    """Without trials and attributes: what a process leaves that is killed as it begins."""
    return not storage.get_study_user_attrs(study_id) and not _has(storage, study_id, 0)


def _study_id(db: Database, storage: "RDBStorage", stored: StoredStudy) -> int:
    """Finds Optuna's study of ours in its present revision, or makes it."""
    from optuna.study import StudyDirection

    directions = [StudyDirection[direction.upper()] for direction in stored.directions]
    study_id = _find(storage, stored.name)
    user: dict[str, Any] = {}
    system: dict[str, Any] = {}
    if study_id is not None:
        mark = _mark(storage, study_id)
        if mark == {"study": stored.uuid, "revision": stored.revision}:
            return study_id
        if mark.get("study") == stored.uuid:
            user = storage.get_study_user_attrs(study_id)
            system = storage.get_study_system_attrs(study_id)
        elif not _is_blank(storage, study_id):
            raise BadInput(_taken(db, stored.name))
        storage.delete_study(study_id)
    study_id = storage.create_new_study(directions, stored.name)
    storage.set_study_user_attr(study_id, MARK, {"study": stored.uuid, "revision": stored.revision})
    for key, value in user.items():
        if key != MARK:
            storage.set_study_user_attr(study_id, key, value)
    for key, value in system.items():
        # The dashboard keeps notes on single trials under their ids, which others have now.
        if not re.match(r"dashboard:\d+:", key):
            storage.set_study_system_attr(study_id, key, value)
    return study_id


def _refuse_strangers(
    db: Database, storage: "RDBStorage", study_id: int, stored: StoredStudy
) -> None:
    for trial in storage.get_all_trials(study_id, deepcopy=False):
        if MARK not in trial.system_attrs:
            raise BadInput(_strangers(db, stored.name))


def _anew(db: Database, storage: "RDBStorage", study_id: int, stored: StoredStudy) -> int:
    """Makes Optuna's study again, without trials."""
    storage.set_study_user_attr(study_id, MARK, {"study": stored.uuid, "revision": 0})
    study_id = _study_id(db, storage, stored)
    _describe(storage, study_id, stored)
    return study_id


def _describe(storage: "RDBStorage", study_id: int, stored: StoredStudy) -> None:
    import optuna

    wanted = {
        **stored.user_attrs,
        "study_file": stored.document,
        "task_fingerprint": stored.task.fingerprint,
    }
    there = storage.get_study_user_attrs(study_id)
    for key, value in wanted.items():
        if key not in there or there[key] != value:
            storage.set_study_user_attr(study_id, key, value)
    study = optuna.load_study(study_name=stored.name, storage=storage)
    names = list(stored.metric_names)
    with warnings.catch_warnings():
        # Optuna calls naming the values experimental, every time.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if study.metric_names != names:
            study.set_metric_names(names)


def _has(storage: "RDBStorage", study_id: int, number: int) -> bool:
    try:
        storage.get_trial_id_from_study_id_trial_number(study_id, number)
    except KeyError:
        return False
    return True


def _count(storage: "RDBStorage", study_id: int, total: int) -> int:
    """How many trials Optuna's study has, `total + 1` standing for any number above `total`.

    Optuna counts by reading them all, which takes seconds; its numbers have no gaps, so that a few
    questions find the end.
    """
    if _has(storage, study_id, total):
        return total + 1
    low, high = 0, total
    if total and _has(storage, study_id, total - 1):
        return total
    while low < high:
        middle = (low + high) // 2
        if _has(storage, study_id, middle):
            low = middle + 1
        else:
            high = middle
    return low


def _last_is_ours(storage: "RDBStorage", study_id: int, count: int, total: int) -> bool:
    """Whether the last trial is where we put it, and so are all before it.

    Trials of others come after ours, and we add none after theirs.
    """
    if count == 0:
        return True
    if count > total:
        return False
    trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, count - 1)
    return storage.get_trial_system_attrs(trial_id).get(MARK) == count - 1


def _frozen(study: str, trial: StoredTrial) -> "FrozenTrial":
    from optuna.distributions import json_to_distribution
    from optuna.trial import FrozenTrial, TrialState

    return FrozenTrial(
        number=-1,
        trial_id=-1,
        state=TrialState.COMPLETE,
        value=None,
        values=list(trial.values),
        datetime_start=_local(trial.started),
        datetime_complete=_local(trial.finished),
        params=trial.params,
        distributions={
            name: json_to_distribution(text) for name, text in trial.distributions.items()
        },
        user_attrs=trial.user_attrs,
        system_attrs={
            **trial.system_attrs,
            **artifacts(study, trial.number),
            MARK: trial.number,
        },
        intermediate_values=trial.intermediate,
    )


def _local(moment: datetime) -> datetime:
    # Optuna's times are local and do not say so.
    return moment.astimezone().replace(tzinfo=None)


_silences = threading.Lock()
_levels: list[int] = []
"""What Optuna's verbosity was, once for each block that silences it now."""


@contextmanager
def silent_optuna() -> Generator[None]:
    """Within this Optuna says errors only, in every thread: that it made a study, say, is no news.

    Its verbosity is the process's, so it comes back when the last of such blocks has ended.
    """
    from optuna import logging

    with _silences:
        _levels.append(_levels[0] if _levels else logging.get_verbosity())
        logging.set_verbosity(max(_levels[0], logging.ERROR))
    try:
        yield
    finally:
        with _silences:
            level = _levels.pop()
            if not _levels:
                logging.set_verbosity(level)


def _taken(db: Database, name: str) -> str:
    return (
        f"{db.url} has an Optuna study named {name!r} that sweep did not make; choose another "
        f"name, or delete it: {_deletion(db, name)}"
    )


def _strangers(db: Database, name: str) -> str:
    return (
        f"Optuna's study {name!r} in {db.url} has trials that sweep did not make. Sweep's own are "
        "safe, and Optuna's study is made again from them once it is deleted: "
        f"{_deletion(db, name)}"
    )


def _deletion(db: Database, name: str) -> str:
    # With = a name may begin with a dash.
    return f"optuna delete-study --study-name={shlex.quote(name)} --storage={shlex.quote(db.url)}"
