"""The HTTP API: submit a study with its data, how far it is, its results, cancel, report.

Whatever is asked wrongly is answered by `{"error": …}`, in words for a person.
"""

import io
import tomllib
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Form, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from storage import queue
from storage.database import Database
from storage.queue import Entry, State
from storage.trials import find_study, no_study, study_lines
from studies.errors import BadInput
from studies.study import Study, about_csv, read_study, shipped_studies
from sweep.service.limits import (
    Limits,
    check_depth,
    check_document,
    check_json,
    check_memory,
    check_study,
)
from sweep.service.submission import entry_document, load, put

PARQUET = "application/vnd.apache.parquet"

UPLOADED = "/uploaded"
"""Where the stored study says that its CSV was: no directory of the server's."""


class NotThere(BadInput):
    """A study that the server does not know."""


class Submission(BaseModel):
    """A study to be put in the queue: a shipped one by name, or a study file as TOML or tables.

    `csv` is the text of a CSV that takes the place of the study's task. `trials`, `replicates`,
    `epochs` and `seed` change the study.
    """

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, description="default: the shipped study's")
    shipped: str | None = None
    study: str | dict[str, Any] | None = None
    csv: str | None = None
    csv_name: str = Field(default="data.csv", max_length=200)
    label: str | None = None
    timesteps: int | None = None
    priority: int = 0
    trials: int | None = None
    replicates: int | None = None
    epochs: int | None = None
    seed: int | None = None


class Problem(BaseModel):
    """What is wrong, in words for a person: 400 for bad input, 401 without the token, 404 for what
    is not there, 413 for too many bytes, 503 while the storage cannot be read."""

    error: str


class QueueEntry(BaseModel):
    """A study in the queue; `progress` is what its worker told last, open trials included."""

    id: int
    study: str
    state: State
    position: int | None = Field(description="of those that wait, from 1")
    priority: int
    submitted: str
    started: str | None
    ended: str | None
    worker: str | None
    cancelling: bool
    message: str | None
    progress: dict[str, Any] | None


class StudyState(BaseModel):
    """What is stored of a study: its complete trials, whose numbers have no gap, and their runs."""

    study: str
    task: str
    trials: int
    runs: int
    solved_runs: int
    created: str
    updated: str


class Queue(BaseModel):
    queue: list[QueueEntry]


class Studies(BaseModel):
    studies: list[StudyState]


class Status(BaseModel):
    study: StudyState | None
    queue: list[QueueEntry]


class Results(BaseModel):
    """`trials`: configurations under the keys of `run --json`."""

    study: str
    trials: list[dict[str, Any]]


def take(db: Database, asked: Submission, limits: Limits) -> Entry:
    """Puts what is asked in the queue, once it is within the limits. Raises BadInput."""
    data = None if asked.csv is None else asked.csv.encode(errors="surrogatepass")
    document, name = _document(asked, limits)
    check_document(document, data=data is not None)
    if data is not None:
        file = asked.csv_name.replace("\\", "/").rpartition("/")[2] or "data.csv"
        own = document.get("task")
        keys = cast(dict[str, Any], own) if isinstance(own, dict) else {}
        task = {k: v for k, v in keys.items() if k != "csv"} if "csv" in keys else {}
        more = {"label": asked.label, "timesteps": asked.timesteps}
        task |= {key: value for key, value in more.items() if value is not None}
        document = {**document, "task": {**task, "csv": f"{UPLOADED}/{file}"}}
        if asked.shipped is not None:
            document["description"] = about_csv(file)
    try:
        study = Study.from_document(document, name)
        changes = {
            "search.trials": asked.trials,
            "training.replicates": asked.replicates,
            "training.epochs": asked.epochs,
            "search.seed": asked.seed,
        }
        study = study.changed({key: value for key, value in changes.items() if value is not None})
    except (ValidationError, RecursionError, OverflowError) as error:
        raise BadInput(f"{name}: the study cannot be read: {error}") from None
    check_study(study, limits)
    if data is not None:
        task = load(study, data)
        check_memory(study, task.size, limits)
    return put(db, study, priority=asked.priority, data=data)


def _document(asked: Submission, limits: Limits) -> tuple[dict[str, Any], str]:
    """The document of a study that is asked for, not yet looked at, and its name."""
    if (asked.shipped is None) == (asked.study is None):
        raise BadInput("give one of shipped, the name of a study that comes with sweep, and study")
    if asked.shipped is not None:
        names = [name for name, _ in shipped_studies()]
        if asked.shipped not in names:
            raise BadInput(f"shipped: there is no such study; there are: {', '.join(names)}")
        return read_study(asked.shipped).document(), asked.name or asked.shipped
    if asked.name is None:
        raise BadInput("name: it is missing; a study needs one")
    document = asked.study
    if isinstance(document, str):
        try:
            document = tomllib.loads(document)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"study: no TOML: {error}") from None
    assert document is not None
    check_depth(document, limits)
    return document, asked.name


