"""How many cores this process may use, which on a shared machine is fewer than there are.

A batch system or `taskset` ties a process to some cores; a container's limit is a quota of processor time in its
control group, or in one above it. Both count, the smaller one decides.
"""

import contextlib
import math
import os
from pathlib import Path, PurePosixPath

GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def usable_cores(groups: Path = GROUPS, membership: Path = MEMBERSHIP) -> int:
    """Return the number of cores that this process may run on, at most what its control groups grant, and at least 1.

    groups, membership: where the system mounts control groups, and names those of this process.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _folders(groups, membership) for quota in _quotas(folder)]
    return max(1, min([allowed, *(math.ceil(quota) for quota in quotas)]))


def _folders(groups: Path, membership: Path) -> list[Path]:
    """Return the folders of this process's groups and of all above them; a quota of any of them binds it."""
    folders = []
    with contextlib.suppress(OSError):
        for line in membership.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            group = PurePosixPath(path.lstrip("/"))
            # where the second version is mounted, alone or beside the first; and the first
            mounts = [groups, groups / "unified"] if not controllers else [groups / controllers, groups / "cpu"]
            folders += [mount / inner for mount in mounts for inner in (group, *group.parents)]
    return folders


def _quotas(folder: Path) -> list[float]:
    """Return the cores' worth of time that a group grants: of the second version's file, or of the first's two."""
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        return [int(quota) / int(period)]  # "max" is no number: no limit
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = ((folder / f"cpu.cfs_{name}_us").read_text(encoding="utf-8") for name in ("quota", "period"))
        return [int(quota) / int(period)] if int(quota) > 0 else []
    return []
