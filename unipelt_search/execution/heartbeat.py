"""A sign of life from a thread of its own, so that nothing that trains or waits can hold it up."""

from __future__ import annotations

import threading
from collections.abc import Callable

from unipelt_search.errors import StorageError

_SOONER = 10
"""How many times sooner the next beat comes after one that failed."""
_STOP_SECONDS = 5.0
"""Seconds that stopping waits for a beat under way; the thread dies with the process anyway."""


class Heartbeat:
    """Calls a function again and again until it is stopped."""

    def __init__(self, beat: Callable[[], object], seconds: float) -> None:
        """Start beating.

        Args:
            beat: What to call; after a `StorageError` of it the next beat comes sooner.
            seconds: From one call to the next.
        """
        self._beat = beat
        self._seconds = seconds
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Beat no more."""
        self._end.set()
        self._thread.join(_STOP_SECONDS)

    def _go_on(self) -> None:
        pause = self._seconds
        while not self._end.wait(pause):
            try:
                self._beat()
                pause = self._seconds
            except StorageError:
                # A lease outlives three beats that fail; a driver that has lost it is told when it writes.
                pause = self._seconds / _SOONER
