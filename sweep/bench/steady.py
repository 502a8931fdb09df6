"""Steady state: many models, against one after another and against `jax.vmap`."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product

from sweep.bench.contenders import CONTENDERS
from sweep.bench.contest import contest
from sweep.bench.ratios import Measured, compared
from sweep.bench.rows import Bench, Goal, Options, Result, Row
from sweep.bench.work import Work

MODELS = {"1x15": (1, 15), "3x15": (3, 15), "4x32": (4, 32)}
COUNTS = (1, 64, 512)
STEPS = (3, 50)

WIDE = (32, 64, 128, 256)
"""Units of one layer on long sequences: somewhere a single model fills the machine."""

FEATURES, LONG, LARGE, RECORDS = 32, 100, 128, 256
"""Features, steps, batch and records of these."""

PEERS = {
    "keras": (
        "model-epochs per second, against the epochs alone of a long Keras `fit`",
        "models trained to 100 % per second, against building, compiling and fitting each in Keras",
    ),
    "keras-loop": (
        "model-epochs per second, against a hand-written Keras loop, an epoch compiled by XLA",
        "models trained to 100 % per second, against that loop, compiled once for all models",
    ),
    "jax": (
        "model-epochs per second, against `jax.vmap` on a thread for each core",
        "models trained to 100 % per second, against `jax.vmap` on a thread for each core",
    ),
}

USUAL = {
    "keras-3x15-64": 200.0,
    "keras-loop-3x15-64": None,
    "jax-3x15-64": 2.0,
    "keras-models-3x15-64": 500.0,
    "jax-models-3x15-64": None,
    "peak-3x15": 0.25,
}
"""Rows that are measured where none is asked for, with the ratios that they aim at."""


def _rows() -> Iterator[Row]:
    for (peer, says), to_target in product(PEERS.items(), (False, True)):
        for steps, (model, (layers, units)), models in product(STEPS, MODELS.items(), COUNTS):
            if to_target and steps > STEPS[0]:
                continue  # The first of fifty values is not learned within the budget.
            name = f"{peer}-models" if to_target else peer
            name += f"-{model}-{models}" + (f"-t{steps}" if steps > STEPS[0] else "")
            work = Work(layers, units, models, steps, to_target=to_target)
            unit = "models/s" if to_target else "epochs/s"
            yield _row(name, says[to_target], unit, (peer, work), share=False)
    says = (
        f"model-epochs per second of wide models, {LONG} steps of {FEATURES} features in batches "
        f"of {LARGE}, against the epochs alone of a long Keras `fit`"
    )
    for units, models in product(WIDE, (1, 8)):
        work = Work(1, units, models, LONG, FEATURES, records=RECORDS, batch_size=LARGE)
        name = f"wide-1x{units}-{models}"
        yield _row(name, says, "epochs/s", ("keras", work), share=False)
    says = "floating point operations per second, of a large single-precision matrix product's"
    for steps, (model, (layers, units)) in product(STEPS, MODELS.items()):
        name = f"peak-{model}" + (f"-t{steps}" if steps > STEPS[0] else "")
        work = Work(layers, units, 64, steps)
        yield _row(name, says, "GFLOP/s", ("peak", work), share=True)


def _row(name: str, says: str, unit: str, work: tuple[str, Work], *, share: bool) -> Row:
    return Row(
        name=name,
        group="steady",
        says=says,
        unit=unit,
        meaning="share" if share else "faster",
        usual=name in USUAL,
        goal=Goal("ratio", aim) if (aim := USUAL.get(name)) else None,
        work=work,
    )


def measure(rows: Sequence[Row], options: Options, say: Callable[[str], None]) -> Iterator[Result]:
    """Measures rows; those of the same work share the measurements of sweep's own side."""
    works = dict.fromkeys(row.work[1] for row in rows)
    for work in works:
        together = [row for row in rows if row.work[1] == work]
        taking_part: list[Row] = []
        for row in together:
            missing = CONTENDERS[row.work[0]].missing()
            if missing is None:
                taking_part.append(row)
            else:
                yield Result(row, None, skipped=missing)
        if not taking_part:
            continue
        kinds = ["sweep", *(row.work[0] for row in taking_part)]
        taken = contest(
            kinds,
            work,
            rounds=options.rounds,
            seconds=options.seconds,
            say=lambda line, first=together[0]: say(f"{first.name}: {line}"),
        )
        for row in taking_part:
            yield result(row, work, taken["sweep"], taken[row.work[0]])


def result(row: Row, work: Work, ours: Sequence[Measured], theirs: Sequence[Measured]) -> Result:
    """The row, from what sweep and the peer measured in the same rounds."""
    # The peak is measured in operations, what is compared with it in model-epochs of so many.
    ours_scale, scale = (work.flops() / 1e9, 1e-9) if row.meaning == "share" else (1.0, 1.0)

    def rates(taken: Sequence[Measured], by: float) -> list[float]:
        return [one.rate * by for one in taken]

    cpu_ours = [one.cpu_rate for one in ours if one.cpu_rate is not None]
    cpu_theirs = [one.cpu_rate for one in theirs if one.cpu_rate is not None]
    by_cpu = None
    if cpu_ours and len(cpu_ours) == len(cpu_theirs):
        by_cpu = compared(cpu_ours, cpu_theirs).ratio * ours_scale / scale
    return Result(row, compared(rates(ours, ours_scale), rates(theirs, scale)), cpu_ratio=by_cpu)


BENCH = Bench("steady", tuple(_rows()), measure)
