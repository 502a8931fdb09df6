"""A CSV file as rows of text, read in one stream, with errors that name the line."""

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from studies.errors import BadInput
from studies.files import first_bytes
from studies.problems import plain

DELIMITERS = (",", ";", "\t", "|")
"""Among these the delimiter is looked for."""

LONGEST_LINE = 16 * 2**20
"""Characters; far beyond any row, and below what a file without line ends would take."""

SAMPLE = 200
"""Lines that are looked at to find the delimiter."""

Row = tuple[int, list[str]]
"""The line on which a row begins, counted from 1, and its cells."""


@dataclass
class CsvFile:
    """A CSV file that can be read from its beginning as often as asked.

    `underscore` is set when a line with an underscore was read, and unset by whoever cares.
    """

    path: str
    encoding: str
    underscore: bool = False

    def rows(self, delimiter: str) -> Iterator[Row]:
        """The rows that are not blank; BadInput for bytes, lines or quotes that are wrong."""
        return self._rows_of(self._lines(), delimiter)

    def first_row(self, delimiter: str) -> tuple[list[str], str]:
        """The first row, and the delimiter, looked for in the file if it is "auto".

        Raises BadInput for a file of blank lines or of one column.
        """
        sign = self._likely() if delimiter == "auto" else delimiter
        for _, row in self.rows(sign):
            if len(row) > 1:
                return row, sign
            looked = "comma, semicolon, tab and bar" if delimiter == "auto" else f"{sign!r}"
            raise BadInput(
                f"{self.path}: one column only, parted by {looked}; there must be a label and at "
                "least one input; name another delimiter, if there is one"
            )
        raise BadInput(f"{self.path}: the file has blank lines only")

    def _likely(self) -> str:
        lines = self._lines()
        sample: list[str] = []
        room = LONGEST_LINE
        for line in islice(lines, SAMPLE):
            sample.append(line)
            room -= len(line)
            if room < 0:
                break
        whole = next(lines, None) is None
        return max(DELIMITERS, key=lambda sign: self._fit(sample, sign, whole=whole))

    def _fit(self, sample: list[str], sign: str, *, whole: bool) -> tuple[float, float, int]:
        """How well a delimiter fits: rows of equal length, cells that are numbers, many cells."""
        rows: list[list[str]] = []
        try:
            for _, row in self._rows_of(iter(sample), sign):
                rows.append(row)
        except BadInput:
            whole = True  # a quote was not closed: the row it is in is not among the rows
        if not whole and len(rows) > 1:
            rows.pop()
        lengths = [len(row) for row in rows]
        if max(lengths, default=0) < 2:
            return 0.0, 0.0, 0
        usual = max(set(lengths), key=lambda length: (length > 1, lengths.count(length), length))
        cells = [cell for row in rows[1:] or rows for cell in row]
        numeric = sum(is_number(cell.replace(",", ".", 1)) for cell in cells)
        return lengths.count(usual) / len(lengths), numeric / len(cells), usual

    def _rows_of(self, lines: Iterator[str], delimiter: str) -> Iterator[Row]:
        reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
        while True:
            begins = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise BadInput(f"{self.path}, line {begins}: {_said(error)}") from None
            if len(row) > 1 or (row and row[0].strip()):
                yield begins, row

    def _lines(self) -> Iterator[str]:
        try:
            with Path(self.path).open(encoding=self.encoding, newline="") as stream:
                yield from self._checked(stream)
        except UnicodeDecodeError as error:
            raise self._wrong_bytes(error) from None
        except OSError as error:
            raise BadInput(f"{self.path}: cannot be read: {error.strerror}") from None

    def _checked(self, stream: IO[str]) -> Iterator[str]:
        number = 0
        while line := stream.readline(LONGEST_LINE):
            number += 1
            if len(line) == LONGEST_LINE:
                raise BadInput(
                    f"{self.path}, line {number}: longer than {LONGEST_LINE:,} characters, "
                    "which no row is"
                )
            if "\0" in line:
                raise BadInput(
                    f"{self.path}, line {number}: a zero byte; this is no text, or UTF-16 without "
                    "its byte order mark: save it as UTF-8"
                )
            self.underscore = self.underscore or "_" in line
            yield line

    def _wrong_bytes(self, error: UnicodeDecodeError) -> BadInput:
        """The error for bytes of another encoding, with the line, which the decoder lacks."""
        if self.encoding != "utf-8-sig":
            return BadInput(
                f"{self.path}: begins as {self.encoding.upper()} but goes on otherwise "
                f"({error.reason}): save it as UTF-8"
            )
        with Path(self.path).open("rb") as stream:
            for number, raw in enumerate(stream, start=1):
                try:
                    raw.decode()
                except UnicodeDecodeError as here:
                    return BadInput(
                        f"{self.path}, line {number}: byte 0x{raw[here.start]:02x} is not UTF-8; "
                        "if the file is Latin-1 or Windows-1252, save it as UTF-8 (in Excel: "
                        "CSV UTF-8); if it is packed, unpack it"
                    )
        return BadInput(f"{self.path}: is not UTF-8 ({error.reason})")


def open_csv(path: str | os.PathLike[str]) -> CsvFile:
    """A CSV file, its encoding told by its first bytes: UTF-8, or UTF-16 or 32 with their mark.

    Raises BadInput if it is missing, unreadable, empty or no regular file.
    """
    start = first_bytes(path, 4)
    if not start:
        raise BadInput(f"{path}: the file is empty")
    encoding = "utf-8-sig"
    if start in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        encoding = "utf-32"
    elif start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    return CsvFile(os.fspath(path), encoding)


def check_delimiter(value: str) -> str:
    """The same value, or ValueError if it cannot part the cells of a row."""
    if value == "auto" or (len(value) == 1 and not value.isalnum() and value not in '"\r\n\0.+-_'):
        return value
    raise ValueError(f'"{plain(value)}" must be "auto" or one sign, such as "," or ";"')


def is_number(cell: str) -> bool:
    """Whether a cell is a number as `float` reads it, but without underscores."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _said(error: csv.Error) -> str:
    message = str(error)
    if "unexpected end" in message:
        return "a quoted cell that begins in this row is not closed"
    if "field larger" in message:
        return (
            f"a cell of more than {csv.field_size_limit():,} characters begins in this row; "
            "a quote that is not closed makes one"
        )
    if "expected after" in message:
        return f"a quoted cell goes on after its closing quote ({message})"
    return f"not to be read as CSV: {message}"
