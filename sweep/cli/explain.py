"""The command `explain`: why a configuration sits on its plateau."""

import json
import sys
import textwrap
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from sweep.cli.options import DEFAULT_STORAGE, Json, Storage, command, writable, writing
from sweep.cli.stopping import GO_ON, interruptible

if TYPE_CHECKING:
    from rich.table import Table

    from sweep.explain import Arm, Effect, Explanation, HiddenProgress
    from sweep.explain.check import Repeated

FINDINGS = {
    "shortens": "Shortens the plateau",
    "level": "Hardly matters",
    "lengthens": "Lengthens the plateau",
    "open": "Not decided",
}
"""The headings under which interventions are shown, by finding."""


def explain(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A study; left out: the question's own model."),
    ] = None,
    trial: Annotated[
        int | None,
        typer.Option(min=0, help="Its trial; default: the first that was given."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of each intervention, by seed.")] = 30,
    check_in_keras: Annotated[
        bool,
        typer.Option("--check-in-keras", help="Repeat the three largest effects in stock Keras."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it to a file, not the screen."),
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
) -> None:
    """Explain a plateau: change one thing at a time, and see what shortens it.

    Every change is trained from the same seeds as the configuration itself. The runs are kept: the
    same command reads them again, and goes on where it was interrupted.
    """
    from sweep.explain import explain as explained

    file = None if output is None else writable(output, "-o")
    from sweep.cli.progress import shown_progress

    with _told_how_to_go_on():
        with shown_progress() as show:
            found = explained(storage, name, trial, seeds=seeds, on_progress=show)
        repeated: list[Repeated] = []
        if check_in_keras:
            from sweep.explain.check import check_in_keras as repeat

            repeated = repeat(found, _say)
    if file is None:
        _write(found, repeated, storage, as_json, sys.stdout)
        return
    with writing(file), file.open("w", encoding="utf-8") as stream:
        _write(found, repeated, storage, as_json, stream)


@contextmanager
def _told_how_to_go_on() -> Generator[None]:
    try:
        with interruptible():
            yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(GO_ON) from None


def _say(name: str, done: int, total: int) -> None:
    print(f"in stock Keras: {name}, run {done + 1} of {total}", file=sys.stderr, flush=True)


def _write(
    found: "Explanation",
    repeated: "Sequence[Repeated]",
    storage: str,
    as_json: bool,
    stream: TextIO,
) -> None:
    if as_json:
        from sweep.explain import explanation_json
        from sweep.explain.check import check_json

        document = explanation_json(found)
        if repeated:
            document["in_keras"] = [check_json(one) for one in repeated]
        print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False), file=stream)
        return
    _print(found, repeated, storage, stream)


def _print(
    found: "Explanation", repeated: "Sequence[Repeated]", storage: str, stream: TextIO
) -> None:
    from rich.text import Text

    from sweep.cli.screens import console
    from sweep.report.rows import number

    out = console(stream)
    out.print(Text(_heading(found)))
    out.print()
    for sentence in found.verdict:
        lines = textwrap.fill(sentence, out.width, initial_indent="- ", subsequent_indent="  ")
        out.print(Text(lines), soft_wrap=True)
    if found.hidden is not None:
        out.print()
        out.print(hidden_table(found.hidden, found.baseline))
        out.print(
            "Medians over the baseline’s runs. Nats apart: by how much the outputs (logits) of the "
            "classes differ; d′: the same in units of their spread; R²: the share of the last "
            "layer’s variance that the label explains; gradient: its norm in layer 1."
        )
    out.print()
    out.print(effects_table(found))
    out.print(
        f"Plateau: median epochs at chance. Ratio to the baseline’s, with its 95 % interval over "
        f"{found.replicates} pairs of equal seeds; p after Holm’s correction for "
        f"{len(found.effects)} comparisons. A run that does not escape within {found.budget} "
        "epochs counts as longer than any that does."
    )
    for one in repeated:
        out.print(_repeated_text(one))
    trained = f"{found.runs_trained} trained now" if found.runs_trained else "none trained now"
    if found.runs_trained > found.runs:
        trained += ", with those that chose the best learning rates"
    out.print(f"{found.runs} runs ({trained}) in {number(found.seconds)} s.")
    out.print(f"Storage: {found.storage}", soft_wrap=True)
    asked = [] if found.trial is None else [found.study, "--trial", str(found.trial)]
    again = command("explain", "", storage, *asked, "--json")
    out.print(f"Next:    {again}", soft_wrap=True)


def _heading(found: "Explanation") -> str:
    c = found.baseline.configuration
    model = f"{c.layers} layer{'s' * (c.layers > 1)} of {c.units} {c.cell.upper()} units"
    trial = "the question’s own model" if found.trial is None else f"trial {found.trial}"
    return (
        f"Why does it wait? {found.study}, {trial}: {model}, {c.optimizer}, learning rate "
        f"{c.learning_rate:g}, on {found.task.name}, {found.replicates} runs each."
    )


def hidden_table(hidden: "HiddenProgress", baseline: "Arm") -> "Table":
    """What moves under the flat curve: medians over the baseline's runs, at some epochs from the
    first over the plateau's end to the target."""
    from sweep.cli.screens import table
    from sweep.explain.verdict import number

    curves, end = hidden.curves, baseline.plateau.value or 1.0
    last, layers = len(curves["loss"]), baseline.configuration.layers
    parts = [1, *(round(end * quarter / 4) for quarter in (1, 2, 3, 4)), last]
    shown = sorted({min(max(1, epoch), last) for epoch in parts})
    columns = {
        "accuracy": "accuracy",
        "loss": "loss",
        "nats apart": "contrast",
        "d′": "separation",
        f"R² layer {layers}": f"label_{layers}",
        "gradient": "gradient_1",
        "step size": "step_size",
    }
    return table(
        [(heading, "right") for heading in ("epoch", *columns)],
        [[str(e), *(number(float(curves[n][e - 1])) for n in columns.values())] for e in shown],
    )


def effects_table(found: "Explanation") -> "Table":
    """The interventions under their findings, the largest effect first in each."""
    from rich.text import Text

    from sweep.cli.screens import table
    from sweep.explain.verdict import by_size

    headings = [
        ("", "left"),
        *((h, "right") for h in ("solved", "epochs", "plateau", "ratio", "p")),
    ]
    result = table(headings, [])
    summary = found.baseline.summary
    result.add_row(
        *map(Text, ("the baseline", *_outcome(summary, found.baseline.plateau.value), "1", ""))
    )
    for finding, heading in FINDINGS.items():
        chosen = [e for e in found.effects if e.finding == finding]
        chosen.sort(key=by_size, reverse=finding == "lengthens")
        if chosen:
            result.add_section()
            result.add_row(Text(heading, style="bold"))
        for effect in chosen:
            result.add_row(*map(Text, _row(effect)))
    return result


def _row(effect: "Effect") -> tuple[str, ...]:
    from sweep.explain.verdict import bracketed, interval, ratio_number, ratio_text

    ratio, p = effect.ratio, effect.p_adjusted
    text = ratio_text(ratio)
    if ratio.value is not None:
        text += bracketed(interval(ratio, write=ratio_number))
    return (
        effect.intervention.name,
        *_outcome(effect.arm.summary, effect.arm.plateau.value),
        text,
        "<0.001" if p < 0.001 else f"{p:.3f}",
    )


def _outcome(summary: Any, plateau: float | None) -> tuple[str, str, str]:
    def shown(value: float | None) -> str:
        return "–" if value is None else f"{value:g}"

    solved = f"{summary.solved}/{summary.replicates}"
    return solved, shown(summary.epochs_median), shown(plateau)


def _repeated_text(one: "Repeated") -> str:
    from sweep.explain.verdict import bracketed, interval, ratio_number, ratio_text

    def text(ratio: Any) -> str:
        return ratio_text(ratio) + bracketed(interval(ratio, write=ratio_number))

    ours, theirs = one.effect.ratio, one.ratio
    return (
        f"In stock Keras, {len(one.arm.runs)} runs with weights and order drawn by Keras: "
        f"{one.effect.intervention.name} has a ratio of {text(theirs)}, here {text(ours)}: "
        f"{'they agree' if one.agrees else 'they do not agree'}."
    )
