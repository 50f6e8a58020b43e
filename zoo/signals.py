"""SIGINT and SIGTERM as a request that the loop grants at its next step boundary."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Request:
    """The signal that asked to stop, once one has."""

    def __init__(self) -> None:
        self.signal: int | None = None


@contextmanager
def stop_requests(second: signal.Handlers = signal.SIG_DFL) -> Iterator[Request]:
    """Within this block the first signal is a request; a second one kills.

    Under a launcher ``second`` is SIG_IGN: it hands on a signal that a terminal or a queue may have sent to its
    processes already, and kills those that take too long to save.
    """
    request = Request()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: FrameType | None) -> None:
        request.signal = number
        for each in before:
            signal.signal(each, second)

    for number in before:
        signal.signal(number, note)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
