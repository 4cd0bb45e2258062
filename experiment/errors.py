"""The ways a command ends badly, so that scripts can turn them into one line and an exit code."""

import errno
import math
import shlex

DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG)


def command(*words: object) -> str:
    """The line that runs these words in a shell, which a path with a blank or a quote in it must survive."""
    return shlex.join(map(str, words))


class InputError(Exception):
    """Something the user gave is missing, damaged or does not fit (exit code 2): what, where, and what to do.

    Always one line, whatever words of a file it quotes.
    """

    def __init__(self, line: str):
        super().__init__(" ".join(line.splitlines()))


class NumericalError(Exception):
    """A loss, a latent or a fitness stopped being a number (exit code 1); the last good state is kept."""


def check_losses(values: dict[str, float], where: str, advice: str) -> dict[str, float]:
    """Return `values`; NumericalError naming `where` and `advice` if one is NaN or infinite."""
    bad = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
    if bad:
        raise NumericalError(f"{where}: {', '.join(bad)}; {advice}")
    return values


def disk_trouble(error: OSError) -> str | None:
    """Return the message for a disk that is full, read-only or broken; None for any other error."""
    if error.errno not in DISK_TROUBLE:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror}; what was written before is safe, and the same command goes on from there"
