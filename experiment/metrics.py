"""The records of a stage: metrics, timings and TensorBoard events."""

import time
from pathlib import Path
from typing import Any

from experiment.jsonl import append_row, read_journal, write_journal


class Metrics:
    """The records of a stage: ``metrics.jsonl`` (deterministic), ``timing.jsonl`` (rates, wall times), TensorBoard.

    Both files are journals. A resumed stage truncates them to the step of its checkpoint, so that no step is recorded
    twice.
    """

    def __init__(self, folder: Path, resume_step: int = 0):
        self.folder = folder
        self._cut("metrics.jsonl", resume_step)
        self._cut("timing.jsonl", resume_step)
        self._writer: Any = None

    def log(self, step: int, values: dict[str, float], timing: dict[str, float] | None = None) -> None:
        """Append the values of a step, durably, and write them for TensorBoard."""
        append_row(self.folder / "metrics.jsonl", {"step": step, **values})
        if timing:
            append_row(self.folder / "timing.jsonl", {"step": step, "time": round(time.time(), 1), **timing})
        self._tensorboard(step, {**values, **(timing or {})})

    def _cut(self, name: str, step: int) -> None:
        if (self.folder / name).exists():
            write_journal(self.folder / name, (row for row in read_metrics(self.folder, name) if row["step"] <= step))

    def _tensorboard(self, step: int, values: dict[str, float]) -> None:
        import tensorflow as tf

        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.folder / "tensorboard"))
        with self._writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=step)
        self._writer.flush()


def read_metrics(folder: Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    """Return the rows of a stage's ``metrics.jsonl`` or ``timing.jsonl``, none where there is no such file."""
    return read_journal(Path(folder) / name, {"step": int}, f"delete {folder} to start its stage again")
