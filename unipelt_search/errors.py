"""The exceptions of the package, one root.

    UnipeltError
    ├── RequestError          the request is wrong: one clear sentence, exit code 2, nothing created
    │   ├── DataError         the dataset cannot be used as asked
    │   ├── BackboneError     the backbone cannot be loaded, or a method cannot attach to it
    │   ├── MachineError      the machine, its network or its installation lacks what was asked for
    │   ├── UnknownMethodError  no installed package has a method of that name
    │   ├── StudyExistsError  a study of that name asks something else
    │   ├── StudyNotFoundError  no study of that name is in this database
    │   └── SavedModelError   a trained model cannot be exported, or a folder is no model that can be loaded
    ├── StorageError          the study database cannot be read or written
    │   ├── OldSchemaError    the tables are those of an older version, and whoever asks may not change them
    │   ├── RunLostError      a run was taken away from the attempt that wants to write
    │   ├── StudyChangedError another driver was first; read the study again and decide anew
    │   └── TransientError    the database is away or busy; the same may be asked again
    ├── DivergedError         a run's loss or score is no finite number; the run fails, the study goes on
    └── NoUsableTrialError    every trial failed (exit code 3)

Every message states the rule, then what was got, then what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UnipeltError(Exception):
    """The root of every error that this package raises on purpose."""


class RequestError(UnipeltError):
    """What the user asked for cannot be done as asked."""


class DataError(RequestError):
    """The dataset cannot be used as asked."""


class BackboneError(RequestError):
    """The backbone cannot be loaded, or a method cannot attach to it."""


class MachineError(RequestError):
    """The machine, its network or its installation lacks what was asked for."""


class UnknownMethodError(RequestError):
    """No installed package has a method of that name."""


class StudyExistsError(RequestError):
    """A study of that name exists and asks something else."""


class StudyNotFoundError(RequestError):
    """No study of that name is in the database."""


class SavedModelError(RequestError):
    """A trained model cannot be exported as asked, or a folder holds no model that can be loaded."""


class StorageError(UnipeltError):
    """The study database cannot be read or written."""


class OldSchemaError(StorageError):
    """The tables are those of an older version, and whoever asks may not change them."""


class RunLostError(StorageError):
    """A run was taken away from the attempt that wants to write."""


class StudyChangedError(StorageError):
    """Another driver of the study was first."""


class TransientError(StorageError):
    """The database is away, or another transaction was in the way; the same may be asked again."""


class DivergedError(UnipeltError):
    """A run's loss or score is no finite number."""


class NoUsableTrialError(UnipeltError):
    """Every trial of the study failed, so there is nothing to report."""


def did_you_mean(got: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the closest known word, or an empty string.

    Args:
        got: The word that the user wrote.
        known: The words that would have been right.

    Returns:
        A sentence with a leading space, or ``""`` when nothing is close.
    """
    close = get_close_matches(got, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""
