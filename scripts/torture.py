"""The long trial of what this project promises of runs that take days; each part ends in a verdict.

    python scripts/torture.py --json results/reliability.json           # everything but memory, about an hour
    python scripts/torture.py --only kills --kills 30 --seed 1
    python scripts/torture.py --watch runs/paper                        # beside a long run: its memory, every 10 s
    python scripts/torture.py --only memory --memory runs/paper         # what that watch saw

kills    every stage killed at random moments (kill -9 of a rank, of mpirun; SIGTERM; Ctrl-C) and started again on 1 to
         3 ranks, until it is done: its files must be bit-identical to those of a run never stopped
faults   the disk full under each stage; files cut and bits flipped; two runs in one folder
fuzz     files from elsewhere: tests/test_fuzz.py with 500 cases for each kind of file and change
ranks    32 ranks on this machine, a rank ten times slower, a rank stopped for good, rank 0's own cost, two hosts
memory   the resident memory of a long run's processes, from the log of a watch

Needs the development tools (pip install -e .[dev]) for fuzz, and root for the full disk and the two hosts; what cannot
be tried here is said to be undecided. Exit code 1 where a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cli
from reliability import faults as torture_faults
from reliability import kills as torture_kills
from reliability import memory as torture_memory
from reliability import ranks as torture_ranks

from experiment.errors import InputError
from experiment.files import check_file_writable, read_json, write_json
from experiment.provenance import environment

PARTS = ("kills", "faults", "fuzz", "ranks", "memory")
WORDS = {True: "holds", False: "BROKEN", None: "undecided"}


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = cli.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append", help="try this part alone (repeatable)")
    parser.add_argument("--kills", type=cli.positive, default=40, help="kills in all, spread over the stages (40)")
    parser.add_argument("--seed", type=cli.seed, default=1, help="of the moments and ways of the kills (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the figures to this file, part by part")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="where the tortured runs go (a temporary folder)")
    parser.add_argument("--watch", type=Path, metavar="DIR", help="only watch the memory of a run's processes")
    parser.add_argument("--memory", type=Path, metavar="DIR", help="the run whose watch is summed up")
    parser.add_argument("--minutes", type=cli.positive, default=600, help="longest watch (600)")
    return parser.parse_args()


def main() -> None:
    """Parse, try, and say what holds."""
    arguments = parse()
    with cli.ending_well():
        check_file_writable(arguments.json, "name another file")
        figures_there(arguments.json)
        if arguments.watch:
            return watch(arguments.watch, arguments.minutes)
        chosen = arguments.only or [part for part in PARTS if part != "memory" or arguments.memory]
        with tempfile.TemporaryDirectory() as folder:
            scratch = arguments.scratch or Path(folder)
            scratch.mkdir(parents=True, exist_ok=True)
            broken = [part for part in chosen if not try_part(part, arguments, scratch)]
        if broken:
            sys.exit(1)
    return None


def watch(run: Path, minutes: float) -> None:
    """Follow a run's memory into its folder."""
    if not run.is_dir():
        raise InputError(f"{run}: no run there yet; start one with scripts/reproduce.py first")
    torture_memory.watch(run, run / "memory.jsonl", minutes)


def try_part(part: str, arguments: argparse.Namespace, scratch: Path) -> bool:
    """Try one part, print its verdicts and keep its figures; False where a promise was broken."""
    started = time.monotonic()
    found = globals()[f"try_{part}"](arguments, scratch)
    for name, entry in found.items():
        print(f"{part}: {name}: {WORDS[entry['ok']]} ({entry.get('promise', entry.get('why', ''))})", flush=True)
    if arguments.json:
        keep(arguments.json, part, {"minutes": round((time.monotonic() - started) / 60, 1), **found}, arguments)
    return all(entry["ok"] is not False for entry in found.values())


def figures_there(path: Path | None) -> dict:
    """Return what the file of --json holds; InputError where that is no object, to which no part can be added."""
    whole = read_json(path, "name another file") if path and path.exists() else {}
    if not isinstance(whole, dict):
        raise InputError(f"--json {path}: holds a {type(whole).__name__}, not the figures of parts; name another file")
    return whole


def keep(path: Path, part: str, figures: dict, arguments: argparse.Namespace) -> None:
    """Put a part's figures into the file, beside what others left there."""
    whole = figures_there(path)
    command = f"python scripts/torture.py --only {part} --seed {arguments.seed}"
    command += f" --kills {arguments.kills}" if part == "kills" else ""
    whole[part] = {"command": command, "date": time.strftime("%Y-%m-%d"), **figures}
    write_json(path, {**whole, "environment": environment()})


def try_kills(arguments: argparse.Namespace, scratch: Path) -> dict:
    """Try `reliability.kills`."""
    return torture_kills.torture(scratch, arguments.seed, arguments.kills)


def try_faults(arguments: argparse.Namespace, scratch: Path) -> dict:
    """Try `reliability.faults`."""
    whole = scratch / "whole"
    seconds = torture_kills.undisturbed(whole)
    return {
        "full_disk": torture_faults.full_disk(scratch, whole, seconds),
        "damage": torture_faults.damage(scratch, whole, arguments.seed),
        "refusals": torture_faults.refusals(scratch, whole),
        "two_at_once": torture_faults.two_at_once(scratch, whole),
    }


def try_fuzz(arguments: argparse.Namespace, scratch: Path) -> dict:
    """Run tests/test_fuzz.py at length."""
    tests, report = Path(__file__).parents[1] / "tests" / "test_fuzz.py", scratch / "fuzz.json"
    words = ["--hypothesis-profile", "torture", "--hypothesis-seed", str(arguments.seed)]
    command = [sys.executable, "-m", "pytest", "-q", str(tests), *words]
    done = subprocess.run(command, env=os.environ | {"FUZZ_REPORT": str(report)}, cwd=tests.parents[1])
    figures = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {"cases": 0, "megabytes_grown": 0}
    good = done.returncode == 0 and figures["cases"] >= 10_000 and figures["megabytes_grown"] < 1000
    promise = "at least 10,000 cases, each refused in one line or read; no hang, no memory above 1 GB"
    return {"readers": {**figures, "ok": good, "promise": promise}}


def try_ranks(arguments: argparse.Namespace, scratch: Path) -> dict:
    """Try `reliability.ranks`."""
    return {name: trial() for name, trial in torture_ranks.TRIALS.items()}


def try_memory(arguments: argparse.Namespace, scratch: Path) -> dict:
    """Sum up what `reliability.memory` watched."""
    log = (arguments.memory or Path("-")) / "memory.jsonl"
    if not log.exists():
        raise InputError(f"{log}: not there; run scripts/torture.py --watch DIR beside a long run, then --memory DIR")
    return {"resident": torture_memory.summary(log)}


if __name__ == "__main__":
    main()
