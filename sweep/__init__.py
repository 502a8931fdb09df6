"""How fast small networks learn, and why they wait: sweep from Python.

    import sweep

    study = sweep.run("hello-lstm", trials=20)  # or, of what is stored: sweep.open("hello-lstm")
    study.answer                                # what was found, in words
    study.trials, study.runs, study.curves      # pandas data frames
    study.figures["curves"]                     # plotly figures, those of the report
    study.compare(by="optimizer")               # groups of runs, with intervals
    study.explain()                             # why it waits
    study.report()                              # an HTML file

Nothing is imported before it is used: the command line begins here as well.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storage.failures import StorageFailure
    from studies.errors import BadInput
    from sweep.python import Comparison, Figures, Result, Why, open, run, studies

__all__ = [
    "BadInput",
    "Comparison",
    "Figures",
    "Result",
    "StorageFailure",
    "Why",
    "open",
    "run",
    "studies",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    homes = {"BadInput": "studies.errors", "StorageFailure": "storage.failures"}
    return getattr(import_module(homes.get(name, "sweep.python")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
