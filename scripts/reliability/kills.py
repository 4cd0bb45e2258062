"""Stages killed at random moments and started again, held against the same stages never stopped."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cli
import launch

from experiment import runs, stages

PATIENCE = 60.0  # seconds a job may take to end after a kill, and a stage beyond its undisturbed time
HURRY = {  # stages of ten seconds or so, that save every second
    "collect": ["collect.episodes=150"],
    "vae": ["vae.max_frames=2500", "vae.epochs=2.0", "vae.checkpoint_seconds=1.0", "vae.validate_every=50"],
    "series": ["series.shard_episodes=8"],
    "rnn": ["rnn.hidden_size=64", "rnn.batch_size=16", "rnn.epochs=12.0", "rnn.checkpoint_seconds=1.0"],
    "controller": [
        "controller.popsize=8",
        "controller.rollouts=4",
        "controller.generations=25",
        "controller.time_limit=150",
        "controller.evaluate_every=5",
        "controller.evaluate_rollouts=32",
    ],
}
RANKED = ("collect", "controller")
SCRIPTS = stages.SCRIPTS | {"controller": "train_controller.py"}
FOLDERS = runs.FOLDERS | {"controller": "controller"}
RESULTS = (  # what must be bit-identical
    "rollouts/episode-*.npz",
    "vae/weights.npz",
    "vae/metrics.jsonl",
    "series/*.npz",
    "rnn/weights.npz",
    "rnn/metrics.jsonl",
    "controller/*/fitness.jsonl",
    "controller/*/evaluations.jsonl",
    "controller/*/metrics.jsonl",
    "controller/*/best.*",
    "controller/*/last.*",
)


@dataclass
class Ending:
    """How a stage's process ended: its code (of mpirun, where there is one), after how long, and whether it hung."""

    code: int
    seconds: float
    hung: bool
    log: str


def settings() -> list[str]:
    """All overrides of the tortured run."""
    return [word for overrides in HURRY.values() for value in overrides for word in ("--set", value)]


def command(stage: str, run: Path, ranks: int) -> list[str]:
    """Return a stage's command on so many ranks."""
    words = [str(Path(__file__).parents[1] / SCRIPTS[stage]), "doomrnn", "--run", str(run)]
    if stage == "collect":
        words += ["--preset", "smoke", *settings()]
    if stage not in RANKED:
        return [sys.executable, *words]
    mpirun = [launch.find_mpirun(), "-n", str(ranks), "--bind-to", "none"]
    return [*mpirun, sys.executable, "-m", "mpi4py", *words]


def begin(stage: str, run: Path, ranks: int, log: Path) -> subprocess.Popen:
    """Start a stage in a process group of its own, its words in a file."""
    environment = os.environ | (cli.ONE_THREAD | launch.MPI_SETTINGS if stage in RANKED else {})
    with open(log, "ab") as file:
        return subprocess.Popen(
            command(stage, run, ranks),
            env=environment,
            stdout=file,
            stderr=file,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
        )


def end(process: subprocess.Popen, log: Path, patience: float) -> Ending:
    """Wait for the end; what hangs beyond `patience` is killed, and that is told."""
    started, hung = time.monotonic(), False
    try:
        process.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        hung = True
    members = list(descendants(process.pid)) if hung else []
    for pid in [*members, process.pid] if hung else []:
        with_no_complaint(pid, signal.SIGKILL)
    process.wait()
    return Ending(process.returncode, time.monotonic() - started, hung, log.read_text(errors="replace")[-2000:])


def with_no_complaint(pid: int, number: int) -> None:
    """Signal a process that may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def descendants(pid: int) -> Iterator[int]:
    """All processes below this one."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        if parent == pid:
            child = int(path.parent.name)
            yield child
            yield from descendants(child)


def ranks_of(pid: int) -> list[int]:
    """Return the ranks under an mpirun, in the order in which they were started."""
    found = []
    for child in descendants(pid):
        try:
            if b"mpi4py" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
        except OSError:
            continue
    return sorted(found)


def strike(process: subprocess.Popen, stage: str, rng: random.Random) -> str:
    """Kill in one of the ways a run is killed; returns which."""
    ranks = ranks_of(process.pid) if stage in RANKED else []
    ways = ["SIGKILL", "SIGKILL", "SIGTERM", "SIGINT"]
    way = rng.choice([*ways, "SIGKILL of a rank", "SIGKILL of a rank", "SIGKILL of rank 0"] if ranks else ways)
    if "rank" in way:
        number = 0 if way.endswith("0") else rng.randrange(len(ranks))
        with_no_complaint(ranks[number], signal.SIGKILL)
        return f"SIGKILL of rank {number} of {len(ranks)}"
    with_no_complaint(process.pid, getattr(signal, way))
    return f"{way} of {'mpirun' if ranks else 'the process'}"


