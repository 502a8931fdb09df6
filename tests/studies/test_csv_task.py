"""CSV files as tasks: read right, or refused with file, line and column."""

import csv
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.csv_task import read_csv_task
from studies.errors import BadInput

HELLO = "first,second,third,target\n1,5,9,1\n0,5,9,0\n1,2,3,1\n0,7,0,0\n"


@pytest.fixture
def write(tmp_path):
    def _write(content: str | bytes, name: str = "data.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write


def refusal(path, **options) -> str:
    with pytest.raises(BadInput) as caught:
        read_csv_task(path, **options)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message.replace(f"{path.parent}/", "")


def test_the_hello_world_needs_no_option(write):
    task, reading = read_csv_task(write(HELLO, "LSTM_hello.csv"))
    assert task.name == "LSTM_hello"
    assert task.x.dtype == np.float32
    assert task.y.dtype == np.int32
    assert task.x.tolist() == [
        [[1], [5], [9]],
        [[0], [5], [9]],
        [[1], [2], [3]],
        [[0], [7], [0]],
    ]
    assert task.y.tolist() == [1, 0, 1, 0]
    assert task.classes == ("0", "1")
    assert task.columns == ("first", "second", "third")
    assert reading.sentences() == (
        "LSTM_hello.csv: 4 records; features first, second, third as 3 timesteps of 1 feature; "
        "label target: 0 (2), 1 (2)",
    )
    assert (reading.label, reading.label_number, reading.delimiter) == ("target", 4, ",")


@pytest.mark.parametrize("name", ["target", "Label", "CLASS", "y"])
def test_the_label_is_found_by_its_usual_names_wherever_it_stands(write, name):
    _, reading = read_csv_task(write(f"a,{name},b\n1,0,3\n2,1,4\n"))
    assert (reading.label, reading.label_number) == (name, 2)
    assert reading.columns == ("a", "b")


def test_target_comes_before_y_as_the_label(write):
    _, reading = read_csv_task(write("x,y,target\n1,5,0\n2,5,1\n"))
    assert reading.label == "target"


def test_without_a_usual_name_the_last_column_is_the_label(write):
    _, reading = read_csv_task(write("a,b,c\n1,5,0\n2,5,1\n"))
    assert reading.label == "c"


@pytest.mark.parametrize("label", ["b", "B", 2, "2"])
def test_the_label_can_be_given_by_name_or_number(write, label):
    _, reading = read_csv_task(write("a,b,c\n1,0,7\n2,1,8\n"), label=label)
    assert (reading.label, reading.columns) == ("b", ("a", "c"))


def test_a_file_without_a_header_has_numbered_columns_and_says_so(write):
    task, reading = read_csv_task(write("1,5,9,1\n0,5,9,0\n"))
    assert task.records == 2
    assert task.columns == ("column 1", "column 2", "column 3")
    assert reading.header is None
    assert reading.sentences()[1] == "No header: the first row is a record"


@pytest.mark.parametrize("label", [1, "1"])
def test_a_number_is_a_column_though_the_first_record_has_it_as_a_value(write, label):
    task, reading = read_csv_task(write("0,1,7\n1,5,9\n0,5,9\n"), label=label)
    assert task.records == 3
    assert reading.label_number == 1


def test_a_header_of_numbers_is_told_by_the_labels_name(write):
    task, reading = read_csv_task(write("0,1,2,target\n1,5,9,1\n0,5,9,0\n"))
    assert task.records == 2
    assert reading.header == ("0", "1", "2", "target")


def test_a_label_that_is_called_y_in_the_first_record_is_no_header(write):
    task, _ = read_csv_task(write("1,2,y\n3,4,n\n5,6,y\n"))
    assert task.records == 3
    assert task.classes == ("n", "y")


def test_the_header_can_be_said_outright(write):
    numbers = write("1,2,3\n4,5,0\n6,7,1\n")
    assert read_csv_task(numbers, header=True)[0].records == 2
    assert "line 1, column 1" in refusal(write("a,b,c\n1,2,0\n3,4,1\n"), header=False)


def test_columns_go_step_by_step_and_in_a_step_feature_by_feature(write):
    task, reading = read_csv_task(write("a1,b1,a2,b2,target\n1,2,3,4,0\n5,6,7,8,1\n"), timesteps=2)
    assert task.x.tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    assert (reading.timesteps, reading.features) == (2, 2)
    assert "as 2 timesteps of 2 features" in reading.sentences()[0]


def test_labels_are_classes_in_numeric_order_where_all_are_numbers(write):
    task, reading = read_csv_task(write("a,y\n1,10\n1,9\n1,9.0\n1,1e1\n1,+9\n1,-1\n1,-1\n"))
    assert task.classes == ("-1", "9", "10")
    assert task.y.tolist() == [2, 1, 1, 2, 1, 0, 0]
    assert reading.classes == (("-1", 2), ("9", 3), ("10", 2))


def test_labels_are_classes_in_the_order_of_text_otherwise(write):
    task, _ = read_csv_task(write("a,y\n1,wolf\n1, cat\n1,cat\n1,10\n1,wolf\n1,10\n"))
    assert task.classes == ("10", "cat", "wolf")
    assert task.y.tolist() == [2, 1, 1, 0, 2, 0]


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(write, sign):
    task, reading = read_csv_task(write(HELLO.replace(",", sign)))
    assert task.x.shape == (4, 3, 1)
    assert reading.delimiter == sign


def test_labels_with_commas_do_not_hide_another_delimiter(write):
    task, _ = read_csv_task(write("a;b;y\n1;2;no, not\n3;4;yes, so\n"))
    assert task.classes == ("no, not", "yes, so")


def test_another_delimiter_can_be_given(write):
    task, _ = read_csv_task(write(HELLO.replace(",", " ")), delimiter=" ")
    assert task.x.shape == (4, 3, 1)


@pytest.mark.parametrize("sign", ["", "xx", "a", '"', "\n", "."])
def test_a_delimiter_that_cannot_part_cells_is_refused(write, sign):
    assert "delimiter" in refusal(write(HELLO), delimiter=sign)


@pytest.mark.parametrize(
    "content",
    [
        HELLO.encode("utf-8-sig"),
        HELLO.encode("utf-16"),
        HELLO.encode("utf-32"),
        HELLO.replace("\n", "\r\n").encode(),
        HELLO.replace("\n", "\r").encode(),
        HELLO.replace("\n", "\n\n  \n").encode(),
        HELLO.rstrip("\n").encode(),
        ("\n" + HELLO).encode(),
        HELLO.replace(",", ", ").encode(),
        "\n".join(",".join(f'"{c}"' for c in row.split(",")) for row in HELLO.split()).encode(),
    ],
    ids=[
        "bom",
        "utf-16",
        "utf-32",
        "crlf",
        "cr",
        "blank-lines",
        "no-last-newline",
        "blank-first",
        "spaces",
        "quoted",
    ],
)
def test_the_same_data_written_otherwise_is_the_same_task(write, content):
    plain, _ = read_csv_task(write(HELLO, "plain.csv"))
    other, _ = read_csv_task(write(content, "other.csv"))
    assert other.fingerprint == plain.fingerprint
    assert other.columns == plain.columns


def test_quoted_cells_may_hold_delimiters_newlines_and_quotes(write):
    task, reading = read_csv_task(
        write('"a, x","b\nc",target\n"1","2","x, ""y""\nz"\n3,4,"x, ""y""\nz"\n5,6,w\n')
    )
    assert task.columns == ("a, x", "b\nc")
    assert task.classes == ("w", 'x, "y"\nz')
    assert "\n" not in reading.sentences()[0]


def test_lines_are_counted_right_after_a_quoted_newline(write):
    message = refusal(write('a,b,y\n1,2,"x\ny"\n3,oops,z\n'))
    assert "data.csv, line 4, column 2 (b)" in message


def test_terminal_codes_in_names_do_not_reach_the_screen(write):
    _, reading = read_csv_task(write("\x1b[31ma,b,y\n1,2,\x1b[0m\n3,4,1\n"))
    assert "\x1b" not in "".join(reading.sentences())


def test_duplicate_names_are_fine_for_inputs_but_not_for_the_label(write):
    path = write("a,a,b\n1,0,0\n2,1,1\n")
    assert read_csv_task(path)[0].columns == ("a", "a")
    assert '2 columns are named "a" (1, 2)' in refusal(path, label="a")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["the file is empty"]),
        ("\n \n\n", ["blank lines only"]),
        ("a,b,target\n", ["header and no records"]),
        ("a,b,target\n1,2,0\n1,2\n", ["line 3", "2 cells", "first row has 3"]),
        ("a,b,target\n1,2,0\n1,2,1,\n", ["line 3", "4 cells", "delimiter too many"]),
        ("a,b,target\n1,2,0\n\n1,x,1\n", ["line 4, column 2 (b)", '"x" is no number']),
        ("a,b,target\n1,2,0\n1,,1\n", ["line 3, column 2 (b)", "empty"]),
        ("a,target,b\n1,0,2\n1,1,zz\n", ["line 3, column 3 (b)", '"zz"']),
        ("a,b,target\n1,2,0\nnan,3,1\n", ["line 3, column 1 (a)", "finite"]),
        ("a,b,target\n1,-inf,0\n1,3,1\n", ["line 2, column 2 (b)", "finite"]),
        ("a,b,target\n1,2,0\n1,1e39,1\n", ["line 3, column 2 (b)", "too large"]),
        ("a,b,target\n1,2,0\n1,1_000,1\n", ["line 3, column 2 (b)", '"1_000"']),
        ("a,b,target\n1,2,0\n3,4,\n", ["line 3, column 3 (target)", "label is missing"]),
        ("a,b,target\n1,2,0\n3,4,NaN\n", ["line 3, column 3 (target)", '"NaN" is no label']),
        ("a,b,target\n1,2,0\n3,4,0\n", ["column 3 (target)", 'one value "0"', "two or more"]),
        ("a,target\n1,0.5\n2,1.5\n3,0.5\n", ["line 2, column 2 (target)", "continuous", '"0.5"']),
        ("a\n1\n2\n", ["one column only"]),
        (",a,target\n0,1,0\n1,2,1\n", ["column 1 has no name", "index=False"]),
        ("a;b;y\n1,5;2,0;1\n1,4;2,1;0\n", ["line 2, column 1 (a)", "comma", "point: 1.5"]),
        ("1,5;2,0;1\n1,4;2,1;0\n", ["line 1, column 1", "comma", "point: 1.5"]),
        ('a,b,y\n1,2,"0\n3,4,1\n', ["line 2", "not closed"]),
        ("a,b,y\n1,2,0\n3," + "4" * 140_000 + ",1\n", ["line 3", "131,072 characters"]),
        ('a,b,y\n1,2,"0"x\n3,4,1\n', ["line 2", "after its closing quote"]),
        ("a,b,y\n1,2,é\n3,4,1\n".encode("latin-1"), ["line 2", "0xe9", "Latin-1", "UTF-8"]),
        (HELLO.encode("utf-16-le"), ["line 1", "UTF-16"]),
        (HELLO.encode("utf-16")[:-1], ["UTF-16"]),
        (b"\x1f\x8b\x08\x00\x00\x00", ["line 1", "0x8b", "packed"]),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_place(write, content, words):
    message = refusal(write(content))
    for word in words:
        assert word in message


