"""A machine that gives little, in a container above all: one line that says what to do, and nothing is left."""

import errno
import os
import shutil
import subprocess
import sys

import pytest
from commands import ENVIRONMENT, READ_ONLY, ROOT, SCRIPTS, assert_refused, namespace, python, run
from released import PLAY, RELEASE, settings_alone

import controller.score_files
from experiment.errors import InputError
from experiment.files import check_file_writable, check_writable
from experiment.stage_folder import working
from rollouts.collecting import check_disk


def test_a_read_only_run_is_evaluated_elsewhere(tmp_path):
    """It is said before anything is played, and --to takes the scores."""
    folder = settings_alone(tmp_path / "run")
    words = python("evaluate.py", "doomrnn", "--run", folder, *PLAY)
    done = namespace(READ_ONLY.format(folder), *words)
    assert_refused(done, 2, "evaluation: cannot be written (Read-only file system)", "--to")
    done = namespace(READ_ONLY.format(folder), *words, "--to", tmp_path / "scores")
    assert done.returncode == 0 and list((tmp_path / "scores").glob("real-left-*.json"))
    assert not (folder / "evaluation").exists()


NO_TMP = ("No usable temporary directory found in [", "docker run --tmpfs /tmp:exec", "TMPDIR")


@pytest.fixture
def without_tmp(tmp_path):
    """Runs a command where no temporary folder is found, as in a container whose root file system is read-only.

    Docker mounts no /tmp of its own in it; `tmp_path` can be written, and is one where TMPDIR says so.
    """
    setup = " && ".join(READ_ONLY.format(folder) for folder in ("/tmp", "/var/tmp"))
    setup += f' && mount -t tmpfs tmpfs "{tmp_path}" && cd /proc'
    return lambda command, folder="/nowhere": namespace(setup, *command, TMPDIR=str(folder))


@pytest.mark.parametrize("policy", ["left", "agent"])
def test_no_temporary_folder_is_said(tmp_path, without_tmp, policy):
    """By who plays, whoever that is; with one named, it is played."""
    words = python("evaluate.py", "doomrnn", "--run", RELEASE, "--policy", policy, "--episodes", 2, "--seed", 3)
    words += ["--set", "env.time_limit=20", "--to", str(tmp_path / "scores")]
    assert_refused(without_tmp(words), 1, *NO_TMP)
    done = without_tmp(words, tmp_path)
    assert done.returncode == 0, done.stderr


def test_no_temporary_folder_is_said_before_ranks_are_started(tmp_path, without_tmp):
    """By the launcher, whose mpirun needs one too."""
    words = python("reproduce.py", "doomrnn", "--preset", "smoke", "--ranks", 2, "--run", tmp_path / "run")
    assert_refused(without_tmp(words), 1, *NO_TMP)


def test_a_temporary_folder_that_runs_no_program(tmp_path):
    """As Docker mounts one unless told otherwise: refused where the engine cannot write beside us either."""
    words = python("evaluate.py", "doomrnn", "--run", RELEASE, *PLAY, "--set", "env.time_limit=20")
    words += ["--to", str(tmp_path / "scores")]
    for name in ("noexec", "here"):
        (tmp_path / name).mkdir()
    mount, places = f'mount -t tmpfs -o noexec tmpfs "{tmp_path}/noexec"', {"TMPDIR": str(tmp_path / "noexec")}
    done = namespace(f"{mount} && cd /proc", *words, **places)
    assert_refused(done, 2, "noexec: programs in it may not be run (noexec)", "docker run --tmpfs /tmp:exec", "TMPDIR")
    done = namespace(f'{mount} && cd "{tmp_path}/here"', *words, **places)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("options", ["size=64k", "ro"])
def test_little_shared_memory_is_said(tmp_path, options):
    """A container's 64 kB, or none to write: one line, no signal, nothing left."""
    folder = tmp_path / "run"
    words = python("collect_rollouts.py", "doomrnn", "--run", folder, "--preset", "smoke")
    done = namespace(f"mount -t tmpfs -o {options} tmpfs /dev/shm", *words, TMPDIR=str(tmp_path))
    assert_refused(done, 2, "/dev/shm: ", "docker run --shm-size=1g")
    assert not list(tmp_path.rglob("*"))


CROWD = """
import multiprocessing
from doomrnn.env import TakeCoverGame
from experiment.errors import InputError

def play(line):
    line.wait()
    game = TakeCoverGame(width=640, height=480)
    try:
        print(game.reset(0).shape, flush=True)
    except InputError as error:
        print(error, flush=True)
    line.wait()  # nobody frees memory before all have tried
    game.close()

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    line = context.Barrier(6, timeout=60)
    processes = [context.Process(target=play, args=(line,)) for _ in range(6)]
    [process.start() for process in processes]
    [process.join() for process in processes]
    print([process.exitcode for process in processes])
"""


