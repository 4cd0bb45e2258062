"""Ctrl-C and SIGTERM at a safe point: a loop checks for them, saves, and only then stops."""

import contextlib
import signal
import threading
from collections.abc import Iterator


class Interrupt:
    """Whether the user requested a stop."""

    requested = False


@contextlib.contextmanager
def deferred_interrupts() -> Iterator[Interrupt]:
    """Let SIGINT and SIGTERM within only set ``requested``; a second signal interrupts at once."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def remember(number: int, frame: object) -> None:
        if interrupt.requested:
            raise KeyboardInterrupt
        interrupt.requested = True

    before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
