"""What the queue's workers do, in the text format of Prometheus."""

import sqlalchemy as sa

from storage.database import Database
from storage.queue import counts
from storage.tables import runs, studies

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

STATES = ("waiting", "running", "done", "failed", "cancelled")


def metrics(db: Database) -> str:
    """All metrics as they are now. Times and runs are those that workers of the queue told."""

    def counted(connection: sa.Connection) -> tuple[int, int]:
        return (
            connection.execute(sa.select(sa.func.count(runs.c.id))).scalar_one(),
            connection.execute(sa.select(sa.func.count(studies.c.uuid))).scalar_one(),
        )

    stored_runs, stored_studies = db.read(counted)
    queue = counts(db)
    lines: list[str] = []

    def say(name: str, kind: str, text: str, values: dict[str, float]) -> None:
        lines.extend([f"# HELP sweep_{name} {text}", f"# TYPE sweep_{name} {kind}"])
        lines.extend(f"sweep_{name}{labels} {value:.10g}" for labels, value in values.items())

    def total(key: str) -> dict[str, float]:
        return {"": queue.totals[key]}

    say(
        "queue_studies",
        "gauge",
        "Studies in the queue, and the last of those that were, by state.",
        {f'{{state="{state}"}}': queue.states.get(state, 0) for state in STATES},
    )
    say("runs_finished_total", "counter", "Runs that workers trained.", total("runs_trained"))
    say("ask_seconds_total", "counter", "Seconds in samplers, asking.", total("ask_seconds"))
    say("tell_seconds_total", "counter", "Seconds in samplers, telling.", total("tell_seconds"))
    rate = queue.models_per_second
    say("models_per_second", "gauge", "Models trained a second, now.", {"": rate})
    say("runs_stored", "gauge", "Runs in the storage.", {"": stored_runs})
    say("studies_stored", "gauge", "Studies in the storage.", {"": stored_studies})
    return "\n".join(lines) + "\n"