def gone(members: list[int]) -> bool:
    """Return whether these processes end within the patience; those that do not are killed."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}").exists() for pid in members):
            return True
        time.sleep(0.05)
    for pid in members:
        with_no_complaint(pid, signal.SIGKILL)
    return False


def undisturbed(run: Path) -> dict[str, float]:
    """Run every stage once without a kill, unless that was done before; returns how long each took."""
    record = run.with_suffix(".json")
    if record.exists():
        return json.loads(record.read_text(encoding="utf-8"))
    seconds = {}
    for stage in SCRIPTS:
        done = end(begin(stage, run, 2, run.with_suffix(".log")), run.with_suffix(".log"), 20 * PATIENCE)
        if done.code:
            raise RuntimeError(f"{stage} failed without being disturbed:\n{done.log}")
        seconds[stage] = done.seconds
    record.write_text(json.dumps(seconds), encoding="utf-8")
    print("undisturbed: " + ", ".join(f"{stage} {s:.0f} s" for stage, s in seconds.items()), flush=True)
    return seconds


def copy_earlier_stages(stage: str, whole: Path, torn: Path, link: bool = True) -> None:
    """Make a run in which everything before `stage` is done, by links or copies, and nothing of it or after it."""
    shutil.rmtree(torn, ignore_errors=True)
    torn.mkdir(parents=True)
    for name in SCRIPTS:
        if name == stage:
            break
        shutil.copytree(whole / FOLDERS[name], torn / FOLDERS[name], copy_function=os.link if link else shutil.copy2)
    if stage != "collect":
        shutil.copy(whole / "config.json", torn)


def differences(stage: str, whole: Path, torn: Path) -> list[str]:
    """Results of a stage that are not the same in both runs, and temporary files left behind."""
    patterns = [pattern for pattern in RESULTS if pattern.startswith(FOLDERS[stage])]
    names = {path.relative_to(run) for run in (whole, torn) for pattern in patterns for path in run.glob(pattern)}
    odd = [str(name) for name in sorted(names) if not same(whole / name, torn / name)]
    return odd + [str(path.relative_to(torn)) for path in (torn / FOLDERS[stage]).rglob("*.tmp")]


def same(one: Path, other: Path) -> bool:
    """Return whether both files are there and hold the same bytes."""
    return one.exists() and other.exists() and one.read_bytes() == other.read_bytes()


class Tortured:
    """A stage in the folder `torn`, killed again and again, and held against the one in `whole`."""

    def __init__(self, stage: str, whole: Path, torn: Path, seconds: float, rng: random.Random):
        self.stage, self.whole, self.torn, self.seconds, self.rng = stage, whole, torn, seconds, rng
        self.log = torn.with_suffix(".log")
        self.ways: list[str] = []
        self.codes: list[int] = []
        self.odd: list[str] = []
        self.finished, self.hung, self.slowest = 0, 0, 0.0

    def run(self, kills: int) -> dict:
        """Kill it so often, letting it finish and restart in between; its verdict."""
        copy_earlier_stages(self.stage, self.whole, self.torn)
        while True:
            struck = self._once(strikes=len(self.ways) < kills)
            folder = self.torn / FOLDERS[self.stage]
            if (folder / "done.json").exists() or list(folder.glob("*/done.json")):
                self.finished += 1
                self.odd += differences(self.stage, self.whole, self.torn)
                if len(self.ways) >= kills:
                    return self.verdict()
                copy_earlier_stages(self.stage, self.whole, self.torn)
            elif not struck:
                self.odd.append(f"failed: {self.log.read_text(errors='replace')[-300:]}")
                return self.verdict()

    def _once(self, strikes: bool) -> bool:
        """Start it on some number of ranks; strike at some moment, unless it ends before; whether it was struck."""
        process, started = begin(self.stage, self.torn, self.rng.choice([1, 2, 3]), self.log), time.monotonic()
        struck, members = False, list[int]()
        deadline = started + self.rng.uniform(0.1, 1.0) * self.seconds
        while strikes and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if process.poll() is not None:  # the machine is less busy than it was
            self.seconds = min(self.seconds, time.monotonic() - started)
        if strikes and process.poll() is None:
            struck, members = True, list(descendants(process.pid))
            self.ways.append(strike(process, self.stage, self.rng))
            print(f"{self.stage}: kill {len(self.ways)}, {self.ways[-1]}", flush=True)
        done = end(process, self.log, PATIENCE if struck else 10 * self.seconds + PATIENCE)
        self.hung += done.hung or not gone(members)
        if struck:
            self.codes.append(done.code)
            self.slowest = max(self.slowest, done.seconds)
        return struck

    def verdict(self) -> dict:
        """Return what came of it."""
        return {
            "kills": len(self.ways),
            "ways": {way: self.ways.count(way) for way in sorted(set(self.ways))},
            "exit_codes": sorted(set(self.codes)),
            "runs_finished": self.finished,
            "slowest_end_seconds": round(self.slowest, 1),
            "hung": self.hung,
            "different": self.odd,
            "ok": not self.odd and not self.hung and self.finished > 0,
            "promise": "killed at any moment and continued on any number of ranks: bit-identical files",
        }


def torture(scratch: Path, seed: int, kills: int) -> dict:
    """All stages; returns a verdict for each."""
    rng = random.Random(seed)
    seconds = undisturbed(scratch / "whole")
    share = {stage: kills // len(SCRIPTS) + (n < kills % len(SCRIPTS)) for n, stage in enumerate(reversed(SCRIPTS))}
    return {
        stage: Tortured(stage, scratch / "whole", scratch / "torn", seconds[stage], rng).run(share[stage])
        for stage in SCRIPTS
    }
