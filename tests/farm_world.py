"""A task that needs neither TensorFlow nor an engine, and what is tried on the farm with it; mpirun-able.

farm_world.py MODE [RANK]     rank 0 prints what came of it as JSON

MODE    play                the games alone
        dawdle              one rank sleeps in every step
        slowed              one rank is stopped nine tenths of the time
        stopped             one rank is stopped for good in its 20th step
        early, late         one rank is stopped for good before it asks for work, or when all work is done
        woken               one rank is stopped in its 20th step, and goes on a second after it was given up
        overhead            nothing is played: what handing out and taking in costs rank 0
        NAME OF AN ERROR    one rank raises it in its 20th step
"""

import argparse
import hashlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from commands import SCRIPTS, ranked, run

from controller.task import Task
from controller.workers import Setup, TaskPlayers
from doomrnn.presets import PRESETS
from doomrnn.scripted import TakeCoverScript
from experiment.config import Settings, setting
from experiment.errors import InputError, NumericalError
from experiment.random_streams import Purpose
from rollouts.heartbeat import HeartbeatMonitor
from rollouts.messages import Reply
from rollouts.rollout import Outcome, Rollout

ROLLOUTS = 90
REAL = ("real", True)  # a kind of rollout
ERRORS = {kind.__name__: kind for kind in (RuntimeError, InputError, NumericalError)}
DAWDLE_SECONDS = 0.3  # of one step
EVENTFUL_STEP = 20
WEIGHTS = 1088  # of the policies in mode overhead
SLOWER = """
import contextlib, os, signal, time
rank = os.getppid()
with contextlib.suppress(ProcessLookupError):
    while os.getppid() == rank:
        for number, seconds in ((signal.SIGSTOP, 0.09), (signal.SIGCONT, 0.01)):
            os.kill(rank, number)
            time.sleep(seconds)
"""


@dataclass(frozen=True)
class CountingConfig(Settings):
    """Settings of the counting games."""

    time_limit: int = setting(400, "longest game", unit="steps", least=1)


class Steps(NamedTuple):
    """Results of one step."""

    observations: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray


class CountingGames:
    """Games that reward the action times a number of their own, and end when its seed says."""

    before_step = staticmethod(lambda games: None)

    def __init__(self, count: int, config: CountingConfig, recording: bool = False):
        self._rngs, self._left = [None] * count, [0] * count

    def __len__(self) -> int:
        return len(self._left)

    def reset(self, index: int, seed: int) -> np.ndarray:
        """Begin the game of a seed."""
        self._rngs[index] = np.random.default_rng(seed)
        self._left[index] = int(self._rngs[index].integers(1, 200)) + 190 * (seed % 7 == 0)
        return np.zeros((64, 64, 3), np.uint8)

    def step(self, indices: Sequence[int], actions: np.ndarray) -> Steps:
        """Play one step."""
        self.before_step(len(indices))
        rewards = np.array([a * self._rngs[i].normal() for i, a in zip(indices, actions[:, 0], strict=True)])
        for index in indices:
            self._left[index] -= 1
        over = np.array([self._left[index] == 0 for index in indices])
        return Steps(np.zeros((len(indices), 64, 64, 3), np.uint8), rewards, over, np.zeros(len(indices), bool))

    def close(self) -> None:
        """Nothing to close."""


TASK = Task(
    name="counting",
    presets=PRESETS,
    action_size=1,
    bias=False,
    variant="z",
    world="real",
    score="return",
    games=CountingGames,
    policies=("random", "random_hold"),
    baselines=("random",),
    script=TakeCoverScript,
    collector=lambda config: TakeCoverScript("random_hold"),
    frame_bytes=1,
    episode_length=lambda env: 100,
    dream_env="",
    engine=False,
    frames_per_second=1,
)
SETUP = Setup(CountingConfig(), games_per_rank=5)


