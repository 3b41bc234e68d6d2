"""The Optuna mirror: an ordinary Optuna study of the same name in the same database, for Optuna's own tools.

It holds one trial per configuration, with the value of its screen or tune run. Nothing is ever read back from it: our
tables are the truth, and a mirror that somebody changed or deleted is made again from them.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, cached_property
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState
from sqlalchemy import URL, Connection, column, event, inspect, select, table
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from unipelt_search.errors import StorageError, StudyExistsError, TransientError
from unipelt_search.failpoints import reach
from unipelt_search.frozen import Frozen
from unipelt_search.methods.catalogue import TRAINED_METHODS, part_models
from unipelt_search.methods.training_settings import TrainingSpec
from unipelt_search.records.history import StudyRecord, TrialState
from unipelt_search.specs.trial import Phase, TrialSpec, config_of
from unipelt_search.storage.connection import engine_arguments
from unipelt_search.storage.retry_policy import is_transient
from unipelt_search.storage.sqlite import begin_immediate, set_up_sqlite

STUDY_ATTRIBUTE = "ups_study"
_STATES = {
    TrialState.RUNNING: OptunaState.RUNNING,
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.FAILED: OptunaState.FAIL,
    TrialState.STOPPED: OptunaState.PRUNED,
}
_LOGARITHMIC = {"training.learning_rate"}
_SMALLEST_FLOAT = 1e-12
_LARGEST_FLOAT = 1e9
_LARGEST_INT = 2**31 - 1
# Of Optuna's own tables, what tells a mirror from somebody's study.
_STUDIES = table("studies", column("study_id"), column("study_name"))
_ATTRIBUTES = table("study_user_attributes", column("study_id"), column("key"))
_TRIALS = table("trials", column("study_id"))
_OPEN_TRIES = 5
_REPAIR_TRIES = 10
_LOOKS = 5


class MirrorChangedError(StorageError):
    """Somebody else changed the mirror; it has to be made again."""


class Mirror:
    """Writes the mirrors of one database. Every call is a transaction of its own, after ours has ended."""

    def __init__(self, url: URL) -> None:
        """Take the database; Optuna's storage is opened, and its tables are made, when the mirror is first written.

        Args:
            url: As `parse_url` returns it.
        """
        self._url = url

    @cached_property
    def _storage(self) -> RDBStorage:
        logging.getLogger("optuna.storages").setLevel(logging.ERROR)
        return _open_storage(self._url)

    def check_name(self, name: str) -> None:
        """Check that a mirror of this name would overwrite no Optuna study of somebody else.

        Args:
            name: The study's name.

        Raises:
            StudyExistsError: An Optuna study of this name is there and is no mirror.
        """
        for _ in range(_LOOKS):
            with suppress(MirrorChangedError), _translated():
                found = self._find(name)
                if found is None or STUDY_ATTRIBUTE in self._storage.get_study_user_attrs(found):
                    return
                # Without trials it is what a kill between making and marking a mirror leaves.
                if self._storage.get_n_trials(found) == 0:
                    return
            # Another driver may have marked it between the two responses, or put another one in its place.
            time.sleep(random.uniform(0.01, 0.1))
        raise _name_taken(name)

    def create(self, study_id: str, name: str, direction: str) -> None:
        """Make an empty mirror, which replaces an older one of the same name.

        Args:
            study_id: Our id of the study.
            name: The study's name.
            direction: `maximize` or `minimize`.

        Raises:
            StudyExistsError: An Optuna study of this name is there and is no mirror.
            StorageError: Optuna cannot write.
        """
        self.check_name(name)
        with _step("mirror.create"):
            found = self._find(name)
            if found is not None:
                self._storage.delete_study(found)
            made = self._storage.create_new_study([StudyDirection[direction.upper()]], name)
            self._storage.set_study_user_attr(made, STUDY_ATTRIBUTE, study_id)

    def add(self, study_id: str, name: str, phase: Phase, spec: TrialSpec) -> int:
        """Add a running trial.

        Args:
            study_id: Our id of the study.
            name: The study's name.
            phase: The phase of its search run.
            spec: The configuration.

        Returns:
            Optuna's id of the trial.

        Raises:
            MirrorChangedError: The mirror is gone or no longer fits.
            StorageError: Optuna cannot write.
        """
        with _step("mirror.add"):
            template = _template(study_id, phase, spec, TrialState.RUNNING, None)
            made: int = self._storage.create_new_trial(self._own(study_id, name), template)
        return made

    def finish(self, study_id: str, optuna_trial_id: int, state: TrialState, value: float | None) -> None:
        """End a running trial.

        Args:
            study_id: Our id of the study.
            optuna_trial_id: What `add` returned.
            state: How it ended.
            value: The tune score; None for a failed trial.

        Raises:
            MirrorChangedError: The trial is gone, is another one by now, or has ended already.
            StorageError: Optuna cannot write.
        """
        with _step("mirror.finish"):
            # SQLite re-uses the ids of deleted rows, so the trial may be somebody else's.
            if self._storage.get_trial(optuna_trial_id).user_attrs.get(STUDY_ATTRIBUTE) != study_id:
                raise MirrorChangedError(f"The mirror's trial {optuna_trial_id} must be of study {study_id}.")
            self._end(optuna_trial_id, state, value)

    def repair(self, read: Callable[[], StudyRecord]) -> dict[int, int]:
        """Rebuild the mirror from our tables, again where another driver writes it at the same time.

        Args:
            read: Reads the study as our tables have it now.

        Returns:
            Optuna's trial id by our trial number.

        Raises:
            StudyExistsError: An Optuna study of this name is there and is no mirror.
            StorageError: Optuna cannot write, or others do not leave the mirror alone.
        """
        for _ in range(_REPAIR_TRIES):
            try:
                return self.rebuild(read())
            except MirrorChangedError as error:
                changed = error
                time.sleep(random.uniform(0.01, 0.1))
        raise changed

    def rebuild(self, record: StudyRecord) -> dict[int, int]:
        """Make the mirror say what the record says: complete it, or replace it where it says something else.

        Args:
            record: The study as our tables have it; details are not needed.

        Returns:
            Optuna's trial id by our trial number.

        Raises:
            StudyExistsError: An Optuna study of this name is there and is no mirror.
            StorageError: Optuna cannot write.
        """
        name = record.spec.name
        with _step("mirror.rebuild"):
            templates = [
                _template(record.id, trial.runs[0].phase, trial.spec, trial.state, trial.value)
                for trial in record.trials
            ]
            mirrored = self._mirrored(record, templates)
            if mirrored is None:
                self.create(record.id, name, record.task.direction)
                mirrored = []
            for found, trial in zip(mirrored, record.trials, strict=False):
                if found.state == OptunaState.RUNNING and trial.state != TrialState.RUNNING:
                    self._end(found._trial_id, trial.state, trial.value)
            study = self._own(record.id, name)
            ids = [found._trial_id for found in mirrored]
            ids += [self._storage.create_new_trial(study, template) for template in templates[len(ids) :]]
        return {trial.number: id_ for trial, id_ in zip(record.trials, ids, strict=True)}

    def delete(self, study_id: str, name: str) -> None:
        """Delete a mirror; nothing happens where it is gone already or is somebody else's.

        Args:
            study_id: Our id of the study.
            name: The study's name.

        Raises:
            StorageError: Optuna cannot write.
        """
        with _step("mirror.delete"):
            found = self._find(name)
            if found is not None and self._storage.get_study_user_attrs(found).get(STUDY_ATTRIBUTE) == study_id:
                self._storage.delete_study(found)

    def close(self) -> None:
        """Close every connection that is not in use."""
        if "_storage" in self.__dict__:
            self._storage.remove_session()
            self._storage.engine.dispose()

    def _find(self, name: str) -> int | None:
        try:
            found: int = self._storage.get_study_id_from_name(name)
        except KeyError:
            return None
        return found

    def _own(self, study_id: str, name: str) -> int:
        found: int = self._storage.get_study_id_from_name(name)
        if self._storage.get_study_user_attrs(found).get(STUDY_ATTRIBUTE) != study_id:
            raise MirrorChangedError(f"The Optuna study {name!r} must be the mirror of study {study_id}.")
        return found

    def _mirrored(self, record: StudyRecord, templates: list[FrozenTrial]) -> list[FrozenTrial] | None:
        """Return the mirror's trials where they are the first ones of the record, else None."""
        found = self._find(record.spec.name)
        if found is None or self._storage.get_study_user_attrs(found).get(STUDY_ATTRIBUTE) != record.id:
            return None
        trials = self._storage.get_all_trials(found)
        if len(trials) > len(templates):
            return None
        # Fewer are no fault: what is missing is added.
        pairs = zip(trials, templates, strict=False)
        return trials if all(_fits(trial, template) for trial, template in pairs) else None

    def _end(self, optuna_trial_id: int, state: TrialState, value: float | None) -> None:
        values = None if value is None else [value]
        self._storage.set_trial_state_values(optuna_trial_id, _STATES[state], values)


