"""Study files: read, refused, changed, compared."""

import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from studies.errors import BadInput
from studies.run import Configuration
from studies.space import Choice, Range
from studies.study import (
    BuiltinTask,
    CsvTask,
    Search,
    Study,
    Training,
    asked_study,
    read_study,
    shipped_studies,
)
from studies.tasks.first_value import FirstValue

FIRST = '{ units = 15, optimizer = "sgd", momentum = 0.5 }'
"""What the small study tries first."""


def refusal(put, text: str) -> list[str]:
    """The lines of the error, each without the file's name, which each begins with."""
    path = put(text, "bad.toml")
    with pytest.raises(BadInput) as caught:
        read_study(path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def test_a_study_has_its_files_name_and_what_it_leaves_out_has_its_default(small):
    assert small.name == "small"
    assert small.description == "a small one"
    assert small.task == BuiltinTask(name="first-value", settings=FirstValue(records=20))
    assert (small.search.sampler, small.search.trials, small.search.seed) == ("tpe", 7, 0)
    assert small.search.objective == "epochs"
    assert small.search.enqueue == ({"units": 15, "optimizer": "sgd", "momentum": 0.5},)
    assert small.space == {
        "units": Range(4, 32, log=True),
        "optimizer": Choice(("adam", "sgd")),
        "momentum": Range(0.0, 0.9, when={"optimizer": ("sgd",)}),
    }
    assert (small.training.epochs, small.training.replicates, small.training.target) == (50, 5, 1.0)
    assert small.training.settings["layers"] == 3
    assert small.training.settings["batch_size"] == 32
    assert not small.training.settings.keys() & {"units", "optimizer", "momentum", "learning_rate"}
    assert small.load_task().records == 20


def test_a_trial_is_what_is_searched_with_what_is_fixed(small):
    configuration = small.configuration({"units": 8, "optimizer": "sgd", "momentum": 0.5})
    assert configuration == Configuration(layers=3, units=8, optimizer="sgd", momentum=0.5)
    assert configuration.learning_rate == 0.01
    assert small.configuration({"units": 8, "optimizer": "adam"}).learning_rate == 0.001


def test_a_trial_without_what_has_no_default_is_refused(small):
    with pytest.raises(BadInput, match=r"small: .*units: Field required"):
        small.configuration({"optimizer": "adam"})
    with pytest.raises(BadInput, match=r"unit: "):
        small.configuration({"units": 3, "unit": 3})


def test_a_list_of_objectives_is_a_front(put, text):
    front = text.replace("trials = 7", 'objective = ["epochs", "flops"]')
    assert read_study(put(front)).search.objectives == ("epochs", "flops")
    one = text.replace("trials = 7", 'objective = ["epochs"]')
    assert read_study(put(one)).search.objective == "epochs"


def test_a_csv_is_found_beside_the_study_file(put, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "hello.csv").write_text("a,b,target\n1,2,0\n3,4,1\n")
    text = '[task]\ncsv = "hello.csv"\nlabel = "target"\ntimesteps = 1\n[training]\nunits = 3\n'
    path = put(text, "data/small.toml")
    monkeypatch.chdir(tmp_path)
    study = read_study(os.path.relpath(path))
    assert isinstance(study.task, CsvTask)
    assert study.task.csv == str(tmp_path / "data" / "hello.csv")
    assert study.load_task().x.shape == (2, 1, 2)
    assert study.task.read()[1].label == "target"


MINIMAL = "[task]\nname = 'first-value'\n[training]\nunits = 8\n"


def test_a_task_and_units_are_all_that_a_study_needs(put):
    assert read_study(put(MINIMAL)).space == {}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "task is missing: a study needs a table [task]"),
        ("task = 3", "task = 3: must be a table"),
        ("[task]\nrecords = 3", "task: has neither name nor csv; it takes a built-in task's name"),
        ("[task]\nname = 'first-value'\ncsv = 'a.csv'", "task: has both name and csv"),
        ("[task]\nname = 'first-valeu'", "two-sequence; did you mean first-value?"),
        ("[task]\nname = 3", "task.name = 3: must be one of adding, copy-first"),
        (
            "[task]\nname = 'first-value'\nrecord = 3",
            "task.record: there is no such key; did you mean records?",
        ),
        (
            "[task]\nname = 'first-value'\nrecords = 1",
            "task.records = 1: must be a whole number from 2 to 10,000,000",
        ),
        (
            "[task]\nname = 'first-value'\nlow = 9\nhigh = 1",
            "task: low (9) must not be above high (1)",
        ),
        ("[task]\ncsv = 3", "task.csv = 3: must be the path of a CSV file"),
        ("[task]\ncsv = ''", 'task.csv = "": must be the path of a CSV file'),
        (
            "[task]\ncsv = 'a.csv'\nlabel = 1.5",
            "task.label = 1.5: must be a column's name or its number",
        ),
        (
            "[task]\ncsv = 'a.csv'\ntimesteps = 0",
            "task.timesteps = 0: must be a whole number at least 1",
        ),
        (
            "[task]\ncsv = 'a.csv'\nheader = 'yes'",
            'task.header = "yes": must be "auto", true or false',
        ),
        (
            "[task]\ncsv = 'a.csv'\ndelimiter = 'ab'",
            'task.delimiter = "ab": must be "auto" or one sign',
        ),
        (
            "[task]\ncsv = 'a.csv'\nlabels = 'x'",
            "task.labels: there is no such key; did you mean label?",
        ),
        ("search = 1", "search = 1: must be a table"),
        (
            "[search]\nsampler = 'bayes'",
            'search.sampler = "bayes": must be one of "tpe", "random", "grid"',
        ),
        ("[search]\ntrials = 0", "search.trials = 0: must be a whole number from 1 to 1,000,000"),
        ("[search]\ntrials = 1.5", "search.trials = 1.5: must be a whole number"),
        ("[search]\ntrials = '9'", 'search.trials = "9": must be a whole number'),
        ("[search]\nseed = -1", "search.seed = -1: must be a whole number from 0 to 4,294,967,295"),
        ("[search]\nobjective = 'time'", 'search.objective = "time": must be "epochs", or a list'),
        ("[search]\nobjective = []", "search.objective = []: must be"),
        ("[search]\nobjective = ['flops', 'flops']", "a list of different ones"),
        (
            "[search]\nobjective = ['epochs', 'time']",
            'search.objective = ["epochs", "time"]: must be',
        ),
        (
            "[search]\nsampler = 'cmaes'\nobjective = ['epochs', 'flops']",
            'search.sampler = "cmaes": must be another',
        ),
        ("[search]\nenqueue = 3", "search.enqueue = 3: must be a list of tables"),
        ("[search]\nenqueue = [3]", "search.enqueue = 3: must be a table such as"),
        ("[search]\ntrails = 3", "search.trails: there is no such key; did you mean trials?"),
        ("[search]\nepochs = 3", "search.epochs: epochs belongs in [training]"),
        (
            "[search]\nsampler = 'grid'\n[space]\nrho = { low = 0.1, high = 0.2 }",
            "space.rho: a grid needs single values",
        ),
        (
            "[space]\nunits = { low = 1, high = 3 }\n[training]\nunits = 3",
            "training.units: units is searched in [space] too",
        ),
        (
            "[space]\nlayers = [1, 2]",
            "training.units is missing: fix it here, or search it in [space]",
        ),
        ("training = 1", "training = 1: must be a table"),
        ("[training]\nunits = 0", "training.units = 0: must be a whole number from 1 to 4,096"),
        ("[training]\nunits = true", "training.units = true: must be a whole number"),
        (
            "[training]\noptimizer = 'adm'",
            'training.optimizer = "adm": must be one of "adam", "sgd"',
        ),
        (
            "[training]\nbatch_sise = 3",
            "training.batch_sise: there is no such key; did you mean batch_size?",
        ),
        ("[training]\nlr = 3", "training.lr: there is no such key; did you mean learning_rate?"),
        ("[training]\ntrials = 3", "training.trials: trials belongs in [search]"),
        (
            "[training]\ntarget = 1.5",
            "training.target = 1.5: must be a number above 0 and at most 1",
        ),
        (
            "[training]\ntarget = nan",
            "training.target = nan: must be a number above 0 and at most 1",
        ),
        ("[training]\nreplicates = 0", "training.replicates = 0: must be a whole number from 1 to"),
        (
            "[training]\nlearning_rate = 0.0",
            "training.learning_rate = 0.0: must be a number above 0 and at most 1,000",
        ),
        ("trials = 3", "trials: trials belongs in [search]"),
        ("[trainig]\nunits = 3", "trainig: there is no such key; did you mean training?"),
        ("description = 3", "description = 3: must be text"),
    ],
)
def test_what_is_wrong_is_named_with_its_key_and_what_is_allowed(put, text, line):
    lines = refusal(put, text)
    assert any(line in found for found in lines), lines


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ("{ units = 99 }", "units = 99: must be a value that space.units has"),
        ("{ units = 0 }", "units = 0: must be a whole number from 1 to"),
        ("{ unit = 9 }", "unit: there is no such key; did you mean units?"),
        (
            "{ optimizer = 'nadam' }",
            'optimizer = "nadam": must be a value that space.optimizer has',
        ),
        ("{ layers = 2 }", "layers = 2: must be 3, to which it is fixed"),
        ("{ batch_size = 16 }", "batch_size = 16: must be 32, to which it is fixed"),
        ("{ momentum = 0.5 }", 'momentum: it is searched only where optimizer is "sgd"'),
        ("{ momentum = 0.5, optimizer = 'adam' }", 'it is searched only where optimizer is "sgd"'),
        (
            "{ learning_rate = 0.1, optimizer = 'sgd' }",
            "learning_rate = 0.1: must be 0.01, to which",
        ),
        ("{ learning_rate = 0.1 }", "learning_rate = 0.1: must be left out"),
    ],
)
def test_what_is_tried_first_must_be_in_the_study(put, text, entry, line):
    entries = text.replace(FIRST, f"{{}}, {entry}")
    (found,) = refusal(put, entries)
    assert found.startswith("entry 2 of search.enqueue: ")
    assert line in found


