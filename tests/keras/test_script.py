"""A script is what a person would write in Keras, and trains the run that it was made from."""

from typing import Any, get_args

import numpy as np
import pytest

from studies.run import BiasCorrection, Configuration, FinishedRun, Run
from studies.study import BuiltinTask, CsvTask
from studies.tasks import Task, builtin_tasks, make_task, settings_model
from sweep.bench.scripts import random_configuration, run_scripts
from sweep.engine import train
from sweep.keras import build_model
from sweep.keras.script import data_lines, file_lines, keras_script, write_data


def builtin(**settings: Any) -> tuple[BuiltinTask, Task]:
    asked = BuiltinTask(name="first-value", settings=settings_model("first-value")(**settings))
    return asked, asked.load()


def script_of(run: Run, ended: Any = "solved", epochs: int = 5, **more: Any) -> str:
    asked, task = builtin(records=50)
    data = data_lines(asked, task)
    assert data is not None
    finished = FinishedRun(run, ended, np.zeros((epochs, 2), np.float32))
    return keras_script(finished, task, data, title="a study, trial 3", picture="a.png", **more)


@pytest.mark.parametrize("number", range(20))
def test_a_script_makes_the_oracle_s_model_and_data(number):
    random = np.random.default_rng(number)
    configuration = random_configuration(random).model_copy(
        update={
            "bias_correction": get_args(BiasCorrection)[number % 5],
            "bias_correction_update": 7,
        }
    )
    run = Run(configuration, int(random.integers(1000)), 10)
    text = script_of(run)
    oracle = build_model(configuration, (3, 1), 2, run.seed)
    names: dict[str, Any] = {}
    exec(text[: text.index("# The training")], names)

    _, task = builtin(records=50)
    assert names["x"].dtype == np.float32
    assert np.array_equal(names["x"], task.x)
    assert np.array_equal(names["y"], task.y)

    model = names["model"]
    for a, b in zip(model.get_weights(), oracle.get_weights(), strict=True):
        assert np.array_equal(a, b)
    assert np.array_equal(model(task.x), oracle(task.x))
    assert type(model.optimizer) is type(oracle.optimizer)
    ours, theirs = model.optimizer.get_config(), oracle.optimizer.get_config()
    rates = ours.pop("learning_rate"), theirs.pop("learning_rate")
    if isinstance(rates[1], dict):
        rates = rates[0]["config"], rates[1]["config"]
    assert rates[0] == rates[1]
    assert {**ours, "name": ""} == {**theirs, "name": ""}
    ours, theirs = model.get_compile_config(), oracle.get_compile_config()
    assert {k: v for k, v in ours.items() if k != "optimizer"} == {
        k: v for k, v in theirs.items() if k != "optimizer"
    }


@pytest.mark.parametrize(
    ("name", "layers"), [*((name, 1) for name in builtin_tasks()), ("embedded-reber", 5)]
)
def test_a_script_for_any_built_in_task_makes_the_oracle_s_model(name, layers):
    asked = BuiltinTask(name=name, settings=settings_model(name)(records=20))
    task = asked.load()
    data = data_lines(asked, task)
    assert data is not None
    run = Run(Configuration(cell="rnn", units=3, layers=layers, activation="relu"), 4, 10)
    finished = FinishedRun(run, "censored", np.zeros((10, 2), np.float32))
    text = keras_script(finished, task, data, title="a study, trial 0", picture="a.png")
    names: dict[str, Any] = {}
    exec(text[: text.index("# The training")], names)
    oracle = build_model(
        run.configuration,
        (task.timesteps, task.features),
        len(task.classes),
        run.seed,
        target=task.target,
        masked=task.lengths is not None,
    )
    assert np.array_equal(names["x"], task.x)
    assert np.array_equal(names["model"](task.x), oracle(task.x))
    ours = names["model"].evaluate(task.x, task.y, verbose=0, return_dict=True)
    assert ours == oracle.evaluate(task.x, task.y, verbose=0, return_dict=True)
    assert set(ours) == {"loss", "accuracy"}


def test_a_script_is_short_and_plain():
    random = np.random.default_rng(1)
    for _ in range(100):
        configuration = random_configuration(random)
        lines = script_of(Run(configuration, 1, 10, float(random.choice([0.9, 1.0])))).splitlines()
        assert len(lines) < 80
        assert max(len(line) for line in lines) <= 88
        assert "sweep" not in "\n".join(lines)


@pytest.mark.parametrize(
    ("ended", "says"),
    [
        ("solved", "Measured: 100 % of the training records in epoch 5."),
        ("censored", "Measured: not 100 % within 10 epochs."),
        ("diverged", "Measured: the loss was not finite in epoch 5."),
    ],
)
def test_a_script_says_what_was_measured(ended, says):
    assert f"# {says}\n" in script_of(Run(Configuration(units=3), 0, 10), ended)


