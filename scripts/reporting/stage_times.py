"""Where the wall time of a whole run went: what `reproduce.py` notes of every stage it ran, and the table of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiment.jsonl import read_journal, write_journal

FILE = "timing.jsonl"  # in the run's own folder
FIELDS = {"stage": str, "seconds": float}


@dataclass(frozen=True)
class StageTime:
    """A stage of a run: its seconds, in all its calls, and their share of all stages'."""

    stage: str
    seconds: float
    share: float


def stage_of(script: str, flags: Sequence[str]) -> str:
    """Return the name of the stage that a script with these flags is."""
    stage = script.removesuffix(".py")
    if stage != "evaluate":
        return stage
    return f"{stage} {'the agent' if '--controller' in flags else 'scripted policies'}"


def note_stage(run: Path, stage: str, seconds: float) -> None:
    """Note that a stage of a run took so long; one that was begun again adds to it."""
    rows = read_journal(run / FILE, FIELDS)
    write_journal(run / FILE, [*rows, {"stage": stage, "seconds": round(seconds, 2)}])


def stage_times(run: Path) -> list[StageTime]:
    """Return a run's stages in their order, none for a run that `reproduce.py` has not made."""
    rows, total = read_journal(run / FILE, FIELDS), {}
    for row in rows:
        total[row["stage"]] = total.get(row["stage"], 0.0) + row["seconds"]
    whole = sum(total.values())
    return [StageTime(stage, seconds, seconds / whole if whole else 0.0) for stage, seconds in total.items()]


def times_table(times: Sequence[StageTime | dict[str, Any]]) -> str:
    """Return a Markdown table of stages, with the whole in its last row."""
    rows = [time if isinstance(time, StageTime) else StageTime(**time) for time in times]
    cells = [(row.stage.replace("_", " "), f"{row.seconds / 60:,.1f}", f"{row.share:.0%}") for row in rows]
    cells.append(("**all**", f"**{sum(row.seconds for row in rows) / 60:,.1f}**", ""))
    lines = ["| stage | minutes | share |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in cells)])