def routes(db: Database, limits: Limits) -> APIRouter:
    """The API on a storage, under /v1."""
    # Whatever is not answered so is a Problem; FastAPI's own account of bad input would be wrong.
    problem: dict[int | str, dict[str, Any]] = {
        "default": {"model": Problem, "description": "What was asked wrongly, or cannot be done."}
    }
    router = APIRouter(prefix="/v1", responses=problem)

    @router.post(
        "/studies",
        status_code=201,
        response_model=QueueEntry,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": Submission.model_json_schema()}},
            }
        },
    )
    async def submit(request: Request) -> dict[str, Any]:
        """Put a study in the queue."""
        raw = await request.body()

        def work() -> Entry:
            if request.headers.get("content-type", "").startswith("multipart/"):
                raise BadInput("forms with files are sent to /v1/studies/upload; here JSON is due")
            check_json(raw, limits)
            try:
                asked = Submission.model_validate_json(raw)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(str(part) for part in first["loc"])
                raise BadInput(f"{where}: {first['msg']}" if where else first["msg"]) from None
            return take(db, asked, limits)

        return entry_document(await run_in_threadpool(work))

    async def known(request: Request) -> None:
        """Refuses fields that nobody would read. FastAPI has parsed the form already."""
        fields = Submission.model_fields.keys() - {"csv_name"}
        for field in (await request.form()).keys() - fields:
            there = ", ".join(sorted(fields))
            raise BadInput(f"{field[:100]}: there is no such field; there are: {there}")

    @router.post(
        "/studies/upload", status_code=201, response_model=QueueEntry, dependencies=[Depends(known)]
    )
    def upload(
        study: UploadFile | None = None,
        csv: UploadFile | None = None,
        name: Annotated[str | None, Form()] = None,
        shipped: Annotated[str | None, Form()] = None,
        priority: Annotated[int, Form()] = 0,
        trials: Annotated[int | None, Form()] = None,
        replicates: Annotated[int | None, Form()] = None,
        epochs: Annotated[int | None, Form()] = None,
        seed: Annotated[int | None, Form()] = None,
        label: Annotated[str | None, Form()] = None,
        timesteps: Annotated[int | None, Form()] = None,
    ) -> dict[str, Any]:
        """Put a study (TOML) in the queue, and a CSV, as a form sends files."""
        asked = Submission(
            name=name or None,
            shipped=shipped or None,
            study=read_text("study", study),
            csv=read_text("csv", csv),
            csv_name=((csv.filename if csv else None) or "data.csv")[-200:],
            priority=priority,
            trials=trials,
            replicates=replicates,
            epochs=epochs,
            seed=seed,
            label=label or None,
            timesteps=timesteps,
        )
        return entry_document(take(db, asked, limits))

    @router.get("/queue", response_model=Queue)
    def waiting() -> dict[str, Any]:
        """What runs, what waits, and what is over."""
        return {"queue": [entry_document(entry) for entry in queue.entries(db)]}

    @router.get("/studies", response_model=Studies)
    def studies() -> dict[str, Any]:
        """All studies of the storage."""
        return {"studies": [study_state(line) for line in study_lines(db)]}

    @router.get("/studies/{name}", response_model=Status)
    def status(name: str) -> dict[str, Any]:
        """How far a study is, and what is in the queue under its name."""
        known = [study_state(line) for line in study_lines(db) if line.name == name]
        there = queue.entries(db, name=name)
        if not known and not there:
            raise NotThere(str(no_study(db, name)))
        return {
            "study": known[0] if known else None,
            "queue": [entry_document(entry) for entry in there],
        }

    @router.post("/studies/{name}/cancel", response_model=Queue)
    def cancel(name: str) -> dict[str, Any]:
        """Take a study out of the queue, or stop it; what is finished is kept."""
        try:
            gone = queue.cancel(db, name)
        except BadInput as error:
            raise NotThere(str(error)) from None
        return {"queue": [entry_document(entry) for entry in gone]}

    @router.get("/studies/{name}/results", response_model=Results)
    def results(name: str) -> dict[str, Any]:
        """The configurations of a study, the best first."""
        from sweep.results import configuration_json, ranking

        return {"study": name, "trials": [configuration_json(t) for t in ranking(_read(db, name))]}

    @router.get("/studies/{name}/runs.parquet", response_class=Response)
    def runs(name: str) -> Response:
        """A row a run."""
        from sweep.tables import run_table

        result = _read(db, name)
        return _parquet(run_table(result.study, result.trials))

    @router.get("/studies/{name}/curves.parquet", response_class=Response)
    def curves(name: str) -> Response:
        """A row a run and epoch."""
        from sweep.tables import curve_table

        return _parquet(curve_table(_read(db, name).trials))

    @router.get("/studies/{name}/report", response_class=Response)
    def report(name: str) -> Response:
        """The report as one HTML file, to be kept."""
        from sweep.report.page import render_report
        from sweep.report.why import explanations

        result = _read(db, name)
        text = render_report(result, why=explanations(db, result))
        kept = {"Content-Disposition": "attachment; filename=report.html"}
        return Response(text, media_type="text/html", headers=kept)

    return router


def study_state(line: Any) -> dict[str, Any]:
    """A study of the storage under the keys that programs read."""
    return {
        "study": line.name,
        "task": line.task,
        "trials": line.trials,
        "runs": line.runs,
        "solved_runs": line.solved_runs,
        "created": line.created.isoformat(),
        "updated": line.updated.isoformat(),
    }


def _read(db: Database, name: str) -> Any:
    from sweep.results import read_results

    if find_study(db, name) is None:
        raise NotThere(str(no_study(db, name)))
    return read_results(db, name)


def read_text(field: str, file: UploadFile | None) -> str | None:
    """The text of a file that was sent; None where none was. BadInput if it is no text."""
    if file is None or not (content := file.file.read()):
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{field}: the file is not UTF-8; save it as UTF-8") from None


def _parquet(table: Any) -> Response:
    from pyarrow import parquet

    target = io.BytesIO()
    parquet.write_table(table, target, compression="zstd")
    return Response(target.getvalue(), media_type=PARQUET)
