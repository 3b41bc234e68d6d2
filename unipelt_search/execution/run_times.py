"""How long runs take, and which of them take too long."""

from __future__ import annotations

from collections.abc import Callable, Collection

_START_SECONDS = 300.0
"""What a run may be silent beyond its limit before its first sign: its worker starts and loads the backbone."""
_LEAST_SILENCE, _UNKNOWN_SILENCE = 3_600.0, 86_400.0
"""Seconds that a run may be silent where the study sets no limit: at least, and before any run has given a sign."""
_TIMES_LONGEST = 200.0
"""The end of a run, with every row and ablation scored, takes many times as long as an evaluation."""
_HELD_UP = 60.0
"""A look that comes so late was held up, as by a laptop that slept; the workers slept too."""


class RunTimes:
    """The times of the runs that one driver has started, in seconds of its clock."""

    def __init__(
        self,
        now: Callable[[], float],
        run_seconds: float | None = None,
        silence_seconds: float | None = None,
    ) -> None:
        """Begin without runs.

        Args:
            now: A clock in seconds.
            run_seconds: How long a run may take; None is without end.
            silence_seconds: How long it may be without an evaluation or its end; None is 200 times the longest time of
                that kind so far, at least an hour.
        """
        self._now = now
        self._run_seconds = run_seconds
        self._silence_seconds = silence_seconds
        self._began: dict[str, float] = {}
        self._last_sign: dict[str, float] = {}
        self._silent: set[str] = set()
        self._longest: float | None = None
        self._polled = now()
        self.finished: dict[str, float] = {}
        """What each run took that has ended well, without the start of a cold worker."""

    def begin(self, run_id: str) -> None:
        """Note that a run was handed out."""
        now = self._now()
        self._began[run_id] = now
        self._last_sign[run_id] = now
        self._silent.add(run_id)

    def hear(self, run_id: str, seconds: float) -> None:
        """Note an evaluation, so many seconds of work after the run's begin."""
        now = self._now()
        if run_id not in self._silent:  # else the start of its worker is in the time
            self._longest = max(self._longest or 0.0, now - self._last_sign[run_id])
        self._silent.discard(run_id)
        self._last_sign[run_id] = now
        self._began[run_id] = now - seconds

    def finish(self, run_id: str) -> None:
        """Note that a run has ended well."""
        self.finished[run_id] = self._now() - self._began[run_id]

    def overdue(self, running: Collection[str]) -> dict[str, str]:
        """Tell which runs take too long or have been silent for too long.

        Args:
            running: The runs that have begun and not ended.

        Returns:
            Why, in one sentence, by run.
        """
        now = self._now()
        late = now - self._polled
        self._polled = now
        if late > _HELD_UP:
            self._began = {run_id: began + late for run_id, began in self._began.items()}
            self._last_sign = {run_id: sign + late for run_id, sign in self._last_sign.items()}
        return {run_id: reason for run_id in running if (reason := self._too_long(run_id, now))}

    def _too_long(self, run_id: str, now: float) -> str:
        start = _START_SECONDS if run_id in self._silent else 0.0
        if self._run_seconds is not None and now - self._began[run_id] > self._run_seconds + start:
            return f"timeout: a run must end within {self._run_seconds:g} s (machine.run_seconds); this one did not."
        silence = self._silence_seconds
        if silence is None:
            longest = self._longest
            silence = _UNKNOWN_SILENCE if longest is None else max(_LEAST_SILENCE, _TIMES_LONGEST * longest)
        if now - self._last_sign[run_id] > silence + start:
            return (
                f"timeout: a run must give a sign every {silence:.0f} s (machine.silence_seconds); this one hangs, or "
                "needs longer."
            )
        return ""
