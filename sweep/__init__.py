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

import sys


def _look_elsewhere_than_here() -> None:
    """Takes the working directory, where `python -m` looks first, out of where modules are found:
    a csv.py or keras.py that lies there is a person's, and nothing for what is imported here.
    """
    # While Python looks for the module that -m names, that stands in the place of its path.
    if sys.argv[:1] != ["-m"] or sys.flags.safe_path:
        return
    named = sys.orig_argv[-len(sys.argv)].partition(".")[0]
    beside = __file__.rpartition("/sweep/")[0] or __file__.rpartition("\\sweep\\")[0]
    if named == "sweep" or (named.startswith("-") and named.endswith("msweep")):
        here = sys.path.pop(0)
        if here == beside and here not in sys.path:
            sys.path.append(here)


_look_elsewhere_than_here()

from importlib import import_module  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

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
    homes = {"BadInput": "studies.errors", "StorageFailure": "storage.failures"}
    return getattr(import_module(homes.get(name, "sweep.python")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _take_our_own() -> None:
    """Imports the packages beside this one before a person's modules of these names can be found:
    a script's directory, or that of `python -c`, comes first.
    """
    root = Path(__file__).parent.parent
    sys.path.insert(0, str(root))
    try:
        for name in ("studies", "storage"):
            found = import_module(name).__file__
            if found is None or root not in Path(found).parents:
                raise ImportError(
                    f"sweep has a package of its own called {name}, and {found or name} "
                    "was imported in its place: import sweep first, or call that something else"
                )
    finally:
        sys.path.remove(str(root))


_take_our_own()
