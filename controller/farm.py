"""Rollouts spread over MPI ranks: rank 0 hands out small portions on demand, works too, and gathers the outcomes.

Every rank runs the same players, so an outcome does not depend on who played it. On rank 0 one thread answers the
other ranks while the main thread plays; when nothing is left to hand out, idle ranks play what is still outstanding
elsewhere, and the first outcome counts. An exception on any rank ends the whole job (see `guarded`).
"""

import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from controller.rollouts import Cast, Kind, Outcome, Player, Rollout
from vae.errors import InputError, NumericalError, disk_trouble

UNIT = 16  # rollouts handed out at least
TAG_REQUEST, TAG_REPLY = 1, 2
POLL_SECONDS = 0.001
LAST_WORDS_SECONDS = 0.3  # Open MPI may drop what a rank writes right before it aborts (seen on a loaded machine)


class Request(NamedTuple):
    """What a rank tells rank 0: what ended, and how many rollouts of each kind it has alive."""

    outcomes: list[Outcome]
    live: dict[Kind, int]


class Reply(NamedTuple):
    """What rank 0 answers: rollouts to start, ids to drop, and whether the work is over."""

    rollouts: list[Rollout]
    drop: list[int]
    stop: bool = False


class Board:
    """The work of rank 0: what waits, who plays what, what came in. Every method holds its lock."""

    def __init__(self, ranks: int, capacity: Callable[[Kind], int]):
        self._ranks, self._capacity = ranks, capacity
        self._changed = threading.Condition()
        self._waiting: deque[Rollout] = deque()
        self._outstanding: dict[int, Rollout] = {}
        self._held: list[set[int]] = [set() for _ in range(ranks)]
        self._arrived: list[Outcome] = []
        self._repeats = True

    def post(self, rollouts: Sequence[Rollout], repeats: bool) -> None:
        """New work; `repeats` lets idle ranks play what others are slow to finish."""
        with self._changed:
            self._waiting.extend(rollouts)
            self._outstanding.update({rollout.id: rollout for rollout in rollouts})
            self._repeats = repeats

    def clear(self) -> None:
        """Forget all work that is left."""
        with self._changed:
            self._waiting.clear()
            self._outstanding.clear()
            self._arrived.clear()

    def exchange(self, rank: int, request: Request) -> Reply:
        """Take a rank's outcomes; give it work it has room for, and the ids it should drop."""
        with self._changed:
            for outcome in request.outcomes:
                self._held[rank].discard(outcome.id)
                if self._outstanding.pop(outcome.id, None) is not None:
                    self._arrived.append(outcome)
            stale = [key for key in self._held[rank] if key not in self._outstanding]
            self._held[rank].difference_update(stale)
            idle = not any(request.live.values())
            portion = self._take(request.live) or (self._repeat(rank) if idle else [])
            self._held[rank].update(rollout.id for rollout in portion)
            if request.outcomes:
                self._changed.notify_all()
            return Reply(portion, stale)

    def _take(self, live: dict[Kind, int]) -> list[Rollout]:
        """A portion of one kind of what waits: smaller and smaller, so that the ranks end together."""
        if not self._waiting:
            return []
        kind = self._waiting[0].kind
        share = max(UNIT, -(-len(self._waiting) // (2 * self._ranks)))
        portion: list[Rollout] = []
        while self._waiting and self._waiting[0].kind == kind:
            if len(portion) >= min(share, self._capacity(kind) - live.get(kind, 0)):
                break
            portion.append(self._waiting.popleft())
        return portion

    def _repeat(self, rank: int) -> list[Rollout]:
        """What other ranks hold, for an idle one, the oldest first."""
        if not self._repeats:
            return []
        others = [r for r in self._outstanding.values() if r.id not in self._held[rank]]
        alike = [r for r in others if r.kind == others[0].kind]
        return alike[: min(UNIT, self._capacity(others[0].kind))] if others else []

    def gather(self, patience: float) -> list[Outcome]:
        """What arrived since the last call, waiting up to `patience` seconds for something."""
        with self._changed:
            if not self._arrived and patience:
                self._changed.wait(patience)
            arrived, self._arrived = self._arrived, []
            return arrived


class Crew:
    """The players of one rank, made when a rollout of their kind first comes."""

    def __init__(self, cast: Cast):
        self._cast = cast
        self._players: dict[Kind, Player] = {}

    def live(self) -> dict[Kind, int]:
        """Rollouts under way, by kind."""
        return {kind: player.live() for kind, player in self._players.items()}

    def follow(self, reply: Reply) -> None:
        """Drop and start what rank 0 says."""
        for player in self._players.values():
            player.drop(set(reply.drop))
        for kind in dict.fromkeys(rollout.kind for rollout in reply.rollouts):
            if kind not in self._players:
                self._players[kind] = self._cast.make(kind)
            self._players[kind].add([rollout for rollout in reply.rollouts if rollout.kind == kind])

    def advance(self) -> list[Outcome]:
        """Play all live batches for a block."""
        return [outcome for player in self._players.values() if player.live() for outcome in player.advance()]


class Farm:
    """Rank 0's side: `play` yields outcomes as they come. `comm` is None for one process without MPI."""

    def __init__(self, cast: Cast, comm: Any = None):
        self._comm = comm
        self._ranks = comm.Get_size() if comm is not None else 1
        self._board = Board(self._ranks, cast.capacity)
        self._crew = Crew(cast)
        self._posted = 0
        self._closing = threading.Event()
        self._server = threading.Thread(target=self._serve_or_abort, name="farm", daemon=True)
        if self._ranks > 1:
            self._server.start()

    def play(self, rollouts: Sequence[Rollout], repeats: bool = True) -> Iterator[Outcome]:
        """The outcome of every rollout, each once, in the order they end."""
        first, self._posted = self._posted, self._posted + len(rollouts)
        self._board.post([r._replace(id=first + i) for i, r in enumerate(rollouts)], repeats)
        missing, ended = len(rollouts), []
        try:
            while missing:
                self._crew.follow(self._board.exchange(0, Request(ended, self._crew.live())))
                ended = self._crew.advance()
                for outcome in self._board.gather(0.0 if any(self._crew.live().values()) or ended else 0.02):
                    missing -= 1
                    yield outcome._replace(id=rollouts[outcome.id - first].id)
        finally:
            self._board.clear()

    def close(self) -> None:
        """Send the other ranks home."""
        self._closing.set()
        if self._server.is_alive():
            self._server.join()

    def _serve_or_abort(self) -> None:
        with guarded(self._comm):
            self._serve()

    def _serve(self) -> None:
        """Answer the other ranks until all were told to stop; a rank with nothing to do waits for its answer."""
        from mpi4py import MPI

        status, home, idle = MPI.Status(), 0, dict[int, Request]()
        while home < self._ranks - 1:
            if self._comm.Iprobe(source=MPI.ANY_SOURCE, tag=TAG_REQUEST, status=status):
                rank = status.Get_source()
                idle[rank] = Request(*self._comm.recv(source=rank, tag=TAG_REQUEST))
            else:
                time.sleep(POLL_SECONDS)
            for rank, request in sorted(idle.items()):
                reply = self._board.exchange(rank, request)
                busy = any(request.live.values()) or reply.rollouts or reply.drop
                if busy or self._closing.is_set():
                    home += not busy
                    self._comm.send(reply if busy else Reply([], [], stop=True), dest=rank, tag=TAG_REPLY)
                    del idle[rank]
                else:
                    idle[rank] = Request([], request.live)


def work(cast: Cast, comm: Any) -> None:
    """The side of every other rank: ask, play, report, until rank 0 says stop."""
    crew, outcomes = Crew(cast), []
    while True:
        comm.send(tuple(Request(outcomes, crew.live())), dest=0, tag=TAG_REQUEST)
        while not comm.Iprobe(source=0, tag=TAG_REPLY):  # a blocking receive would spin
            time.sleep(POLL_SECONDS)
        reply = comm.recv(source=0, tag=TAG_REPLY)
        if reply.stop:
            return
        crew.follow(reply)
        outcomes = crew.advance()


@contextmanager
def guarded(comm: Any) -> Iterator[None]:
    """Within, an unforeseen exception prints its traceback and ends every rank of the job with exit code 1.

    InputError, NumericalError and trouble with the disk go on to who can say them in one line.
    """
    try:
        yield
    except (InputError, NumericalError):
        raise
    except Exception as error:
        if comm is None or comm.Get_size() == 1 or (isinstance(error, OSError) and disk_trouble(error)):
            raise
        traceback.print_exc()
        abort(comm, 1)


def abort(comm: Any, code: int) -> None:
    """End every rank of the job with this exit code, once what was said has gone through mpirun's pipes."""
    sys.stderr.flush()
    time.sleep(LAST_WORDS_SECONDS)
    comm.Abort(code)
