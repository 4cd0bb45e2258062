"""Ctrl-C and SIGTERM: at once, or at a safe point where a loop checks for them, saves, and only then stops.

A request may be lost: on a loop that has looked for the last time, or on a library that catches everything. So within a
command it is kept until that has ended; outside one (in a notebook, say) nothing is.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import NoReturn

SIGNALS = signal.SIGINT, signal.SIGTERM
_kept: list[int] = []  # signals of the command that runs, which it has not ended for yet


class Interrupt:
    """Whether the user requested a stop."""

    requested = False


@contextlib.contextmanager
def interrupted_at_once() -> Iterator[None]:
    """Within a command, let SIGINT and SIGTERM raise KeyboardInterrupt; what the shell has ignored stays ignored.

    After it, the handlers are those of before and nothing is kept; a command within a command leaves both to that one.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    if _raise in before.values():
        yield
        return
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _raise)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _kept.clear()


def _raise(number: int, frame: object) -> NoReturn:
    _kept.append(number)
    raise KeyboardInterrupt


def stop_if_requested() -> None:
    """Raise KeyboardInterrupt where a stop was requested and the command still runs: between two stages."""
    if _kept:
        raise KeyboardInterrupt


@contextlib.contextmanager
def deferred_interrupts() -> Iterator[Interrupt]:
    """Let SIGINT and SIGTERM within only set ``requested``; a second signal interrupts at once."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    stop_if_requested()

    def remember(number: int, frame: object) -> None:
        if before[number] is _raise:  # within a command
            _kept.append(number)
        if interrupt.requested:
            raise KeyboardInterrupt
        interrupt.requested = True

    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, remember)
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
