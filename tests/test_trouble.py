"""A machine's own trouble, and a user's second thoughts: one line, nothing lost, nothing left behind."""

import errno
import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from commands import ENVIRONMENT, ROOT, SCRIPTS, assert_refused, python, run

from controller.config import ControllerConfig
from controller.evaluation import load_evaluations
from experiment.checkpoints import save_checkpoint
from experiment.errors import InputError, NumericalError, disk_trouble
from experiment.files import check_writable
from experiment.runs import FOLDERS, is_begun, working

RELEASE = ROOT / "results" / "doomrnn"
PLAY = ("--policy", "left", "--episodes", 2, "--seed", 3)


def everything(folder) -> dict:
    """All files below a folder, and what they hold."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def small_run(tmp_path, *words: str):
    """A run's folder with its settings and no stage."""
    shutil.copy(RELEASE / "config.json", tmp_path)
    return tmp_path


# --- evaluations write nothing but scores (2) ---


def test_an_evaluation_in_other_settings_is_another_one(tmp_path, inside):
    """It leaves the run's settings, and the scores in them, as they are; its file and its label name the difference."""
    folder = small_run(tmp_path)
    before = everything(folder)
    words = ("doomrnn", "--run", folder, *PLAY)
    first = inside("evaluate.py", *words)
    assert first.returncode == 0, first.stderr
    other = inside("evaluate.py", *words, "--set", "env.skill=5")
    assert "left in the real (env.skill=5): " in other.stdout
    found = {e.file_name: e for e in load_evaluations(folder / "evaluation")}
    assert set(found) == {"real-left-seed3-n2.json", "real-left-skill=5-seed3-n2.json"}
    assert found["real-left-skill=5-seed3-n2.json"].settings == {"env.skill": 5}
    again = inside("evaluate.py", *words)
    assert "evaluated before" in again.stdout and again.stdout.split(";")[0] == first.stdout.split(";")[0]
    after = everything(folder)
    assert {path: after[path] for path in before} == before
    refused = inside("evaluate.py", *words, "--set", "vae.z_size=9")
    assert refused.returncode == 0  # no stage depends on it here, and nothing is written
    assert {path: everything(folder)[path] for path in before} == before


def test_a_release_pins_its_environment(tmp_path, inside):
    """It holds no episodes, yet what is in it was made in one environment."""
    folder = tmp_path / "release"
    shutil.copytree(RELEASE, folder)
    before = everything(folder)
    done = inside("collect_rollouts.py", "doomrnn", "--run", folder, "--set", "env.skill=5")
    assert done.returncode == 2 and "env.skill is 4, requested 5" in done.stderr
    assert everything(folder) == before


def test_a_refused_controller_writes_nothing(tmp_path, inside):
    """Another evaluate_every for a controller begun with 10: the run's settings stay, so does the plain command."""
    folder = tmp_path / "release"
    shutil.copytree(RELEASE, folder)
    before = everything(folder)
    words = ("train_controller.py", "doomrnn", "--run", folder, "--temperature", 0.1)
    done = inside(*words, "--set", "controller.evaluate_every=5")
    assert done.returncode == 2 and "evaluate_every is 10, requested 5" in done.stderr
    assert everything(folder) == before


# --- what is not begun (14) ---


def test_a_stage_without_a_row_is_not_begun(tmp_path):
    """What was refused inside takes back what began it, also the folder; a row or a checkpoint makes it begun."""
    folder = tmp_path / "run" / FOLDERS["rnn"]
    with pytest.raises(InputError), working(folder, {"rnn": {"batch_size": 9}}):
        (folder / "outcomes.jsonl").write_bytes(b"")
        raise InputError("a batch of 9 is too large")
    assert not (tmp_path / "run").exists()
    with working(folder, {"rnn": {"batch_size": 9}}):
        pass  # killed, say
    assert not is_begun(folder)
    with working(folder, {"rnn": {"batch_size": 3}}):
        assert json.loads((folder / "begun.json").read_text())["rnn"] == {"batch_size": 3}
        (folder / "metrics.jsonl").write_text("{}\n")
    assert is_begun(folder)
    with pytest.raises(InputError), working(folder, {"rnn": {"batch_size": 4}}):
        raise InputError("later")
    assert json.loads((folder / "begun.json").read_text())["rnn"] == {"batch_size": 3}


