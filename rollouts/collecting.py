"""Collecting episodes of a policy, on any number of ranks, resumed exactly.

Attempts are numbered, and the seed of an attempt is its number's, so the kept episodes are the first N attempts that
lived long enough, whoever played them and however often the collecting was stopped.
"""

import functools
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from experiment.errors import InputError, command
from experiment.files import atomic_write, check_writable, read_sealed
from experiment.interrupts import deferred_interrupts
from experiment.jsonl import append_row, read_journal, write_journal
from experiment.progress import Progress
from experiment.random_streams import Purpose
from experiment.runs import Run
from experiment.stage_folder import finished, is_begun
from experiment.stages import run_stage
from rollouts.config import CollectConfig
from rollouts.farm import Farm
from rollouts.rollout import Outcome, Rollout, WeightsOrScript
from vae.episodes import episode_path

Players = Callable[[int], tuple[str, WeightsOrScript]]  # an attempt's world, "record" or "explore", and its player
HOPELESS = 1000  # attempts, none of them long enough, after which no other one is expected to be (ours)
IMPORTED = "imported"  # in the record of a folder whose episodes are recordings of other programs
AHEAD = 64  # attempts handed out beyond what seems needed


@dataclass
class Attempts:
    """What became of each attempt: its length, and whether its episode is kept. Stored in ``attempts.jsonl``.

    kept: the attempts long enough, up to the first one that is still missing, `missing`. long_enough: how many of all
    recorded ones are.
    """

    folder: Path
    minimum_length: int
    lengths: dict[int, int] = field(default_factory=dict)
    kept: list[int] = field(default_factory=list)
    missing: int = 0
    long_enough: int = 0

    @classmethod
    def load(cls, folder: Path, minimum_length: int) -> "Attempts":
        """Return the attempts recorded so far whose episodes are there."""
        file = folder / "attempts.jsonl"
        rows = read_journal(file, {"attempt": int, "length": int}, f"delete {folder} to collect again")
        lengths = {row["attempt"]: row["length"] for row in rows}
        there = {n: k for n, k in lengths.items() if k < minimum_length or episode_path(folder, n).exists()}
        write_journal(file, (_row(n, k) for n, k in sorted(there.items())))
        attempts = cls(folder, minimum_length)
        for number, length in there.items():
            attempts._count(number, length)
        return attempts

    def record(self, outcome: Outcome) -> None:
        """Write the episode of an attempt, if it came with one, and then its row, durably."""
        if outcome.episode is not None:
            atomic_write(episode_path(self.folder, outcome.id), outcome.episode)
        append_row(self.folder / "attempts.jsonl", _row(outcome.id, outcome.length))
        self._count(outcome.id, outcome.length)

    def _count(self, attempt: int, length: int) -> None:
        """Count an attempt, of which each is recorded once."""
        self.lengths[attempt] = length
        self.long_enough += length >= self.minimum_length
        while self.missing in self.lengths:
            if self.lengths[self.missing] >= self.minimum_length:
                self.kept.append(self.missing)
            self.missing += 1


def _row(attempt: int, length: int) -> dict[str, int]:
    return {"attempt": attempt, "length": length}


def check_disk(folder: Path, episodes: int, frame_bytes: int, episode_length: int) -> int:
    """Return the bytes that `episodes` more episodes will take; InputError where the disk has not so much left."""
    needed = episodes * episode_length * frame_bytes
    free = shutil.disk_usage(next(path for path in (folder, *folder.absolute().parents) if path.exists())).free
    if needed > free:
        raise InputError(
            f"{folder}: {episodes} episodes need about {_size(needed)} and {_size(free)} are "
            "free; make room, or collect fewer with --set collect.episodes=N"
        )
    return needed


def _size(count: float) -> str:
    """Return a number of bytes in words."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def collect(folder: Path, farm: Farm, config: CollectConfig, players: Players, seed: int) -> dict[str, float]:
    """Collect episodes of `players` into `folder` until the first `config.episodes` long enough attempts are there."""
    attempts = Attempts.load(folder, config.minimum_length)
    before, frames = len(attempts.kept), 0
    with deferred_interrupts() as interrupt, Progress("collect", config.episodes, "episodes", before) as progress:
        while len(attempts.kept) < config.episodes:
            for outcome in farm.play(_next_rollouts(attempts, config, players, seed), repeats=False):
                attempts.record(outcome)
                frames += outcome.length if outcome.episode is not None else 0
                if not attempts.long_enough and len(attempts.lengths) >= HOPELESS:
                    raise InputError(
                        f"{folder}: none of {len(attempts.lengths):,} episodes is {config.minimum_length} steps long; "
                        "delete the folder, and collect with a lower --set collect.minimum_length"
                    )
                new = min(attempts.long_enough, config.episodes) - progress.done
                progress.update(max(0, new), f"{frames:,} frames")
                if interrupt.requested:
                    raise KeyboardInterrupt
                if len(attempts.kept) >= config.episodes:
                    break
    kept = attempts.kept[: config.episodes]
    _remove_surplus(attempts, set(kept))
    return {"episodes": len(kept), "frames": sum(attempts.lengths[n] for n in kept), "attempts": kept[-1] + 1}


def _next_rollouts(attempts: Attempts, config: CollectConfig, players: Players, seed: int) -> list[Rollout]:
    """Return the attempts not yet made, with a few to spare for games that end early."""
    wanted = config.episodes - len(attempts.kept) + min(AHEAD, max(1, config.episodes // 20))
    numbers, number = [], 0
    while len(numbers) < wanted:
        if number not in attempts.lengths:
            numbers.append(number)
        number += 1
    who = {n: players(n) for n in numbers}
    return [Rollout(n, who[n][0], Purpose.COLLECT.stream(seed, attempt=n), who[n][1]) for n in numbers]


def _remove_surplus(attempts: Attempts, kept: set[int]) -> None:
    """Remove the episodes of attempts beyond the last one needed, recorded or not."""
    wanted = {episode_path(attempts.folder, number) for number in kept}
    for path in set(attempts.folder.glob("episode-*.npz")) - wanted:
        path.unlink()


def is_import(folder: Path) -> bool:
    """Return whether the episodes of a folder, finished or not, are recordings of other programs."""
    return is_begun(folder) and IMPORTED in read_sealed(folder / "begun.json", f"delete {folder} to collect again")


def collect_all(run: Run, players: Players, length: int, farm: Farm, frame_bytes: int, following: str) -> None:
    """Collect games of `players` under the folder's lock; rank 0 only.

    length: of a game in steps, for the forecast of the disk. following: the script to run next.
    """
    folder, config, limit = run.folder("collect"), run.stages.collect, run.stages.env.time_limit
    if config.minimum_length > limit:
        raise InputError(
            f"--set collect.minimum_length={config.minimum_length}: no episode is longer than env.time_limit, {limit}"
        )
    if finished(folder) is None:  # before the stage is begun, so that it may still be asked for fewer
        if is_import(folder):
            again = "run scripts/import_episodes.py again, or name another --run"
            raise InputError(f"{folder}: recordings are being imported there; {again}")
        check_writable(folder, "make it writable, or name another --run")
        there = len(list(folder.glob("episode-*.npz")))
        needed = check_disk(folder, max(0, config.episodes - there), frame_bytes, length)
        print(f"collect: {config.episodes:,} episodes, about {needed / 1e9:.2f} GB still to write", flush=True)
    produce = functools.partial(collect, farm=farm, config=config, players=players, seed=run.seed)
    run_stage(run, "collect", produce, command("python", f"scripts/{following}", run.task, "--run", run.path))
