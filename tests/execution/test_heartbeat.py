from __future__ import annotations

import threading

from unipelt_search.errors import StorageError
from unipelt_search.execution.heartbeat import Heartbeat


def test_it_beats_until_it_is_stopped_whatever_the_database_does() -> None:
    beats = 0
    third = threading.Event()

    def beat() -> None:
        nonlocal beats
        beats += 1
        if beats == 3:
            third.set()
        raise StorageError("the database is away")

    heartbeat = Heartbeat(beat, 0.001)
    assert third.wait(20)
    heartbeat.stop()
    counted = beats
    assert not heartbeat._thread.is_alive()
    assert beats == counted
