"""The iterative procedure (paper, section 5), from random actions to the last iteration, for one or several seeds.

What `reproduce.py --iterations` does. A seed's iterations are run folders, ``iteration-01`` and so on, in the folder of
--run itself, or in ``seed-0``, ``seed-1``, ... of it where there are several seeds.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import cli
from launch import Inside, Launcher, stopped
from reporting.tables import print_survival
from running.exits import exit_code
from running.searches import (
    LANE,
    SEED,
    agent_of,
    is_lane,
    iteration_path,
    progress,
    search_folder,
    search_names,
    search_seeds,
)

from controller.iteration import FOLLOWING
from experiment.errors import InputError
from experiment.runs import Run, save_run
from experiment.stage_folder import finished, is_begun

APART = 1000  # between the run seeds of two seeds' first iterations; each iteration adds 1
LOOK_SECONDS = 0.1  # between two looks at whether a seed's process has ended
# count in an iteration that is begun, too, as long as nothing follows it
LATE = ("iterate.searches", "iterate.patience", "controller.temperature")


def iterate(arguments: argparse.Namespace) -> None:
    """Take every seed through its iterations, then write the table and figures of all.

    Raises InputError for one seed in a folder that is named as that of one of several, which stand for themselves by
    their agents alone.
    """
    if arguments.seeds == 1 and is_lane(arguments.run) and not arguments.lane:
        whole = "or with --seeds the folder that holds the seeds"
        raise InputError(f"--run {arguments.run}: a folder named so holds one of several seeds; name another, {whole}")
    if arguments.ranks == 1:
        cli.one_thread_a_rank()  # before NumPy is loaded
    folders = seed_folders(arguments.run, arguments.seeds)
    seeds = run_seeds(arguments.seed, folders)
    if len(folders) > 1 and arguments.ranks == 1:
        side_by_side(arguments, folders, seeds)
    else:
        for folder, seed in zip(folders, seeds, strict=True):
            Procedure(arguments, folder, seed).run()
    if not arguments.no_report:
        from reporting.iterations import write_report

        print(write_report(arguments.run, cli.task(arguments.task), arguments.iterations))


def seed_folders(path: Path, seeds: int) -> list[Path]:
    """Return the folder of each seed's iterations."""
    return [path] if seeds == 1 else [path / f"{LANE}{number}" for number in range(seeds)]


def run_seeds(first: int | None, folders: list[Path]) -> list[int]:
    """Return the run seed of each folder's first iteration, `APART` apart from the `first` one.

    None: where iterations are begun it is theirs, and what the other ones follow from; else 0.
    """
    begun = {n: iteration_path(folder, 1) for n, folder in enumerate(folders)} if first is None else {}
    own = {n: cli.open_existing(path).seed for n, path in begun.items() if (path / "config.json").exists()}
    start = first if first is not None else next((seed - APART * n for n, seed in own.items()), 0)
    return [own.get(n, start + APART * n) for n in range(len(folders))]


def side_by_side(arguments: argparse.Namespace, folders: list[Path], seeds: list[int]) -> None:
    """Run all seeds at once, each in a process of its own with one thread; the first failure ends the others."""
    lanes = []
    for number, (folder, seed) in enumerate(zip(folders, seeds, strict=True)):
        words = [arguments.task, "--run", str(folder), "--seed", str(seed), "--ranks", "1"]
        words += ["--iterations", str(arguments.iterations), "--no_report", "--lane"]
        words += ["--preset", arguments.preset] if arguments.preset else []
        words += [f"--temperature={tau}" for tau in arguments.temperature or []]
        words += [part for word in arguments.overrides for part in ("--set", word)]
        command = [sys.executable, str(Path(__file__).parents[1] / "reproduce.py"), *words]
        lanes.append(Lane(f"seed {number}", command))
    code = finish_all(lanes)
    if code:
        sys.exit(code)


