"""The resident memory of a run's processes over a long time."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SECONDS = 10.0  # between two looks
WARM_UP = 0.2  # of a process's life, before its memory is held to be settled
ALLOWED = 1.05  # growth from after the warm-up to the end
MINUTES = 30.0  # a watch shorter than this decides nothing


def watch(run: Path, log: Path, minutes: float) -> None:
    """Write the resident memory of all processes at work on a run, every ten seconds, until they end."""
    deadline, seen = time.monotonic() + 60 * minutes, False
    with open(log, "a") as file:
        while time.monotonic() < deadline:
            found = list(looks(run))
            if seen and not found:
                return
            seen = seen or bool(found)
            for row in found:
                file.write(json.dumps(row) + "\n")
            file.flush()
            time.sleep(SECONDS)


def looks(run: Path) -> Iterator[dict[str, Any]]:
    """Yield a row for each process whose command names the run: time, pid, script and resident megabytes."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            scripts = [Path(word).name for word in words if word.startswith("scripts/") or "/scripts/" in word]
            if not scripts or str(run) not in words or "mpirun" in words[0] or scripts[0] == "torture.py":
                continue
            status = (folder / "status").read_text(encoding="utf-8")
        except OSError:
            continue
        resident = next((line for line in status.splitlines() if line.startswith("VmRSS")), None)
        if resident is not None and not scripts[0].startswith("reproduce"):
            megabytes = int(resident.split()[1]) / 1024
            yield {
                "t": round(time.time()),
                "pid": int(folder.name),
                "script": scripts[0],
                "rss_mb": round(megabytes, 1),
            }


def summary(log: Path) -> dict:
    """For each stage, the growth of its processes from after the warm-up to their ends."""
    lives: dict[tuple[str, int], list[dict]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        lives.setdefault((Path(row["script"]).stem, row["pid"]), []).append(row)
    found = [entry for (script, _), rows in lives.items() if (entry := _life(script, rows))]
    long = [entry for entry in found if entry["minutes"] >= MINUTES]
    return {
        "processes": found,
        "ok": all(entry["growth"] <= ALLOWED for entry in long) if long else None,
        "promise": f"under {ALLOWED - 1:.0%} growth after warm-up in processes of {MINUTES:.0f} minutes and more",
    }


def _life(script: str, rows: list[dict]) -> dict | None:
    """Return the median memory of the tenth after the warm-up, and of the last tenth."""
    minutes = (rows[-1]["t"] - rows[0]["t"]) / 60
    if minutes < 2 or rows[-1]["rss_mb"] < 20:  # mpirun's own helpers
        return None
    tenth, start = max(1, len(rows) // 10), int(len(rows) * WARM_UP)
    early = statistics.median(row["rss_mb"] for row in rows[start : start + tenth])
    late = statistics.median(row["rss_mb"] for row in rows[-tenth:])
    return {
        "stage": script,
        "minutes": round(minutes, 1),
        "megabytes_after_warm_up": round(early),
        "megabytes_at_the_end": round(late),
        "growth": round(late / early, 3),
    }
