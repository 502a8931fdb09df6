"""The [task] table: every kind of task, what is done to its records, and a person's function."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studies.errors import BadInput
from studies.study import Study, differences, read_study

FUNCTION = """
import pathlib
import numpy as np

pathlib.Path(__file__).with_name("imported").touch()
print("printed by a module")


def make(records, high=3.0):
    rng = np.random.default_rng(0)
    x = rng.uniform(0, high, size=(records, 4, 2))
    return x, np.where(x[:, 0, 0] > high / 2, "large", "small")


def whole(records):
    x, y = make(records)
    numbers = (y == "large").astype(int)
    return {"x": x, "y": numbers, "classes": ["small", "large"], "groups": np.arange(records) // 5,
            "validation": (x[:4], numbers[:4])}


def raising(records):
    raise ValueError("no data today")


def odd(records):
    return [1, 2, 3]


def unknown(records):
    return {"x": np.zeros((4, 2)), "y": [0, 1, 0, 1], "z": 1}
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "mydata.py").write_text(FUNCTION)
    rows = "".join(f"{n},{n % 3},p{n // 4},{n % 2}\n" for n in range(40))
    (tmp_path / "data.csv").write_text("a,b,who,target\n" + rows)
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).normal(size=(40, 6)),
             y=np.arange(40) % 2, who=np.arange(40) // 4)  # fmt: skip
    (tmp_path / "series.csv").write_text(
        "a,state\n" + "".join(f"{n},{'ud'[n // 2 % 2]}\n" for n in range(60))
    )
    return tmp_path


def study(here: Path, task: str, name: str = "s") -> Study:
    path = here / f"{name}.toml"
    path.write_text(f"[task]\n{task}\n[training]\nunits = 3\n")
    return read_study(path)


TABLES = {
    "csv": 'csv = "data.csv"\ngroup = "who"\nvalidation = 0.25\nstandardise = true',
    "npz": 'npz = "data.npz"\ngroup = "who"\ntimesteps = 3\nvalidation = 0.25\nscale = 2.0',
    "series": 'series = "series.csv"\nwindow = 4\nstride = 2\nvalidation = 0.3',
    "built-in": 'name = "first-value"\nvalidation = 0.2\nembed = true',
    "function": 'function = "mydata:make"\nrecords = 50\nvalidation = 0.2',
}


@pytest.mark.parametrize("kind", TABLES)
def test_every_kind_of_task_is_read_split_and_stored(here, kind):
    asked = study(here, TABLES[kind])
    task = asked.load_task(allow_code=True)
    assert task.validation is not None
    assert task.validation.records > 0
    stored = Study.from_document(asked.document(), "s")
    assert stored == asked
    assert stored.load_task(allow_code=True).fingerprint == task.fingerprint
    assert differences(asked, stored) == []


def test_a_group_of_a_csv_is_no_input_and_stays_together(here):
    task = study(here, 'csv = "data.csv"\ngroup = "who"\nvalidation = 0.25').load_task()
    assert task.columns == ("a", "b")
    assert task.validation is not None
    groups = {int(a) // 4 for a in task.validation.x[:, 0, 0]}
    assert task.validation.records == 4 * len(groups)
    assert not groups & {int(a) // 4 for a in task.x[:, 0, 0]}


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ('csv = "data.csv"\ngroup = "whose"', 'no column "whose" for the group; did you mean who'),
        ('csv = "data.csv"\ngroup = "target"', "target is the label, so it is no group"),
        ('csv = "data.csv"\nlabel = "who"\ngroup = "target"', None),
    ],
)
def test_a_group_is_a_column_beside_the_label(here, task, message):
    asked = study(here, task)
    if message is None:
        assert asked.load_task().classes == tuple(sorted(f"p{n}" for n in range(10)))
        return
    with pytest.raises(BadInput, match=message):
        asked.load_task()


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ('csv = "a.csv"\nnpz = "a.npz"', "has both csv and npz"),
        ("records = 3", "has neither name nor csv; it takes a built-in"),
        ('npz = "a.npz"\nvalidation = 1.0', r"validation = 1.0: must be a number from 0 to below"),
        ('npz = "a.npz"\nembed = true\nscale = 2.0', "embed takes numbers as they are"),
        ('npz = "a.npz"\nwindow = 3', "task.window"),
        ('series = "a.csv"', "task.window is missing"),
        ('name = "first-value"\nscale = 0.0', r"task\.scale = 0\.0: must be a number above 0"),
        ('function = "mydata:mkae"', "mydata.py, which has no mkae; did you mean make"),
        ('function = "nodata:make"', "nodata.py is not"),
        ('function = "mydata:make"\n"a b" = 1', "a b: this cannot be an argument's name"),
        ('function = "mydata:make"\nrecords = []', "text, a finite number, true or false"),
    ],
)
def test_tables_that_are_wrong_are_refused(here, task, message):
    with pytest.raises(BadInput, match=message):
        study(here, task)


def test_a_function_is_called_only_where_code_is_allowed(here, capfd):
    asked = study(here, TABLES["function"])
    with pytest.raises(BadInput, match=r"mydata:make is Python code.*--allow-code"):
        asked.load_task()
    assert not (here / "imported").exists()
    task = asked.load_task(allow_code=True)
    assert (here / "imported").exists()
    assert task.classes == ("large", "small")
    assert task.x.shape == (40, 4, 2)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "printed by a module" in printed.err


def test_a_function_may_say_more(here):
    task = study(here, 'function = "mydata:whole"\nrecords = 30').load_task(allow_code=True)
    assert task.classes == ("small", "large")
    assert task.records == 30
    assert task.validation is not None
    assert task.validation.records == 4
    assert np.array_equal(task.validation.x, task.x[:4])
    assert np.array_equal(task.validation.y, task.y[:4])


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ('function = "mydata:raising"\nrecords = 3', ["in raising", "ValueError: no data today"]),
        ('function = "mydata:make"', ["TypeError", "records"]),
        ('function = "mydata:odd"\nrecords = 3', ["odd returned a list; it has to return a pair"]),
        ('function = "mydata:unknown"\nrecords = 3', ["returned z; known are x, y, classes"]),
        ('function = "mydata:make"\nrecords = 1', ["there must be 2 to"]),
    ],
)
def test_a_function_that_makes_no_data_says_why(here, task, says):
    with pytest.raises(BadInput) as caught:
        study(here, task).load_task(allow_code=True)
    for words in says:
        assert words in str(caught.value)


def test_a_function_that_changed_is_not_called(here):
    asked = study(here, TABLES["function"])
    (here / "mydata.py").write_text(FUNCTION + "\n# changed\n")
    with pytest.raises(BadInput, match="changed since"):
        asked.load_task(allow_code=True)


def test_another_kind_of_task_replaces_the_whole_table(here, monkeypatch):
    monkeypatch.chdir(here)
    asked = study(here, TABLES["csv"])
    other: Any = asked.changed({"task.npz": "data.npz"}).task
    assert other.npz == f"{here}/data.npz"
    assert other.prepare.validation == 0.0
    assert asked.changed({"task.validation": 0.5}).task.prepare.validation == 0.5
    raw = asked.unprepared()
    assert raw.task.prepare.standardise is False
    assert raw.task.prepare.validation == 0.25