def test_a_label_that_differs_in_most_records_is_refused(write):
    rows = "".join(f"{n},{n}\n" for n in range(20))
    assert "20 values in 20 records" in refusal(write("a,target\n" + rows))


def test_a_label_of_more_than_a_thousand_values_is_refused_where_it_has_them(write):
    rows = "".join(f"{n},{n % 1500}\n" for n in range(6000))
    message = refusal(write("a,target\n" + rows))
    assert "line 1002, column 2 (target)" in message
    assert "more than 1,000" in message


def test_an_unknown_label_comes_with_the_nearest_name(write):
    message = refusal(write(HELLO), label="taget")
    assert "did you mean target?" in message
    assert "first, second, third, target" in message


@pytest.mark.parametrize("label", [0, -1, 5, "5"])
def test_a_label_number_out_of_range_is_refused(write, label):
    assert "from 1 to 4" in refusal(write(HELLO), label=label)


def test_a_labels_name_without_a_header_is_refused(write):
    assert "no header" in refusal(write("1,2,0\n3,4,1\n"), label="target")


@pytest.mark.parametrize("timesteps", [2, 4, 0, -3])
def test_timesteps_that_do_not_divide_the_inputs_are_refused(write, timesteps):
    message = refusal(write(HELLO), timesteps=timesteps)
    assert "3 input columns" in message
    assert f"{timesteps} timesteps" in message