def finish_all(lanes: Sequence["Lane"]) -> int:
    """Wait until all have ended well, or stop the others when the first fails; returns its exit code, or 0.

    A Ctrl-C leaves all the time to save that a single stage has, and is handed on when all have ended.
    """
    try:
        while None in (codes := [lane.code for lane in lanes]) and not any(codes):
            time.sleep(LOOK_SECONDS)
    except BaseException:
        stopped([lane.process for lane in lanes])
        for lane in lanes:
            lane.wait()
        raise
    for lane in lanes:
        lane.stop()
    for lane in lanes:
        lane.wait()
    return next((exit_code(lane.name, code) for lane, code in zip(lanes, codes, strict=True) if code), 0)


class Lane:
    """A process whose lines are printed with its name before them."""

    def __init__(self, name: str, command: list[str]):
        self.name = name
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        self.process = subprocess.Popen(command, env=os.environ | cli.ONE_THREAD, **pipes)
        self.reader = threading.Thread(target=self._relay, daemon=True)
        self.reader.start()

    def _relay(self) -> None:
        for line in self.process.stdout:
            print(f"{self.name}: {line}", end="", flush=True)

    @property
    def code(self) -> int | None:
        """Its exit code, None while it runs."""
        return self.process.poll()

    def wait(self) -> None:
        """Wait until it has ended and all its lines are printed."""
        self.process.wait()
        self.reader.join()

    def stop(self) -> None:
        """Ask it to save and end."""
        if self.process.poll() is None:
            self.process.terminate()


