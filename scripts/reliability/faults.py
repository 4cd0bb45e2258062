"""Disks that fill up, files that are cut or damaged, and two runs in one folder at once."""

import contextlib
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from reliability.kills import FOLDERS, PATIENCE, SCRIPTS, begin, copy_earlier_stages, differences, end

from experiment.errors import InputError
from experiment.files import MANIFEST, check_manifest, read_file, read_sealed

DISK = "size=600m"  # holds the tortured run
DAMAGES = 40  # of each kind to each file
CONSUMERS = {  # a file of a finished run, and the stage that reads it
    "config.json": "vae",
    "rollouts/done.json": "vae",
    "rollouts/manifest.json": "vae",
    "rollouts/episode-000000.npz": "vae",
    "vae/weights.npz": "series",
    "vae/weights.json": "series",
    "series/series-0000.npz": "rnn",
    "series/initial_z.npz": "controller",
    "rnn/weights.npz": "controller",
    "rnn/weights.json": "controller",
}


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[bool]:
    """Mount a disk in memory at `place`; gives False where mounting is not allowed here."""
    place.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", DISK, "tmpfs", str(place)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(place)], capture_output=True)


def fill(disk: Path) -> Path:
    """Return a file that takes all that is left of a disk."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 10, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)
    return ballast


def said(log: Path) -> list[str]:
    """Return the lines of a log in which a program says how it failed."""
    lines = log.read_text(errors="replace").splitlines()
    return [line for line in lines if line.startswith(("failed:", "error:", "interrupted")) or "Traceback" in line]


def full_disk(scratch: Path, whole: Path, seconds: dict[str, float]) -> dict:
    """Fill the disk under each stage while it works; then make room and run the same command again."""
    found = {}
    for stage in SCRIPTS:
        with small_disk(scratch / "disk") as mounted:
            if not mounted:
                return {"ok": None, "why": "mounting a small disk needs more rights than there are here"}
            found[stage] = _fill_under(stage, scratch, whole, seconds[stage])
            print(f"full disk under {stage}: {found[stage]}", flush=True)
    return {
        "stages": found,
        "ok": all(not entry["different"] and entry["code"] == 1 and entry["lines"] == 1 for entry in found.values()),
        "promise": "one line and exit code 1; with room again the same command ends in the same files",
    }


def _fill_under(stage: str, scratch: Path, whole: Path, seconds: float) -> dict:
    torn, log = scratch / "disk" / "torn", scratch / "full-disk.log"
    log.unlink(missing_ok=True)
    copy_earlier_stages(stage, whole, torn, link=False)
    process = begin(stage, torn, 2, log)
    while process.poll() is None and not list((torn / FOLDERS[stage]).rglob("*.jsonl")):
        time.sleep(0.02)
        if stage == "series" and list((torn / "series").glob("series-*.npz")):
            break
    ballast = fill(scratch / "disk")
    done = end(process, log, 10 * seconds + PATIENCE)
    lines = said(log)
    ballast.unlink()
    again = end(begin(stage, torn, 1, log), log, 10 * seconds + PATIENCE)
    return {
        "code": done.code,
        "lines": len(lines),
        "said": lines[0].replace(str(torn), "RUN")[:200] if lines else "",
        "code_with_room": again.code,
        "different": differences(stage, whole, torn),
    }


def damaged(data: bytes, rng: random.Random, kind: str) -> bytes:
    """Return the bytes cut somewhere, or with one bit flipped."""
    place = rng.randrange(len(data))
    if kind == "cut":
        return data[:place]
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def damage(scratch: Path, whole: Path, seed: int) -> dict:
    """Cut and flip every kind of file of a finished run; each must be refused in a line, or say what it said before."""
    rng, cases, missed = random.Random(seed), 0, []
    torn = scratch / "damaged"
    shutil.rmtree(torn, ignore_errors=True)
    shutil.copytree(whole, torn)
    chosen = {path.suffix + path.name.split("-")[0] + path.parent.name: path for path in sorted(files_of(torn))}
    for path in chosen.values():
        good = path.read_bytes()
        value = _read(path)
        for kind in ("cut", "flip"):
            for _ in range(DAMAGES):
                path.write_bytes(damaged(good, rng, kind))
                cases += 1
                found = _read(path)
                if found is not None and found != value:
                    missed.append(f"{path.relative_to(torn)} ({kind})")
        path.write_bytes(good)
    return {
        "files": sorted(str(path.relative_to(torn)) for path in chosen.values()),
        "cases": cases,
        "missed": missed,
        "ok": not missed,
        "promise": "a file cut anywhere or with any bit flipped is refused when it is read",
    }


def files_of(run: Path) -> list[Path]:
    """Return the files of a run that later stages read."""
    found = [path for path in run.rglob("*") if path.is_file() and path.suffix in (".json", ".jsonl", ".npz")]
    hidden = [path for path in found if path.name.startswith(".") or path.name == "timing.jsonl"]
    return [path for path in found if path not in hidden and path.stat().st_size]


def _read(path: Path):
    """Return what the project's readers make of a file, or None where they refuse it in one line."""
    try:
        if path.name in ("config.json", "begun.json", "done.json"):
            return read_sealed(path)
        if path.name == MANIFEST:
            check_manifest(path.parent)
            return [read_file(other) for other in sorted(path.parent.glob("*"))[:3] if other.is_file()]
        return read_file(path)
    except InputError as error:
        return None if "\n" not in str(error) else str(error)


def refusals(scratch: Path, whole: Path) -> dict:
    """Damage a file and run the stage that reads it: exit code 2 and one line that says what to run again."""
    found = {}
    for name, stage in CONSUMERS.items():
        torn, log = scratch / "refused", scratch / "refused.log"
        log.unlink(missing_ok=True)
        copy_earlier_stages(stage, whole, torn, link=False)
        if name.startswith(FOLDERS[stage]):
            shutil.copytree(whole / FOLDERS[stage], torn / FOLDERS[stage])
        path = torn / name
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
        done = end(begin(stage, torn, 1, log), log, 4 * PATIENCE)
        lines = said(log)
        ok = done.code == 2 and len(lines) == 1 and str(path) in lines[0]
        found[name] = {"code": done.code, "said": lines[0].replace(str(torn), "RUN")[:300] if lines else "", "ok": ok}
        print(f"damaged {name}: {found[name]}", flush=True)
    return {
        "files": found,
        "ok": all(entry["ok"] for entry in found.values()),
        "promise": "exit code 2 and one line: the file, what is wrong with it, and what to run again",
    }


def two_at_once(scratch: Path, whole: Path) -> dict:
    """Start a stage while it is under way: the second one is refused with the first one's pid and host."""
    torn, logs = scratch / "twice", [scratch / f"twice-{n}.log" for n in range(2)]
    for log in logs:
        log.unlink(missing_ok=True)
    copy_earlier_stages("vae", whole, torn)
    first = begin("vae", torn, 1, logs[0])
    deadline = time.monotonic() + PATIENCE
    while not (torn / "vae" / ".holder.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    second = end(begin("vae", torn, 1, logs[1]), logs[1], PATIENCE)
    lines = said(logs[1])
    done = end(first, logs[0], 4 * PATIENCE)
    return {
        "seconds_to_refuse": round(second.seconds, 1),
        "said": lines[0].replace(str(torn), "RUN") if lines else "",
        "ok": second.code == 2 and len(lines) == 1 and str(first.pid) in lines[0] and done.code == 0,
        "promise": "the second is refused with the first one's pid and host, and the first goes on",
    }
