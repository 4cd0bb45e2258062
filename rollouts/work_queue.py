"""The work of rank 0: what waits, who plays what, what came in."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import chain

from rollouts.messages import Reply, Request
from rollouts.rollout import Kind, Outcome, Rollout

UNIT = 8  # rollouts handed out at least


class WorkQueue:
    """Hands out rollouts and takes in outcomes, of which the first of each rollout counts. Every method locks it.

    version: grows with every change that can give a rank work which there was none for.
    """

    def __init__(self, ranks: int, capacity: Callable[[Kind], int]):
        self._ranks, self._capacity = ranks, capacity
        self._changed = threading.Condition()
        self._waiting: deque[Rollout] = deque()
        self._outstanding: dict[int, Rollout] = {}
        self._held: list[set[int]] = [set() for _ in range(ranks)]
        self._arrived: list[Outcome] = []
        self._repeats = True
        self.version = 0

    def post(self, rollouts: Sequence[Rollout], repeats: bool) -> None:
        """Add work; `repeats` lets idle ranks play what others are slow to finish."""
        with self._changed:
            self._waiting.extend(rollouts)
            self._outstanding.update({rollout.id: rollout for rollout in rollouts})
            self._repeats = repeats
            self.version += 1

    def clear(self) -> None:
        """Forget all work that is left."""
        with self._changed:
            self._waiting.clear()
            self._outstanding.clear()
            self._arrived.clear()

    def share(self, rank: int) -> int:
        """Let others play what a silent rank holds, too; it may go on with it if it wakes. Returns how many."""
        with self._changed:
            elsewhere = set(chain.from_iterable(held for other, held in enumerate(self._held) if other != rank))
            lost = sorted(key for key in self._held[rank] if key in self._outstanding)
            self._waiting.extendleft(self._outstanding[key] for key in reversed(lost) if key not in elsewhere)
            self.version += 1
            return len(lost)

    def exchange(self, rank: int, request: Request) -> Reply:
        """Take a rank's outcomes; give it work it has room for, and the ids it should drop."""
        with self._changed:
            held = self._held[rank]
            for outcome in request.outcomes:
                held.discard(outcome.id)
                if self._outstanding.pop(outcome.id, None) is not None:
                    self._arrived.append(outcome)
            stale = [key for key in held if key not in self._outstanding]
            held.difference_update(stale)
            idle = not any(request.live.values())
            portion = self._take(rank, request.live) or (self._repeat(rank) if idle else [])
            held.update(rollout.id for rollout in portion)
            if request.outcomes:
                self._changed.notify_all()
            return Reply(portion, stale)

    def _take(self, rank: int, live: dict[Kind, int]) -> list[Rollout]:
        """Return a portion of what waits, in its order: smaller and smaller, so that the ranks end together."""
        portion, under_way = list[Rollout](), Counter(live)
        share = max(UNIT, -(-len(self._waiting) // (2 * self._ranks)))
        while self._waiting and len(portion) < share:
            first = self._waiting[0]
            if first.id in self._outstanding and first.id not in self._held[rank]:  # else a silent rank woke up
                if under_way[first.kind] >= self._capacity(first.kind):
                    break
                portion.append(first)
                under_way[first.kind] += 1
            self._waiting.popleft()
        return portion

    def _repeat(self, rank: int) -> list[Rollout]:
        """Return what other ranks hold, for an idle one: first what the fewest play, the oldest first."""
        if not self._repeats:
            return []
        players = Counter(chain.from_iterable(self._held))
        others = [r for r in self._outstanding.values() if r.id not in self._held[rank]]
        others.sort(key=lambda rollout: players[rollout.id])
        alike = [r for r in others if r.kind == others[0].kind]
        return alike[: min(UNIT, self._capacity(others[0].kind))] if others else []

    def gather(self, patience: float) -> list[Outcome]:
        """Return what arrived since the last call, waiting up to `patience` seconds for something."""
        with self._changed:
            if not self._arrived and patience:
                self._changed.wait(patience)
            arrived, self._arrived = self._arrived, []
            return arrived