def test_what_is_tried_first_may_repeat_what_is_fixed(put, text):
    entry = '{ units = 9, layers = 3, optimizer = "sgd", learning_rate = 0.01 }'
    study = read_study(put(text.replace(FIRST, entry)))
    assert study.configuration(study.search.enqueue[0]).learning_rate == 0.01


def test_all_errors_are_shown_at_once(put):
    lines = refusal(
        put,
        """
        trials = 5
        [task]
        name = "first-value"
        recods = 3
        [search]
        sampler = "grid"
        enqueue = [{ layers = 9 }]
        [space]
        layers = [1, 2]
        units = { low = 9, high = 4 }
        rho = { low = 0.1, high = 0.2 }
        [training]
        layers = 2
        """,
    )
    assert [line.split(":")[0] for line in lines] == [
        "trials",
        "task.recods",
        "space.units",
        "training.layers",
        "space.rho",
        "entry 1 of search.enqueue",
    ]


def test_a_syntax_error_has_its_line_and_column(put):
    path = put("[task]\nname = first-value\n")
    with pytest.raises(BadInput) as caught:
        read_study(path)
    assert str(caught.value).startswith(f"{path}, line 2, column 8: ")


def test_an_unknown_name_comes_with_the_nearest_and_all_shipped_ones():
    with pytest.raises(BadInput) as caught:
        read_study("helo-lstm")
    assert "did you mean hello-lstm?" in str(caught.value)
    for name, _ in shipped_studies():
        assert name in str(caught.value)


