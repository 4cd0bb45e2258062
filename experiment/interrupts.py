"""Ctrl-C and SIGTERM: at once, or at a safe point where a loop checks for them, saves, and only then stops.

A request may be lost: on a loop that has looked for the last time, or on a library that catches everything. So within a
command it is kept until that has ended for it; outside one (in a notebook, say) nothing is.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import NoReturn

SIGNALS = signal.SIGINT, signal.SIGTERM
_kept: list[int] = []  # signals that no command has ended for yet


class Interrupt:
    """Whether the user requested a stop."""

    requested = False


def interrupt_at_once() -> None:
    """Let SIGINT and SIGTERM raise KeyboardInterrupt from now on; a SIGINT that the shell has ignored stays ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def _raise(number: int, frame: object) -> NoReturn:
    _kept.append(number)
    raise KeyboardInterrupt


def stop_if_requested() -> None:
    """Raise KeyboardInterrupt where a stop was requested and no command has ended for it: between two stages."""
    if _kept:
        raise KeyboardInterrupt


def interrupt_taken() -> None:
    """Forget what was requested, once a command ends for it."""
    _kept.clear()


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
