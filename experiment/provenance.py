"""What a run was made with: versions of packages, the commit, the CPU."""

import contextlib
import hashlib
import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from experiment.cores import usable_cores

PACKAGES = ("tensorflow", "keras", "tensorflow-probability", "numpy", "vizdoom", "gymnasium", "cma", "mpi4py")


def environment() -> dict[str, Any]:
    """Return versions, commit, CPU, usable cores, threads and TensorFlow's products, for ``config.json``."""
    cores, threads = usable_cores(), os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "commit": commit(),
        "cpu": _cpu_model(),
        "cores": cores,
        "threads": int(threads) if threads.isdigit() else cores,
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", ""),
    }


def digest(value: Any) -> str:
    """Return the SHA-256 of a value's JSON, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def commit() -> str:
    """Return the commit of the source tree, "-dirty" where files differ, or "unknown" outside its own checkout.

    A copy inside another repository, or a package installed into one, has that repository around it: not its commit.
    """
    root = Path(__file__).resolve().parents[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # a hook's say

    def git(*words: str) -> str:
        command = ["git", "-C", str(root), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10, env=environment)
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != root:
            return "unknown"
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
