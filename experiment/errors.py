"""The ways a command ends badly, so that scripts can turn them into one line and an exit code."""

import errno
import math
import shlex

AGAIN = "what was written before is safe, and the same command goes on from there"
WRITABLE = "make it writable, or name another folder"
FILES = "allow more open files (ulimit -n 4096), or play fewer games at once (--set evaluate.games_per_rank=N)"
TROUBLE = {  # with the system, not with the program: what to do about it
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.ESTALE, errno.ETIMEDOUT), AGAIN),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), WRITABLE),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), FILES),
    **dict.fromkeys(
        (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP), "name another folder"
    ),
    **dict.fromkeys((errno.ENOMEM, errno.EAGAIN), "free some memory or processes, or use fewer ranks"),
    **dict.fromkeys((errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS), "its file system cannot do that; use another one"),
}
TEMPORARY = "make one of them writable (docker run --tmpfs /tmp:exec), or name another in TMPDIR"


def command(*words: object) -> str:
    """Return the line that runs these words in a shell, which a path with a blank or a quote in it must survive."""
    return shlex.join(map(str, words))


class InputError(Exception):
    """Something the user gave is missing, damaged or does not fit (exit code 2): what, where, and what to do.

    Always one line, whatever words of a file it quotes. line: the words, or another error, as Gymnasium's asynchronous
    environments pass one on from their processes.
    """

    def __init__(self, line: object):
        super().__init__(" ".join(str(line).splitlines()))


class NumericalError(Exception):
    """A loss, a latent or a fitness stopped being a number (exit code 1); the last good state is kept."""


def check_losses(values: dict[str, float], where: str, advice: str) -> dict[str, float]:
    """Return `values`; NumericalError naming `where` and `advice` if one is NaN or infinite."""
    bad = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
    if bad:
        raise NumericalError(f"{where}: {', '.join(bad)}; {advice}")
    return values


def disk_trouble(error: OSError) -> str | None:
    """Return the line for trouble with files: a disk that is full, read-only or broken, a limit; None for others."""
    if str(error.strerror).startswith("No usable temporary directory"):  # as tempfile says it, naming all it tried
        return f"{error.strerror}; {TEMPORARY}"
    if error.errno not in TROUBLE:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror}; {TROUBLE[error.errno]}"
