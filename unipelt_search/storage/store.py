"""The study database as the rest of the package sees it: every change of a study, trial or run is a method here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from uuid import uuid4

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from unipelt_search.errors import StorageError, TransientError
from unipelt_search.records.history import DroppedMethod, RunRecord, StudyLine, StudyRecord, StudyState, TaskSummary
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import EvaluationRow, RunResult
from unipelt_search.specs.study import BudgetSpec, StudySpec
from unipelt_search.specs.trial import Phase, TrialSpec
from unipelt_search.storage import row_writer
from unipelt_search.storage.database import Database
from unipelt_search.storage.history_reader import find_study_or_raise, read_lines, read_study, run_record
from unipelt_search.storage.leases import LEASE_SECONDS, Leases
from unipelt_search.storage.mirror import Mirror, MirrorChangedError
from unipelt_search.storage.row_writer import study_or_raise
from unipelt_search.storage.tables import RunRow, StudyRow, TrialRow

_MIRROR_OUTDATED = (MirrorChangedError, TransientError)


class StudyStore:
    """The studies of one database.

    Every method is one transaction: it happens whole or not at all, and what it returned survives a kill. Any
    process may read at any time, and a reading sees one moment. Several processes may write; of two that create the
    same name one wins.

    Several drivers may work on one study. Whoever adds a trial may say which number it must get, and is refused when
    another driver was first. A waiting run is started by one of them: `start_run` hands out the attempt's number and a
    lease, every later write of the run must bring that number, and once the run was taken away (`leases`) the old
    number is refused. Finished runs never change.

    Our tables are written first; the Optuna mirror follows in a transaction of its own. A kill, an outage or an error
    between the two keeps our change and leaves the mirror behind until `repair_mirror`, as do drivers that write it at
    once: were each of them to repair it at once, they would undo one another's repairs.

    A store may be used by several threads, never across a fork.
    """

    def __init__(self, database: Database) -> None:
        """Take an open database; `open` is the usual way."""
        self.url = database.url.render_as_string(hide_password=False)
        """The URL with its password, to open the database again; print `redacted_url` instead."""
        self.redacted_url = database.redacted
        self.leases = Leases(database)
        """Who works on which run, and for how long."""
        self.retry_policy = database.retry_policy
        """How long the store waits for a database that has gone away."""
        self._database = database

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> StudyStore:
        """Open a study database and bring its tables up to date.

        Args:
            url: A SQLAlchemy URL of SQLite, PostgreSQL, MySQL or MariaDB.
            create: Make the SQLite file, its folder and the tables where there are none.

        Returns:
            The store.

        Raises:
            RequestError: The URL is wrong, or its driver is not installed.
            StudyNotFoundError: ``create`` is False and no study database is there.
            StorageError: The database cannot be used, or was written by a newer version.
        """
        return cls(Database(url, create=create))

    @cached_property
    def _mirror(self) -> Mirror:
        return Mirror(self._database.url)

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._database.close()
        if "_mirror" in self.__dict__:
            self._mirror.close()

    def create_study(self, spec: StudySpec, task: TaskSummary, software: dict[str, str], command: str) -> str:
        """Create a study, running and in its screen phase.

        Args:
            spec: What was asked.
            task: What is kept of its task.
            software: Versions by package.
            command: The command line that asked.

        Returns:
            The study's id.

        Raises:
            StudyExistsError: The name is taken, by a study or by somebody's Optuna study.
            StorageError: The database refused.
        """
        study_id = uuid4().hex
        self.retry_policy.retry(lambda: self._mirror.check_name(spec.name))
        self._database.write(
            "study.create",
            lambda session: row_writer.insert_study(
                session, study_id, spec, task, software, command, self.redacted_url
            ),
            lambda session: row_writer.inserted_study(session, study_id),
        )
        with suppress(MirrorChangedError):  # another driver was at it
            self.retry_policy.retry(lambda: self._mirror.create(study_id, spec.name, task.direction))
        return study_id

    def find(self, name: str) -> str | None:
        """Find a study by its name.

        Args:
            name: The study's name.

        Returns:
            Its id, or None.

        Raises:
            StorageError: The database refused.
        """
        return self._database.read(lambda session: session.scalar(select(StudyRow.id).where(StudyRow.name == name)))

    def load(self, name: str, *, details: bool = True) -> StudyRecord:
        """Read a study whole.

        Args:
            name: The study's name.
            details: Read evaluations, gates and ablations too; without them those tuples are empty.

        Returns:
            The record.

        Raises:
            StudyNotFoundError: There is none of that name; the message lists those that there are.
            StorageError: The database refused.
        """
        return self._database.read(
            lambda session: read_study(session, find_study_or_raise(session, name, self.redacted_url), details=details)
        )

    def studies(self) -> list[StudyLine]:
        """Read one line per study, the newest first.

        Returns:
            The lines.

        Raises:
            StorageError: The database refused.
        """
        return self._database.read(read_lines)

    def delete_study(self, name: str) -> None:
        """Delete a study with everything below it, and its mirror.

        Args:
            name: The study's name.

        Raises:
            StudyNotFoundError: There is none of that name.
            StorageError: The database refused.
        """
        study_id = self._database.read(lambda session: find_study_or_raise(session, name, self.redacted_url).id)
        # The mirror first: after a kill in between, the study is still there to be deleted again.
        self.retry_policy.retry(lambda: self._mirror.delete(study_id, name))
        self._database.write(
            "study.delete", lambda session: session.execute(delete(StudyRow).where(StudyRow.id == study_id))
        )

    def set_budget(self, study_id: str, budget: BudgetSpec) -> None:
        """Replace a study's budget.

        Args:
            study_id: The study's id.
            budget: The new budget.

        Raises:
            StorageError: There is no such study, or the database refused.
        """
        self._database.write("study.budget", lambda session: row_writer.set_budget(session, study_id, budget))

    def set_state(self, study_id: str, state: StudyState, phase: Phase | None = None) -> None:
        """Change a study's state, and its phase.

        Args:
            study_id: The study's id.
            state: The new state; the old one is allowed.
            phase: The new phase; None keeps it.

        Raises:
            StorageError: There is no such study, an ended study may only go on, or the database refused.
        """
        self._database.write("study.state", lambda session: row_writer.set_state(session, study_id, state, phase))

    def add_seconds(self, study_id: str, seconds: float) -> None:
        """Add to a study's wall-clock seconds.

        Args:
            study_id: The study's id.
            seconds: Seconds, 0 or more.

        Raises:
            StorageError: There is no such study, the number is not usable, or the database refused.
        """
        self._database.write("study.seconds", lambda session: row_writer.add_seconds(session, study_id, seconds))

    def add_notice(self, study_id: str, notice: Notice | str) -> None:
        """Add a notice for the report; the same notice twice is stored once.

        Args:
            study_id: The study's id.
            notice: The notice; a sentence is stored with the code `legacy`.

        Raises:
            StorageError: There is no such study, or the database refused.
        """
        self._database.write("study.notice", lambda session: row_writer.insert_notice(session, study_id, notice))

    def add_dropped(self, study_id: str, dropped: DroppedMethod) -> None:
        """Note that a method gets no more trials; a second reason in the same phase replaces the first.

        Args:
            study_id: The study's id.
            dropped: The method, the phase and the reason.

        Raises:
            StorageError: There is no such study, or the database refused.
        """
        self._database.write("study.dropped", lambda session: row_writer.insert_dropped(session, study_id, dropped))

    def add_trial(
        self,
        study_id: str,
        spec: TrialSpec,
        phase: Phase,
        origin: str,
        *,
        variant: str | None = None,
        number: int | None = None,
    ) -> RunRecord:
        """Add a trial with the next number and its waiting search run, and mirror it.

        Args:
            study_id: The study's id.
            spec: The configuration.
            phase: `screen` or `tune`.
            origin: `published`, `given` or `tpe`.
            variant: The name of a configuration that the user gave.
            number: The number that it must get, for a configuration that was decided from the trials before it.

        Returns:
            The run; it names the trial's number.

        Raises:
            StudyChangedError: Another driver has added a trial of that number.
            StorageError: There is no such study, the phase is `confirm`, or the database refused.
        """
        if phase == "confirm":
            raise StorageError("A trial must begin in the screen or tune phase; got confirm. Use add_run.")
        run_id = uuid4().hex
        study, trial, run = self._database.write(
            "trial.add",
            lambda session: row_writer.insert_trial(
                session, study_id, run_id, spec, phase, origin, variant=variant, expected=number
            ),
            lambda session: row_writer.inserted_trial(session, run_id),
        )
        optuna_trial_id = None
        with suppress(*_MIRROR_OUTDATED):
            optuna_trial_id = self._mirror.add(study_id, study.name, phase, spec)
        if optuna_trial_id is not None:
            self._link(study_id, {trial.number: optuna_trial_id})
        return run_record(run, trial.number)

    def add_run(self, study_id: str, trial: int, phase: Phase, seed_index: int, fold: int = 0) -> RunRecord:
        """Add a waiting run to a trial; the trial's phase becomes the furthest of its runs'.

        Args:
            study_id: The study's id.
            trial: The trial's number.
            phase: The run's phase.
            seed_index: 1 or more; 0 is the trial's search run.
            fold: From 1 where folds decide.

        Returns:
            The run.

        Raises:
            StudyChangedError: The trial has a run of that seed index and fold.
            StorageError: There is no such trial, or the database refused.
        """
        run_id = uuid4().hex
        run = self._database.write(
            "run.add",
            lambda session: row_writer.insert_run(session, study_id, run_id, trial, phase, seed_index, fold),
            lambda session: row_writer.inserted_run(session, run_id),
        )
        return run_record(run, trial)

    def start_run(self, run_id: str, owner: str, lease_seconds: float = LEASE_SECONDS) -> int:
        """Start a waiting run.

        Args:
            run_id: The run's id.
            owner: Who trains it, 255 characters at most.
            lease_seconds: How long it stays with an owner that does not renew its leases.

        Returns:
            The attempt's number, which every later write of the run must bring.

        Raises:
            StudyChangedError: It is not waiting: another driver has started it.
            StorageError: There is no such run, or the database refused.
        """
        return self._database.write(
            "run.start",
            lambda session: row_writer.start_run(session, run_id, owner, lease_seconds),
            lambda session: row_writer.started_run(session, run_id, owner),
        )

    def record_evaluation(self, run_id: str, attempt: int, row: EvaluationRow, checkpoint: str | None = None) -> None:
        """Store one evaluation of a running run; the same step twice is stored once.

        Args:
            run_id: The run's id.
            attempt: The number that `start_run` returned.
            row: The evaluation.
            checkpoint: The folder that holds the run's state behind it; None where none was written.

        Raises:
            RunLostError: The run is not running in this attempt.
            StorageError: There is no such run, or the database refused.
        """
        self._database.write(
            "run.evaluation",
            lambda session: row_writer.record_evaluation(session, run_id, attempt, row, checkpoint),
        )

    def finish_run(self, run_id: str, attempt: int, result: RunResult) -> None:
        """Store a run's result; its search run gives the trial its value.

        Args:
            run_id: The run's id.
            attempt: The number that `start_run` returned.
            result: What the run answered; its evaluations replace the recorded ones.

        Raises:
            RunLostError: The run is not running in this attempt.
            StorageError: There is no such run, or the database refused.
        """
        self._end_run(
            "run.finish", run_id, attempt, lambda session: row_writer.complete_run(session, run_id, attempt, result)
        )

    def fail_run(self, run_id: str, attempt: int, error: str) -> None:
        """Let a run end with an error; a failed search run fails the trial.

        Args:
            run_id: The run's id.
            attempt: The number that `start_run` returned.
            error: What went wrong.

        Raises:
            RunLostError: The run is not running in this attempt.
            StorageError: There is no such run, or the database refused.
        """
        self._end_run("run.fail", run_id, attempt, lambda session: row_writer.fail_run(session, run_id, attempt, error))

    def repair_mirror(self, study_id: str) -> None:
        """Make the Optuna mirror say again what our tables say, unless other drivers are at it all the time.

        Args:
            study_id: The study's id.

        Raises:
            StudyExistsError: Somebody's own Optuna study has taken the name.
            StorageError: There is no such study, or the database refused.
        """

        def read(session: Session) -> StudyRecord:
            return read_study(session, study_or_raise(session, study_id, lock=False), details=False)

        with suppress(MirrorChangedError):
            self._link(
                study_id, self.retry_policy.retry(lambda: self._mirror.repair(lambda: self._database.read(read)))
            )

    def _end_run(self, step: str, run_id: str, attempt: int, end: Callable[[Session], tuple[RunRow, TrialRow]]) -> None:
        run, trial = self._database.write(step, end, lambda session: row_writer.ended_run(session, run_id, attempt))
        if row_writer.is_search_run(run) and trial.optuna_trial_id is not None:
            with suppress(*_MIRROR_OUTDATED):
                self._mirror.finish(trial.study_id, trial.optuna_trial_id, trial.state, trial.value)

    def _link(self, study_id: str, optuna_trial_ids: dict[int, int]) -> None:
        self._database.write("mirror.link", lambda session: row_writer.link_trials(session, study_id, optuna_trial_ids))