def test_many_ranks_share_little_memory(tmp_path):
    """Six processes start an engine at once where two of 0.94 MB have room: four are told, and no process is killed."""
    script = tmp_path / "crowd.py"
    script.write_text(CROWD)
    done = namespace("mount -t tmpfs -o size=2400k tmpfs /dev/shm", sys.executable, script)
    said = done.stdout  # of six processes at once, so that two may share a line
    assert said.count("(64, 64, 3)") == 2 and said.rstrip().endswith("[0, 0, 0, 0, 0, 0]"), said + done.stderr
    assert said.count("an engine needs 1.1 MB; give the container more") == 4, said


def test_few_open_files_are_said(tmp_path):
    """One line that says which limit, and no folder of an engine or of the run is left."""
    folder = tmp_path / "run"
    words = python("collect_rollouts.py", "doomrnn", "--run", folder, "--preset", "smoke")
    words += ["--set", "collect.games_per_rank=16", "--set", "collect.episodes=40"]
    limited = ["sh", "-c", 'ulimit -n 20 && exec "$@"', "sh", *words]
    done = run(limited, TMPDIR=str(tmp_path))
    assert_refused(done, 1, "Too many open files; allow more open files (ulimit -n")
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(tmp_path, monkeypatch, number):
    """Said in one line, and the folder that was made is gone."""
    import fcntl

    def refuse(*unused):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(InputError, match="its file system cannot lock files"), working(tmp_path / "run" / "vae", {}):
        pytest.fail("it went on without a lock")
    assert not (tmp_path / "run").exists()


def test_scores_that_cannot_be_saved_are_shown(tmp_path, inside, monkeypatch):
    """A disk that fills up while the games are played: the scores are on the terminal."""

    def full(path, value):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(controller.score_files, "write_json", full)
    done = inside("evaluate.py", "doomrnn", "--run", settings_alone(tmp_path), *PLAY)
    assert done.returncode == 1 and "No space left" in done.stderr
    assert "left in the real: " in done.stdout and "(2)" in done.stdout


def test_a_folder_below_a_file_cannot_be_written(tmp_path):
    """And one that is not there yet can."""
    (tmp_path / "file").write_text("")
    check_writable(tmp_path / "a" / "b")
    with pytest.raises(InputError, match="cannot be written"):
        check_writable(tmp_path / "file" / "a")


@pytest.mark.parametrize(
    ("script", "flags"),
    [("dream_page.py", ("--run", RELEASE, "--to")), ("verify_claims.py", ("--json",)), ("benchmark.py", ("--json",))],
)
def test_a_file_that_cannot_be_written_is_said_at_once(tmp_path, inside, script, flags):
    """A folder of that name, or one in which nothing can be made: before anything is measured or drawn."""
    for place, said in ((tmp_path, "is a folder, and a file is wanted"), ("/proc/x/y", "cannot be written")):
        done = inside(script, *flags, place)
        assert done.returncode == 2 and said in done.stderr and not done.stdout
    check_file_writable(None)
    check_file_writable(tmp_path / "new" / "file")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("frames", "size"), [(20, "100k"), (300, "100k"), (20, "10m")])
def test_half_a_video_is_not_shown(tmp_path, frames, size):
    """The disk fills up at its end or in its midst: it is named on the page, and no file is left."""
    code = f"""
import sys; sys.path.insert(0, {str(SCRIPTS)!r})
from pathlib import Path
import numpy as np
from reporting.page import Page
page = Page(Path({str(tmp_path)!r}))
page.video("agent", np.random.default_rng(0).integers(0, 255, ({frames}, 64, 192, 3), np.uint8), 35)
print(page.count, len(page.failed), *(path.name for path in page.folder.iterdir()))
"""
    done = namespace(f'mount -t tmpfs -o size={size} tmpfs "{tmp_path}"', sys.executable, "-c", code)
    assert done.stdout.split() == (["1", "0", "agent.mp4"] if size == "10m" else ["0", "1"]), done.stderr


def test_the_disk_of_the_episodes_is_looked_at(tmp_path):
    """Where rollouts/ is a link to another disk, that one counts; few bytes are not 0.0 GB."""
    (tmp_path / "rollouts").symlink_to("/proc")
    with pytest.raises(InputError, match=r"2 episodes need about 0\.1 MB and 0\.0 MB are free"):
        check_disk(tmp_path / "rollouts", 2, 1000, 50)
    assert check_disk(tmp_path, 2, 1000, 50) == 100_000


RENDERED = """
import zlib
from carracing.env import CarRacing64
from pendulum.env import Pendulum64
for env in (CarRacing64(), Pendulum64()):
    print(zlib.crc32(env.reset(seed=3)[0]))
"""


def test_frames_are_rendered_where_nothing_can_be_written(tmp_path):
    """A read-only source tree that was never run, a home and a temporary folder that are read-only: the same frames."""
    source = tmp_path / "source"
    for package in ("experiment", "vae", "rnn", "rollouts", "controller", "carracing", "pendulum"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "home").mkdir()
    readable = subprocess.run(
        [sys.executable, "-c", RENDERED], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    nothing = {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(source), "TMPDIR": str(tmp_path / "home")}
    done = namespace(READ_ONLY.format(tmp_path), sys.executable, "-c", RENDERED, **nothing)
    assert done.returncode == 0 and done.stdout == readable.stdout, done.stderr
    assert not list(tmp_path.rglob("*.nb?"))
