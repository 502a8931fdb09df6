"""How a study was measured: the meaning of the words, the facts, and the way to do it again."""

import shlex
from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any

from studies.own import is_imported
from studies.tasks import TOLERANCE
from sweep.report import sentences
from sweep.report.drawing import percent
from sweep.report.measure import ranked_by
from sweep.report.rows import count, number, words
from sweep.report.story import Story
from sweep.results import StudyResult


def definitions(target: str, budget: int, goals: Sequence[str]) -> list[dict[str, str]]:
    """What the page's words mean, a sentence each."""
    meanings = {
        "solved": f"The training accuracy that Keras’s fit would report for an epoch (the mean "
        f"over its batches, each taken before its update) reached {target}.",
        f"epochs to {target}": "The first epoch, counted from 1, that solved the task. Its median "
        "counts a replicate that failed as slower than any other, and does not exist where fewer "
        "than half succeeded.",
        "interval": "From one of the sorted replicates to another, chosen so that the true median "
        "lies between them with a probability as near to 95 % as can be, whatever the epochs are "
        "distributed like. With five replicates that is their smallest and largest value, and "
        "94 %: enough to say where the median is, not to order two close configurations.",
        "censored": f"Not solved within the budget of {sentences.plural(budget, 'epoch')}: the "
        "epochs to the target are unknown, and larger than the budget.",
        "diverged": "The loss stopped being finite; counted as censored at the budget.",
        "plateau": "The epochs, from the first, before the escape: those at which the run does no "
        "better than chance explains.",
        "escape": "The epoch from which on accuracy (with the loss) stays above the band that "
        "chance alone would leave in one of 10,000 epochs.",
        "transition": "The epochs from the escape to the target.",
        "PAR2": "The mean epochs to the target over the replicates, a run that did not solve the "
        "task counted as twice the budget. In optimizer updates or training FLOPs it is that mean "
        "times what an epoch costs. This study’s configurations are in order "
        f"{ranked_by(goals)}; those that no replicate solved come last, in the order of their "
        "final loss.",
        "ERT": "Expected running time: all epochs that the replicates spent, divided by the number "
        "that solved the task. What solving it once costs if failed runs are repeated.",
        "FLOPs": "Floating point operations of training for as many epochs as ERT says, computed "
        "from the matrix products of the architecture, forward and backward.",
        "configuration, trial": "Settings that the search tried; a trial is trained once from each "
        "of the same seeds, its replicates. The best of many, chosen and judged by the same "
        "replicates, looks a little better than it is.",
    }
    return [{"word": word, "meaning": meaning} for word, meaning in meanings.items()]


def facts(story: Story) -> list[dict[str, Any]]:
    """What was done, in groups of a term and its value: the task, the search, the machine."""
    result, rows, goals = story.result, story.rows, story.goals
    task, training, search = result.task, result.study.training, result.study.search
    timed = not rows or any(row.timed for row in rows)
    told = [
        f"{label} ({count(amount)})" if amount else label
        for label, amount in zip_longest(task.classes, task.class_counts)
    ]
    replicates = {row.replicates for row in rows} or {training.replicates}
    most = max(replicates)
    return [
        {
            "title": "The task",
            "facts": [
                ("name", task.name),
                ("all else", "unknown: a study of Optuna’s does not say it"),
            ]
            if is_imported(training.code)
            else [
                ("name", task.name),
                ("records", count(task.records)),
                (
                    "shape",
                    f"{sentences.plural(task.timesteps, 'timestep')} × "
                    f"{sentences.plural(task.features, 'feature')}",
                ),
                {
                    "class": ("classes", f"{', '.join(told)} records"),
                    "sets": (
                        "sets of",
                        f"{', '.join(told)}; a record is right if at every step the outputs of the "
                        "set are the largest",
                    ),
                    "values": ("values", f"{', '.join(told)}; right within {TOLERANCE:g}"),
                }[task.target],
                *_chance(story),
            ],
        },
        {
            "title": "The search",
            "facts": [
                ("sampler", f"{search.sampler}, seed {search.seed}"),
                ("minimised", ", ".join(words(name) for name in goals)),
                ("trials", count(len(rows))),
                ("budget", sentences.plural(training.epochs, "epoch") if timed else "unknown"),
                ("target", training.bound or f"training accuracy {percent(training.target)}"),
                (
                    "replicates",
                    f"{most} a configuration, seeds 0 … {most - 1}, the same for every "
                    "configuration"
                    if most > 1
                    else "1 a configuration, seed 0",
                ),
                ("begun", _minute(result.created)),
                ("last changed", _minute(result.updated)),
            ],
        },
        *_machines(result),
    ]


