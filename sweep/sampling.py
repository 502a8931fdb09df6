"""Which configurations are tried: Optuna's samplers, asked so that every study can be repeated.

Trials are asked by generations of `GENERATION`. Generation g is asked when all trials up to
generation g − lag were told, in the order of their numbers, and none of later ones; so what a
trial is depends on the study and on earlier values alone, never on how fast runs finish, how often
the study was interrupted or how many trials were asked for. While one generation trains the next
is asked already.

The Optuna study lives in memory. Trials that are known from an earlier session take the place of
asking; they are told in their turn like any other.
"""

import importlib.util
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.mirror import silent_optuna
from storage.trials import StoredTrial
from studies.errors import BadInput
from studies.space import Choice, Dimension, applies, grid, ordered
from studies.study import Study
from sweep.values import CONSTRAINTS

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

GENERATION = 10
"""Trials in a generation. Never a function of the number of trials asked for."""

LAG = 2
"""How many generations back the last trials lie that a generation knows of."""

UNLEARNING_LAG = 8
"""The same for samplers that learn nothing from values: it keeps more slots filled."""

UNLEARNING = frozenset({"random", "grid", "qmc"})

STUDY_STATE = "sweep:study"
"""System attribute of a trial: what asking it changed in the study's own system attributes. Some
samplers keep their place there, and need it again when a study is continued."""


@dataclass(frozen=True)
class Asked:
    """A trial to train: its number, and its parameters as Optuna knows them."""

    number: int
    params: dict[str, Any]


