"""Data in NPZ and Parquet files, and one long series in windows."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from studies.data_files import read_npz, read_parquet, read_series
from studies.errors import BadInput

X = np.arange(24, dtype=np.float64).reshape(6, 4)
LABELS = np.array(["no", "yes", "no", "yes", "no", "yes"])


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path / "data.npz", **arrays)
    return path / "data.npz"


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path / "data.parquet")
    return path / "data.parquet"


def test_arrays_are_records_of_timesteps_and_features(tmp_path):
    path = npz(tmp_path, x=X.reshape(6, 2, 2), y=LABELS)
    task = read_npz(path, "x", "y", None, None).task
    assert task.name == "data"
    assert task.x.shape == (6, 2, 2)
    assert task.x.dtype == np.float32
    assert task.y.tolist() == [0, 1, 0, 1, 0, 1]
    assert task.classes == ("no", "yes")
    assert task.columns == ("t1 f1", "t1 f2", "t2 f1", "t2 f2")


def test_rows_of_inputs_are_made_into_timesteps(tmp_path):
    path = npz(tmp_path, inputs=X.astype(np.int16), labels=np.array([3, 7, 3, 3, 7, 7]))
    task = read_npz(path, "inputs", "labels", None, None).task
    assert task.x.shape == (6, 4, 1)
    assert task.classes == ("3", "7")
    assert read_npz(path, "inputs", "labels", None, 2).task.x.shape == (6, 2, 2)


def test_targets_that_are_no_classes_are_to_be_predicted(tmp_path):
    y = np.linspace(0.0, 1.1, 6)
    task = read_npz(npz(tmp_path, x=X, y=y), "x", "y", None, None).task
    assert task.target == "values"
    assert task.y.shape == (6, 1)
    two = read_npz(npz(tmp_path, x=X, y=np.stack([y, y * 2], 1)), "x", "y", None, None).task
    assert two.classes == ("value 1", "value 2")


def test_labels_may_be_one_hot_or_a_column(tmp_path):
    plain = read_npz(npz(tmp_path, x=X, y=np.array([0, 2, 1, 0, 2, 1])), "x", "y", None, None).task
    one_hot = np.eye(3)[plain.y]
    column = plain.y[:, None].astype(np.uint8)
    for y in (one_hot, one_hot.astype(bool), column):
        task = read_npz(npz(tmp_path, x=X, y=y), "x", "y", None, None).task
        assert task.fingerprint == plain.fingerprint
        assert task.classes == ("0", "1", "2")
    counts = read_npz(npz(tmp_path, x=X, y=column.astype(float)), "x", "y", None, None).task
    assert counts.target == "values"


def test_groups_come_along(tmp_path):
    groups = np.array([1, 1, 2, 2, 3, 3])
    read = read_npz(npz(tmp_path, x=X, y=LABELS, person=groups), "x", "y", "person", None)
    assert read.groups is not None
    assert read.groups.tolist() == groups.tolist()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": X, "y": LABELS}, r"there is no array x; did you mean a|there is no array x"),
        ({"x": X[:5], "y": LABELS}, "5 records and targets of shape"),
        ({"x": X[0], "y": LABELS}, r"shape \(4,\)"),
        ({"x": X[:, :0], "y": LABELS}, r"shape \(6, 0\)"),
        ({"x": LABELS.reshape(6, 1), "y": LABELS}, "texts, where numbers are due"),
        ({"x": X * 1j, "y": LABELS}, "complex"),
        ({"x": np.where(X == 5, np.nan, X), "y": LABELS}, r"the first that is not is at \[1, 1\]"),
        ({"x": X * 1e40, "y": LABELS}, r"larger than 3.4e38"),
        ({"x": X, "y": np.zeros(6)}, "1 different values"),
        ({"x": X, "y": np.full(6, 0.5)}, "the same for all records"),
        ({"x": X, "y": np.full(6, np.nan)}, "not all finite"),
    ],
)
def test_arrays_that_make_no_task_are_refused(tmp_path, arrays, message):
    with pytest.raises(BadInput, match=message):
        read_npz(npz(tmp_path, **arrays), "x", "y", None, None)


def test_nothing_pickled_is_read(tmp_path):
    class Harm:
        def __reduce__(self) -> Any:
            return (Path(tmp_path / "harm").touch, ())

    np.savez(tmp_path / "data.npz", x=np.array([Harm()], object), y=LABELS[:1])
    with pytest.raises(BadInput, match="no NPZ file of plain arrays"):
        read_npz(tmp_path / "data.npz", "x", "y", None, None)
    assert not (tmp_path / "harm").exists()


def test_files_that_are_none_are_refused(tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    np.save(tmp_path / "one.npy", X)
    for name, message in [
        ("text.npz", "no NPZ file"),
        ("one.npy", "a single array"),
        ("gone.npz", "cannot be read"),
    ]:
        with pytest.raises(BadInput, match=message):
            read_npz(tmp_path / name, "x", "y", None, None)
    for name, message in [("text.npz", "no Parquet file"), ("gone", "there is no such file")]:
        with pytest.raises(BadInput, match=message):
            read_parquet(tmp_path / name, None, None, None)


def test_a_parquet_file_is_read_as_a_csv_is(tmp_path):
    path = parquet(
        tmp_path, a=[1, 2, 3, 4], who=["p", "p", "q", "q"], b=[0.5, 1.5, 2.5, 3.5],
        target=pa.array(["x", "y", "x", "y"]).dictionary_encode(),
    )  # fmt: skip
    read = read_parquet(path, None, "who", None)
    assert read.task.columns == ("a", "b")
    assert read.task.x[:, :, 0].tolist() == [[1, 0.5], [2, 1.5], [3, 2.5], [4, 3.5]]
    assert read.task.classes == ("x", "y")
    assert read.groups is not None
    assert read.groups.tolist() == ["p", "p", "q", "q"]
    assert read_parquet(path, "who", "target", 1).task.x.shape == (4, 1, 2)


@pytest.mark.parametrize(
    ("columns", "label", "message"),
    [
        ({"a": [1, None], "y": [0, 1]}, None, "column a has 1 missing values"),
        ({"a": ["p", "q"], "y": [0, 1]}, None, "column a: texts, where numbers are due"),
        ({"a": [1, 2], "y": [0, 1]}, "z", "there is no column z"),
        ({"y": [0, 1]}, None, "no column is left for the inputs"),
        ({"a": pa.array([], pa.int64()), "y": pa.array([], pa.int64())}, None, "no rows"),
    ],
)
def test_columns_that_make_no_task_are_refused(tmp_path, columns, label, message):
    with pytest.raises(BadInput, match=message):
        read_parquet(parquet(tmp_path, **columns), label, None, None)


def series(path: Path, text: str) -> Path:
    (path / "series.csv").write_text(text)
    return path / "series.csv"


def windows(path: Path, **how: Any) -> Any:
    return read_series(
        path, **{"label": None, "window": 3, "stride": 1, "horizon": 0, "validation": 0.0, **how}
    )


STATES = "a,b,state\n" + "".join(
    f"{n},{n / 10},{'up' if n % 4 < 2 else 'down'}\n" for n in range(20)
)


def test_a_window_tells_the_state_at_its_end(tmp_path):
    task = windows(series(tmp_path, STATES), label="state", stride=2)
    assert task.x.shape == (9, 3, 2)
    assert task.x[1, :, 0].tolist() == [2, 3, 4]
    np.testing.assert_allclose(task.x[1, :, 1], [0.2, 0.3, 0.4], rtol=1e-6)
    assert [task.classes[y] for y in task.y] == ["down", "up"] * 4 + ["down"]
    assert task.columns[:3] == ("a 1", "b 1", "a 2")


def test_a_value_is_forecast_from_what_was_known(tmp_path):
    text = "temperature,wind\n" + "".join(f"{n / 2},{n % 3}\n" for n in range(12))
    task = windows(series(tmp_path, text), label="temperature", horizon=2)
    assert task.target == "values"
    assert task.x.shape == (8, 3, 2)
    assert task.x[0, :, 0].tolist() == [0.0, 0.5, 1.0]
    assert task.y[:3, 0].tolist() == [2.0, 2.5, 3.0]


def test_the_end_of_the_series_is_held_back_without_an_overlap(tmp_path):
    task = windows(series(tmp_path, STATES), label="state", validation=0.4)
    assert task.validation is not None
    assert task.x[:, :, 0].max() == 11
    assert task.validation.x[:, :, 0].min() == 12
    assert task.records == 10
    assert task.validation.records == 6


def test_a_series_in_a_parquet_file(tmp_path):
    path = parquet(tmp_path, a=list(range(10)), state=["u", "d"] * 5)
    task = windows(path, label="state", window=2)
    assert task.x.shape == (9, 2, 1)


@pytest.mark.parametrize(
    ("text", "how", "message"),
    [
        (STATES, {"window": 20}, "20 rows make 1 windows of 20 rows"),
        (STATES, {"window": 30}, "make 0 windows"),
        (STATES, {"label": "sate"}, "there is no column sate for|there is no column sate"),
        (STATES, {"validation": 0.01}, "leaves no window on one side"),
        ("a,b,c\n1,x,y\n2,y,z\n3,x,y\n4,x,y\n", {}, "is no number"),
        ("a,state\n1,u\n2,d\nx,u\n4,d\n5,u\n6,d\n", {}, "line 4, column 1"),
    ],
)
def test_series_that_make_no_task_are_refused(tmp_path, text, how, message):
    with pytest.raises(BadInput, match=message):
        windows(series(tmp_path, text), **how)
