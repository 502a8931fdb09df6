"""A study's data, loaded so that a person's function finds Keras as the rest of a run does."""

import sys
from collections.abc import Callable

from studies.study import FunctionTask, Study
from studies.tasks import Task


def load_data(
    study: Study, *, allow_code: bool = False, say: Callable[[str], None] | None = None
) -> Task:
    """The data of a study, as `Study.load_task` gives them.

    Where a function makes them and may be called, TensorFlow is set up before that: who imports it
    first settles how it compiles and logs, and on what Keras runs.
    """
    if isinstance(study.task, FunctionTask) and allow_code:
        from sweep.engine import prepare
        from sweep.keras.model import keras_on_tensorflow

        prepare()
        if "keras" not in sys.modules:
            keras_on_tensorflow()
    return study.load_task(allow_code=allow_code, say=say)
