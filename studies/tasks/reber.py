"""The embedded Reber grammar: which symbols may come next?"""

import numpy as np
from pydantic import Field, model_validator

from studies.tasks import Builtin, Settings, Size, Task, recipe, step_columns

SYMBOLS = "BTPSXVE"


class EmbeddedReber(Settings):
    """Settings of `embedded-reber`: strings of more than `longest` symbols are drawn again."""

    records: int = Field(default=256, ge=2, le=1_000_000)
    longest: int = Field(default=30, ge=9, le=1_000)

    @model_validator(mode="after")
    def _possible(self) -> "EmbeddedReber":
        self.check_size((self.longest - 1) * len(SYMBOLS))
        return self


def embedded_reber(
    records: int, longest: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Strings of the embedded Reber grammar, and for each symbol the set of its successors.

    A Reber string leads from B to E along a graph in which every fork is taken with probability one
    half. An embedded one is B, then T or P, then a Reber string, then the same T or P again, then
    E: whoever tells its last symbol but one has kept the second one for the whole inner string.

    Task 1 of Hochreiter and Schmidhuber (1997, "Long short-term memory"), from Smith and Zipser
    (1989) and Fahlman (1991), with 256 strings for training as there; their strings have no longest
    one. The last symbol, which nothing follows, is no input.
    """
    graph = (
        {"T": 1, "P": 2},
        {"S": 1, "X": 3},
        {"T": 2, "V": 4},
        {"X": 2, "S": 5},
        {"P": 3, "V": 5},
        {"E": 6},
    )
    code = {symbol: number for number, symbol in enumerate("BTPSXVE")}
    rng = np.random.default_rng(seed)
    x = np.zeros((records, longest - 1, 7), "float32")
    y = np.zeros((records, longest - 1, 7), "float32")
    lengths = np.zeros(records, "int32")
    for record in range(records):
        string, after = [""] * (longest + 1), [""]
        while len(string) > longest:
            kept = "TP"[rng.integers(2)]
            string, after, node = ["B", kept, "B"], ["TP", "B", "TP"], 0
            while node < 6:
                ways = graph[node]
                symbol = sorted(ways)[rng.integers(len(ways))]
                node = ways[symbol]
                string.append(symbol)
                after.append("".join(graph[node]) if node < 6 else kept)
            string += [kept, "E"]
            after.append("E")
        lengths[record] = len(after)
        for step, (symbol, successors) in enumerate(zip(string, after, strict=False)):
            x[record, step, code[symbol]] = 1.0
            for successor in successors:
                y[record, step, code[successor]] = 1.0
    return x, y, lengths


def make_embedded_reber(settings: EmbeddedReber) -> Task:
    """`embedded_reber` as a task with a set of symbols to be told at every step.

    Inputs are one-hot in the order BTPSXVE. A string is right as Hochreiter and Schmidhuber have
    it: at each of its symbols, the outputs of all that may come next are larger than all others.
    They train on the symbol that did come next and call a net successful that has all strings of
    the training set and of a test set of 256 right; here the outputs are trained on the set, and
    solved is that the running accuracy on these records reaches the target.
    """
    x, y, lengths = embedded_reber(**settings.model_dump())
    columns = step_columns(x.shape[1], tuple(SYMBOLS))
    return Task("embedded-reber", x, y, tuple(SYMBOLS), columns, "sets", lengths)


TASKS = (
    Builtin(
        "embedded-reber",
        "at every symbol of a string of the embedded Reber grammar, tell which may come next",
        EmbeddedReber,
        make_embedded_reber,
        lambda settings: Size(
            settings.records,
            settings.longest - 1,
            len(SYMBOLS),
            len(SYMBOLS),
            "sets",
            masked=True,
        ),
        lambda settings: recipe(embedded_reber, "x, y, lengths", settings),
    ),
)
