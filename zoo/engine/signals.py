"""SIGINT, SIGTERM and SIGHUP as a request that the loop grants at its next step boundary."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Abandoned(BaseException):
    """A second signal: the work that went on can be done again, and nothing else is lost."""


class Request:
    """The signal that asked to stop, once one has; ``say`` answers each signal at once.

    The first is a request. A second one ends what can be done again, such as a validation; in a step or while a
    checkpoint is written it is answered in words, since what would be lost can be saved in a moment. A third one kills.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.signal: int | None = None
        self._say = say
        self._repeatable: str | None = None
        self._refused = False

    @contextmanager
    def repeatable(self, work: str) -> Iterator[None]:
        """Context manager in which a second signal raises `Abandoned`; ``work`` names the block in messages."""
        self._repeatable = work
        try:
            yield
        finally:
            self._repeatable = None

    def note(self, number: int) -> None:
        """Take a signal in."""
        if self.signal is None:
            self.signal = number
            hint = f"; a second signal skips {self._repeatable} without losing anything" if self._repeatable else ""
            self._say(f"{signal.Signals(number).name}: stopping after this step, then saving{hint}")
        elif self._repeatable:
            self._repeatable = None
            raise Abandoned
        elif not self._refused:
            self._refused = True
            self._say("still saving: please wait; a third signal kills the process and loses what is not saved")
        else:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)


@contextmanager
def stop_requests(say: Callable[[str], None], *, once: bool = False) -> Iterator[Request]:
    """Within this block signals are a request.

    With ``once`` the first one is the only one: a launcher hands on what a terminal or a queue may have sent to its
    processes already, and kills those that take too long to save. A signal that is ignored stays so, as a
    hangup does under nohup.
    """
    request = Request(say)
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in STOPS}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}

    def note(number: int, frame: FrameType | None) -> None:
        if once:
            for each in before:
                signal.signal(each, signal.SIG_IGN)
        request.note(number)

    for number in before:
        signal.signal(number, note)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