def _fits(trial: FrozenTrial, template: FrozenTrial) -> bool:
    """Tell whether a mirrored trial is the one that our tables have; one that still runs there may have ended here."""
    for name in ("distributions", "params", "user_attrs"):
        if getattr(trial, name) != getattr(template, name):
            return False
    if trial.state == OptunaState.RUNNING:
        return True
    return bool((trial.state, trial.value) == (template.state, template.value))


def _open_storage(url: URL) -> RDBStorage:
    # Optuna fills in `{SCHEMA_VERSION}`, so a brace of our own has to be doubled.
    text = url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
    tries = 0
    while True:
        tries += 1
        try:
            storage = RDBStorage(text, engine_kwargs=engine_arguments(url))
            if url.get_backend_name() == "sqlite":
                # Optuna reads first and writes later in one transaction, which SQLite refuses when others write.
                storage.engine.dispose()
                event.listen(storage.engine, "connect", set_up_sqlite)
                event.listen(storage.engine, "begin", begin_immediate)
            return storage
        except RuntimeError as error:
            raise StorageError(f"Optuna must be able to use its tables in the study database; {error}") from error
        # Two processes that open a new database at once both try to make its tables, and one of them fails.
        except (SQLAlchemyError, StorageInternalError) as error:
            cause = _cause(error)
            if is_transient(cause):
                raise TransientError(f"Optuna must be able to reach the study database; {_sentence(cause)}.") from error
            if tries == _OPEN_TRIES:
                raise StorageError(f"Optuna must be able to open the study database; {_sentence(cause)}.") from error
            time.sleep(0.1 * tries)


