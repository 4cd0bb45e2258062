"""Implementations of the benchmark: processes that are kept alive and measured alternately.

An implementation reads a number a line on its standard input, measures once, and answers with one line of JSON. While
another one is measured it is stopped (SIGSTOP), so that no idle thread of it takes time from the other. So TensorFlow
and PyTorch never share a process, and never run at the same time.
"""

import contextlib
import ctypes
import importlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cli
import launch

CORES = sorted(os.sched_getaffinity(0))
SCRIPT = Path(__file__).parents[1] / "benchmark.py"
MISSING = "not installed; pip install -e .[bench]"
PATIENCE = 30.0  # seconds for an implementation to end by itself


@dataclass(frozen=True)
class Implementation:
    """Who is measured.

    part: module.function, which makes a `Measure` of a `Job`. what: in words. place: where it runs, "all" (a process
    with a thread for every core), "one" (a process with one thread, held on the first core), "each" (such a process on
    every core; their rates are added), "ranks" (a farm, an MPI rank a core, one thread each), "crowd" (a farm of half
    as many ranks again) or "rank" (a farm of one).
    needs: the package that it takes, if that is an extra.
    """

    part: str
    what: str
    place: str = "all"
    variant: str = ""
    needs: str = ""

    @property
    def missing(self) -> str:
        """Why it cannot be measured here, or an empty string."""
        return f"{self.needs}: {MISSING}" if self.needs and importlib.util.find_spec(self.needs) is None else ""


class Job(NamedTuple):
    """What a part is told: a folder for files, a variant, its threads, the seconds of a repetition, its only core.

    smoke: with tiny sizes, to see that all works.
    """

    folder: Path
    variant: str
    threads: int
    seconds: float
    core: int | None = None
    smoke: bool = False

    def pick(self, full: int, tiny: int) -> int:
        """Return a size."""
        return tiny if self.smoke else full

    def rates(self, step: Callable[[], Any], amount: float) -> dict[str, float]:
        """Return the rate of `step`, which does `amount` of something, repeated for the seconds of a repetition."""
        count, start = 0, time.perf_counter()
        while count == 0 or time.perf_counter() - start < self.seconds:
            step()
            count += 1
        elapsed = time.perf_counter() - start
        return {"rate": amount * count / elapsed, "seconds": elapsed / count}


Measure = Callable[[int], dict[str, Any]]


class MeasurementFailed(Exception):
    """An implementation's process died; its last words."""


class Worker:
    """An implementation's processes, stopped but while `measure` waits for them."""

    def __init__(self, implementation: Implementation, folder: Path, seconds: float, smoke: bool = False):
        self.implementation, self._smoke = implementation, smoke
        self._pids: list[int] = []
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        held = {"one": CORES[:1], "each": CORES}.get(implementation.place, [None])
        self._processes = [self._launch(folder, seconds, core) for core in held]
        try:
            for process in self._processes:
                self._pids += self._answer(process)
        except BaseException:
            self.close(0)
            raise
        self._signal(signal.SIGSTOP)

    def _launch(self, folder: Path, seconds: float, core: int | None) -> subprocess.Popen:
        threads = len(CORES) if self.implementation.place == "all" else 1
        words = [
            self.implementation.part,
            self.implementation.variant,
            str(folder),
            str(threads),
            str(seconds),
            str(core),
        ]
        words.append(str(self._smoke))
        command, settings = [str(SCRIPT), "--inside", *words], dict(os.environ)
        settings |= cli.ONE_THREAD
        if threads > 1:
            settings |= {name: str(threads) for name in cli.ONE_THREAD if name.endswith("THREADS")}
        ranks = {"ranks": len(CORES), "crowd": launch.crowded(len(CORES))}.get(self.implementation.place)
        if ranks:
            mpirun = [launch.find_mpirun(), "-n", str(ranks), "--bind-to", "none"]
            command, settings = [*mpirun, sys.executable, "-m", "mpi4py", *command], settings | launch.MPI_SETTINGS
        else:
            command = [sys.executable, *command]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._errors}
        own = {"start_new_session": True, "preexec_fn": end_with_parent}
        return subprocess.Popen(command, env=settings, text=True, **own, **pipes)

    def measure(self, number: int) -> dict[str, Any]:
        """One repetition by all its processes at once; MeasurementFailed where one dies."""
        self._signal(signal.SIGCONT)
        try:
            for process in self._processes:
                print(number, file=process.stdin, flush=True)
            return join([self._answer(process) for process in self._processes])
        except BrokenPipeError:
            raise MeasurementFailed(self._last_words()) from None
        finally:
            self._signal(signal.SIGSTOP)

    def _answer(self, process: subprocess.Popen) -> Any:
        line = process.stdout.readline()
        if not line:
            raise MeasurementFailed(self._last_words())
        return json.loads(line)

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors.read().splitlines() if line.strip()]
        spoken = [line for line in lines if "Error" in line or "error" in line]
        return (spoken or lines or ["died without a word"])[-1][:300]

    def _signal(self, number: int) -> None:
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def close(self, patience: float = PATIENCE) -> None:
        """Let its processes end, or end them after some seconds."""
        self._signal(signal.SIGCONT)
        for process in self._processes:
            with contextlib.suppress(OSError):
                print(file=process.stdin, flush=True)  # mpirun does not pass on the end of its input
                process.stdin.close()
        for process in self._processes:
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            process.stdout.close()
        self._errors.close()


def end_with_parent() -> None:
    """This process is killed when its parent ends, however that comes about, even while it is stopped."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def join(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the result of processes that worked side by side: rates are added, other numbers averaged."""
    if len(results) == 1:
        return results[0]
    joined: dict[str, Any] = {}
    for name in results[0]:
        values = [result[name] for result in results]
        if name == "products":
            joined[name] = {kernel: side_by_side([value[kernel] for value in values]) for kernel in values[0]}
        else:
            joined[name] = sum(values) if name.endswith("rate") else sum(values) / len(values)
    return joined


def side_by_side(kernels: list[dict[str, float]]) -> dict[str, float]:
    """Return a kernel of a ceiling done by several processes at once: the seconds that all together need for a unit."""
    return kernels[0] | {"seconds": 1 / sum(1 / kernel["seconds"] for kernel in kernels)}


def serve(part: str, variant: str, folder: str, threads: str, seconds: str, core: str, smoke: str) -> None:
    """Make the measure, say which processes to stop meanwhile, and answer until told to end.

    What anybody prints goes to standard error. Ranks other than 0 come back from the making when the farm closes.
    """
    end_with_parent()  # again: of mpirun's children mpirun is the parent
    if core != "None":
        os.sched_setaffinity(0, {int(core)})
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    comm = cli.communicator()
    pids = comm.gather(os.getpid()) if comm is not None else [os.getpid()]
    module, _, function = part.rpartition(".")
    only = None if core == "None" else int(core)
    job = Job(Path(folder), variant, int(threads), float(seconds), only, smoke == "True")
    measure: Measure | None = getattr(importlib.import_module(module), function)(job)
    if measure is None:
        return
    print(json.dumps(pids), file=answers, flush=True)
    for line in iter(sys.stdin.readline, ""):
        if not line.strip():
            break
        print(json.dumps(measure(int(line))), file=answers, flush=True)
    getattr(measure, "close", lambda: None)()