class Proposals:
    """The trials of a study, one after another.

    `known` are the finished trials of an earlier session, numbered 0, 1, … without a gap.
    Raises BadInput where the sampler is not installed.
    """

    def __init__(self, study: Study, known: Sequence[StoredTrial] = ()) -> None:
        import optuna

        check_sampler(study)
        self._known = known
        self._seed = study.search.seed
        self._kind = study.search.sampler
        self._lag = UNLEARNING_LAG if self._kind in UNLEARNING else LAG
        self._settings = ordered(study.space)
        self._distributions = {
            name: distribution(setting) for name, setting in self._settings.items()
        }
        self._enqueued = _enqueued(study)
        self.total = total_trials(study)
        points = max(0, self.total - len(self._enqueued))
        self._grid = list(islice(_points(study), points)) if self._kind == "grid" else []
        count = len(study.search.objectives)
        self._storage = optuna.storages.InMemoryStorage()
        self._optuna = optuna.create_study(
            storage=self._storage,
            directions=[optuna.study.StudyDirection.MINIMIZE] * count,
        )
        self._study_id = self._storage.get_study_id_from_name(self._optuna.study_name)
        self._values: dict[int, Sequence[float]] = {trial.number: trial.values for trial in known}
        self._asked = 0
        self._told = 0

    def left(self) -> bool:
        """Whether there are trials that were not asked yet."""
        return self._asked < self.total

    def ready(self) -> bool:
        """Whether the next generation's trials may be asked: all it has to know is known."""
        return self.left() and self._needed() <= self._whole()

    def ask(self) -> list[Asked]:
        """The trials of the next generation, or what is left of it; empty at the end.

        Raises RuntimeError when called before `ready`.
        """
        if not self.left():
            return []
        if not self.ready():
            raise RuntimeError("the values that this generation has to know are not told yet")
        end = min((self._asked // GENERATION + 1) * GENERATION, self.total)
        for number in range(self._told, self._needed()):
            self._optuna.tell(number, list(self._values[number]))
        self._told = max(self._told, self._needed())
        asked = [self._next(number) for number in range(self._asked, end)]
        self._asked = end
        return asked

    def tell(self, number: int, values: Sequence[float]) -> None:
        """Notes the values of a trial; the sampler hears of them in the trials' order."""
        # A known trial's values are those that later trials were asked by.
        if number >= len(self._known):
            self._values[number] = tuple(values)

    def memory(self, number: int) -> tuple[dict[str, str], dict[str, Any], datetime]:
        """What an asked trial needs to be known again: distributions as Optuna's JSON, system
        attributes, and when it was asked.
        """
        from optuna.distributions import distribution_to_json

        trial = self._storage.get_trial(self._trial_id(number))
        if trial.datetime_start is None:
            raise RuntimeError(f"trial {number} was not asked")
        distributions = {
            name: distribution_to_json(item) for name, item in trial.distributions.items()
        }
        return distributions, dict(trial.system_attrs), trial.datetime_start.astimezone()

    def _needed(self) -> int:
        """How many trials must be told before the next is asked."""
        return max(0, (self._asked // GENERATION - self._lag + 1) * GENERATION)

    def _whole(self) -> int:
        """How many trials from the first on have values without a gap."""
        count = self._told
        while count in self._values:
            count += 1
        return count

    def _next(self, number: int) -> Asked:
        if number < len(self._known):
            params = self._replay(self._known[number])
        else:
            params = self._sampled(number)
        return Asked(number, params)

    def _replay(self, known: StoredTrial) -> dict[str, Any]:
        import optuna

        template = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params=dict(known.params),
            distributions={
                name: optuna.distributions.json_to_distribution(text)
                for name, text in known.distributions.items()
            },
            # What Optuna's copy is told of the outcome is nothing that the sampler knew.
            system_attrs={k: v for k, v in known.system_attrs.items() if k != CONSTRAINTS},
        )
        self._storage.create_new_trial(self._study_id, template_trial=template)
        for key, value in known.system_attrs.get(STUDY_STATE, {}).items():
            self._storage.set_study_system_attr(self._study_id, key, value)
        return dict(known.params)

    def _sampled(self, number: int) -> dict[str, Any]:
        before = dict(self._storage.get_study_system_attrs(self._study_id))
        self._optuna.sampler = self._sampler(number)
        if number < len(self._enqueued):
            self._optuna.enqueue_trial(self._enqueued[number])
        trial = self._optuna.ask()
        params: dict[str, Any] = {}
        for name, setting in self._settings.items():
            if applies(setting, params):
                params[name] = _suggest(trial, name, self._distributions[name])
        after = self._storage.get_study_system_attrs(self._study_id)
        changed = {key: value for key, value in after.items() if before.get(key) != value}
        if changed:
            self._storage.set_trial_system_attr(self._trial_id(number), STUDY_STATE, changed)
        return params

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _sampler(self, number: int) -> "BaseSampler":
        """A fresh sampler for one trial: all that it learns, it learns from the study."""
        from optuna import samplers

        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        conditional = any(setting.when for setting in self._settings.values())
        match self._kind:
            case "tpe":
                return samplers.TPESampler(seed=seed, multivariate=True, group=conditional)
            case "gp":
                return samplers.GPSampler(seed=seed, warn_independent_sampling=False)
            case "cmaes":
                return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
            case "nsgaii":
                return samplers.NSGAIISampler(seed=seed)
            case "qmc":
                return _whole_space_qmc(self._seed, self._distributions)
            case "grid":
                point = number - len(self._enqueued)
                return _fixed_point(self._grid[point] if point >= 0 else {}, seed)
            case _:
                return samplers.RandomSampler(seed=seed)


def total_trials(study: Study) -> int:
    """How many trials a study has in the end: a grid may have fewer points than were asked for."""
    if study.search.sampler != "grid":
        return study.search.trials
    enqueued = min(len(study.search.enqueue), study.search.trials)
    return enqueued + sum(1 for _ in islice(_points(study), study.search.trials - enqueued))


def _enqueued(study: Study) -> list[dict[str, Any]]:
    """The parameters of the trials that are given: an entry may repeat settings that are fixed."""
    return [
        {key: value for key, value in entry.items() if key in study.space}
        for entry in study.search.enqueue
    ]


def _points(study: Study) -> Iterator[dict[str, Any]]:
    """The points of a study's grid that are not tried first anyway."""
    given = _enqueued(study)
    return (point for point in grid(study.space) if point not in given)


def check_sampler(study: Study) -> None:
    """Raises BadInput where the study's sampler is not installed."""
    if study.search.sampler == "gp" and importlib.util.find_spec("torch") is None:
        raise BadInput('the sampler "gp" needs PyTorch; `uv sync --extra gp` installs it')


def _suggest(trial: "optuna.Trial", name: str, item: "BaseDistribution") -> Any:
    """One parameter of a trial; Optuna asks for it in three ways, and has one distribution each."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match item:
        case CategoricalDistribution():
            return trial.suggest_categorical(name, item.choices)
        case IntDistribution():
            return trial.suggest_int(name, item.low, item.high, step=item.step, log=item.log)
        case FloatDistribution():
            return trial.suggest_float(name, item.low, item.high, step=item.step, log=item.log)
        case _:
            raise TypeError(f"no setting of a study is drawn from {item}")


def distribution(setting: Dimension) -> "BaseDistribution":
    """A range or choice of the study file as Optuna's distribution."""
    from optuna import distributions

    if isinstance(setting, Choice):
        return distributions.CategoricalDistribution(list(setting.choices))
    if isinstance(setting.low, int) and isinstance(setting.high, int):
        step = 1 if setting.step is None else int(setting.step)
        return distributions.IntDistribution(setting.low, setting.high, log=setting.log, step=step)
    return distributions.FloatDistribution(
        setting.low, setting.high, log=setting.log, step=setting.step
    )


@contextmanager
def quiet() -> Generator[None]:
    """Keeps Optuna's notes and its warnings about experimental features from the user.

    For the thread that owns the process: warnings are filtered for all threads at once.
    """
    import optuna

    with silent_optuna(), warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.simplefilter("ignore", UserWarning)
        yield


def _whole_space_qmc(
    seed: int, space: Mapping[str, "BaseDistribution"]
) -> "optuna.samplers.QMCSampler":
    """Sobol' points over all keys from the first trial on; Optuna infers them from a trial."""
    import optuna

    drawn = {name: item for name, item in sorted(space.items()) if not item.single()}

    class WholeSpace(optuna.samplers.QMCSampler):
        def infer_relative_search_space(
            self, study: "optuna.Study", trial: "FrozenTrial"
        ) -> dict[str, "BaseDistribution"]:
            return drawn

    return WholeSpace(scramble=True, seed=seed, warn_independent_sampling=False)


def _fixed_point(point: Mapping[str, Any], seed: int) -> "optuna.samplers.RandomSampler":
    """A sampler that gives one point of the grid; what a point leaves open is drawn at random."""
    import optuna

    class Point(optuna.samplers.RandomSampler):
        def sample_independent(
            self,
            study: "optuna.Study",
            trial: "FrozenTrial",
            param_name: str,
            param_distribution: "BaseDistribution",
        ) -> Any:
            if param_name in point:
                return point[param_name]
            return super().sample_independent(study, trial, param_name, param_distribution)

    return Point(seed=seed)
