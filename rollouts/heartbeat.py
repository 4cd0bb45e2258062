"""Which ranks owe rank 0 an answer, and which have been silent for too long."""

import time
from collections.abc import Callable, Iterable

STEP_SECONDS = 1.0  # a longer gap between two looks is rank 0's own: it was stopped, or its machine slept


class HeartbeatMonitor:
    """Rank 0's list of the other ranks. Its clock stands still while rank 0 itself does.

    A rank owes an answer from the start, and from each reply it gets until it is heard again.
    """

    def __init__(self, ranks: Iterable[int], patience: float, clock: Callable[[], float] = time.monotonic):
        self.patience, self._clock = patience, clock
        self._looked, self._now = clock(), 0.0
        self._since = dict.fromkeys(ranks, 0.0)
        self._names: dict[int, str] = {}
        self._silent: dict[int, float] = {}

    def introduce(self, rank: int, host: str, pid: int) -> None:
        """Note where a rank is."""
        self._names[rank] = f"rank {rank} (pid {pid} on host {host})"

    def name(self, rank: int) -> str:
        """Return what to call a rank in a message."""
        return self._names.get(rank, f"rank {rank}")

    def look(self) -> list[int]:
        """Let the clock go on; the ranks that have become silent since the last look."""
        now = self._clock()
        self._now += min(now - self._looked, STEP_SECONDS)
        self._looked = now
        lost = [rank for rank, since in self._since.items() if self._now - since >= self.patience]
        for rank in lost:
            self._silent[rank] = self._since.pop(rank)
        return lost

    def heard(self, rank: int) -> float | None:
        """Note that a rank has answered; return the seconds it took if it had been given up, else None."""
        self._since.pop(rank, None)
        since = self._silent.pop(rank, None)
        return None if since is None else self._now - since

    def asked(self, rank: int) -> None:
        """Note that a rank has been sent something that it must answer."""
        self._since[rank] = self._now

    @property
    def silent(self) -> list[int]:
        """The ranks given up and not heard since."""
        return sorted(self._silent)
