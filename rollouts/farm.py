"""Rollouts spread over MPI ranks: rank 0 hands out small portions on demand, works too, and gathers the outcomes.

Every rank runs the same players, so an outcome does not depend on who played it. On rank 0 one thread answers the
other ranks while the main thread plays; when nothing is left to hand out, idle ranks play what is still outstanding
elsewhere, and the first outcome counts. A rank that stops answering is reported, its rollouts are given to others, and
nothing waits for it. An exception on any rank ends the whole job (see `guarded`).
"""

import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from experiment.errors import InputError, NumericalError, disk_trouble
from rollouts.heartbeat import HeartbeatMonitor
from rollouts.messages import Reply, Request, pack_reply, pack_request, unpack_reply, unpack_request
from rollouts.rollout import Kind, Outcome, Player, PlayerFactory, Rollout
from rollouts.work_queue import WorkQueue

TAG_HELLO, TAG_SETUP, TAG_REQUEST, TAG_REPLY = 1, 2, 3, 4
POLL_SECONDS = 0.00025, 0.001  # rank 0's naps between two looks for messages: the first, and after some quiet
IDLE_SECONDS = 0.00025, 0.005  # the other ranks': 31 idle ones should leave a core free
SILENT_SECONDS = 120.0  # far above a block of games or the loading of a model, also where 16 ranks share a core
LAST_WORDS_SECONDS = 0.3  # Open MPI may drop what a rank writes right before it aborts (seen on a loaded machine)


class RankPlayers:
    """The players of one rank, made when a rollout of their kind first comes."""

    def __init__(self, factory: PlayerFactory):
        self._factory = factory
        self._players: dict[Kind, Player] = {}

    def live(self) -> dict[Kind, int]:
        """Return the number of rollouts under way, by kind."""
        return {kind: player.live() for kind, player in self._players.items()}

    def follow(self, reply: Reply) -> None:
        """Drop and start what rank 0 says."""
        for player in self._players.values():
            player.drop(set(reply.drop))
        for kind in dict.fromkeys(rollout.kind for rollout in reply.rollouts):
            if kind not in self._players:
                self._players[kind] = self._factory.make(kind)
            self._players[kind].add([rollout for rollout in reply.rollouts if rollout.kind == kind])

    def advance(self) -> list[Outcome]:
        """Play all live batches for a block."""
        return [outcome for player in self._players.values() if player.live() for outcome in player.advance()]


class MessageChannel:
    """Rank 0's messages. None waits for its other end, so that a stopped rank cannot hold up the rest."""

    def __init__(self, comm: Any):
        from mpi4py import MPI

        self._comm, self._mpi, self._status = comm, MPI, MPI.Status()
        self._coming: list[tuple[int, int, Any]] = []
        self._going: list[Any] = []

    def send(self, message: Any, ranks: Sequence[int], tag: int) -> None:
        """Send the same to several ranks."""
        data = self._mpi.pickle.dumps(message)
        self._going = [going for going in self._going if not going.Test()]
        self._going += [self._comm.Isend([data, self._mpi.BYTE], dest=rank, tag=tag) for rank in ranks]

    def received(self) -> list[tuple[int, int, Any]]:
        """Return (rank, tag, message) of all that have come in whole."""
        while (message := self._comm.improbe(status=self._status)) is not None:
            self._coming.append((self._status.Get_source(), self._status.Get_tag(), message.irecv()))
        tested = [(rank, tag, coming, coming.test()) for rank, tag, coming in self._coming]
        self._coming = [(rank, tag, coming) for rank, tag, coming, (here, _) in tested if not here]
        return [(rank, tag, message) for rank, tag, _, (here, message) in tested if here]

    def flush(self) -> None:
        """Wait until all that was sent is on its way."""
        self._mpi.Request.Waitall(self._going)


