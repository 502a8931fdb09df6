"""`model` and `predict`: a trained network as a file, and used on a CSV."""

import csv
from pathlib import Path
from typing import Any

import pytest

from studies.run import Configuration
from sweep.keras import build_model
from sweep.keras.files import ModelFacts, read_facts, save_model

ROWS = "".join(f"{n % 2},{n % 7 / 10},{'ab'[n % 2]}\n" for n in range(40))


def test_a_network_is_trained_written_and_used(empty: Path, untrained: None, sweep: Any) -> None:
    Path("data.csv").write_text("x,noise,class\n" + ROWS)
    words = ("--csv", "data.csv", "--name", "data", "--no-report", "--epochs", 60)
    settings = ("--set", "training.learning_rate=0.1", "--set", "training.layers=1")
    settings += ("--set", "training.target=0.9")
    assert sweep("run", "small.toml", *words, *settings).exit_code == 0

    done = sweep("model", "data", "--trial", 0, "--replicate", 1, "-o", "network.keras")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "network.keras\n"
    trained = done.stderr
    facts = read_facts(Path("network.keras"))
    assert 0.9 <= (facts.accuracy or 0.0) <= 1.0
    assert facts.epochs < 60
    assert f"Trained in Keras for {facts.epochs} epochs (60 are stored)" in done.stderr
    assert (facts.study, facts.trial, facts.replicate, facts.seed) == ("data", 0, 1, 1)
    assert (facts.columns, facts.classes) == (("x", "noise"), ("a", "b"))
    assert (facts.label, facts.label_number) == ("class", 3)

    done = sweep("predict", "network.keras", "data.csv")
    assert done.exit_code == 0
    lines = list(csv.DictReader(done.stdout.splitlines()))
    right = sum(line["class"] == "ab"[n % 2] for n, line in enumerate(lines))
    assert done.stderr == f"{right} of 40 records right.\n"
    assert f"after it {right} of 40 records are right." in trained
    assert right > 30
    assert all(0.5 < float(line["probability"]) <= 1.0 for line in lines)

    Path("new.csv").write_text("noise,x\n0.3,1\n0.5,0\n")
    done = sweep("predict", "network.keras", "new.csv", "-o", "classes.csv")
    assert done.exit_code == 0
    assert (done.stdout, done.stderr) == ("classes.csv\n", "")
    text = Path("classes.csv").read_text()
    assert [line.split(",")[0] for line in text.splitlines()] == ["class", "b", "a"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["small", "--trial", "0", "-o", "network.h5"], "has to end in .keras"),
        (["small", "--trial", "7", "-o", "network.keras"], "small has no trial 7"),
        (["small", "--trial", "0", "--replicate", "3", "-o", "n.keras"], "it has 0 to 2"),
        (["small", "--trial", "0", "-o", "no/network.keras"], "there is no directory no"),
    ],
)
def test_what_cannot_be_written_is_refused(
    stored: Path, sweep: Any, words: list[str], message: str
) -> None:
    done = sweep("model", *words)
    assert done.exit_code == 2
    assert message in done.stderr


def network(**changes: Any) -> None:
    """Writes an untrained network of two inputs as network.keras."""
    facts = {
        "study": "s",
        "trial": 0,
        "replicate": 0,
        "seed": 0,
        "epochs": 1,
        "accuracy": 0.5,
        "task": "t",
        "target": "class",
        "timesteps": 2,
        "features": 1,
        "columns": ["x", "y"],
        "classes": ["a, b", "c"],
        **changes,
    }
    model: Any = build_model(
        Configuration(units=2), (2, 1), 2, 0, target=facts["target"], masked=False
    )
    save_model(model, Path("network.keras"), ModelFacts.model_validate(facts))


def test_class_names_are_quoted_where_they_must_be(empty: Path, sweep: Any) -> None:
    network()
    Path("data.csv").write_text("".join(f"{n},{-n}\n" for n in range(-20, 20)))
    done = sweep("predict", "network.keras", "data.csv")
    assert done.exit_code == 0
    named = [row[0] for row in csv.reader(done.stdout.splitlines())][1:]
    assert set(named) <= {"a, b", "c"}
    assert "a, b" in named


def test_values_are_told_by_their_names(empty: Path, sweep: Any) -> None:
    network(target="values", classes=["sum", "product"])
    Path("data.csv").write_text("x,y\n1,2\n3,4\n")
    done = sweep("predict", "network.keras", "data.csv")
    assert done.exit_code == 0
    header, *rows = csv.reader(done.stdout.splitlines())
    assert header == ["sum", "product"]
    assert all(abs(float(value)) < 10 for row in rows for value in row)
    assert len(rows) == 2


def test_inputs_are_changed_as_they_were_for_training(empty: Path, sweep: Any) -> None:
    network()
    Path("data.csv").write_text("".join(f"{n},{-n}\n" for n in range(-5, 5)))
    plain = sweep("predict", "network.keras", "data.csv").stdout
    network(inputs={"subtract": [100.0, 0.0], "divide": [2.0, 4.0]})
    Path("data.csv").write_text("".join(f"{2 * n + 100},{-4 * n}\n" for n in range(-5, 5)))
    assert sweep("predict", "network.keras", "data.csv").stdout == plain


def test_numbers_as_labels_are_compared_as_numbers(empty: Path, sweep: Any) -> None:
    network(classes=["0", "1"], label="label", label_number=3)
    Path("data.csv").write_text("x,y,label\n1,2,0.0\n1,2,1.0\n")
    done = sweep("predict", "network.keras", "data.csv")
    assert done.exit_code == 0
    assert done.stderr == "1 of 2 records right.\n"


def test_files_that_do_not_fit_are_refused(empty: Path, sweep: Any) -> None:
    def refused(*words: Any) -> str:
        done = sweep("predict", *words)
        assert done.exit_code == 2
        assert done.stdout == ""
        return done.stderr

    Path("data.csv").write_text("x,z\n1,2\n3,4\n")
    assert "network.keras: there is no such file" in refused("network.keras", "data.csv")
    network()
    assert "there is no column y; the model takes x, y" in refused("network.keras", "data.csv")
    assert "no.csv: there is no such file" in refused("network.keras", "no.csv")
    assert "no Keras model file" in refused("data.csv", "data.csv")
    network(target="sets", classes=["B", "T"])
    assert "sets of symbols" in refused("network.keras", "data.csv")
