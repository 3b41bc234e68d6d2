"""The driver of a study: turns decisions into rows and assignments, and what comes of them into rows.

It owns the store and knows nothing of Ray; whatever executes assignments calls `next_run`, `on_evaluation`,
`on_result` and `on_error`, all from one thread.

Several drivers may drive one study, on one machine or many. Each decides from the rows in the database, and of two that
decide the same the second is refused, reads the study again and decides anew. A driver that lost a run, because its
lease expired while it was held up, drops whatever still comes of that run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Final, Literal, Self

from unipelt_search.errors import NoUsableTrialError, RunLostError, StorageError, StudyChangedError
from unipelt_search.execution.assignment import make_assignment
from unipelt_search.execution.checkpoint_folders import remove_finished, remove_run_folder
from unipelt_search.execution.heartbeat import Heartbeat
from unipelt_search.execution.run_messages import RunAssignment
from unipelt_search.execution.run_times import RunTimes
from unipelt_search.records.history import RunRecord, StudyRecord, StudyState, TrialState
from unipelt_search.records.notice import Notice
from unipelt_search.records.progress import StudyProgress
from unipelt_search.records.results import EvaluationRow, RunResult
from unipelt_search.records.study_event import EventKind, Happening
from unipelt_search.remote_paths import StoragePath
from unipelt_search.search.plan import Clock, Decision, Finish, Resume, StartRun, StartTrial, Step, Wait, next_step
from unipelt_search.search.snapshot import snapshot
from unipelt_search.specs.study import MachineSpec
from unipelt_search.storage.attempts import LEASE_SECONDS
from unipelt_search.storage.owners import format_owner, new_owner
from unipelt_search.storage.store import StudyStore
from unipelt_search.verdict.kept_probabilities import (
    MOST_BYTES,
    needs_probabilities,
    probability_bytes,
    trials_to_keep,
)

EQUAL_FAILURES = 5
"""Runs in a row that may fail with the same error before the study stops."""
_BEATS_PER_LEASE = 4
_POLL_SECONDS = 1.0
"""How long a driver goes without looking at what other drivers did, while it has a free worker."""
_MESSAGE = Happening()
"""An event that is about nothing but its line."""

Watch = Callable[[StudyProgress], None]


class Ended(Enum):
    """What `next_run` returns when no run is left to start."""

    FINISHED = "finished"


FINISHED: Final = Ended.FINISHED


@dataclass(frozen=True)
class DriverSettings:
    """What a driver may do and for how long, by no means of the study itself."""

    checkpoints: StoragePath | None = None
    """Folder for the weights of each finalist's first confirm run, and for the states of the runs that train; None
    keeps neither."""
    machine: MachineSpec = field(default_factory=MachineSpec)
    """How long a run may take and be silent."""
    lease_seconds: float = LEASE_SECONDS
    """How long a run stays with a driver that gives no sign of life."""
    now: Callable[[], float] = time.monotonic
    """A clock in seconds."""
    most_probability_bytes: int = MOST_BYTES
    """What the probabilities of all confirmed methods may take; where it is more, the best methods keep theirs."""


def _code_of(notice: Notice) -> str:
    return notice.code


class Driver:
    """Drives one study from its rows in the database; inside `with`, its leases are renewed.

    Leaving the block by an error lets the driver's runs wait for the next driver.
    """

    def __init__(
        self,
        store: StudyStore,
        name: str,
        *,
        workers: int,
        watch: Watch | None = None,
        describe: Callable[[Notice], str] = _code_of,
        settings: DriverSettings | None = None,
    ) -> None:
        """Take up a study; runs of drivers that died wait again.

        Args:
            store: The study database.
            name: A study that exists.
            workers: Runs at a time.
            watch: Is shown every snapshot.
            describe: Makes the sentence of a notice for whoever watches; without one its code is shown.
            settings: Everything else; None is the defaults.
        """
        settings = settings or DriverSettings()
        self._store = store
        self._name = name
        self._workers = workers
        self._watch = watch
        self._describe = describe
        self._settings = settings
        self._now = settings.now
        self._owner = new_owner()
        self._heartbeat: Heartbeat | None = None
        self._counted = self._now()
        """Up to when the passing time has been added to the study's."""
        self._polled = self._counted
        self._share = 1.0
        self._running: dict[str, RunAssignment] = {}
        self._times = RunTimes(self._now, settings.machine.run_seconds, settings.machine.silence_seconds)
        self._failures: list[str] = []
        self._noted_problem = False
        # Without details: evaluations, gates and ablations decide nothing, and are most of what is stored.
        self._record = store.studies.load(name, details=False)
        store.notify_of_waits(self.notify)
        store.attempts.requeue_expired(self._record.id)
        store.runs.repair_mirror(self._record.id)
        self._reload()
        remove_finished(settings.checkpoints, self._record)

    def __enter__(self) -> Self:
        """Begin to renew the leases, and say who else works on the study."""
        seconds = self._settings.lease_seconds
        self._heartbeat = Heartbeat(
            lambda: self._store.attempts.renew(self._owner, seconds), seconds / _BEATS_PER_LEASE
        )
        self._write_event("A driver began to work on the study", Happening(kind=EventKind.STUDY_BEGAN))
        others = self._store.attempts.owners(self._record.id)
        if others:
            names = ", ".join(sorted(map(format_owner, others)))
            self._publish(f"Sharing the study with {names}; a run of a driver that dies is taken over")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop renewing; after an error, let go of what is still running."""
        if self._heartbeat is not None:
            self._heartbeat.stop()
        if error is not None and self._running:
            with suppress(StorageError):  # the error under way is the cause; the leases expire by themselves
                self.interrupt()

    @property
    def record(self) -> StudyRecord:
        """The study as the database has it, without evaluations, gates and ablations."""
        return self._record

    def next_run(self) -> RunAssignment | None | Literal[Ended.FINISHED]:
        """Start the next run.

        Returns:
            What a worker is to do; None when every worker is busy or another run must finish first; FINISHED when
            nothing is left to start.
        """
        # Runs that fail alike one after another have one cause, which the next run would meet too.
        if self._stopped():
            return FINISHED
        if len(self._running) >= self._workers:
            return None
        self._poll()
        while True:
            decision = next_step(self._record, self._clock())
            # Before anything is read again: the number that the decision was made for.
            number = len(self._record.trials)
            self._persist(decision)
            try:
                return self._take(decision.step, number)
            except StudyChangedError:
                self._reload()  # another driver was first; decide anew

    def on_evaluation(
        self,
        run_id: str,
        attempt: int,
        row: EvaluationRow,
        *,
        checkpoint: str | None = None,
        problem: Notice | None = None,
    ) -> None:
        """Keep an evaluation of a running run.

        Args:
            run_id: The run.
            attempt: Its attempt.
            row: What was measured.
            checkpoint: Where the run's state was kept after it, if anywhere.
            problem: Why it could not be kept; the first one is added to the study's notices.
        """
        if not self._holds(run_id, attempt):
            return
        try:
            self._store.runs.record_evaluation(run_id, attempt, row, checkpoint)
        except RunLostError:
            self._on_lease_lost(run_id)
            return
        self._times.hear(run_id, row.seconds)
        assignment = self._running[run_id]
        about = self._about(
            EventKind.EVALUATION,
            assignment,
            step=row.step,
            value=row.value,
            train_loss=row.train_loss,
        )
        self._publish(f"{assignment.label}: {row.value:.3f} at step {row.step}", about)
        if problem is not None and not self._noted_problem:
            self._noted_problem = True
            self._note(problem)

    def on_result(self, run_id: str, attempt: int, result: RunResult) -> None:
        """Keep the result of a run.

        Args:
            run_id: The run.
            attempt: Its attempt.
            result: What it has measured.
        """
        if not self._holds(run_id, attempt):
            return
        try:
            self._store.runs.finish(run_id, attempt, result)
        except RunLostError:
            self._on_lease_lost(run_id)
            return
        self._failures.clear()  # only failures in a row stop a study
        self._times.finish(run_id)
        assignment = self._drop(run_id)
        self._reload()
        score = result.select[self._record.task.metric] if result.select else result.tune
        about = self._about(EventKind.RUN_ENDED, assignment, step=result.steps, value=score)
        self._publish(f"{assignment.label} scored {score:.3f}", about)

    def on_error(
        self,
        run_id: str,
        attempt: int,
        message: str,
        *,
        out_of_memory: bool = False,
        machine_lost: bool = False,
    ) -> None:
        """Keep the failure of a run; the study goes on.

        Args:
            run_id: The run.
            attempt: Its attempt.
            message: The cause, one line.
            out_of_memory: Whether too little memory is the cause, for which a run is done again once, with half of
                the rows at a time.
            machine_lost: Whether the run's machine was lost, which is no failure of the run: it is done elsewhere.
        """
        if not self._holds(run_id, attempt):
            return  # its worker died after its last word
        assignment = self._running[run_id]
        again = _done_again(assignment, message, out_of_memory=out_of_memory, machine_lost=machine_lost)
        try:
            if again is not None:
                error = None if machine_lost else message
                self._store.attempts.retry(self._record.id, run_id, attempt, error, again)
                self._running.pop(run_id)
            else:
                self._store.runs.fail(run_id, attempt, message)
                self._failures.append(message)
                self._drop(run_id)
        except RunLostError:
            self._on_lease_lost(run_id)
            return
        self._reload()
        event = f"{assignment.label} failed: {message}" if again is None else self._describe(again)
        self._publish(event, self._about(EventKind.RUN_ENDED, assignment))

    def fail_overdue(self) -> list[RunAssignment]:
        """Let runs fail that take too long or give no sign; returns them, because their workers must be ended."""
        late = self._times.overdue(self._running)
        assignments = [self._running[run_id] for run_id in late]
        for assignment in assignments:
            self.on_error(assignment.run_id, assignment.attempt, late[assignment.run_id])
        return assignments

    def notify(self, sentence: str) -> None:
        """Show a sentence to whoever watches, beside how far the study is."""
        self._publish(sentence)

    def stop_waiting(self) -> None:
        """Wait no longer for a database that is away; may be called by a signal's handler."""
        self._store.stop_waiting()

    def interrupt(self) -> None:
        """Let go of every running run; a study that no other driver works on is stopped."""
        self._store.attempts.release_all(self._record.id, self._owner)
        self._running.clear()
        self._reload()
        if self._record.state is StudyState.STOPPED:
            self._write_event("The study was interrupted", Happening(kind=EventKind.STUDY_ENDED))

    def reschedule(self, workers: int, why: Notice) -> None:
        """Let every running run wait again, to be done by other workers.

        Args:
            workers: How many there are from now on.
            why: For the report and whoever watches.
        """
        self._store.attempts.release_all(self._record.id, self._owner)
        self._running.clear()
        self._workers = workers
        self._reload()
        # Letting go of everything has stopped the study, unless another driver works on it.
        if self._record.state is not StudyState.RUNNING:
            self._store.studies.set_state(self._record.id, StudyState.RUNNING)
        self._note(why)

    def conclude(self) -> None:
        """Set the state in which the study ends after its last run.

        Raises:
            NoUsableTrialError: No trial is complete.
        """
        usable = any(trial.state is TrialState.COMPLETE for trial in self._record.trials)
        if not usable:
            self._end(StudyState.FAILED, "The study failed")
            raise NoUsableTrialError(
                f"At least one trial must succeed; none of study {self._name!r} did.{self._first_cause()}"
            )
        if self._stopped():
            stopped = Notice(
                code="study_stopped",
                severity="warning",
                values={"failures": EQUAL_FAILURES, "cause": self._failures[-1]},
            )
            self._store.studies.add_notice(self._record.id, stopped)
            self._end(StudyState.STOPPED, "The study was stopped")
        else:
            self._limit_probabilities()
            self._end(StudyState.COMPLETE, "The study is complete")

    def _limit_probabilities(self) -> None:
        """Keep the probabilities of the best methods only, where those of all take too much and none are needed.

        Only now is it known which methods are best. To do it twice, or by several drivers, changes nothing.
        """
        record = self._record
        if probability_bytes(record) <= self._settings.most_probability_bytes or needs_probabilities(record):
            return
        complete = self._store.studies.load(self._name)
        self._store.runs.remove_probabilities(record.id, trials_to_keep(complete))

    def _first_cause(self) -> str:
        errors = [run.error for trial in self._record.trials for run in trial.runs if run.error]
        return f" The first cause: {errors[0]}" if errors else " The time was too short for a first run."

    def _end(self, state: StudyState, event: str) -> None:
        if self._record.state is not state:
            # Another driver may have ended the study while this one went on.
            self._store.studies.set_state(self._record.id, StudyState.RUNNING)
            self._store.studies.set_state(self._record.id, state)
        # Drivers write the mirror at once and leave what collides; here nobody writes any more.
        self._store.runs.repair_mirror(self._record.id)
        self._reload()
        remove_finished(self._settings.checkpoints, self._record)
        self._publish(event, Happening(kind=EventKind.STUDY_ENDED))

    def _holds(self, run_id: str, attempt: int) -> bool:
        assignment = self._running.get(run_id)
        return assignment is not None and assignment.attempt == attempt

    def _drop(self, run_id: str) -> RunAssignment:
        """Forget a run that has ended, with the state that it had kept to go on from."""
        assignment = self._running.pop(run_id)
        if assignment.progress is not None:
            remove_run_folder(assignment.progress)
        return assignment

    def _note(self, notice: Notice) -> None:
        """Add a notice to the study, and show it."""
        self._store.studies.add_notice(self._record.id, notice)
        self._reload()
        self._publish(self._describe(notice))

    def _on_lease_lost(self, run_id: str) -> None:
        label = self._running.pop(run_id).label
        self._reload()
        self._publish(f"{label} was taken over by another driver, because this one was held up; its result is dropped")

    def _poll(self) -> None:
        """Let runs of dead drivers wait again and read what the others did, every now and then."""
        if self._now() - self._polled >= min(_POLL_SECONDS, self._settings.lease_seconds / _BEATS_PER_LEASE):
            self._store.attempts.requeue_expired(self._record.id)
            self._reload()

    def _stopped(self) -> bool:
        last = self._failures[-EQUAL_FAILURES:]
        return len(last) == EQUAL_FAILURES and len(set(last)) == 1

    def _persist(self, decision: Decision) -> None:
        study = self._record.id
        for drop in decision.dropped:
            self._store.studies.add_dropped(study, drop)
        for notice in decision.notices:
            self._store.studies.add_notice(study, notice)
        if decision.phase != self._record.phase:
            self._store.studies.set_state(study, StudyState.RUNNING, decision.phase)
        if decision.dropped or decision.notices or decision.phase != self._record.phase:
            self._reload()

    def _take(self, step: Step, number: int) -> RunAssignment | None | Literal[Ended.FINISHED]:
        """Take a step that was decided.

        Args:
            step: What to do.
            number: The number that a new trial must get: the study had so many when the step was decided.

        Returns:
            As `next_run`.

        Raises:
            StudyChangedError: Another driver was first.
        """
        study = self._record.id
        match step:
            case Finish():
                return FINISHED
            case Wait():
                return None
            case Resume(run):
                return self._start(run)
            case StartRun(trial, seed_index, fold):
                return self._start(self._store.runs.add(study, trial, "confirm", seed_index, fold))
            case StartTrial(spec, phase, origin, variant):
                add = self._store.runs.add_trial
                return self._start(add(study, spec, phase, origin, variant=variant, number=number))

    def _start(self, run: RunRecord) -> RunAssignment:
        attempt = self._store.attempts.start(run.id, self._owner, self._settings.lease_seconds)
        self._reload()
        earlier = self._store.attempts.earlier(run.id)
        assignment = make_assignment(self._record, run, attempt, earlier, self._settings.checkpoints)
        self._running[run.id] = assignment
        self._share = self._share_of_time()
        self._times.begin(run.id)
        how = "goes on" if earlier.checkpoint and assignment.progress else "began"
        self._publish(f"{assignment.label} {how}", self._about(EventKind.RUN_BEGAN, assignment))
        return assignment

    def _clock(self) -> Clock:
        return Clock(
            seconds=self._record.wall_seconds + self._now() - self._counted,
            workers=self._workers,
            run_seconds=self._times.finished,
        )

    def _reload(self) -> None:
        now = self._now()
        self._polled = now
        passed = now - self._counted
        self._store.studies.add_seconds(self._record.id, passed * self._share)
        self._counted = now
        self._record = self._store.studies.load(self._name, details=False)
        self._share = self._share_of_time()

    def _share_of_time(self) -> float:
        """Return which part of the passing time this driver adds, so that those of one study add it once together."""
        others = len(self._store.attempts.owners(self._record.id) - {self._owner})
        return 1 / (others + 1) if self._running or not others else 0.0

    def _about(
        self,
        kind: EventKind,
        assignment: RunAssignment,
        *,
        step: int | None = None,
        value: float | None = None,
        train_loss: float | None = None,
    ) -> Happening:
        numbers = {run.id: trial.number for trial in self._record.trials for run in trial.runs}
        return Happening(
            kind=kind,
            trial=numbers.get(assignment.run_id),
            run_id=assignment.run_id,
            step=step,
            value=value,
            train_loss=train_loss,
        )

    def _publish(self, event: str, about: Happening = _MESSAGE) -> None:
        """Write an event to the database, and show it to whoever watches."""
        progress = self._write_event(event, about)
        if self._watch is not None:
            self._watch(progress)

    def _write_event(self, event: str, about: Happening) -> StudyProgress:
        running = [assignment.label for assignment in self._running.values()]
        progress = snapshot(self._record, self._clock(), running, event)
        self._store.events.append(self._record.id, self._owner, progress, about)
        return progress


def _done_again(
    assignment: RunAssignment,
    message: str,
    *,
    out_of_memory: bool,
    machine_lost: bool,
) -> Notice | None:
    """Return the notice of a run that is done again; None where it has failed."""
    values = {"run": assignment.label, "cause": message}
    if machine_lost:
        return Notice(code="run_again_elsewhere", values=values)
    # Once: a run that is short of memory with half of the rows needs more than halving again.
    if out_of_memory and assignment.micro_batch is None:
        return Notice(code="run_again_halved", values=values)
    return None