def _chance(story: Story) -> list[tuple[str, str]]:
    band = story.band
    if band is None:
        return []
    loss = f"loss {number(band.loss)} nats"
    if story.result.task.target == "values":
        loss = f"mean squared error {number(band.loss)}"
    said = f"accuracy {percent(band.accuracy)}, {loss}; an epoch up to {percent(band.high)} is "
    return [("chance", said + "explained by chance")]


def _machines(result: StudyResult) -> list[dict[str, Any]]:
    """The machines that trained, as they said of themselves when they did."""
    storage = ("storage", _storage(result))
    if not result.trained_on:
        unknown = "not recorded: the runs were found, or trained by an older version"
        said = unknown if result.trials else "no run has finished yet"
        return [{"title": "Trained on", "facts": [("machine", said), storage]}]
    groups: list[dict[str, Any]] = []
    for place, machine in enumerate(result.trained_on):
        versions_ = machine.get("versions", {})
        said = [
            ("processor", machine.get("processor", "–")),
            ("cores", str(machine.get("cores", "–"))),
            ("system", machine.get("system", "–")),
            ("versions", ", ".join(f"{name} {version_}" for name, version_ in versions_.items())),
        ]
        groups.append({"title": "Also trained on" if place else "Trained on", "facts": said})
    groups[-1]["facts"].append(storage)
    return groups


def repeat(story: Story) -> dict[str, Any]:
    """How to run the study again, and the commands that go on from here, with what they do."""
    result = story.result
    file = (
        "".join(c if c.isalnum() or c in "-_." else "-" for c in result.name).strip(".") or "study"
    )
    name, storage = shlex.quote(result.name), shlex.quote(_storage(result))
    more = [("make this page from the stored runs", f"report {name}")]
    own = result.study.training.model is not None
    if story.rows and not own:
        best = f"{name} --trial {story.rows[0].number}"
        more += [
            ("write the best configuration as a plain Keras script", f"code {best}"),
            ("train its runs again in stock Keras, and say how far they differ", f"verify {best}"),
        ]
    if not story.why and not own:
        more.append(("ask why it waits, by changing one thing at a time", f"explain {name}"))
    commands = [(f"python -m sweep {command} --storage {storage}", said) for said, command in more]
    again: dict[str, Any] = {
        "text": f"Save the study file below as {file}.toml, and run it; the same seeds give the "
        "same runs on the same machine:",
        "command": f"python -m sweep run {shlex.quote(file + '.toml')} --name {name}",
        "more": "What else can be done with it:",
        "commands": commands,
    }
    if is_imported(result.study.training.code):
        again["text"] = (
            "What trained these trials was never here, so they cannot be repeated from here. To "
            "take them over again, from the database where they are:"
        )
        again["command"] = "python -m sweep import URL STUDY --target VALUE"
    elif own:
        again["command"] += " --allow-code"
    return again


def study_file(result: StudyResult) -> dict[str, str]:
    """The study as a file, and the format that it is in."""
    study: Any = result.study
    if hasattr(study, "to_toml"):
        return {"study_file": str(study.to_toml()), "study_format": "toml"}
    return {"study_file": str(study.model_dump_json(indent=2)), "study_format": "JSON"}


def _storage(result: StudyResult) -> str:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(result.storage).render_as_string(hide_password=True)
    except ArgumentError:
        return result.storage


def day(when: datetime) -> str:
    """A date as a person writes it."""
    return f"{when.day} {when:%B %Y}"


def _minute(when: datetime) -> str:
    return f"{day(when)}, {when:%H:%M}" + (" UTC" if when.utcoffset() is not None else "")