def test_a_changed_command_is_taken_after_a_refusal(tmp_path, inside):
    """V's batch is larger than the data: the message says so, and the command that follows it is not refused."""
    from samples import finish_stage, write_episodes

    folder = small_run(tmp_path / "run" if (tmp_path / "run").mkdir() is None else tmp_path)
    write_episodes(folder / "rollouts", [20, 20, 20])
    finish_stage(folder / "rollouts")
    before = everything(folder)
    done = inside("train_vae.py", "doomrnn", "--run", folder, "--set", "vae.batch_size=4000")
    assert done.returncode == 2 and "fewer than a batch of 4000" in done.stderr
    assert everything(folder) == before and not (folder / "vae").exists()
    done = inside("train_vae.py", "doomrnn", "--run", folder, "--set", "vae.batch_size=5000")
    assert "fewer than a batch of 5000" in done.stderr and "made with other settings" not in done.stderr


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"popsize": 7}, "must be an even number"),
        ({"sigma_init": 1e300}, "must be at most 100"),
        ({"sigma_init": 0.0}, "must be above 0"),
    ],
)
def test_settings_that_cannot_be_are_refused_where_they_are_said(values, said):
    """Before any stage is begun with them."""
    with pytest.raises(InputError, match=said):
        ControllerConfig(**values)


# --- advice (16) ---


def test_the_last_good_checkpoint_is_named_where_there_is_one(tmp_path):
    """And only there."""
    wild = [np.array([np.nan], np.float32)]
    with pytest.raises(NumericalError, match="nothing was saved yet"):
        save_checkpoint(tmp_path, wild, {})
    save_checkpoint(tmp_path, [np.ones(1, np.float32)], {})
    with pytest.raises(NumericalError, match="keeps the last good checkpoint"):
        save_checkpoint(tmp_path, wild, {})


def test_wild_weights_are_blamed_on_c():
    """Not on V and M, which are healthy."""
    from rollouts.rollout import wild

    assert wild(np.full(3, 0.1, np.float32)) == ""
    assert "smaller controller.sigma_init" in wild(np.array([0, -1e30], np.float32))


# --- output that nobody can write or read (8, 9, 11) ---


def namespace(setup: str, *command: object, **environment: str) -> subprocess.CompletedProcess:
    """A command in a mount namespace of its own, prepared by shell words; skipped where that is not allowed."""
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


READ_ONLY = 'mount --bind "{0}" "{0}" && mount -o remount,ro,bind "{0}"'


def test_a_read_only_run_is_evaluated_elsewhere(tmp_path):
    """It is said before anything is played, and --to takes the scores."""
    folder = tmp_path / "run"
    folder.mkdir()
    small_run(folder)
    words = python("evaluate.py", "doomrnn", "--run", folder, *PLAY)
    done = namespace(READ_ONLY.format(folder), *words)
    assert_refused(done, 2, "evaluation: cannot be written (Read-only file system)", "--to")
    done = namespace(READ_ONLY.format(folder), *words, "--to", tmp_path / "scores")
    assert done.returncode == 0 and list((tmp_path / "scores").glob("real-left-*.json"))
    assert not (folder / "evaluation").exists()


@pytest.mark.parametrize("policy", ["left", "agent"])
def test_no_temporary_folder_is_said(tmp_path, policy):
    """As in a container whose root file system is read-only: Docker mounts no /tmp of its own in it."""
    setup = " && ".join(READ_ONLY.format(folder) for folder in ("/tmp", "/var/tmp"))
    setup += f' && mount -t tmpfs tmpfs "{tmp_path}" && cd /proc'
    words = python("evaluate.py", "doomrnn", "--run", RELEASE, "--policy", policy, "--episodes", 2, "--seed", 3)
    words += ["--set", "env.time_limit=20", "--to", str(tmp_path / "scores")]
    launcher = python("reproduce.py", "doomrnn", "--preset", "smoke", "--ranks", 2, "--run", tmp_path / "run")
    for command in (words, launcher):
        done = namespace(setup, *command, TMPDIR="/nowhere")
        assert_refused(done, 1, "No usable temporary directory found in [", "docker run --tmpfs /tmp:exec", "TMPDIR")
    done = namespace(setup, *words, TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr


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


@pytest.mark.parametrize("words", [("evaluate.py", "--help"), ("evaluate.py", "doomrnn", "--run", "R", *PLAY)])
def test_output_that_nobody_reads(tmp_path, words):
    """``| head -0``: the scores are saved, and no traceback is printed."""
    folder = small_run(tmp_path)
    command = python(*[folder if word == "R" else word for word in words])
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command, env=ENVIRONMENT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=120
    )
    os.close(writer)
    assert len(done.stderr.splitlines()) <= 1 and "Traceback" not in done.stderr
    assert ("R" in words) == bool(list(folder.glob("evaluation/*.json")))