class Farm:
    """Rank 0's side, a context in which `play` yields outcomes as they come; leaving it ends the other ranks' work.

    comm: MPI's communicator, or None for one process without MPI. setup: what the other ranks wait for in
    `await_setup`, if they do.
    """

    def __init__(self, factory: PlayerFactory, comm: Any = None, setup: Any = None):
        self._comm = comm
        self._ranks = comm.Get_size() if comm is not None else 1
        self._queue = WorkQueue(self._ranks, factory.capacity)
        self._players = RankPlayers(factory)
        self._posted = 0
        self._closing = threading.Event()
        self._server = threading.Thread(target=self._serve_or_abort, name="farm", daemon=True)
        self._monitor = HeartbeatMonitor(range(1, self._ranks), SILENT_SECONDS)
        if self._ranks > 1:
            self._channel, self._idle, self._roused = MessageChannel(comm), set[int](), set[int]()
            if setup is not None:
                self._channel.send(setup, range(1, self._ranks), TAG_SETUP)
            self._server.start()

    def __enter__(self) -> "Farm":
        return self

    def __exit__(self, kind: type[BaseException] | None, *unused: object) -> None:
        if kind is None:  # else `guarded`, or who catches the error, ends all ranks
            self.close()

    def play(self, rollouts: Sequence[Rollout], repeats: bool = True) -> Iterator[Outcome]:
        """Return the outcome of every rollout, each once, in the order they end."""
        first, self._posted = self._posted, self._posted + len(rollouts)
        self._queue.post([r._replace(id=first + i) for i, r in enumerate(rollouts)], repeats)
        missing, ended = len(rollouts), []
        try:
            while missing:
                self._players.follow(self._queue.exchange(0, Request(ended, self._players.live())))
                ended = self._players.advance()
                for outcome in self._queue.gather(0.0 if any(self._players.live().values()) or ended else 0.02):
                    missing -= 1
                    yield outcome._replace(id=rollouts[outcome.id - first].id)
        finally:
            self._queue.clear()

    def close(self) -> None:
        """Let the other ranks exit; with a silent one, which no MPI job can leave behind, end all of them."""
        self._closing.set()
        if self._server.is_alive():
            self._server.join()
        if self._monitor.silent:
            names = ", ".join(map(self._monitor.name, self._monitor.silent))
            _say(f"all work is done and saved; {names} did not exit, so the job ends by MPI_Abort with code 0")
            abort(self._comm, 0)

    def _serve_or_abort(self) -> None:
        """Serve; whatever ends it too soon ends the job, since the other ranks would wait for ever."""
        try:
            self._serve()
        except BaseException:
            with suppress(OSError):  # nobody may be left to read it
                traceback.print_exc()
            abort(self._comm, 1)

    def _serve(self) -> None:
        """Answer the other ranks until all have exited or are silent."""
        version, nap = self._queue.version, backoff(POLL_SECONDS)
        while not self._ended():
            messages = self._channel.received()
            for rank, tag, message in messages:
                self._hear(rank, tag, message)
            for rank in self._monitor.look():
                fate = "its rollouts are played by others" if self._queue.share(rank) else "it has no work"
                _say(f"{self._monitor.name(rank)} has not answered for {self._monitor.patience:g} s; {fate}")
            if version != self._queue.version:
                version = self._queue.version
                for rank in sorted(self._idle):
                    self._answer(rank, Request([], {}))
            nap = backoff(POLL_SECONDS) if messages else nap
            time.sleep(next(nap))

    def _hear(self, rank: int, tag: int, message: tuple) -> None:
        if tag == TAG_HELLO:
            self._monitor.introduce(rank, *message)
            return
        late = self._monitor.heard(rank)
        if late is not None:
            _say(f"{self._monitor.name(rank)} answers again, after {late:.0f} s")
        self._answer(rank, unpack_request(message))

    def _answer(self, rank: int, request: Request) -> None:
        """Answer a rank; one with nothing to do waits for its answer."""
        reply = self._queue.exchange(rank, request)
        if any(request.live.values()) or reply.rollouts or reply.drop:
            self._reply(rank, reply)
        else:
            self._idle.add(rank)

    def _reply(self, rank: int, reply: Reply) -> None:
        self._idle.discard(rank)
        self._channel.send(pack_reply(reply), [rank], TAG_REPLY)
        self._monitor.asked(rank)

    def _ended(self) -> bool:
        """Return whether the work is over and all ranks have exited or are silent.

        A rank that waits idle may have been stopped meanwhile, so each is roused once. All are released together:
        mpirun may crash on an abort while ranks wait in MPI_Finalize for one that does not come (Open MPI 5.0).
        """
        if not self._closing.is_set():
            return False
        for rank in sorted(self._idle - self._roused):
            self._roused.add(rank)
            self._reply(rank, Reply([], []))
        if len(self._idle) + len(self._monitor.silent) < self._ranks - 1:
            return False
        if not self._monitor.silent:
            self._channel.send(pack_reply(Reply([], [], stop=True)), sorted(self._idle), TAG_REPLY)
            self._channel.flush()
        return True


def introduce(comm: Any) -> None:
    """Tell rank 0 the host and PID of this rank; the first thing that any other rank sends."""
    comm.send((socket.gethostname(), os.getpid()), dest=0, tag=TAG_HELLO)


def await_setup(comm: Any) -> Any:
    """Return what rank 0 sends every rank to play with."""
    return _receive(comm, TAG_SETUP)


def serve(factory: PlayerFactory, comm: Any) -> None:
    """Ask for work, play it and report, until rank 0 says stop: the side of every other rank."""
    players, outcomes = RankPlayers(factory), []
    while True:
        sent = comm.isend(pack_request(Request(outcomes, players.live())), dest=0, tag=TAG_REQUEST)
        reply = unpack_reply(_receive(comm, TAG_REPLY))
        sent.wait()
        if reply.stop:
            return
        players.follow(reply)
        outcomes = players.advance()


def _receive(comm: Any, tag: int) -> Any:
    """Return the next message of rank 0; a blocking receive would spin."""
    nap = backoff(IDLE_SECONDS)
    while not comm.Iprobe(source=0, tag=tag):
        time.sleep(next(nap))
    return comm.recv(source=0, tag=tag)


def backoff(limits: tuple[float, float]) -> Iterator[float]:
    """Yield the seconds between two looks, longer and longer up to a limit; limits: the first and the longest."""
    first, longest = limits
    while True:
        yield first
        first = min(1.2 * first, longest)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def guarded(comm: Any) -> Iterator[None]:
    """Within, an unforeseen exception prints its traceback and ends every rank of the job with exit code 1.

    InputError, NumericalError and trouble with the disk go on to who can say them in one line.
    """
    try:
        yield
    except (InputError, NumericalError, BrokenPipeError):
        raise
    except Exception as error:
        if comm is None or comm.Get_size() == 1 or (isinstance(error, OSError) and disk_trouble(error)):
            raise
        traceback.print_exc()
        abort(comm, 1)


def abort(comm: Any, code: int) -> None:
    """End every rank of the job with this exit code, once what was said has gone through mpirun's pipes."""
    sys.stdout.flush()
    sys.stderr.flush()
    time.sleep(LAST_WORDS_SECONDS)
    comm.Abort(code)
