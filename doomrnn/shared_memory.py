"""Room for engines in /dev/shm: without it the system kills the process that finds none, and nobody is told why."""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator

from experiment.errors import InputError

SHARED_MEMORY, SHARED_BYTES = "/dev/shm", 1 << 17  # where engines show their screen, and what else they use of it
STARTING = 256  # ours: engines that may start at the same moment without asking each other, where all have room
ADVICE = "give the container more (docker run --shm-size=1g), or use fewer ranks"


@contextlib.contextmanager
def room_for_an_engine(screen: int) -> Iterator[None]:
    """Hold the room for a screen of so many bytes while its engine starts, which takes it bit by bit.

    Where memory is short, engines start one after another, whichever process they are of: else each would find
    the room that is there for one. The lock is on the folder, so that it leaves no file and binds every user.

    Raises:
        InputError: there is no room, or none may be used.
    """
    needed = screen + SHARED_BYTES
    with contextlib.ExitStack() as stack:
        try:
            folder = os.open(SHARED_MEMORY, os.O_RDONLY)
            stack.callback(os.close, folder)
            if shutil.disk_usage(folder).free < STARTING * needed:
                fcntl.flock(folder, fcntl.LOCK_EX)
            _check(folder, needed)
        except OSError as error:
            free = f", an engine needs {needed / 1e6:.1f} MB" if error.errno == errno.ENOSPC else ""
            raise InputError(f"{SHARED_MEMORY}: {error.strerror}{free}; {ADVICE}") from None
        yield


def _check(folder: int, needed: int) -> None:
    """Raise OSError where so many bytes cannot be written, without taking the last ones from others for a moment."""
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with tempfile.NamedTemporaryFile(dir=SHARED_MEMORY, prefix="ViZDoom") as file:
        os.posix_fallocate(file.fileno(), 0, needed)