def rollouts(count: int = ROLLOUTS) -> list[Rollout]:
    """Rollouts of two scripts, alternately."""
    scripts = TakeCoverScript("random"), TakeCoverScript("random_hold")
    return [Rollout(n, "real", Purpose.EVALUATE.stream(3, episode=n), scripts[n % 2]) for n in range(count)]


def answer(outcomes: Sequence[Outcome]) -> list[tuple[int, str, int]]:
    """Outcomes in their order, scores bit for bit."""
    return sorted((o.id, o.score.hex(), o.length) for o in outcomes)


def alone() -> list[tuple[int, str, int]]:
    """What one process without MPI plays."""
    from rollouts.farm import Farm

    return answer(Farm(TaskPlayers(TASK, SETUP)).play(rollouts()))


def world(ranks: int, *words: object, seconds: float = 60) -> subprocess.CompletedProcess:
    """This file on so many ranks, which have to end within so many seconds."""
    return run(ranked(ranks, __file__, *words), seconds=seconds)


def work(count: int, world: str = "real", first: int = 0) -> list[Rollout]:
    """Rollouts to hand out."""
    return [
        Rollout(first + n, world, Purpose.COLLECT.stream(0, attempt=n), TakeCoverScript("stay")) for n in range(count)
    ]


def ids(reply: Reply) -> list[int]:
    """What a rank was given."""
    return [rollout.id for rollout in reply.rollouts]


def parse() -> argparse.Namespace:
    """What to do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode")
    parser.add_argument("rank", type=int, nargs="?")
    parser.add_argument("--rollouts", type=int, default=ROLLOUTS, help="of a generation, or units of the overhead")
    parser.add_argument("--generations", type=int, default=2, help="how often they are played")
    parser.add_argument("--work", type=float, default=0.0, help="seconds of computing that a step of a game takes")
    parser.add_argument("--silent", type=float, help="seconds after which a rank counts as silent")
    parser.add_argument("--once", action="store_true", help="no rollout is played twice, as in collecting")
    parser.add_argument("--portion", type=int, default=1, help="rollouts of a unit, in mode overhead")
    return parser.parse_args()


def act_up(words: argparse.Namespace, here: bool) -> None:
    """Make the games cost what they should, and one rank (`here`) do as the mode says."""
    steps = itertools.count()

    def step(games: int) -> None:
        compute(games * words.work)
        if words.mode in ERRORS:
            time.sleep(0.005)
        if here and words.mode == "dawdle":
            time.sleep(DAWDLE_SECONDS)
        if here and next(steps) == EVENTFUL_STEP:
            happen(words.mode)

    CountingGames.before_step = staticmethod(step)
    if here and words.mode == "early":
        os.kill(os.getpid(), signal.SIGSTOP)
    if here and words.mode == "slowed":
        subprocess.Popen([sys.executable, "-c", SLOWER])


def happen(mode: str) -> None:
    """What becomes of a rank in the middle of its games."""
    if mode in ERRORS:
        raise ERRORS[mode](f"this is rank {cli.rank()}")
    if mode in ("stopped", "woken"):
        print(f"rank {cli.rank()} stops", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)


def compute(seconds: float) -> None:
    """Keep a core busy; time that this process was stopped does not count."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def job(words: argparse.Namespace, pids: list[int] | None, farm) -> None:
    """Play all rollouts several times over, and print what came of them in their order; rank 0 only."""
    answers, seconds = [], []
    for _ in range(words.generations):
        started = time.monotonic()
        answers.append(answer(farm.play(rollouts(words.rollouts), repeats=not words.once)))
        seconds.append(time.monotonic() - started)
        if words.mode == "woken" and len(seconds) == 1:
            assert Waker.answered.wait(120), "it was not given up, or did not wake"
    assert all(found == answers[0] for found in answers)
    sha256 = hashlib.sha256(json.dumps(answers[0]).encode()).hexdigest()
    print(json.dumps({"outcomes": answers[0], "sha256": sha256, "seconds": seconds}), flush=True)
    if words.mode == "late":
        time.sleep(0.2)  # all ranks wait for work
        os.kill(pids[words.rank], signal.SIGSTOP)


