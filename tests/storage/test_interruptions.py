"""A process may end at any of its writes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from optuna.storages import RDBStorage

from storage.database import Database, open_database
from storage.garbage import delete_study
from storage.tables import leases
from storage.trials import (
    StoredStudy,
    complete_mirror,
    find_study,
    put_trials,
    read_trials,
    rewrite_trials,
    study_lines,
)


class Killed(BaseException):
    """Stands for a process that ends at this point."""


class Interruption:
    """Ends the process at the n-th of its writes, counted from 1, before or after it takes place.

    A write is a transaction of ours or a call of Optuna's storage that changes it.
    """

    OPTUNAS = (
        "create_new_study",
        "create_new_trial",
        "delete_study",
        "set_study_system_attr",
        "set_study_user_attr",
    )

    def __init__(self, patch: pytest.MonkeyPatch, n: int, after: bool) -> None:
        self.left, self.after = n, after
        for name in self.OPTUNAS:
            patch.setattr(RDBStorage, name, self._around(getattr(RDBStorage, name)))
        writing = Database.writing

        @contextmanager
        def ours(database: Database) -> Iterator[sa.Connection]:
            with writing(database) as connection:
                yield connection
                self._before()
            self._behind()

        patch.setattr(Database, "writing", ours)

    def _before(self) -> None:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Killed

    def _behind(self) -> None:
        if self.left == 0 and self.after:
            raise Killed

    def _around(self, method: Callable) -> Callable:
        def patched(*args: object, **kwargs: object) -> object:
            self._before()
            result = method(*args, **kwargs)
            self._behind()
            return result

        return patched


def at_every_write(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], check: Callable[[], None]
) -> int:
    """Interrupts `act` at each of its writes in turn, a `check` after each; gives their number.

    `check` has to bring everything back to where `act` can begin again.
    """
    n = 0
    while True:
        n += 1
        for after in (False, True):
            with monkeypatch.context() as patch:
                Interruption(patch, n, after)
                try:
                    act()
                except Killed:
                    ended = False
                else:
                    ended = True
            check()
        if ended:
            return n - 1


class TestAProcessThatIsKilled:
    def test_while_it_makes_a_study_leaves_none_or_a_whole_one(
        self, database: Database, bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def check() -> None:
            stored = find_study(database, "hello")
            if stored is None:
                assert bench.optuna_names() == []
                return
            complete_mirror(database, stored)
            bench.assert_mirrored(stored)
            delete_study(database, "hello")

        assert at_every_write(monkeypatch, bench.study, check) >= 5

    def test_while_it_puts_trials_leaves_all_of_them_or_none(
        self, database: Database, bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trials = [bench.trial(n) for n in range(3)]
        stored = bench.study()

        def check() -> None:
            nonlocal stored
            there = read_trials(database, stored.uuid)
            assert there in ([], trials)
            complete_mirror(database, stored)
            bench.assert_mirrored(stored)
            put_trials(database, stored, trials)
            bench.assert_mirrored(stored)
            delete_study(database, "hello")
            for number in range(3):
                bench.trial(number)
            stored = bench.study()

        assert at_every_write(monkeypatch, lambda: put_trials(database, stored, trials), check) == 4

    def test_while_it_rewrites_trials_leaves_the_old_ones_or_the_new(
        self,
        database: Database,
        bench,
        document: Callable,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        old = [bench.trial(n) for n in range(2)]
        new = [bench.trial(n, replicates=3, value=50.0 + n) for n in range(2)]
        stored = bench.study()
        put_trials(database, stored, old)

        def act() -> StoredStudy:
            return rewrite_trials(database, stored, document(80), new)

        def check() -> None:
            nonlocal stored
            found = find_study(database, "hello")
            assert found is not None
            there = read_trials(database, found.uuid)
            assert (there, found.budget) in [(old, 40), (new, 80)]
            complete_mirror(database, found)
            bench.assert_mirrored(found)
            stored = rewrite_trials(database, found, document(40), old)

        assert at_every_write(monkeypatch, act, check) >= 6

    def test_while_it_deletes_a_study_is_followed_by_a_deletion_that_ends_it(
        self, database: Database, bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def make() -> None:
            put_trials(database, bench.study(), [bench.trial(0)])

        def check() -> None:
            # The lease of a process that is gone counts for nothing; this one only plays dead.
            database.write(lambda connection: connection.execute(leases.delete()))
            if find_study(database, "hello") is not None:
                delete_study(database, "hello")
            assert study_lines(database) == []
            assert bench.optuna_names() == []
            assert bench.stored_keys() == set()
            make()

        make()
        assert at_every_write(monkeypatch, lambda: delete_study(database, "hello"), check) == 4

    def test_by_the_system_has_lost_nothing_that_it_had_put(
        self, storage_url: str, bench_on: Callable, program: Callable
    ) -> None:
        text = """
            import sys
            sys.path.insert(0, "tests/storage")
            from conftest import Bench
            from storage.database import open_database
            from storage.trials import find_study, put_trials

            database = open_database(sys.argv[1])
            stored = find_study(database, "hello")
            bench = Bench(database, stored.task)
            for number in range(int(sys.argv[2]), 10_000):
                put_trials(database, stored, [bench.trial(number)], mirrored=number % 5 > 0)
                print(number, flush=True)
        """
        with open_database(storage_url) as database:
            stored = bench_on(database).study()
        there = 0
        for last in (3, 11, 16):
            process = program(text, storage_url, str(there))
            while int(process.stdout.readline()) < last:
                pass
            process.kill()
            process.wait()
            with open_database(storage_url) as database:
                trials = read_trials(database, stored.uuid)
                assert [trial.number for trial in trials] == list(range(len(trials)))
                assert len(trials) > last
                there = len(trials)
                complete_mirror(database, stored)
                bench_on(database).assert_mirrored(stored)
