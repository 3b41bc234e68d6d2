"""A database that goes away while a study runs: telling it from other errors, and waiting until it is back.

SQLite is a file and never away; what its locks need is in `database`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError, PendingRollbackError

from unipelt_search.errors import TransientError

AWAY_SECONDS = 600.0
"""How long a study waits for its database: longer than a restart, a failover or a minor upgrade takes."""
_PAUSES = (0.05, 2.0)
_QUIET_SECONDS = 2.0
"""Shorter waits are nobody's business."""
# https://www.postgresql.org/docs/current/errcodes-appendix.html: the server ends, starts or cut the connection; too
# many connections; two transactions were in each other's way.
_POSTGRESQL: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "53300", "40001", "40P01"})
# Too many connections, shutdown, lock wait timeout, deadlock, and what a client cannot reach or has lost.
_MYSQL: Final = frozenset({1040, 1053, 1205, 1213, 2002, 2003, 2006, 2013, 2055})

_Result = TypeVar("_Result")


def is_transient(error: Exception) -> bool:
    """Tell whether a server may respond otherwise when it is asked again.

    Args:
        error: What SQLAlchemy raised.

    Returns:
        True where the connection was lost or refused, or two transactions were in each other's way; never for SQLite.
    """
    if isinstance(error, PendingRollbackError):
        return True  # the connection was lost earlier in the transaction, and Optuna went on all the same
    if not isinstance(error, DBAPIError) or type(error.orig).__module__.startswith("sqlite3"):
        return False
    if error.connection_invalidated:
        return True
    code = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    if code is not None:
        return code[:2] == "08" or code in _POSTGRESQL
    number = error.orig.args[0] if error.orig is not None and error.orig.args else None
    if isinstance(number, int):
        return number in _MYSQL
    # Without a statement it was connecting that failed.
    return isinstance(error, OperationalError) and error.statement is None


class RetryPolicy:
    """Repeats work on a database until it is back; used by several threads at once."""

    def __init__(self, redacted: str, seconds: float = AWAY_SECONDS) -> None:
        """Begin with a database that responds.

        Args:
            redacted: The database's URL, as it may be printed.
            seconds: How long it is waited for.
        """
        self.notify: Callable[[str], object] = lambda sentence: None
        """Is told that a wait goes on, and that it has ended."""
        self._redacted, self._seconds = redacted, seconds
        self._stopped = threading.Event()
        self._away_at: float | None = None

    def run(self, work: Callable[[bool], _Result]) -> _Result:
        """Do work on the database, and do it again while the database is away.

        Args:
            work: Is called with False at first, and with True where an earlier call may have been done without our
                hearing of it.

        Returns:
            What it returned.

        Raises:
            TransientError: The database did not come back in time, now or earlier, or somebody gave up waiting.
        """
        began, notified, pause = time.monotonic(), False, _PAUSES[0]
        again = False
        while True:
            try:
                result = work(again)
            except TransientError as error:
                again = True
                waited = time.monotonic() - began
                if self._stopped.is_set():
                    raise
                if waited > self._seconds:
                    self._stopped.set()
                    raise TransientError(f"{error} It was waited for {waited:.0f} s.") from error
                if waited > _QUIET_SECONDS and not notified:
                    notified = True
                    self.notify(f"Waiting for the study database, for {self._seconds / 60:.0f} min at most. {error}")
                self._stopped.wait(random.uniform(pause / 2, pause))
                pause = min(2 * pause, _PAUSES[1])
            else:
                if notified:
                    self.notify(f"The study database {self._redacted} is back")
                return result

    def retry(self, work: Callable[[], _Result]) -> _Result:
        """Do work that may be done twice, again while the database is away; raises as `run` does."""
        return self.run(lambda again: work())

    def stop_waiting(self) -> None:
        """Wait no longer, in no thread, now or later: whoever ends must not wait on the way out."""
        self._stopped.set()

    def note_away(self) -> None:
        """Note that the database did not respond just now."""
        self._away_at = time.monotonic()

    def was_away(self, seconds: float) -> bool:
        """Tell whether the database did not respond at some time within the last seconds."""
        return self._away_at is not None and time.monotonic() - self._away_at < seconds
