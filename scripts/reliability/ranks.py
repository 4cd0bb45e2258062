"""Many ranks, a slow one, a stopped one, two hosts: what they cost and whether the answer stays the same.

    python scripts/torture.py --only ranks

Played in the tiny world of tests/farm_world.py, which needs neither TensorFlow nor a game. Each function returns its
figures, what they must be ("promise"), and whether they are ("ok"; None where that cannot be tried here).
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import cli
import launch

from experiment.cores import usable_cores

ROOT = Path(__file__).parents[2]
WORLD = ROOT / "tests" / "farm_world.py"
GENERATION = ("--rollouts", 1024)
SILENT = 3.0  # seconds, for these trials
LIMIT = 900  # seconds for a job; one that takes longer hangs


class Played(NamedTuple):
    """How a job went: its exit code, what rank 0 printed as JSON, and standard error's lines with their times."""

    code: int
    result: Any
    lines: list[tuple[float, str]]
    seconds: float

    def when(self, *words: str) -> float:
        """When the first line with these words came, in seconds from the start; infinity if none did."""
        return next((at for at, line in self.lines if all(word in line for word in words)), float("inf"))


def play(ranks: int, *words: object) -> Played:
    """Play farm_world.py on so many ranks of this machine; a job that hangs is ended, with code 1."""
    mpirun = [launch.find_mpirun(), "-n", str(ranks), "--bind-to", "none"]
    command = [*mpirun, sys.executable, "-m", "mpi4py", str(WORLD), *map(str, words)]
    settings = os.environ | cli.ONE_THREAD | launch.MPI_SETTINGS | {"PYTHONPATH": str(ROOT)}
    started, lines = time.monotonic(), []
    with subprocess.Popen(
        command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as job:
        watchdog = threading.Timer(LIMIT, job.terminate)
        watchdog.start()
        for line in job.stderr:  # what rank 0 prints at its end fits into a pipe
            lines.append((time.monotonic() - started, line.rstrip()))
        output = job.stdout.read()
        watchdog.cancel()
    return Played(job.returncode, json.loads(output or "null"), lines, time.monotonic() - started)


def same(job: Played, alone: Played) -> bool:
    """Return whether a job ended well, with outcomes bit-identical to those of one process."""
    return job.code == alone.code == 0 and job.result["sha256"] == alone.result["sha256"]


def many_ranks(ranks: int = 32) -> dict[str, Any]:
    """Many more ranks than cores."""
    alone, job = play(1, "play"), play(ranks, "play")
    return {
        "promise": f"{ranks} ranks on {usable_cores()} cores end, with the outcomes of one process",
        "ranks": ranks,
        "seconds": job.seconds,
        "seconds_of_a_generation": job.result and job.result["seconds"],
        "ok": same(job, alone),
    }


def slow_rank(pairs: int = 3, work: float = 5e-5) -> dict[str, Any]:
    """Generations of 1,024 rollouts on four ranks without and with one that runs a tenth of the time, alternately."""
    words = (*GENERATION, "--work", work, "--generations", 3)
    jobs = [(play(4, "play", *words), play(4, "slowed", 3, *words)) for _ in range(pairs)]
    promise = "one of four ranks ten times slower costs less than a third of a generation, and changes no outcome"
    if not all(same(slow, fast) for fast, slow in jobs):
        return {"promise": promise, "exit_codes": [[job.code for job in pair] for pair in jobs], "ok": False}
    plain, slowed = ([statistics.median(pair[n].result["seconds"][1:]) for pair in jobs] for n in (0, 1))
    ratios = [slow / fast for fast, slow in zip(plain, slowed, strict=True)]
    ratio = statistics.median(ratios)
    return {
        "promise": promise,
        "seconds_of_a_generation": plain,
        "seconds_with_a_slow_rank": slowed,
        "ratios": ratios,
        "ratio": ratio,
        "ok": ratio < 4 / 3,
    }


def stopped_rank() -> dict[str, Any]:
    """One of four ranks stopped for good, where no rollout is played twice, as in collecting."""
    alone, job = play(1, "play"), play(4, "stopped", 2, "--once", "--silent", SILENT)
    noticed = job.when("rank 2 (pid", "has not answered") - job.when("rank 2 stops")
    return {
        "promise": f"it is named within {SILENT + 2:g} s where {SILENT:g} s are allowed, the others play its rollouts, "
        "the outcomes are those of one process, and the exit code is 0",
        "noticed_after_seconds": noticed,
        "exit_code": job.code,
        "said": [line for _, line in job.lines if "rank 2 (pid" in line],
        "ok": noticed < SILENT + 2 and same(job, alone),
    }


def overhead(units: int = 1024) -> dict[str, Any]:
    """Measure what rank 0 computes to hand out and take in a generation that others play in no time, four ranks."""
    promise = f"{units} rollouts, in portions as training hands them out, cost rank 0 less than 50 ms"
    found = {}
    for name, portion in (("as_training_does", 512), ("by_16", 16), ("one_by_one", 1)):
        job = play(4, "overhead", "--rollouts", units, "--portion", portion, "--generations", 7)
        if job.code:
            return {"promise": promise, "exit_code": job.code, "ok": False}
        found[name] = statistics.median(1000 * row["cpu"] for row in job.result)
    return {"promise": promise, "milliseconds": found, "ok": found["as_training_does"] < 50}


def two_hosts() -> dict[str, Any]:
    """Two network namespaces as two hosts (see two_hosts.sh); "why" says what is not allowed here."""
    alone, command = play(1, "play"), [Path(__file__).with_name("two_hosts.sh"), sys.executable]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 2:
        return {"why": done.stderr.strip(), "ok": None}
    lines = done.stdout.splitlines()
    return {
        "promise": "four ranks on two hosts end with the outcomes of one process",
        "said": [line for line in (*done.stderr.splitlines(), *lines) if line],
        "exit_code": done.returncode,
        "ok": done.returncode == 0 and f"outcome {alone.result['sha256']}" in lines,
    }


TRIALS = {trial.__name__: trial for trial in (many_ranks, slow_rank, stopped_rank, overhead, two_hosts)}