def test_a_name_whose_file_lies_here_is_told_so(put, text, tmp_path, monkeypatch):
    put(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"did you mean the file small\.toml"):
        read_study("small")
    assert read_study("small.toml").name == "small"


def test_what_is_no_study_file_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no such file"):
        read_study(tmp_path / "none.toml")
    with pytest.raises(BadInput, match="directory"):
        read_study(tmp_path)
    with pytest.raises(BadInput, match="data file"):
        read_study("hello.csv")
    path = tmp_path / "latin.toml"
    path.write_bytes('description = "é"'.encode("latin-1"))
    with pytest.raises(BadInput, match="UTF-8"):
        read_study(path)


@pytest.mark.parametrize("name", ["", "a/b", "..", "-x", " a", "a\nb", "x" * 201, "a\x1b[31m"])
def test_a_name_that_cannot_be_a_files_is_refused(small, name):
    with pytest.raises(BadInput, match="printable characters"):
        Study.from_document(small.document(), name)


@pytest.mark.parametrize("name", ["größe 3", "学習", "a'b\"<c>", "x" * 200])
def test_other_names_are_fine(small, name):
    assert Study.from_document(small.document(), name).name == name


def test_a_study_of_parts_that_do_not_agree_cannot_be_made():
    task = BuiltinTask(name="first-value", settings=FirstValue())
    with pytest.raises(ValidationError, match=r"training\.units is missing"):
        Study(name="x", task=task, training=Training())
    with pytest.raises(ValidationError, match="must be below"):
        Study(name="x", task=task, space={"units": Range(9, 4)}, training=Training())
    with pytest.raises(ValidationError, match="entry 1"):
        Study(
            name="x",
            task=task,
            space={"units": Range(1, 4)},
            search=Search(enqueue=({"units": 9},)),
            training=Training(),
        )


def test_reading_a_study_loads_nothing_heavy():
    code = (
        "import sys; from studies.study import read_study; read_study('hello-lstm');"
        "heavy = {'tensorflow', 'keras', 'optuna', 'plotly', 'scipy', 'pandas', 'sqlalchemy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_csv_takes_the_place_of_what_a_shipped_study_says_of_its_task(put, tmp_path):
    (tmp_path / "my digits.csv").write_text("a,b,target\n1,2,0\n3,4,1\n")
    csv = {"task.csv": str(tmp_path / "my digits.csv")}
    for source in (None, "adam-or-sgd"):
        study = asked_study(source, csv)
        assert study.description.startswith("Which model learns my digits.csv most efficiently")
    assert asked_study(None, {**csv, "description": "my own"}).description == "my own"
    own = put("description = 'of mine'\n[task]\nname = 'first-value'\n[training]\nunits = 3\n")
    assert asked_study(own, csv).description == "of mine"
