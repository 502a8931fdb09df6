"""A part of the records is held back, and inputs are changed by what the others say."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.errors import BadInput
from studies.preparing import Fitted, Preparation, fitted, prepared
from studies.study import read_study
from studies.tasks import Task, make_task

RANDOM = np.random.default_rng(0)


def task(records: int = 40, classes: int = 3) -> Task:
    x = RANDOM.normal(5.0, 3.0, size=(records, 2, 2)).astype(np.float32)
    y = (np.arange(records) % classes).astype(np.int32)
    names = tuple("abcdefgh"[:classes])
    return Task("t", x, y, names, ("p", "q", "r", "s"))


def rows(part: Task) -> set[bytes]:
    return {row.tobytes() for row in part.x}


@settings(max_examples=50, deadline=None)
@given(st.integers(40, 90), st.floats(0.15, 0.6), st.integers(0, 1000), st.booleans())
def test_every_record_is_trained_on_or_held_back(records, share, seed, stratify):
    whole = task(records, 2)
    how = Preparation(validation=share, validation_seed=seed, stratify=stratify)
    parts = prepared(whole, how)
    assert parts.validation is not None
    assert rows(parts) | rows(parts.validation) == rows(whole)
    assert not rows(parts) & rows(parts.validation)
    assert parts.validation.validation is None
    assert abs(parts.validation.records - share * records) <= 1.5
    again = prepared(whole, how)
    assert again.fingerprint == parts.fingerprint != whole.fingerprint


def test_classes_keep_their_shares():
    parts = prepared(task(60), Preparation(validation=0.2))
    assert parts.class_counts == (16, 16, 16)
    assert parts.validation is not None
    assert parts.validation.class_counts == (4, 4, 4)


def test_a_group_is_held_back_as_a_whole():
    whole = task(60)
    groups = np.arange(60) // 6
    parts = prepared(whole, Preparation(validation=0.3), groups)
    assert parts.validation is not None
    held = {groups[int(np.flatnonzero((whole.x == row).all(axis=(1, 2)))[0])]
            for row in parts.validation.x}  # fmt: skip
    assert len(held) == 3
    assert parts.validation.records == 18


def test_inputs_are_standardised_by_the_records_to_train_on():
    parts = prepared(task(60), Preparation(validation=0.25, standardise=True))
    flat = parts.x.reshape(parts.records, -1)
    np.testing.assert_allclose(flat.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(flat.std(axis=0), 1.0, rtol=1e-4)
    assert parts.validation is not None
    assert np.abs(parts.validation.x.reshape(-1, 4).mean(axis=0)).max() > 0.01
    assert parts.x.dtype == parts.validation.x.dtype == np.float32


def test_a_column_that_is_the_same_everywhere_becomes_zero():
    whole = task()
    whole.x[:, 0, 0] = 7.0
    assert not prepared(whole, Preparation(standardise=True)).x[:, 0, 0].any()


def test_inputs_are_scaled():
    whole = task()
    np.testing.assert_allclose(prepared(whole, Preparation(scale=4.0)).x, whole.x / 4.0, rtol=1e-6)


def test_whole_numbers_are_embedded_in_the_places_of_those_to_train_on():
    whole = make_task("first-value", {"records": 40, "low": 0, "high": 5})
    new = prepared(whole, Preparation(embed=True))
    assert new.x.shape == (40, 3, 6)
    assert np.array_equal(new.x.argmax(axis=2), whole.x[:, :, 0])
    assert (new.x.sum(axis=2) == 1.0).all()
    assert new.columns[:7] == ("t1=0", "t1=1", "t1=2", "t1=3", "t1=4", "t1=5", "t2=0")
    held = replace(whole, x=np.full_like(whole.x, 99.0))
    strange = prepared(replace(whole, validation=held), Preparation(embed=True)).validation
    assert strange is not None
    assert not strange.x.any()


def test_what_was_learned_changes_new_inputs_likewise():
    whole = task()
    for how in (Preparation(standardise=True, scale=2.0), Preparation(), Preparation(scale=3.0)):
        learned = Fitted.model_validate_json(fitted(whole, how).model_dump_json())
        np.testing.assert_allclose(learned.applied(whole.x), prepared(whole, how).x, rtol=1e-6)


def test_nothing_asked_is_nothing_done():
    whole = task()
    assert prepared(whole, Preparation()) is whole
    assert Preparation().table() == {}
    assert Preparation(validation=0.5, embed=True).table() == {"validation": 0.5, "embed": True}


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (Preparation(validation=0.001), "leaves no record to validate on"),
        (Preparation(validation=0.99), "no record"),
        (Preparation(embed=True), "are not all whole numbers"),
    ],
)
def test_what_cannot_be_done_is_said(how, message):
    with pytest.raises(BadInput, match=message):
        prepared(task(), how)


def test_a_class_must_be_left_to_train_on():
    whole = task(40, 2)
    groups = np.where(whole.y == 1, "one", "other")
    with pytest.raises(BadInput, match=r"no record of class [ab] to train on"):
        prepared(whole, Preparation(validation=0.5), groups)


def test_inputs_of_unequal_length_stay_as_they_are():
    whole = make_task("two-sequence", {"records": 20})
    with pytest.raises(BadInput, match="differ in length"):
        prepared(whole, Preparation(standardise=True))
    parts = prepared(whole, Preparation(validation=0.5))
    assert parts.validation is not None
    assert parts.validation.lengths is not None
    assert len(parts.validation.lengths) == parts.validation.records == 10


def test_inputs_are_not_embedded_in_more_memory_than_tasks_may_take(monkeypatch):
    monkeypatch.setattr("studies.preparing.MOST_VALUES", 100)
    whole = make_task("first-value", {"records": 20, "high": 1})
    with pytest.raises(BadInput, match="would become 120 numbers, more than 100"):
        prepared(whole, Preparation(embed=True))


def test_numbers_to_embed_are_few():
    whole = make_task("first-value", {"records": 4000, "high": 9999})
    with pytest.raises(BadInput, match="different numbers, more than 1,000"):
        prepared(whole, Preparation(embed=True))


def test_how_many_records_are_held_back_is_said():
    said: list[str] = []
    study = read_study("hello-lstm").changed({"task.validation": 0.2})
    task = study.load_task(say=said.append)
    assert task.validation is not None
    assert said == ["40 of 200 records are held back for validation."]
    read_study("hello-lstm").load_task(say=said.append)
    assert len(said) == 1
