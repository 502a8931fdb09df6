"""Where the time goes: what counts as which kind of work, and that the parts make the whole."""

import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from sweep.bench import profile, sampled, traced
from sweep.bench.commands import main_of, timed
from sweep.bench.rows import Options
from sweep.machine import cores

PROGRAM = """
HloModule a_made_up_one

%fused_computation.1 (param_0: f32[16,64,32]) -> f32[16,64,32] {
  %param_0 = f32[16,64,32]{2,1,0} parameter(0)
  ROOT %tanh.1 = f32[16,64,32]{2,1,0} tanh(f32[16,64,32]{2,1,0} %param_0)
}

%fused_computation.2 (param_0: f32[16,90]) -> f32[16,90] {
  %param_0 = f32[16,90]{1,0} parameter(0)
  ROOT %multiply.1 = f32[16,90]{1,0} multiply(f32[16,90]{1,0} %param_0, f32[16,90]{1,0} %param_0)
}

%fused_computation.3 (param_0: f32[16,64,32]) -> f32[16,32,64] {
  %param_0 = f32[16,64,32]{2,1,0} parameter(0)
  ROOT %transpose.1 = f32[16,32,64]{1,2,0} transpose(f32[16,64,32]{2,1,0} %param_0)
}

%fused_computation.4 (param_0: f32[200,3], param_1: s32[16,32]) -> f32[16,32,3] {
  %param_0 = f32[200,3]{1,0} parameter(0)
  %param_1 = s32[16,32]{1,0} parameter(1)
  ROOT %gather.1 = f32[16,32,3]{2,1,0} gather(f32[200,3]{1,0} %param_0, s32[16,32]{1,0} %param_1)
}

ENTRY %main (a: f32[16,64,16], b: f32[16,16,32]) -> f32[16,64,32] {
  %a = f32[16,64,16]{2,1,0} parameter(0)
  %b = f32[16,16,32]{2,1,0} parameter(1)
  %product = f32[16,64,32]{2,1,0} dot(f32[16,64,16]{2,1,0} %a, f32[16,16,32]{2,1,0} %b)
  %squashed = f32[16,64,32]{2,1,0} fusion(%product), kind=kLoop, calls=%fused_computation.1
  %updated = f32[16,90]{1,0} fusion(%row), kind=kLoop, calls=%fused_computation.2
  %turned = f32[16,32,64]{1,2,0} fusion(%squashed), kind=kLoop, calls=%fused_computation.3
  ROOT %taken = f32[16,32,3]{2,1,0} fusion(%x, %rows), kind=kLoop, calls=%fused_computation.4
}
"""


def test_an_operation_s_kind_follows_from_what_it_computes():
    kind = traced.kinds(PROGRAM, [(4, 10), (5, 10)])
    assert kind["product"] == "products"
    assert kind["squashed"] == "elementwise"
    assert kind["updated"] == "optimizer"
    assert kind["turned"] == "copies"
    assert kind["taken"] == "gather"


def test_an_operation_takes_what_its_calls_take_without_interruption():
    times = {"product": [10.0, 10.0, 10.0, 400.0], "squashed": [2.0] * 8, "unknown": [9.0, 9.0]}
    kind = {"product": "products", "squashed": "elementwise"}
    assert traced.summed(times, kind, updates=4) == {"products": 10.0, "elementwise": 4.0}


def test_the_kinds_of_work_of_a_real_update_make_it_whole():
    rows = [row for row in profile.ROWS if row.work[0] == "update"]
    results = list(profile.measure(rows, Options(rounds=1, quick=True), print))
    shares = {result.row.work[1]: result.ratio.ratio for result in results if result.ratio}
    assert set(shares) == set(traced.KINDS)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert min(shares[kind] for kind in ("products", "elementwise", "optimizer")) > 0.01


@pytest.mark.parametrize(
    ("modules", "kind"),
    [
        (["sqlalchemy.engine.base", "storage.runs", "sweep.search"], "storage"),
        (["optuna.samplers._tpe.sampler", "sweep.search"], "optuna"),
        (["optuna.storages", "storage.trials", "sweep.copyist"], "storage"),
        (["tensorflow.python.eager.execute", "sweep.engine.population"], "programs"),
        (["numpy.linalg", "sweep.engine.initializers"], "seats"),
        (["importlib._bootstrap", "sweep.engine.runtime"], "import"),
        (["sweep.results", "sweep.search"], "results"),
    ],
)
def test_a_thread_s_work_is_told_by_the_modules_of_its_calls(modules: Sequence[str], kind: str):
    assert sampled.kind_of(modules) == kind


def test_what_threads_took_is_counted_and_the_cores_had_the_rest_to_spare():
    worked, leave = threading.Event(), threading.Event()

    def busy() -> None:
        while time.thread_time() < 0.2:
            sum(range(1000))
        worked.set()
        leave.wait()

    with sampled.Looks() as looks:
        thread = threading.Thread(target=busy)
        thread.start()
        worked.wait()
        looks.look()
        leave.set()
        thread.join()
    by_kind = looks.by_kind()
    assert set(by_kind) == set(sampled.KINDS)
    assert by_kind["results"] >= 0.19
    assert by_kind["storage"] == by_kind["optuna"] == by_kind["import"] == 0.0
    assert by_kind["idle"] == max(0.0, cores() * looks.seconds - looks.cpu)


def test_a_study_is_sampled_to_its_end(tmp_path: Path):
    study = tmp_path / "short.toml"
    study.write_text(
        '[task]\nname = "first-value"\nrecords = 20\n'
        "[search]\ntrials = 2\n[training]\nunits = 3\nepochs = 2\nreplicates = 1\n"
        "[space]\nlearning_rate = { low = 0.001, high = 0.1 }\n"
    )
    words = (*main_of("sweep.bench.sampled"), str(study))
    told = timed(words, tmp_path).output
    by_kind = json.loads(told)["by_kind"]
    assert min(by_kind[kind] for kind in ("import", "programs", "storage")) > 0.0