class Waker(HeartbeatMonitor):
    """Rank 0's monitor, that lets a stopped rank go on a second after it was given up, and knows when it answers."""

    pids: Sequence[int] = ()
    rank = 0
    answered = threading.Event()

    def look(self) -> list[int]:
        """Wake those that are given up."""
        lost = super().look()
        for rank in lost:
            threading.Timer(1, os.kill, (self.pids[rank], signal.SIGCONT)).start()
        return lost

    def heard(self, rank: int) -> float | None:
        """Note that one answers again."""
        late = super().heard(rank)
        if late is not None and rank == self.rank:
            self.answered.set()
        return late


class Instant:
    """A player whose rollouts end at once; rank 0's waits instead, so that the other ranks play all."""

    def __init__(self):
        self._ids: list[int] = []

    def live(self) -> int:
        """How many are under way."""
        return len(self._ids)

    def room(self) -> int:
        """Always enough."""
        return 1_000_000

    def add(self, rollouts: Sequence[Rollout]) -> None:
        """Start rollouts."""
        self._ids += [rollout.id for rollout in rollouts]

    def drop(self, ids: set[int]) -> None:
        """Forget rollouts."""
        self._ids = [number for number in self._ids if number not in ids]

    def advance(self) -> list[Outcome]:
        """All end."""
        if cli.rank() == 0:
            time.sleep(0.05)
            return []
        ended, self._ids = [Outcome(number, 1.0, 1) for number in self._ids], []
        return ended


class InstantPlayers:
    """Players for the overhead."""

    def __init__(self, portion: int):
        self._portion = portion

    def capacity(self, kind: tuple[str, bool]) -> int:
        """A unit is all that a rank holds."""
        return self._portion

    def make(self, kind: tuple[str, bool]) -> Instant:
        """The only one."""
        return Instant()


def overhead(comm, words: argparse.Namespace) -> None:
    """What rank 0's process computes while the other ranks play: all its threads, from the first to the last unit."""
    from rollouts.farm import Farm, serve

    factory = InstantPlayers(words.portion)
    if cli.rank() != 0:
        return serve(factory, comm)
    policies = np.random.default_rng(0).normal(size=(words.rollouts, WEIGHTS)).astype(np.float32)
    units = [
        Rollout(n, "dream", Purpose.COLLECT.stream(0, attempt=n), policies[n // 16]) for n in range(words.rollouts)
    ]
    farm, found = Farm(factory, comm), []
    for _ in range(words.generations + 1):
        started, computed = time.monotonic(), time.process_time()
        assert sum(outcome.length for outcome in farm.play(units)) == len(units)
        found.append({"cpu": time.process_time() - computed, "seconds": time.monotonic() - started})
    print(json.dumps(found[1:]), flush=True)
    farm.close()
    return None


def main() -> None:
    """Take part."""
    from rollouts import farm

    words, comm = parse(), cli.communicator()
    here = cli.rank() == words.rank
    farm.SILENT_SECONDS = words.silent or farm.SILENT_SECONDS
    print(f"rank {cli.rank()} is pid {os.getpid()} on host {socket.gethostname()}", file=sys.stderr, flush=True)
    pids = comm.gather(os.getpid()) if words.mode in ("late", "woken") else None
    if words.mode == "woken":
        Waker.pids, Waker.rank, farm.HeartbeatMonitor = pids, words.rank, Waker
    act_up(words, here)
    with cli.ending_well(comm):
        if words.mode == "overhead":
            overhead(comm, words)
        elif cli.rank():
            cli.serve(comm, TASK, tensorflow=False)
        else:
            with farm.Farm(TaskPlayers(TASK, SETUP), comm, SETUP) as opened:
                job(words, pids, opened)


if __name__ == "__main__":
    sys.path.insert(0, str(SCRIPTS))
    import cli

    main()
