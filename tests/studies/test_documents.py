"""The canonical form of a study, and that every point of a space is a configuration."""

import json
import pickle
import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from studies.errors import BadInput
from studies.space import Range
from studies.study import Study, differences


def test_a_document_is_plain_json_with_every_default(small):
    document = small.document()
    assert json.loads(json.dumps(document)) == document
    assert document["search"] == {
        "sampler": "tpe",
        "trials": 7,
        "seed": 0,
        "objective": "epochs",
        "enqueue": [{"units": 15, "optimizer": "sgd", "momentum": 0.5}],
    }
    assert document["task"]["timesteps"] == 3
    assert document["training"]["beta_2"] == 0.999
    assert "learning_rate" not in document["training"]


def test_a_study_can_be_sent_to_another_process(small):
    assert pickle.loads(pickle.dumps(small)) == small


@st.composite
def documents(draw):
    """Study files of every kind, valid by construction."""
    space, training = {}, {}
    if draw(st.booleans()):
        low = draw(st.integers(1, 20))
        space["units"] = {
            "low": low,
            "high": low + draw(st.integers(1, 9)),
            "log": draw(st.booleans()),
        }
    else:
        training["units"] = draw(st.integers(1, 64))
    for key, choices in (
        ("optimizer", ["adam", "sgd", "rmsprop"]),
        ("nesterov", [False, True]),
        ("layers", [1, 2, 3]),
    ):
        place = draw(st.sampled_from(["space", "training", "default"]))
        if place == "space":
            space[key] = draw(st.lists(st.sampled_from(choices), min_size=1, unique=True))
        elif place == "training":
            training[key] = draw(st.sampled_from(choices))
    for key in ("learning_rate", "momentum", "rho"):
        place = draw(st.sampled_from(["space", "training", "default"]))
        low = draw(st.floats(1e-6, 0.4))
        if place == "space":
            space[key] = {"low": low, "high": low + draw(st.floats(0.1, 0.5)), "log": True}
            if "optimizer" in space and draw(st.booleans()):
                space[key]["when"] = {"optimizer": space["optimizer"][0]}
        elif place == "training":
            training[key] = low
    training["epochs"] = draw(st.integers(1, 1000))
    training["target"] = draw(st.floats(0.01, 1.0))
    if draw(st.booleans()):
        task = {
            "name": "first-value",
            "records": draw(st.integers(2, 50)),
            "balanced": draw(st.booleans()),
        }
    else:
        task = {
            "csv": draw(st.text("ab./ ü", min_size=1)),
            "label": draw(st.none() | st.integers(1, 9) | st.text()),
        }
    search = {
        "sampler": draw(st.sampled_from(["tpe", "random", "nsgaii"])),
        "trials": draw(st.integers(1, 1000)),
        "objective": draw(st.sampled_from(["epochs", ["epochs", "flops"], ["updates"]])),
    }
    if "units" in space and draw(st.booleans()):
        search["enqueue"] = [{"units": space["units"]["low"]}]
    return {
        "description": draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=30)),
        "task": task,
        "search": search,
        "space": space,
        "training": training,
    }


@settings(deadline=None)
@given(document=documents())
def test_documents_and_files_are_read_back_as_the_same_study(document):
    study = Study.from_document(document, "x")
    assert Study.from_document(study.document(), "x") == study
    assert Study.from_document(json.loads(json.dumps(study.document())), "x") == study
    assert Study.from_document(tomllib.loads(study.to_toml()), "x") == study
    assert differences(study, Study.from_document(study.document(), "y")) == []


@settings(deadline=None)
@given(document=documents(), data=st.data())
def test_every_corner_of_a_space_is_a_configuration(document, data):
    study = Study.from_document(document, "x")
    params = {
        key: data.draw(
            st.sampled_from(
                [dimension.low, dimension.high]
                if isinstance(dimension, Range)
                else list(dimension.choices)
            )
        )
        for key, dimension in study.space.items()
    }
    configuration = study.configuration(params)
    for key, value in {**study.training.settings, **params}.items():
        assert getattr(configuration, key) == value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=200)
@given(document=documents(), data=st.data())
def test_a_spoilt_document_is_a_study_or_refused(document, data):
    table = data.draw(st.sampled_from(list(document)))
    if isinstance(document[table], dict) and document[table] and data.draw(st.booleans()):
        key = data.draw(st.sampled_from([*document[table], "momentum", "enqueue", "objective"]))
        document[table][key] = data.draw(json_values)
    else:
        document[table] = data.draw(json_values)
    try:
        study = Study.from_document(document, "x")
    except BadInput as error:
        assert str(error)  # noqa: PT017
        return
    assert Study.from_document(study.document(), "x") == study
