"""A study on its way through the queue: the data that its [task] names as a file go with it.

What a worker trains on is what was submitted, never a file of the worker's own machine.
"""

import tempfile
from pathlib import Path
from typing import Any

from storage.database import Database
from storage.queue import Entry, submit
from storage.trials import find_study
from studies.errors import BadInput
from studies.files import first_bytes
from studies.study import Study, extends
from studies.task_tables import FILES, FunctionTask
from studies.tasks import Task

LARGEST = 500_000_000
"""Bytes of a file that can go with a study; databases hold about twice that in one value."""


def put(db: Database, study: Study, *, priority: int = 0, data: bytes | None = None) -> Entry:
    """Puts a study in the queue, with the content of the file that its task names.

    Its data are made or read first, so that what cannot be trained is refused here. A study that is
    stored or waiting under its name has to be the same, or ask for less. Raises BadInput.
    """
    refuse_code(study)
    task = load(study, data)
    stored = find_study(db, study.name)
    if stored is not None:
        from sweep.search import check_continues

        check_continues(stored, study, task)

    def replaces(document: object) -> bool:
        assert isinstance(document, dict)
        return extends(Study.from_document(document, study.name), study, same_data=True)

    return submit(db, study.name, study.document(), priority=priority, data=data, replaces=replaces)


def refuse_code(study: Study) -> None:
    """Raises BadInput for a study of a person's code, which only that person should run."""
    what = None
    if study.training.model is not None:
        what = "training.model"
    elif isinstance(study.task, FunctionTask):
        what = "task.function"
    if what is not None:
        raise BadInput(
            f"{study.name}: {what} is Python code of yours, which is not sent to other machines; "
            "`run` with --allow-code runs it on this one"
        )


def content_of(study: Study) -> bytes | None:
    """The content of the file that a study's task names; None where it names none.

    Raises BadInput if it cannot be read or is too large.
    """
    kind = file_kind(study)
    if kind is None:
        return None
    path = getattr(study.task, kind)
    content = first_bytes(path, LARGEST + 1)
    if len(content) > LARGEST:
        raise BadInput(f"{path}: larger than {LARGEST:,} bytes, the most that goes with a study")
    return content


def file_kind(study: Study) -> str | None:
    """The key of [task] that names a file; None where the data are made otherwise."""
    return next((key for key, kind in FILES.items() if isinstance(study.task, kind)), None)


def load(study: Study, data: bytes | None) -> Task:
    """A study's data, those of a file from its content. Raises BadInput as reading it does."""
    kind = file_kind(study)
    if kind is None:
        return study.load_task()
    if data is None:
        raise BadInput(f"{study.name}: task.{kind}: the content of the file is missing")
    name = Path(getattr(study.task, kind)).name
    with tempfile.TemporaryDirectory(prefix="sweep-") as directory:
        path = Path(directory, name)
        path.write_bytes(data)
        here = study.task.model_copy(update={kind: str(path)})
        try:
            return study.model_copy(update={"task": here}).load_task()
        except BadInput as error:
            # Nobody knows the file by the name that it has here.
            raise BadInput(str(error).replace(f"{directory}/", "")) from None


def entry_document(entry: Entry) -> dict[str, Any]:
    """An entry of the queue under the keys that programs read; they stay as they are."""

    def moment(value: Any) -> str | None:
        return None if value is None else value.isoformat()

    return {
        "id": entry.id,
        "study": entry.name,
        "state": entry.state,
        "position": entry.position or None,
        "priority": entry.priority,
        "submitted": moment(entry.submitted),
        "started": moment(entry.started),
        "ended": moment(entry.ended),
        "worker": entry.worker,
        "cancelling": entry.cancelling and entry.state == "running",
        "message": entry.message,
        "progress": entry.progress or None,
    }
