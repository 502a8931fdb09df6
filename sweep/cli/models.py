"""The commands on trained networks: `model` writes one as a Keras file, `predict` uses it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from studies.errors import BadInput
from sweep.cli.keras import AllowCode, Replicate, Trial, run_of, stored_study
from sweep.cli.options import DEFAULT_STORAGE, Name, Storage, writable, writing


def model(
    name: Name,
    trial: Trial,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="A file that ends in .keras."),
    ],
    replicate: Replicate = 0,
    allow_code: AllowCode = False,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Write the trained network of a run as a Keras file, with its class names.

    The run is repeated in Keras; the weights are those after its last epoch.
    """
    from studies.preparing import fitted
    from sweep.keras.data import load_data
    from sweep.keras.files import ModelFacts, save_model, trained_model

    if output.suffix != ".keras":
        raise BadInput(f"--output {output}: the name has to end in .keras")
    writable(output, "--output")
    result, task, reading = stored_study(name, storage, allow_code=allow_code)
    stored = run_of(result, trial, replicate)
    network, finished = trained_model(stored.run, task)
    accuracy = float(finished.curve("accuracy")[-1])
    raw = load_data(result.study.unprepared(), allow_code=allow_code)
    facts = ModelFacts(
        study=name,
        trial=trial,
        replicate=replicate,
        seed=stored.run.seed,
        epochs=finished.epochs,
        accuracy=accuracy,
        task=task.name,
        target=task.target,
        timesteps=raw.timesteps,
        features=raw.features,
        columns=raw.columns,
        classes=task.classes,
        label=None if reading is None else reading.label,
        label_number=None if reading is None else reading.label_number,
        inputs=fitted(raw, result.study.task.prepare),
    )
    with writing(output):
        lacking = save_model(network, output, facts)
    # Accuracies of epochs are running ones: each batch is counted before its update.
    after = network.evaluate(task.x, task.y, verbose=0, return_dict=True)["accuracy"]
    typer.echo(
        f"Trained in Keras for {finished.epochs} epochs ({stored.epochs} are stored), the last of "
        f"them with accuracy {accuracy:.6g}; after it {round(after * task.records)} of "
        f"{task.records} records are right.",
        err=True,
    )
    if lacking:
        typer.echo(
            f"Keras has no {lacking[0]}: `code` writes it out, and keras.saving.load_model takes "
            f'it as custom_objects={{"sweep>{lacking[0]}": {lacking[0]}}}.',
            err=True,
        )
    typer.echo(str(output))


def predict(
    file: Annotated[Path, typer.Argument(metavar="MODEL", help="A file that `model` wrote.")],
    csv: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A CSV with the columns that it was trained on."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: standard output."),
    ] = None,
) -> None:
    """Say the class of each record of a CSV, and how sure the network is.

    Columns are found by the header's names, or without a header taken in their order. Where the
    file has the label too, standard error says how many are right.
    """
    from studies.csv_inputs import class_name, read_csv_inputs
    from sweep.keras.files import predicted, read_facts, read_model

    if output is not None:
        writable(output, "--output")
    facts = read_facts(file)
    if facts.target == "sets":
        raise BadInput(f"{file}: tells sets of symbols at every timestep, which no CSV row holds")
    inputs = read_csv_inputs(
        csv,
        facts.columns,
        label=facts.label,
        label_number=facts.label_number,
        own_names=facts.label is not None,
    )
    x = facts.inputs.applied(inputs.x.reshape(len(inputs.x), facts.timesteps, facts.features))
    outputs = predicted(read_model(file), x)
    if facts.target == "values":
        rows = [[f"{value:.6g}" for value in row] for row in outputs]
        _write_rows(facts.classes, rows, output)
        return
    named = [facts.classes[place] for place in outputs.argmax(axis=1)]
    rows = [[one, f"{row.max():.4f}"] for one, row in zip(named, outputs, strict=True)]
    _write_rows(("class", "probability"), rows, output)
    if inputs.labels is not None:
        # Classes of whole numbers are named as numbers: 1.0 is 1.
        canonical = all(class_name(one) == one for one in facts.classes)
        labels = [class_name(one) if canonical else one for one in inputs.labels]
        right = sum(one == label for one, label in zip(named, labels, strict=True))
        typer.echo(f"{right} of {len(named)} records right.", err=True)


def _write_rows(header: Sequence[str], rows: Sequence[Sequence[str]], output: Path | None) -> None:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    if output is None:
        typer.echo(text.getvalue(), nl=False)
        return
    with writing(output):
        output.write_text(text.getvalue(), encoding="utf-8")
    typer.echo(str(output))
