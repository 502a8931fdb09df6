"""sweep from Python and in notebooks: a study is run or opened, and looked at.

`run` trains what is missing of a study and `open` reads a stored one; either way the outcome is a
`Result`, whose tables are pandas data frames and whose figures are plotly's. A result is the study
as it was when it was read: open it again to see what has come since.

What is wrong with an argument is `BadInput`, a storage that cannot be used now `StorageFailure`.
"""

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from studies.errors import BadInput
from sweep.python.findings import Comparison, Figures, Why
from sweep.python.progress import Shown, shown
from sweep.python.result import Result

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["Comparison", "Figures", "Result", "Why", "open", "run", "studies"]


def run(
    study: str | os.PathLike[str] | None = None,
    *,
    name: str | None = None,
    trials: int | None = None,
    replicates: int | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    csv: str | os.PathLike[str] | None = None,
    label: str | None = None,
    timesteps: int | None = None,
    settings: Mapping[str, Any] | None = None,
    storage: str | None = None,
    progress: Shown = True,
    wait: bool = False,
    workers: int | None = None,
    cluster: str | None = None,
    allow_code: bool = False,
) -> Result:
    """Runs a study to its end, or goes on with it where it stopped, and returns what it found.

    `study` is a shipped study's name or the path of a study file; left out, it is `hello-lstm`. The
    other arguments are the options of `python -m sweep run`; what is left out is as the study file
    has it:

    - `name`: the study's name in the storage; with `csv` and no `study` it is the file's.
    - `trials`: configurations to try; `replicates`: trainings of each, from seeds 0 … n − 1;
      `epochs`: the budget of a training; `seed`: the seed of the search.
    - `csv`: a CSV to learn, one row a record; `label`: its column to predict; `timesteps`: steps
      into which the other columns are divided.
    - `settings`: other keys of the study file, such as `{"training.batch_size": 16,
      "space.units": [4, 8]}`.
    - `storage`: the database as an SQLAlchemy URL; left out, the environment's `SWEEP_STORAGE`,
      else `sqlite:///sweep.db`.
    - `progress`: whether to show it, under the cell of a notebook and on standard error elsewhere,
      and of a CSV what was taken for what; or a function to be called with each `Progress`.
    - `wait`: where another process works on the study, watch it until it ends, and go on.
    - `workers`: train in so many processes beside this one, which a script may only ask for under
      `if __name__ == "__main__":`; left out, it is trained in this one.
    - `cluster`: train with the workers of a Dask cluster, whose scheduler has this address.
    - `allow_code`: run the Python functions that the study file names (`model` in [training],
      `function` in [task]), which can do whatever you can; left out, such a study is refused
      before anything of it is imported.

    A study that is there is continued; more trials, replicates or epochs extend it. Raises BadInput
    for settings that make no study, or a study of this name that asks for something else;
    StorageFailure where the storage cannot be written, or another process works on the study;
    ConnectionError where there is no such cluster; ChildProcessError where workers die of a run. On
    KeyboardInterrupt what is finished is kept, and the same call goes on.
    """
    from studies.study import asked_settings, asked_study
    from sweep.execution import check_own_model
    from sweep.keras.data import load_data
    from sweep.search import run_study
    from sweep.workers import trained_by

    changes = asked_settings(
        name=name,
        trials=trials,
        replicates=replicates,
        epochs=epochs,
        seed=seed,
        csv=csv,
        label=label,
        timesteps=timesteps,
    )
    twice = [key for key in changes if key in (settings or {})]
    if twice:
        raise BadInput(f"settings: {twice[0]} is given as an argument as well; leave one out")
    asked = asked_study(study, {**(settings or {}), **changes})
    check_own_model(asked, allow_code=allow_code)
    task = load_data(asked, allow_code=allow_code, say=_say if progress is True else None)
    url = _storage(storage)
    said = _say if progress is True else _keep_quiet
    trained = trained_by(asked, workers=workers, cluster=cluster, say=said)
    with trained as train, shown(progress) as show:
        outcome = run_study(
            asked,
            url,
            task=task,
            on_progress=show,
            train=train,
            wait=wait,
            allow_code=allow_code,
        )
    return Result(outcome.result, url)


def open(name: str, *, storage: str | None = None) -> Result:
    """The study of that name in the storage, as far as it has come.

    `storage` is the database as an SQLAlchemy URL; left out, the environment's `SWEEP_STORAGE`,
    else `sqlite:///sweep.db`. Raises BadInput where there is no such storage or study, and
    StorageFailure where it cannot be read.
    """
    from storage.database import open_database
    from sweep.results import read_results

    url = _storage(storage)
    with open_database(url, create=False) as database:
        return Result(read_results(database, name), url)


def studies(*, storage: str | None = None) -> "pd.DataFrame":
    """The studies in the storage, a row each, the oldest first.

    Columns: `study` and `task` (str), `trials`, `runs` and `solved_runs` (int64), `created` and
    `updated` (datetime64, UTC). Raises BadInput where there is no storage.
    """
    import pandas as pd

    from storage.database import open_database
    from storage.trials import study_lines

    with open_database(_storage(storage), create=False) as database:
        lines = study_lines(database)
    columns = ["study", "task", "trials", "runs", "solved_runs", "created", "updated"]
    rows = [[getattr(line, "name" if c == "study" else c) for c in columns] for line in lines]
    kinds = {"study": "str", "task": "str"} | dict.fromkeys(columns[2:5], "int64")
    kinds |= dict.fromkeys(columns[5:], "datetime64[us, UTC]")
    return pd.DataFrame(rows, columns=columns).astype(kinds)


def _storage(given: str | None) -> str:
    """The storage's URL, as the command line finds it."""
    from sweep.cli.options import DEFAULT_STORAGE

    return given or os.environ.get("SWEEP_STORAGE") or DEFAULT_STORAGE


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _keep_quiet(sentence: str) -> None:
    """Where no progress is to be shown."""
