"""The iterative procedure (paper, section 5), from random actions to the last iteration, for one or several seeds.

What `reproduce.py --iterations` does. A seed's iterations are run folders, ``iteration-01`` and so on, in the folder of
--run itself, or in ``seed-0``, ``seed-1``, ... of it where there are several seeds.
"""

import argparse
import os
import subprocess
import sys
import threading
from pathlib import Path

import cli
from launch import Inside, Launcher

from controller.checkpoints import list_controllers
from experiment.runs import finished, save_run

SEED = "7"  # of the evaluations; training and validation use streams of other purposes
SEARCH = 500  # between the seeds of two searches for C in one iteration
APART = 1000  # between the run seeds of two seeds' first iterations; each iteration adds 1


def iterate(arguments: argparse.Namespace) -> None:
    """Take every seed through its iterations, then write the table and figures of all."""
    if arguments.ranks == 1:
        cli.one_thread_a_rank()  # before NumPy is loaded
    folders = seed_folders(arguments.run, arguments.seeds)
    first = arguments.seed or 0
    if len(folders) > 1 and arguments.ranks == 1:
        side_by_side(arguments, folders, first)
    else:
        for number, folder in enumerate(folders):
            Procedure(arguments, folder, first + APART * number).run()
    if not arguments.no_report:
        from reporting.iterations import write_report

        print(write_report(arguments.run, cli.task(arguments.task), arguments.iterations))


def seed_folders(path: Path, seeds: int) -> list[Path]:
    """Return the folder of each seed's iterations."""
    return [path] if seeds == 1 else [path / f"seed-{number}" for number in range(seeds)]


def side_by_side(arguments: argparse.Namespace, folders: list[Path], first: int) -> None:
    """Run all seeds at once, each in a process of its own with one thread; the first failure ends the others."""
    lanes = []
    for number, folder in enumerate(folders):
        words = [arguments.task, "--run", str(folder), "--seed", str(first + APART * number), "--ranks", "1"]
        words += ["--iterations", str(arguments.iterations), "--no_report"]
        words += ["--preset", arguments.preset] if arguments.preset else []
        words += ["--temperature", str(arguments.temperature)] if arguments.temperature else []
        words += [part for word in arguments.overrides for part in ("--set", word)]
        command = [sys.executable, str(Path(__file__).parents[1] / "reproduce.py"), *words]
        lanes.append(Lane(f"seed {number}", command))
    try:
        codes = [lane.wait() for lane in lanes]
    except BaseException:
        for lane in lanes:
            lane.stop()
        raise
    if any(codes):
        sys.exit(next(code for code in codes if code))


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

    def wait(self) -> int:
        """Wait for its end; its exit code."""
        code = self.process.wait()
        self.reader.join()
        return code

    def stop(self) -> None:
        """Ask it to save and end."""
        if self.process.poll() is None:
            self.process.terminate()


class Procedure:
    """One seed's iterations in one folder."""

    def __init__(self, arguments: argparse.Namespace, folder: Path, seed: int):
        self.arguments, self.folder = arguments, folder
        first = argparse.Namespace(**{**vars(arguments), "run": self.path(1), "seed": seed})
        self.first = cli.resolve(first)
        self.task = cli.task(arguments.task)
        self.temperature = arguments.temperature or self.first.stages.controller.temperature
        self.launcher = (Inside if arguments.ranks == 1 else Launcher)(self.first, self.task, arguments.ranks)

    def path(self, number: int) -> Path:
        """Return the run folder of an iteration, the first of which is 1."""
        return self.folder / f"iteration-{number:02d}"

    def run(self) -> None:
        """Run all iterations, each of which does nothing where it is finished."""
        save_run(self.first)  # its stages are started without --preset
        self.launcher.ranked("collect_rollouts.py", ranks=self.launcher.collectors)
        self.launcher.alone("train_vae.py")
        scores = [self.learn(self.first)]
        episodes = str(self.first.stages.evaluate.episodes)
        self.launcher.ranked("evaluate.py", "--policy", *self.task.baselines, "--seed", SEED, "--episodes", episodes)
        for number in range(2, self.arguments.iterations + 1):
            self.launcher.run = cli.open_existing(self.path(number - 1))
            agent = ("--controller", best_controller(self.launcher.run))
            self.launcher.ranked("iterate.py", "--to", str(self.path(number)), *agent)
            self.launcher.run = cli.open_existing(self.path(number))
            if self.launcher.run.stages.iterate.vae_epochs:
                self.launcher.alone("train_vae.py")
            scores.append(self.learn(self.launcher.run))
            print(f"iteration {number}: {self.task.score} {scores[-1]:.1f}, before it {scores[-2]:.1f}", flush=True)
            patience = self.first.stages.iterate.patience
            if patience and len(scores) > patience and max(scores[-patience:]) <= max(scores[:-patience]):
                print(f"no gain for {patience} iterations: stopping")
                break

    def learn(self, run) -> float:
        """Encode the series, train M and C, and return C's score in the real task: an iteration once V is there."""
        config, tau = run.stages.evaluate, ["--temperature", str(self.temperature)]
        self.launcher.alone("encode_series.py")
        self.launcher.alone("train_rnn.py")
        for search in range(run.stages.iterate.searches):
            scratch = ["--scratch"] if search else []
            self.launcher.ranked("train_controller.py", "--seed", str(run.seed + SEARCH * search), *tau, *scratch)
        agent = ["--controller", best_controller(run), "--seed", SEED]
        self.launcher.ranked("evaluate.py", *agent, "--world", "real", "--episodes", str(config.episodes))
        return real_score(run, best_controller(run)).mean


def best_controller(run) -> str:
    """Return the name of the run's controller that does best in the world it was trained in: its iteration's agent."""
    folders = list_controllers(run.path, "done.json")
    return max(folders, key=lambda folder: finished(folder)["best_score"]).name


def real_score(run, who: str):
    """Return the evaluation of an agent or a script in the real task."""
    from controller.evaluation import evaluations_of  # loads NumPy, after the threads are set

    found = [e for e in evaluations_of(run) if (e.world, e.who, e.seed) == ("real", who, int(SEED))]
    return max(found, key=lambda e: e.episodes)
