"""A CSV to classify: its columns are found by name, or taken in order."""

from pathlib import Path

import pytest

from studies.csv_inputs import class_name, read_csv_inputs
from studies.errors import BadInput

COLUMNS = ("a", "b", "c")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new.csv"


def test_columns_are_found_by_name_in_any_order_and_among_others(path):
    path.write_text("id,c,kind,a,b\nx,3,yes,1,2\ny,6.5,no,4,5e0\n")
    read = read_csv_inputs(path, COLUMNS, label="kind", label_number=4)
    assert read.x.tolist() == [[1, 2, 3], [4, 5, 6.5]]
    assert read.labels == ("yes", "no")
    assert read_csv_inputs(path, COLUMNS, label="sort").labels is None
    assert read_csv_inputs(path, COLUMNS).labels is None


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_without_a_header_columns_come_in_order(path, sign):
    path.write_text("1,2,3\n4,5,6\n".replace(",", sign))
    read = read_csv_inputs(path, COLUMNS, label="kind", label_number=1)
    assert read.x.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert read.labels is None


def test_without_a_header_the_label_may_be_where_it_was(path):
    path.write_text("yes,1,2,3\nno,4,5,6\n")
    read = read_csv_inputs(path, COLUMNS, label="column 1", label_number=1)
    assert read.x.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert read.labels == ("yes", "no")


def test_inputs_of_one_name_are_taken_in_their_order(path):
    path.write_text("b,a,kind,a\n1,2,yes,3\n")
    assert read_csv_inputs(path, ["a", "b", "a"], label="kind").x.tolist() == [[2, 1, 3]]
    with pytest.raises(BadInput, match="there is no column a"):
        read_csv_inputs(path, ["a", "a", "a"])


def test_names_that_are_no_file_s_own_let_a_header_have_others(path):
    path.write_text("first,second,target,third\n1,2,yes,3\n")
    read = read_csv_inputs(path, ("t1", "t2", "t3"), own_names=False)
    assert read.x.tolist() == [[1, 2, 3]]
    assert read.labels == ("yes",)
    path.write_text("first,second,third\n1,2,3\n")
    assert read_csv_inputs(path, ("t1", "t2", "t3"), own_names=False).x.tolist() == [[1, 2, 3]]
    for more in (("t1", "t2"), ("t1", "t2", "t3", "t4")):
        with pytest.raises(BadInput, match="3 columns, none named after an input"):
            read_csv_inputs(path, more, own_names=False)


def test_a_single_column_is_enough_for_a_model_of_one(path):
    path.write_text("a\n1\n2\n")
    assert read_csv_inputs(path, ["a"]).x.tolist() == [[1], [2]]
    path.write_text("1\n2\n")
    assert read_csv_inputs(path, ["a"]).x.tolist() == [[1], [2]]
    path.write_text("1;yes\n2;no\n")
    read = read_csv_inputs(path, ["a"], label="column 2", label_number=2)
    assert read.x.tolist() == [[1], [2]]
    assert read.labels == ("yes", "no")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,d\n1,2,3\n", r"new.csv: there is no column c; the model takes a, b, c"),
        ("p,q,r\n1,2,3\n", r"there is no column a; the model takes a, b, c"),
        ("1,2\n3,4\n", r"2 columns without a header; the model takes 3"),
        ("1,2,3,4,5\n", r"5 columns without a header; the model takes 3"),
        ("a,b,c\n1,2,3\n1,2\n", r"new.csv, line 3: 2 cells, where the first row has 3"),
        ("a,b,c\n1,two,3\n", r'new.csv, line 2, column 2: "two" is no number'),
        ("a,b,c\n1,,3\n", r"line 2, column 2: empty, where a number is due"),
        ("a,b,c\n1,nan,3\n", r"line 2, column 2: .* no finite number"),
        ("a,b,c\n", r"a header and no records"),
        ("\n\n", r"blank lines only"),
        ("", r"the file is empty"),
    ],
)
def test_another_file_is_refused_with_line_and_column(path, text, message):
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        read_csv_inputs(path, COLUMNS, label="kind", label_number=1)


def test_a_missing_file_is_refused(path):
    with pytest.raises(BadInput, match=r"new.csv: there is no such file"):
        read_csv_inputs(path, COLUMNS)


def test_a_blank_file_is_refused_for_a_model_of_one_column_too(path):
    path.write_text("\n")
    with pytest.raises(BadInput, match="blank lines only"):
        read_csv_inputs(path, ["a"])


def test_labels_are_named_as_classes_are():
    assert [class_name(text) for text in ("1.0", "1", "-2e0", "1.5", "yes")] == [
        "1", "1", "-2", "1.5", "yes",
    ]  # fmt: skip
