"""Implementations that need neither TensorFlow nor a game, for the tests of the benchmark's workers."""

import os
import time
from pathlib import Path

from benchmarking.workers import Job, Measure


def counting(job: Job) -> Measure:
    """The number of the repetition as a rate; notes its turns, and who else was not stopped meanwhile."""
    (job.folder / f"pid-{job.variant}").write_text(str(os.getpid()))

    def measure(number: int) -> dict[str, float]:
        with open(job.folder / "turns", "a") as file:
            file.write(f"{job.variant}\n")
        for path in job.folder.glob("pid-*"):
            if path.name != f"pid-{job.variant}" and not stopped(int(path.read_text())):
                (job.folder / "disturbed").write_text(path.name)
        return {"rate": float(number)}

    return measure


def stopped(pid: int) -> bool:
    """Whether a process is, or within two seconds comes to be, stopped."""
    for _ in range(200):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            return True
        time.sleep(0.01)
    return False


def dying(job: Job) -> Measure:
    """Dies at the second repetition."""

    def measure(number: int) -> dict[str, float]:
        if number == 2:
            raise RuntimeError("too slow")
        return {"rate": 1.0}

    return measure