def test_a_terminal_that_knows_ascii_only(tmp_path):
    """± is +-, and what was played for the second policy is saved too."""
    folder = small_run(tmp_path)
    command = python("evaluate.py", "doomrnn", "--run", folder, *PLAY, "--policy", "left", "right")
    done = run(command, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" +- ") == 2 and len(list(folder.glob("evaluation/*.json"))) == 2


def test_scores_that_cannot_be_saved_are_shown(tmp_path, inside, monkeypatch):
    """A disk that fills up while the games are played: the scores are on the terminal."""
    import controller.evaluation

    def full(path, value):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(controller.evaluation, "write_json", full)
    done = inside("evaluate.py", "doomrnn", "--run", small_run(tmp_path), *PLAY)
    assert done.returncode == 1 and "No space left" in done.stderr
    assert "left in the real: " in done.stdout and "(2)" in done.stdout


def test_every_trouble_of_the_system_has_a_line():
    """Permissions, limits, locks, names: what, where and what to do; a fault of the program has none."""
    for number in (
        errno.ENOSPC,
        errno.EROFS,
        errno.EACCES,
        errno.EMFILE,
        errno.ENOLCK,
        errno.ENOTDIR,
        errno.ENAMETOOLONG,
    ):
        line = disk_trouble(OSError(number, os.strerror(number), "runs/x"))
        assert line.startswith(f"runs/x: {os.strerror(number)}; ") and "\n" not in line
    assert disk_trouble(OSError(errno.EBADF, "Bad file descriptor")) is None


def test_a_folder_below_a_file_cannot_be_written(tmp_path):
    """And one that is not there yet can."""
    (tmp_path / "file").write_text("")
    check_writable(tmp_path / "a" / "b")
    with pytest.raises(InputError, match="cannot be written"):
        check_writable(tmp_path / "file" / "a")


# --- launchers (7) ---


@pytest.mark.parametrize(
    "launcher",
    [
        {"PMI_RANK": "1", "PMI_SIZE": "2"},
        {"PMI_RANK": "0", "PMI_SIZE": "2"},
        {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"},
    ],
)
def test_another_mpis_launcher_is_refused_at_once(tmp_path, launcher):
    """Ranks that do not know of each other would wait for ever, or all do everything."""
    words = python("evaluate.py", "doomrnn", "--run", small_run(tmp_path), *PLAY)
    done = run(words, seconds=60, **launcher)
    assert_refused(done, 2, "this Python's MPI sees 1; start the ranks with", "mpirun")
    assert not (tmp_path / "evaluation").exists()


# --- machine code where nothing can be written (12) ---

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


# --- the page (10) ---


def test_a_page_names_what_failed(tmp_path, monkeypatch):
    """No ffmpeg, or a figure that cannot be drawn: the page is written, with the rest and with their names."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "no-ffmpeg"))
    from matplotlib import pyplot as plt
    from reporting.page import Page

    page = Page(tmp_path / "report")
    page.video("agent", np.zeros((2, 16, 16, 3), np.uint8), 30)
    page.figure("losses", plt.figure(), "losses")
    broken = plt.figure()
    monkeypatch.setattr(broken, "savefig", lambda *unused, **none: io.BytesIO(b"").read(None, 1))
    page.figure("broken", broken, "broken")
    with page.attempt("the rest of section dreams"):
        raise InputError("weights.npz: damaged")
    text = page.save("title").read_text()
    assert [name.split(" (")[0] for name in page.failed] == [
        "video agent",
        "figure broken",
        "the rest of section dreams",
    ]
    assert page.count == 1 and text.count("Could not be made: ") == 3 and "weights.npz: damaged" in text
    assert not (tmp_path / "report" / "agent.mp4").exists()


def test_two_commands_and_their_help_are_quick():
    """The checks load nothing heavy."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(SCRIPTS / "evaluate.py"), "--help"],
        env=ENVIRONMENT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "tensorflow" not in done.stderr and "keras" not in done.stderr.replace("keras_settings", "")