def test_a_missing_file_comes_with_the_nearest_name(write, tmp_path):
    write(HELLO, "LSTM_hello.csv")
    assert "did you mean LSTM_hello.csv?" in refusal(tmp_path / "LSTM_helo.csv")


def test_what_is_no_regular_file_is_refused(tmp_path):
    assert "directory" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(tmp_path / "pipe")
    with pytest.raises(BadInput, match="file's name"):
        read_csv_task("a\0b")


def test_an_unreadable_file_is_refused(write, monkeypatch):
    path = write(HELLO)

    def deny(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    assert "Permission denied" in refusal(path)


def test_a_line_without_end_is_refused_before_it_fills_the_memory(write):
    assert "line 1: longer than" in refusal(write("1," * 9_000_000))


def test_thousands_of_columns_are_read(write):
    width = 5000
    names = ",".join(f"f{n}" for n in range(width))
    rows = "".join(",".join(str(n + r) for n in range(width)) + f",{r % 2}\n" for r in range(4))
    task, reading = read_csv_task(write(f"{names},target\n{rows}"), timesteps=50)
    assert task.x.shape == (4, 50, 100)
    assert task.x[3, 49, 99] == width + 2
    assert "(5,000 in all)" in reading.sentences()[0]
    assert len(reading.sentences()[0]) < 200


def test_a_larger_file_takes_little_more_memory_than_its_larger_array(tmp_path):
    row = ",".join(["0.123456789"] * 100)
    peaks: list[int] = []
    sizes: list[int] = []
    for records in (5_000, 15_000):
        path = tmp_path / f"{records}.csv"
        path.write_text("".join(f"{row},{n % 2}\n" for n in range(records)))
        tracemalloc.start()
        try:
            task, _ = read_csv_task(path)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert task.x.shape == (records, 100, 1)
        sizes.append(task.x.nbytes)
    # The array may be a quarter larger while it grows; the text alone would be three times as much.
    assert peaks[1] - peaks[0] < 1.5 * (sizes[1] - sizes[0])


def test_an_error_far_down_a_large_file_has_its_line(tmp_path):
    path = tmp_path / "large.csv"
    rows = ["1,2,0", "3,4,1"] * 100_000
    rows[150_000] = "1,two,0"
    path.write_text("a,b,target\n" + "\n".join(rows))
    assert 'line 150002, column 2 (b): "two" is no number' in refusal(path)


def test_handwritten_digits_are_read_as_eight_steps_of_eight_features(tmp_path):
    from sklearn.datasets import load_digits

    data, digits = load_digits(return_X_y=True)
    path = tmp_path / "digits.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*(f"pixel{n}" for n in range(64)), "digit"])
        writer.writerows([*pixels, digit] for pixels, digit in zip(data, digits, strict=True))
    task, reading = read_csv_task(path, timesteps=8)
    assert task.classes == tuple("0123456789")
    assert np.array_equal(task.x, data.reshape(-1, 8, 8).astype(np.float32))
    assert np.array_equal(task.y, digits)
    assert dict(reading.classes)["3"] == int((digits == 3).sum())


numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
labels = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).filter(
    lambda text: text.strip() == text and text.lower() not in ("nan", "inf", "infinity")
)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(), sign=st.sampled_from([",", ";", "\t", "|"]), end=st.sampled_from(["\n", "\r\n"])
)
def test_what_is_written_is_read_back(tmp_path_factory, data, sign, end):
    width = data.draw(st.integers(1, 6))
    words = [
        f"class {text}" for text in data.draw(st.lists(labels, min_size=2, max_size=3, unique=True))
    ]
    rows = data.draw(
        st.lists(st.lists(numbers, min_size=width, max_size=width), min_size=6, max_size=12)
    )
    y = [words[n % len(words)] for n in range(len(rows))]
    path = tmp_path_factory.mktemp("csv") / "data.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter=sign, lineterminator=end)
        writer.writerow([*(f"f{n}" for n in range(width)), "target"])
        writer.writerows([*row, label] for row, label in zip(rows, y, strict=True))
    task, reading = read_csv_task(path)
    assert reading.delimiter == sign
    assert np.array_equal(task.x.reshape(len(rows), width), np.array(rows, np.float32))
    assert [task.classes[n] for n in task.y] == y
    assert task.classes == tuple(sorted(words))


@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_task_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("csv") / "data.csv"
    path.write_bytes(content)
    try:
        task, _ = read_csv_task(path)
    except BadInput:
        return
    assert np.isfinite(task.x).all()
    assert len(task.classes) >= 2


@settings(max_examples=200, deadline=None)
@given(content=st.text(st.sampled_from('01259.,;\n\r"ab y-e\t'), max_size=80))
def test_any_text_like_a_csv_is_a_task_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("csv") / "data.csv"
    path.write_text(content, newline="")
    try:
        task, _ = read_csv_task(path)
    except BadInput:
        return
    assert np.isfinite(task.x).all()
    assert min(task.class_counts) > 0
