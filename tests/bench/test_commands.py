"""Benches that start commands: what they start, and that all sides do the same work."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studies.study import read_study
from sweep.bench import growth, optuna_keras, overhead, replay, simulated, start, study
from sweep.bench.commands import Ended, main_of, timed
from sweep.bench.ratios import compared
from sweep.bench.rows import Options, Row
from sweep.bench.study import Taken, result


def row(bench: Any, name: str) -> Row:
    return next(one for one in bench.BENCH.rows if one.name == name)


def ended(took: float, **told: float) -> Ended:
    return Ended(took, 2.0 * took, 100.0, json.dumps(told))


def test_a_command_is_timed_with_its_memory_and_output(tmp_path: Path):
    words = ("-c", "import os; x = b'1' * 2**27; print(os.environ['A'], os.getcwd())")
    done = timed(words, tmp_path, A="b")
    assert done.output.split() == ["b", str(tmp_path)]
    assert done.seconds > 0
    assert done.memory_mib > 128


def test_a_command_that_fails_is_told_of_with_its_last_words(tmp_path: Path):
    with pytest.raises(ChildProcessError, match=r"ended with 3:\nit went wrong"):
        timed(("-c", "import sys; print('it went wrong', file=sys.stderr); sys.exit(3)"), tmp_path)


def test_the_optuna_user_trains_the_default_study(monkeypatch: pytest.MonkeyPatch):
    import optuna

    default = read_study("hello-lstm")
    task = default.load_task()
    x, y = optuna_keras.data()
    assert np.array_equal(x, task.x)
    assert np.array_equal(y, task.y)
    training = default.training
    assert training.epochs == optuna_keras.EPOCHS
    assert training.replicates == len(optuna_keras.SEEDS)
    assert default.search.trials == 100

    monkeypatch.setattr(optuna_keras, "SEEDS", [])
    asked = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    with np.errstate(invalid="ignore"), pytest.warns(RuntimeWarning):
        optuna_keras.objective(asked)
    for name, distribution in asked.distributions.items():
        ours = default.space[name]
        if hasattr(distribution, "choices"):
            assert distribution.choices == tuple(ours.choices)
        else:
            assert (distribution.low, distribution.high) == (ours.low, ours.high)
            assert distribution.log == ours.log
    assert set(asked.distributions) == set(default.space)


def test_the_optuna_user_builds_the_models_of_the_study():
    from sweep.keras import build_model

    default = read_study("hello-lstm")
    settings = {"layers": 2, "units": 7, "optimizer": "rmsprop", "learning_rate": 0.01}
    theirs = optuna_keras.build(settings)
    ours = build_model(default.configuration(settings), (3, 1), 2, 0)
    assert [w.shape for w in theirs.get_weights()] == [w.shape for w in ours.get_weights()]
    configs = [model.optimizer.get_config() for model in (theirs, ours)]
    assert {**configs[0], "name": ""} == {**configs[1], "name": ""}
    assert np.abs(theirs.get_weights()[-2]).max() <= 0.05
    assert theirs.loss == ours.loss


def test_the_optuna_user_s_script_stops_early_and_prints_its_trials(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    settings = {"layers": 1, "units": 5, "optimizer": "adam", "learning_rate": 0.1}
    (tmp_path / "settings.json").write_text(json.dumps([settings]))
    monkeypatch.setattr(optuna_keras, "SEEDS", [0])
    monkeypatch.setattr(optuna_keras, "EPOCHS", 40)
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    monkeypatch.setattr(
        "sys.argv", ["x", "--settings", str(tmp_path / "settings.json"), "--storage", url]
    )
    optuna_keras.main()
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert told["params"] == settings
    assert told["solved"] == [told["epochs"][0] < 40]
    assert told["solved"] == [True]


def test_a_simulated_study_has_its_runs_replayed_by_the_engine(tmp_path: Path):
    done = timed([*main_of("sweep.bench.simulated"), "random", "4", "6", "runs.json"], tmp_path)
    told = json.loads(done.output)
    assert (told["trials"], told["runs"]) == (4, 20)
    _, runs = replay.read(tmp_path / "runs.json")
    assert len(set(runs)) == 6


def test_runs_come_back_from_a_file_as_they_were(tmp_path: Path):
    default = read_study("hello-lstm")
    from studies.run import Run

    params = {"layers": 2, "units": 5, "optimizer": "sgd", "learning_rate": 0.0123456789}
    runs = [Run(default.configuration(params), seed, 17, 0.9) for seed in (3, 1)]
    read, again = replay.read(replay.written(default, runs, tmp_path / "runs.json"))
    assert again == runs
    assert read.load_task().fingerprint == default.load_task().fingerprint


def test_the_engine_alone_says_how_long_it_trained(tmp_path: Path):
    default = read_study("hello-lstm")
    from studies.run import Run

    params = {"layers": 1, "units": 5, "optimizer": "sgd", "learning_rate": 0.001}
    runs = [Run(default.configuration(params), seed, 5) for seed in range(3)]
    replay.written(default, runs, tmp_path / "runs.json")
    told = json.loads(timed([*main_of("sweep.bench.replay"), "runs.json"], tmp_path).output)
    assert (told["runs"], told["epochs"]) == (3, 15)
    assert 0 < told["training"] < told["seconds"]


def test_programs_are_made_ready_by_a_run_of_every_shape():
    default = read_study("hello-lstm")
    from studies.run import Run

    params = {"units": 5, "optimizer": "sgd", "learning_rate": 0.001}
    runs = [
        Run(default.configuration({**params, "layers": layers}), seed, 50)
        for layers in (1, 2)
        for seed in range(3)
    ]
    each = replay.one_of_each(runs, default.load_task())
    assert sorted(run.configuration.layers for run in each) == [1, 2]
    assert {run.epochs for run in each} == {1}


def test_made_up_runs_end_as_runs_do():
    default = read_study("hello-lstm")
    from studies.run import Run

    quick = {"layers": 1, "units": 5, "optimizer": "adam", "learning_rate": 0.1}
    slow = {**quick, "optimizer": "sgd", "learning_rate": 0.0001}
    solved, censored = (
        simulated.made_up(Run(default.configuration(params), 0, 100)) for params in (quick, slow)
    )
    assert (solved.ended, solved.curve("accuracy")[-1]) == ("solved", 1.0)
    assert (censored.ended, censored.epochs) == ("censored", 100)


def test_overhead_is_a_share_of_itself_and_the_training():
    shares = overhead.shares([1.0, 1.0, 2.0], [3.0, 4.0, 6.0])
    assert shares.ratio == 0.25
    assert (shares.value, shares.peer_value) == (1.0, 5.0)


def test_rows_of_the_study_follow_from_its_sides():
    taken = Taken(
        cold=[ended(50.0, seconds=48.0), ended(60.0, seconds=58.0)],
        warm=[ended(20.0, seconds=18.0), ended(30.0, seconds=20.0)],
        alone=[ended(15.0, seconds=13.5), ended(20.0, seconds=16.0)],
        keras_trials=[30.0, 50.0],
        keras_starts=[4.0, 6.0],
    )
    cold = result(row(study, "study-cold"), taken, 100).ratio
    assert cold is not None
    assert (cold.value, cold.peer_value, cold.ratio) == (55.0, 25.0, 2.25)
    warm = result(row(study, "study-warm"), taken, 100).ratio
    assert warm is not None
    assert warm.ratio == pytest.approx((20 / 15 + 30 / 20) / 2)
    overhead_row = result(row(study, "overhead-study"), taken, 100).ratio
    assert overhead_row is not None
    assert overhead_row.ratio == pytest.approx((4.5 / 18 + 4 / 20) / 2)
    keras = result(row(study, "study-optuna-keras"), taken, 100)
    assert keras.ratio is not None
    assert keras.ratio.peer_value == 5.0 + 100 * 40.0
    assert keras.ratio.ratio == 4005.0 / 25.0
    assert keras.note == "Optuna with Keras is extrapolated from 2 of 100 trials."
    assert result(row(study, "study-optuna-keras"), taken, 2).note is None


def test_growth_compares_with_a_thousand_runs(monkeypatch: pytest.MonkeyPatch):
    asked: list[int] = []

    def made_up(runs: int) -> Ended:
        asked.append(runs)
        return Ended(runs / 50.0, runs / 25.0, float(runs), "")

    monkeypatch.setattr(growth, "_study", made_up)
    rows = [row(growth, "growth-100"), row(growth, "growth-100000")]
    small, large = growth.measure(rows, Options(rounds=2, quick=False), print)
    assert asked == [1000, 100, 1000, 100, 1000, 100_000]
    assert small.ratio == compared([50.0, 50.0], [50.0, 50.0])
    assert large.memory_mib == 100_000.0
    assert "with 1,000 runs 1,000" in str(large.note)


def test_starting_is_measured_by_commands_that_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    rows = [row(start, "start-help"), row(start, "start-list")]
    for one in start.measure(rows, Options(rounds=1, quick=True), print):
        assert one.ratio is not None
        assert one.ratio.value > one.ratio.peer_value
    assert list(tmp_path.iterdir()) == []