def test_scripts_print_the_epochs_that_the_engine_measured():
    asked, task = builtin(records=200)
    data = data_lines(asked, task)
    assert data is not None
    runs = [
        Run(Configuration(units=9, learning_rate=0.02), 3, 120),
        Run(Configuration(cell="gru", units=6, optimizer="sgd", learning_rate=0.5), 7, 60, 0.9),
        Run(
            Configuration(
                units=7,
                learning_rate=0.02,
                recurrent_activation="hard_sigmoid_keras2",
                bias_correction="frozen",
                bias_correction_update=5,
            ),
            1,
            120,
        ),
        Run(Configuration(units=5, layers=2, optimizer="rmsprop"), 2, 3),
        Run(
            Configuration(
                cell="rnn",
                units=4,
                activation="linear",
                optimizer="sgd",
                learning_rate=1000.0,
            ),
            0,
            20,
        ),
    ]
    finished = {f.run: f for f in train(runs, task)}
    assert [finished[run].ended for run in runs] == [*["solved"] * 3, "censored", "diverged"]
    texts = [
        keras_script(finished[run], task, data, title="t", picture=f"{n}.png")
        for n, run in enumerate(runs)
    ]
    printed = run_scripts(texts)
    epochs = [finished[run].epochs for run in runs]
    assert printed[0][-1] == f"epochs to 100 %: {epochs[0]}"
    assert printed[1][-1] == f"epochs to accuracy 0.9: {epochs[1]}"
    assert printed[2][-1] == f"epochs to 100 %: {epochs[2]}"
    assert printed[3][-1] == "not solved in 3 epochs"
    assert printed[4][-1] == f"not solved in {epochs[4]} epochs"
    for run, lines in zip(runs, printed, strict=True):
        curve = finished[run]
        assert len(lines) == curve.epochs + 1
        for epoch, line in enumerate(lines[: curve.epochs - 1]):
            loss, accuracy = (float(part.split()[1]) for part in line.split(": ")[1].split(", "))
            assert loss == pytest.approx(curve.curve("loss")[epoch], rel=1e-4, abs=1e-4)
            assert accuracy == pytest.approx(curve.curve("accuracy")[epoch], abs=1e-4)


@pytest.mark.parametrize("name", builtin_tasks())
def test_the_lines_of_a_built_in_task_make_its_data(name):
    made = builtin_tasks()[name]
    if made.script is None:
        return
    asked = BuiltinTask(name=name, settings=made.settings())
    assert data_lines(asked, make_task(name, asked.settings)) is not None


CSVS = {
    "plain.csv": "a,b,c,target\n1,5,9,1\n0,5.25,9,0\n1,-2e3,8,1\n0,0,7,0\n",
    "no header.csv": "1;5;9;1\n0;5.25;9;0\n1;2;8;1\n0;0;7;0\n",
    "texts.tsv": "class\tx\ty\nyes\t1\t2\nnot so\t3\t4\nyes\t0.1\t5\nnot so\t1e-3\t0\n",
    "quoted.csv": 'x,y,label\n1,2,"a, b"\n3,4,"#c"\n"5",6,"a, b"\n7,8,"#c"\n',
    "spaces.csv": "x, y, label\n1, 2, b \n3, 4, a\n5, 6,b\n7, 8,a\n",
    "numbers.csv": "x,y,label\n1,2,10\n3,4,-9\n5,6,10.0\n7,8,-9\n",
}


@pytest.mark.parametrize("name", CSVS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_csv_is_read_by_lines_of_numpy(tmp_path, name, encoding):
    path = tmp_path / name
    path.write_text(CSVS[name], encoding=encoding)
    task, reading = CsvTask(csv=str(path)).read()
    lines = data_lines(CsvTask(csv=str(path)), task, reading)
    assert lines is not None
    assert str(path) in lines
    names: dict[str, Any] = {"np": np}
    exec(lines, names)
    assert np.array_equal(names["x"], task.x)
    assert np.array_equal(names["y"], task.y)


def test_a_csv_that_numpy_reads_otherwise_has_no_lines(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text('x,"y\nof two lines",label\n1,2,a\n3,4,b\n5,6,a\n7,8,b\n')
    task, reading = CsvTask(csv=str(path)).read()
    assert data_lines(CsvTask(csv=str(path)), task, reading) is None


def test_a_file_s_name_is_text_in_a_script_whatever_it_is(tmp_path):
    path = tmp_path / "a'); import os; os.remove('b.csv"
    path.write_text(CSVS["plain.csv"])
    (tmp_path / "b.csv").write_text("")
    task, reading = CsvTask(csv=str(path)).read()
    lines = data_lines(CsvTask(csv=str(path)), task, reading)
    assert lines is not None
    exec(lines, {"np": np})
    assert (tmp_path / "b.csv").exists()


def test_data_beside_the_script_are_read_back(tmp_path, monkeypatch):
    _, task = builtin(records=20)
    monkeypatch.chdir(tmp_path)
    write_data(task, tmp_path / "the data.npz")
    names: dict[str, Any] = {"np": np}
    exec(file_lines("the data.npz"), names)
    assert np.array_equal(names["x"], task.x)
    assert np.array_equal(names["y"], task.y)