class Procedure:
    """One seed's iterations in one folder.

    An iteration that another one follows is left as it is. What --set says counts for the iterations that this command
    begins, and for the first one as long as its C is not begun; `LATE` settings for the last one that is begun, too.
    """

    def __init__(self, arguments: argparse.Namespace, folder: Path, seed: int):
        self.arguments, self.folder = arguments, folder
        taus = [f"controller.temperature={tau}" for tau in arguments.temperature or []]
        self.words = [*arguments.overrides, *taus]
        self.first = self._first(seed)
        self.task = cli.task(arguments.task)
        self.launcher = (Inside if arguments.ranks == 1 else Launcher)(self.first, self.task, arguments.ranks)

    def path(self, number: int) -> Path:
        """Return the run folder of an iteration, the first of which is 1."""
        return iteration_path(self.folder, number)

    def followed(self, number: int) -> bool:
        """Return whether another iteration goes on from this one, which nothing may change any more."""
        return self.path(number + 1).exists()

    def _first(self, seed: int) -> Run:
        """Return the first iteration with the settings that reach it; InputError for those that no iteration can take.

        Once its C is begun these are fields of `iterate` and the temperature, and none once another iteration follows.
        """
        if not (self.path(1) / "config.json").exists():
            return self._resolved(seed, self.words)
        harmless = [word for word in self.words if word.startswith("iterate.") or _name(word) in LATE]
        run = self._resolved(seed, [] if self.followed(1) else harmless)
        if not self.followed(1) and not any(is_begun(search_folder(run, name)) for name in search_names(run)):
            return self._resolved(seed, self.words)
        for word in self.words:
            if not _goes_on(word) and _differs(word, run):
                field = FOLLOWING.get(_name(word))
                later = f", or --set iterate.{field} for later iterations" if field else ""
                raise InputError(f"--set {word}: {run.path} was made with another value; leave it out{later}")
        return run

    def _resolved(self, seed: int, words: list[str]) -> Run:
        said = {"run": self.path(1), "seed": seed, "overrides": words}
        return cli.resolve(argparse.Namespace(**{**vars(self.arguments), **said}))

    def run(self) -> None:
        """Run all iterations, each of which does nothing where it is finished."""
        self._say_what_waits()
        runs: list[Run] = []
        for number in range(1, self.arguments.iterations + 1):
            runs.append(self.iteration(number))
            if number > 1:
                what, scores = progress(runs)
                print(f"iteration {number}: {what} {scores[-1]:.1f}, before it {scores[-2]:.1f}", flush=True)
                patience = 0 if self.followed(number) else runs[-1].stages.iterate.patience
                if patience and number > patience and max(scores[-patience:]) <= max(scores[:-patience]):
                    print(f"no gain for {patience} iterations: stopping")
                    break

    def _say_what_waits(self) -> None:
        """Say which settings of the command do not reach the iterations that are begun."""
        begun = 1
        while self.path(begun + 1).exists():
            begun += 1
        last = self.first if begun == 1 else cli.open_existing(self.path(begun))
        reach = LATE if begun > 1 else ()  # those of the first one are in it
        waiting = [w for w in self.words if _goes_on(w) and _name(w) not in reach and _differs(w, last)]
        if waiting:
            more = begun < self.arguments.iterations
            where = f"from iteration {begun + 1} on" if more else "of no effect, no iteration is left to begin"
            print(f"--set {', '.join(waiting)}: {where}; those begun before keep their settings", flush=True)

    def iteration(self, number: int) -> Run:
        """Take an iteration to its end; returns its run."""
        if self.followed(number):
            print(f"{self.path(number)}: already finished, and followed by another iteration; left as it is")
            return cli.open_existing(self.path(number))
        if number == 1:
            self._begin_first()
        else:
            self._begin_later(number)
        self.learn(self.launcher.run)
        if number == 1:
            episodes = str(self.first.stages.evaluate.episodes)
            scripts = ("--policy", *self.task.baselines, "--seed", str(SEED), "--episodes", episodes)
            self.launcher.ranked("evaluate.py", *scripts)
        return self.launcher.run

    def _begin_first(self) -> None:
        save_run(self.first)  # its stages are started without --preset
        self.launcher.ranked("collect_rollouts.py", ranks=self.launcher.collectors)
        self.launcher.alone("train_vae.py")

    def _begin_later(self, number: int) -> None:
        old = self.launcher.run = cli.open_existing(self.path(number - 1))
        begun = self.path(number).exists()
        words = [word for word in self.words if (_name(word) in LATE if begun else _goes_on(word))]
        sets = [part for word in words for part in ("--set", word)]
        self.launcher.ranked("iterate.py", "--to", str(self.path(number)), "--controller", agent_of(old), *sets)
        self.launcher.run = cli.open_existing(self.path(number))
        if self.launcher.run.stages.iterate.vae_epochs:
            self.launcher.alone("train_vae.py")

    def learn(self, run: Run) -> None:
        """Encode the series, train M and every search's C, and evaluate in both worlds: all once V is there.

        Every search is evaluated where there is one seed; each of several seeds stands for itself by its agent alone.
        """
        tau = cli.temperature_words(self.task, run.stages.controller.temperature)
        counts = {"real": run.stages.evaluate.episodes}
        if self.task.world == "dream":
            counts["dream"] = run.stages.evaluate.dream_episodes
        self.launcher.alone("encode_series.py")
        self.launcher.alone("train_rnn.py")
        names = search_names(run)
        for number, (seed, name) in enumerate(zip(search_seeds(run), names, strict=True)):
            if finished(search_folder(run, name)):
                print(f"{search_folder(run, name)}: already finished; nothing to do")
            else:
                scratch = ["--scratch"] if number else []
                self.launcher.ranked("train_controller.py", "--seed", str(seed), *tau, *scratch)
        judged = [agent_of(run)] if is_lane(self.folder) else names
        for name in judged:
            agent = ["--controller", name, "--seed", str(SEED)]
            for world, episodes in counts.items():
                self.launcher.ranked("evaluate.py", *agent, "--world", world, "--episodes", str(episodes))
        print_survival(run, judged, run.stages.controller.temperature)


def _name(word: str) -> str:
    """Return the ``stage.field`` of a word of --set."""
    return word.partition("=")[0]


def _goes_on(word: str) -> bool:
    """Return whether a setting can change from one iteration to the next, and is not set by a field of `iterate`."""
    return _name(word) not in (*FOLLOWING, "vae.start") and not word.startswith("env.")


def _differs(word: str, run: Run) -> bool:
    """Return whether a setting is another one in a run."""
    return cli.overridden(run.stages, [word])[0] != run.stages
