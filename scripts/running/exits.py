"""How commands end: one line for what was foreseen, an exit code, and all ranks together."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from running.ranks import refuse_ranks

from experiment.errors import InputError, NumericalError, disk_trouble
from experiment.files import first_line
from experiment.interrupts import interrupted_at_once

# signals of a rank that mpirun tells of; those that ask it to end it hands on as its own code
DEADLY = {signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE}


@contextlib.contextmanager
def ending_well(comm: Any = None) -> Iterator[None]:
    """Report what can go wrong as one line and an exit code; under MPI end all ranks with it.

    An error that is not foreseen prints its traceback. SIGTERM ends a process alone as Ctrl-C does; ranks leave it to
    mpirun.
    """
    if comm is None:
        refuse_ranks()
    try:
        with interrupted_at_once() if comm is None else _guarded(comm):
            yield
            sys.stdout.flush()
        code = 0
    except BrokenPipeError:
        _drop_output()
        code = _ended("stopped: nobody reads the output any more; what is finished is saved", 1, comm)
    except InputError as error:
        code = _ended(f"error: {error}", 2, comm)
    except NumericalError as error:
        code = _ended(f"failed: {error}", 1, comm)
    except OSError as error:
        line = disk_trouble(error)
        if line is None:
            raise
        code = _ended(f"failed: {line}", 1, comm)
    except MemoryError as error:
        why = f" ({first_line(error)})" if str(error) else ""
        code = _ended(
            f"failed: not enough memory{why}; play or batch fewer at once, what is finished is saved", 1, comm
        )
    except KeyboardInterrupt:
        code = _ended(
            "interrupted; everything finished so far is saved, the same command goes on from there", 130, comm
        )
    if code:
        sys.exit(code)


def exit_code(what: str, code: int) -> int:
    """Return the exit code that a process ended with: 1, and a line that names the signal, where one killed it.

    `subprocess` has that as minus the signal, mpirun, of a rank, as 128 and the signal.
    """
    number = -code if code < 0 else code - 128
    if code >= 0 and number not in DEADLY:
        return code
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    why = " (out of memory?)" if number == signal.SIGKILL else ""
    line = f"failed: {what} was killed by {name}{why}; what it finished is saved"
    print(f"{line}, the same command goes on from there", file=sys.stderr, flush=True)
    return 1


@contextlib.contextmanager
def dropped_if_unread() -> Iterator[None]:
    """Within, output that nobody reads any more (``| head -1``) is dropped."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()


def _drop_output() -> None:
    """Let standard output go nowhere, so that the interpreter does not fail on what is left of it at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _guarded(comm: Any) -> contextlib.AbstractContextManager:
    from rollouts.farm import guarded

    return guarded(comm)


def _ended(line: str, code: int, comm: Any) -> int:
    print(line, file=sys.stderr, flush=True)
    if comm is not None and comm.Get_size() > 1:
        from rollouts.farm import abort

        abort(comm, code)
    return code
