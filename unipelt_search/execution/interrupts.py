"""Signal handlers that are installed for a while."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]
"""What is called when a signal comes, as `signal.signal` wants it."""
_ENDS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def handled(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Handle signals differently for a while; outside of the main thread nothing is changed.

    Args:
        handlers: What is called when which signal comes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous or signal.SIG_DFL)  # None: it was installed by C


@contextmanager
def interrupt_on_signal(interrupt: Callable[[], object]) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM ask for an orderly end; a second one raises KeyboardInterrupt.

    Args:
        interrupt: Is called at the first signal, between any two steps of the main thread.
    """

    def on_first(number: int, frame: FrameType | None) -> None:
        interrupt()
        for end in _ENDS:
            signal.signal(end, signal.default_int_handler)

    with handled(dict.fromkeys(_ENDS, on_first)):
        yield