def check_name_read_only(connection: Connection, name: str) -> None:
    """Check a name as `Mirror.check_name` does, in a database that must stay as it is: Optuna makes its tables.

    Args:
        connection: An open transaction.
        name: The study's name.

    Raises:
        StudyExistsError: An Optuna study of this name is there and is no mirror.
    """
    if not inspect(connection).has_table(_STUDIES.name):
        return
    found = connection.scalar(select(_STUDIES.c.study_id).where(_STUDIES.c.study_name == name))
    if found is None:
        return
    marks = select(_ATTRIBUTES.c.key).where(_ATTRIBUTES.c.study_id == found, _ATTRIBUTES.c.key == STUDY_ATTRIBUTE)
    trials = select(_TRIALS.c.study_id).where(_TRIALS.c.study_id == found).limit(1)
    if connection.scalar(marks) is None and connection.scalar(trials) is not None:
        raise _name_taken(name)


def _name_taken(name: str) -> StudyExistsError:
    return StudyExistsError(
        f"--name must not be the name of an Optuna study that is in the same database; got {name!r}. "
        "Choose another --name or another --storage."
    )


@contextmanager
def _step(name: str) -> Iterator[None]:
    """Write to the mirror between two failpoints."""
    with _translated():
        reach(f"{name}.before")
        yield
        reach(f"{name}.after")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (KeyError, ValueError, UpdateFinishedTrialError, DuplicatedStudyError) as error:
        raise MirrorChangedError(f"The mirror must be as it was left; Optuna responded: {error}.") from error
    except OSError as error:
        raise StorageError(f"The mirror in Optuna's tables must be writable; it responded: {error}.") from error
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = _cause(error)
        kind = TransientError if is_transient(cause) else StorageError
        raise kind(f"The mirror in Optuna's tables must be writable; {_sentence(cause)}.") from error


def _cause(error: Exception) -> Exception:
    """Return SQLAlchemy's error, which Optuna's own may hide."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    return cause if isinstance(cause, Exception) else error


def _sentence(error: Exception) -> str:
    """Return what the database responded, without the statement and its values, which may be secret."""
    original = error.orig if isinstance(error, DBAPIError) else error
    return f"the database responded: {original}"


def _template(study_id: str, phase: Phase, spec: TrialSpec, state: TrialState, value: float | None) -> FrozenTrial:
    known = _distributions()
    config = config_of(spec)
    # None is no number; a parameter that is None is left out, as Optuna's conditional parameters are. So is one of a
    # plug-in that is not installed.
    params = {}
    for name, given in config.items():
        if given is not None and name in known:
            params[name] = given
    # The choices of a parameter may never change, so methods of plug-ins and sets stand in the attributes alone.
    if spec.method in TRAINED_METHODS:
        params["method"] = spec.method
    # A list that is as long as it is can be no parameter.
    left_out = {"without": config["without"]} if "without" in config else {}
    return create_trial(
        state=_STATES[state],
        value=value,
        params=params,
        distributions={name: known[name] for name in params},
        user_attrs={STUDY_ATTRIBUTE: study_id, "phase": phase, "method": spec.method, **left_out},
    )


def _distributions() -> dict[str, BaseDistribution]:
    """Return one fixed distribution per name of `config_of`, read from the fields of the parts' specifications."""
    found: dict[str, BaseDistribution] = {"method": CategoricalDistribution(TRAINED_METHODS)}
    for part, model in {"training": TrainingSpec, **part_models()}.items():
        found |= _distributions_of(part, model)
    return found


@cache
def _distributions_of(part: str, model: type[Frozen]) -> dict[str, BaseDistribution]:
    found = {}
    for field, schema in model.model_json_schema()["properties"].items():
        name = f"{part}.{field}"
        distribution = _distribution(name, schema)
        if distribution is not None:
            found[name] = distribution
    return found


def _distribution(name: str, field: dict[str, Any]) -> BaseDistribution | None:
    # Of `X | None` only X is mirrored.
    field = field.get("anyOf", [field])[0]
    kind = field.get("type")
    if kind == "integer":
        return IntDistribution(field.get("minimum", 0), field.get("maximum", _LARGEST_INT))
    if kind == "number":
        low = field.get("minimum", _SMALLEST_FLOAT)
        high = field.get("maximum", field.get("exclusiveMaximum", _LARGEST_FLOAT))
        return FloatDistribution(low, high, log=name in _LOGARITHMIC)
    if kind == "boolean":
        return CategoricalDistribution([True, False])
    # Free text of a plug-in's settings has no distribution, and is not mirrored.
    return CategoricalDistribution(field["enum"]) if "enum" in field else None
