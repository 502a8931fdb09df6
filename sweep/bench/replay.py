"""The engine alone: trains the runs of a list, without a search and without a storage.

    main(), called with FILE [ready]

FILE is what `written` wrote. It prints one line of JSON: the runs, the seconds that all took from
the import of TensorFlow on, and those of them in which the engine trained. With `ready` a run of
every shape is trained for an epoch before, so that no program is compiled or loaded meanwhile: what
few runs take may then be told of many.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from studies.run import Configuration, Run
from studies.study import Study
from studies.tasks import Task


def written(study: Study, runs: Sequence[Run], file: Path) -> Path:
    """Writes runs of a study to a file, for `read`."""
    document = {
        "study": study.document(),
        "runs": [
            [run.configuration.model_dump(mode="json"), run.seed, run.epochs, run.target]
            for run in runs
        ],
    }
    file.write_text(json.dumps(document))
    return file


def read(file: Path) -> tuple[Study, list[Run]]:
    """The study and the runs of a file."""
    document: dict[str, Any] = json.loads(file.read_text())
    study = Study.from_document(document["study"], "replay")
    runs = [
        Run(Configuration.model_validate(configuration), seed, epochs, target)
        for configuration, seed, epochs, target in document["runs"]
    ]
    return study, runs


def one_of_each(runs: Sequence[Run], task: Task) -> list[Run]:
    """A run of one epoch for every shape that these runs have."""
    from sweep.engine import CHUNK, MEMORY
    from sweep.engine.shapes import shape_of

    first = {shape_of(r.configuration, task, chunk=CHUNK, memory=MEMORY): r for r in runs}
    return [replace(run, epochs=1) for run in first.values()]


def main() -> None:
    study, runs = read(Path(sys.argv[1]))
    task = study.load_task()
    from sweep.engine import prepare, train

    started = time.perf_counter()
    prepare()
    if sys.argv[2:] == ["ready"]:
        list(train(one_of_each(runs, task), task))
    imported = time.perf_counter()
    epochs = sum(finished.epochs for finished in train(runs, task))
    ended = time.perf_counter()
    told = {"seconds": ended - started, "training": ended - imported}
    print(json.dumps({"runs": len(runs), "epochs": epochs, **told}))
