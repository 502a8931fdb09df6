"""Optuna's study says what ours says, whatever others do to it."""

import json
from collections.abc import Callable
from uuid import UUID

import optuna
import pytest

from storage.database import Database
from storage.garbage import delete_study
from storage.mirror import ARTIFACTS, MOST_WITH_FILES, artifact_of, artifacts
from storage.trials import (
    complete_mirror,
    find_study,
    put_trials,
    read_trials,
    rewrite_trials,
    study_lines,
    update_document,
)
from studies.errors import BadInput


class TestTheFilesOfATrial:
    def test_are_known_by_study_trial_and_file(self) -> None:
        uuid = str(UUID(int=7))
        for number in (0, 96, MOST_WITH_FILES - 1):
            known = artifacts(uuid, number)
            assert len(known) == len(ARTIFACTS)
            for (key, text), file in zip(known.items(), ARTIFACTS, strict=True):
                meta = json.loads(text)
                assert key == f"artifacts:{meta['artifact_id']}"
                assert meta["filename"] == f"trial-{number}-{file}"
                assert artifact_of(meta["artifact_id"]) == (uuid, number, file)

    def test_are_left_out_of_large_studies(self) -> None:
        assert artifacts(str(UUID(int=7)), MOST_WITH_FILES) == {}

    @pytest.mark.parametrize(
        "other", ["", "1", f"{UUID(int=7)}-00000000-0f", f"{UUID(int=7)}-0-00", "g" * 48]
    )
    def test_another_id_stands_for_none(self, other: str) -> None:
        assert artifact_of(other) is None


class TestTheMirror:
    def test_lags_when_it_is_told_to_and_is_completed_later(
        self, database: Database, bench
    ) -> None:
        stored = bench.study()
        for number in range(7):
            put_trials(database, stored, [bench.trial(number)], mirrored=number == 2)
        complete_mirror(database, stored)
        bench.assert_mirrored(stored)

    def test_is_made_again_after_another_tool_deleted_it(self, database: Database, bench) -> None:
        stored = bench.study()
        put_trials(database, stored, [bench.trial(0), bench.trial(1)])
        optuna.delete_study(study_name="hello", storage=database.secret_url)
        assert study_lines(database)[0].trials == 2
        assert len(read_trials(database, stored.uuid)) == 2
        put_trials(database, stored, [bench.trial(2)])
        bench.assert_mirrored(stored)

    def test_does_not_take_the_place_of_a_study_that_another_tool_made_of_the_same_name(
        self, database: Database, bench
    ) -> None:
        stored = bench.study()
        optuna.delete_study(study_name="hello", storage=database.secret_url)
        theirs = optuna.create_study(study_name="hello", storage=database.secret_url)
        theirs.set_user_attr("mine", 1)
        with pytest.raises(BadInput, match="that sweep did not make"):
            complete_mirror(database, stored)
        delete_study(database, "hello")
        assert bench.optuna_names() == ["hello"]

    def test_with_trials_of_another_tool_is_refused_with_the_way_out(
        self, database: Database, bench
    ) -> None:
        stored = bench.study()
        put_trials(database, stored, [bench.trial(0)])
        study = optuna.load_study(study_name="hello", storage=database.secret_url)
        study.ask()
        for act in (
            lambda: complete_mirror(database, stored),
            lambda: put_trials(database, stored, [bench.trial(1)]),
        ):
            with pytest.raises(BadInput, match="has trials that sweep did not make"):
                act()
        assert len(read_trials(database, stored.uuid)) == 2
        optuna.delete_study(study_name="hello", storage=database.secret_url)
        complete_mirror(database, stored)
        bench.assert_mirrored(stored)

    def test_that_two_coordinators_wrote_to_at_the_same_time_is_made_anew(
        self, database: Database, bench
    ) -> None:
        stored = bench.study()
        put_trials(database, stored, [bench.trial(n) for n in range(3)])
        storage = database.optuna_storage()
        study_id = storage.get_study_id_from_name("hello")
        twice = storage.get_all_trials(study_id)[2]
        storage.create_new_trial(study_id, twice)
        complete_mirror(database, stored)
        bench.assert_mirrored(stored)
        storage.create_new_trial(storage.get_study_id_from_name("hello"), twice)
        put_trials(database, stored, [bench.trial(n) for n in (3, 4)])
        bench.assert_mirrored(stored)

    def test_may_be_looked_at_without_adding_to_it(self, database: Database, bench) -> None:
        stored = bench.study()
        put_trials(database, stored, [bench.trial(n) for n in range(3)], mirrored=False)
        assert complete_mirror(database, stored, enough=lambda took: True) == 3
        study = optuna.load_study(study_name="hello", storage=database.secret_url)
        assert study.trials == []

    def test_is_added_to_until_it_is_enough_and_from_there_the_next_time(
        self, database: Database, bench
    ) -> None:
        stored = bench.study()
        put_trials(database, stored, [bench.trial(n) for n in range(5)], mirrored=False)
        times: list[float] = []

        def enough(took: float) -> bool:
            times.append(took)
            return len(times) == 3

        assert complete_mirror(database, stored, enough=enough) == 3
        assert times[0] == 0.0
        assert all(took > 0.0 for took in times[1:])
        study = optuna.load_study(study_name="hello", storage=database.secret_url)
        assert [trial.number for trial in study.trials] == [0, 1]
        assert complete_mirror(database, stored) == 0
        bench.assert_mirrored(stored)

    def test_says_what_the_study_file_says_now(
        self, database: Database, bench, document: Callable
    ) -> None:
        stored = bench.study()
        put_trials(database, stored, [bench.trial(0)])
        new = update_document(database, stored, document(search={"trials": 200}))
        assert new.document["search"] == {"trials": 200}
        found = find_study(database, "hello")
        assert found == new
        bench.assert_mirrored(new)
        with pytest.raises(ValueError, match="rewrite_trials"):
            update_document(database, new, document(80))

    def test_keeps_a_persons_notes_on_the_study_when_it_is_made_anew(
        self, database: Database, bench, document: Callable
    ) -> None:
        from optuna_dashboard import get_note, save_note

        stored = bench.study()
        put_trials(database, stored, [bench.trial(0)])
        study = optuna.load_study(study_name="hello", storage=database.secret_url)
        study.set_user_attr("mine", "keep me")
        save_note(study, "what we saw")
        note_of_a_trial = f"dashboard:{study.trials[0]._trial_id}:note_ver"
        database.optuna_storage().set_study_system_attr(study._study_id, note_of_a_trial, 1)
        rewrite_trials(database, stored, document(), [bench.trial(0, replicates=3)])
        study = optuna.load_study(study_name="hello", storage=database.secret_url)
        assert study.user_attrs["mine"] == "keep me"
        assert get_note(study) == "what we saw"
        kept = database.optuna_storage().get_study_system_attrs(study._study_id)
        assert note_of_a_trial not in kept
