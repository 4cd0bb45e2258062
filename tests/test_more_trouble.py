"""More of what happens to people: notebooks, closed streams, a shared machine's umask, other programs' files."""

import ast
import os
import shutil
import stat
import subprocess
import sys

import numpy as np
import pytest
from commands import ENVIRONMENT, ROOT, assert_refused, python, ranked, run
from samples import striped_frames
from test_trouble import namespace

import rollouts.collecting
from controller.checkpoints import find_controller, load_controller
from controller.evaluation import load_evaluations
from experiment.errors import InputError
from experiment.files import atomic_write, check_file_writable
from pendulum.scripted import PendulumScript
from rollouts.collecting import check_disk
from rollouts.scripted import BoxScript
from vae.episodes import list_episodes, read_episode
from vae.recordings import read_recording

RELEASE = ROOT / "results" / "doomrnn"
PLAY = ("--policy", "left", "--episodes", 2, "--seed", 3, "--set", "env.time_limit=20")


def small_run(folder):
    """A run's folder with its settings and no stage."""
    folder.mkdir(exist_ok=True)
    shutil.copy(RELEASE / "config.json", folder)
    return folder


# --- the machine ---


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o002, 0o664), (0o022, 0o644)])
def test_files_follow_the_umask(tmp_path, umask, mode):
    """Private where the user is, open to the group where a group works in one folder."""
    before = os.umask(umask)
    try:
        atomic_write(tmp_path / "a", b"one")
        atomic_write(tmp_path / "a", b"two")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode
    assert [path.name for path in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_bytes() == b"two"


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams(tmp_path, closed):
    """As a daemon has them: the scores are saved, and nothing is written into a file of ours."""
    folder = small_run(tmp_path / "run")
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *python("evaluate.py", "doomrnn", "--run", folder, *PLAY)]
    done = run(command)
    assert done.returncode == 0, done.stderr
    assert [e.scores for e in load_evaluations(folder / "evaluation")] == [[20.0, 20.0]]


def test_a_current_folder_that_is_gone(tmp_path):
    """Somebody else removed it: one line, where the game's library would end the process."""
    words = python("evaluate.py", "doomrnn", "--run", RELEASE, *PLAY)
    command = ["sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh", *words]
    done = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=120
    )
    assert_refused(done, 2, "the current folder cannot be used", "change to another one")


@pytest.mark.parametrize("script", ["train_vae.py", "reproduce.py"])
def test_scripts_of_one_process_under_mpirun(tmp_path, script):
    """Each rank would do all of it, and the first that finds the folder in use would end the others."""
    done = run(ranked(2, script, "doomrnn", "--preset", "smoke", "--run", tmp_path / "run"))
    assert done.returncode == 2 and not list(tmp_path.iterdir())
    assert f"error: {script} runs in one process, and here are 2; start it without mpirun" in done.stderr


def test_a_notebook_and_a_matplotlibrc(tmp_path):
    """`!python` hands on a notebook's backend, which is not installed here; nobody has LaTeX for every word."""
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfont.size: 30\nsavefig.dpi: 20\n")
    code = (
        "import cli; from reporting import figures as f; r = f.plt.rcParams;"
        "print(f.matplotlib.get_backend().lower(), r['text.usetex'], r['font.size'], r['savefig.dpi'])"
    )
    settings = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "MATPLOTLIBRC": str(tmp_path)}
    done = run([sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r}); {code}"], **settings)
    assert done.stdout.split() == ["agg", "False", "10.0", "figure"], done.stderr


def undeclared(source: str) -> list[str]:
    """Texts that a file reads or writes in whatever encoding the user's locale has."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    named = [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr in ("read_text", "write_text")]
    return [ast.unparse(call) for call in named if not {"encoding", "errors"} & {word.arg for word in call.keywords}]


def test_no_text_depends_on_the_locale():
    """On a cluster's LC_ALL=C, or one of Latin-1, the dream's page could not be read."""
    assert undeclared("p.read_text()\np.write_text('é', encoding='utf-8')\nread_text()") == ["p.read_text()"]
    files = [path for path in ROOT.glob("*/**/*.py") if path.relative_to(ROOT).parts[0] not in ("tests", ".venv")]
    assert {str(path): undeclared(path.read_text(encoding="utf-8")) for path in files} == {str(p): [] for p in files}


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
import sys; sys.path.insert(0, {str(ROOT / "scripts")!r})
from pathlib import Path
import numpy as np
from reporting.page import Page
page = Page(Path({str(tmp_path)!r}))
page.video("agent", np.random.default_rng(0).integers(0, 255, ({frames}, 64, 192, 3), np.uint8), 35)
print(page.count, len(page.failed), *(path.name for path in page.folder.iterdir()))
"""
    done = namespace(f'mount -t tmpfs -o size={size} tmpfs "{tmp_path}"', sys.executable, "-c", code)
    assert done.stdout.split() == (["1", "0", "agent.mp4"] if size == "10m" else ["0", "1"]), done.stderr


# --- what would never end, or would take away what is there ---


def test_episodes_that_are_never_long_enough(tmp_path, inside, monkeypatch):
    """More steps than the time limit has are refused at once; more than anybody survives after many attempts."""
    words = ("collect_rollouts.py", "doomrnn", "--preset", "smoke", "--run", tmp_path / "run")
    done = inside(*words, "--set", "env.time_limit=20", "--set", "collect.minimum_length=21")
    assert done.returncode == 2 and "no episode is longer than env.time_limit, 20" in done.stderr
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(rollouts.collecting, "HOPELESS", 3)
    done = inside(*words, "--set", "env.time_limit=2100", "--set", "collect.minimum_length=2100")
    assert done.returncode == 2, done.stderr
    assert f"{tmp_path / 'run' / 'rollouts'}: none of 3 episodes is 2100 steps long; delete the folder" in done.stderr


def test_the_disk_of_the_episodes_is_looked_at(tmp_path):
    """Where rollouts/ is a link to another disk, that one counts; few bytes are not 0.0 GB."""
    (tmp_path / "rollouts").symlink_to("/proc")
    with pytest.raises(InputError, match=r"2 episodes need about 0\.1 MB and 0\.0 MB are free"):
        check_disk(tmp_path / "rollouts", 2, 1000, 50)
    assert check_disk(tmp_path, 2, 1000, 50) == 100_000


def test_a_release_is_never_the_run_itself(tmp_path, inside):
    """Nobody is told to delete the run; and half a release is not left behind."""
    folder = tmp_path / "run"
    shutil.copytree(RELEASE, folder)
    (tmp_path / "link").symlink_to(folder)
    for to in (folder, tmp_path / "link"):
        done = inside("release.py", "--run", folder, "--to", to)
        assert done.returncode == 2 and "is the run itself" in done.stderr and "delete" not in done.stderr
    (folder / "evaluation" / "broken.json").write_text("{}")
    done = inside("release.py", "--run", folder, "--to", tmp_path / "half")
    assert done.returncode == 2 and "broken.json" in done.stderr and not (tmp_path / "half").exists()


# --- other programs' files ---


def test_files_of_other_programs(tmp_path):
    """A notebook's checkpoints and a Mac's second files are neither controllers nor scores nor recordings."""
    folder = tmp_path / "run"
    for name in ("dream-zch-tau1.15-s0", ".ipynb_checkpoints"):
        shutil.copytree(RELEASE / "controller" / "dream-zch-tau1.15-s0", folder / "controller" / name)
    (folder / "evaluation").mkdir()
    name = "real-left-seed7-n100.json"
    shutil.copy(RELEASE / "evaluation" / name, folder / "evaluation")
    (folder / "evaluation" / f"._{name}").write_bytes(b"\0\5\x16\7")
    assert find_controller(folder).name == "dream-zch-tau1.15-s0"
    assert [e.file_name for e in load_evaluations(folder / "evaluation")] == [name]


def test_a_controller_that_is_not_there(tmp_path, inside):
    """Those that are there are named, and nobody is told to fetch the release again."""
    there = "holds no controller '.*'; there are: dream-zch-tau0.10-s0, dream-zch-tau1.15-s0"
    for name in ("dream-zch", "", "best"):
        with pytest.raises(InputError, match=there):
            find_controller(RELEASE, name)
    with pytest.raises(InputError, match="checkpoint 'bset': one of best, last"):
        load_controller(find_controller(RELEASE, "dream-zch-tau0.10-s0"), "bset")
    done = inside("evaluate.py", "doomrnn", "--run", RELEASE, "--controller", "best", "--to", tmp_path)
    assert done.returncode == 2 and "holds no controller 'best'; there are: dream-zch-tau0.10-s0" in done.stderr


def test_weights_are_imported_for_tasks_that_have_some(inside):
    """The authors released none for the pendulum."""
    done = inside("import_weights.py", "pendulum", "--source", ".", "--run", "nowhere")
    assert done.returncode == 2 and "invalid choice: 'pendulum'" in done.stderr


def recording(path, steps: int, action: float) -> None:
    """An episode of another program."""
    frames = striped_frames(np.random.default_rng(0), steps)
    np.savez(path, obs=frames, action=np.full((steps, 1), action))


def test_recordings_do_not_mix(tmp_path, inside):
    """What is left of an import that was stopped is not kept; an import into collected episodes is refused."""
    source, folder = tmp_path / "source", tmp_path / "run"
    source.mkdir()
    for number in range(2):
        recording(source / f"{number}.npz", 3, 0.5)
    (source / "._0.npz").write_bytes(b"\0\5\x16\7")
    words = ("import_episodes.py", "doomrnn", "--source", source, "--run", folder, "--preset", "smoke")
    (folder / "rollouts").mkdir(parents=True)
    (folder / "rollouts" / "episode-000007.npz").write_bytes(b"of another source")
    done = inside(*words)
    assert done.returncode == 0, done.stderr
    assert [read_episode(path, 1).action[0, 0] for path in list_episodes(folder / "rollouts")] == [0.5, 0.5]
    shutil.rmtree(folder)
    (folder / "rollouts").mkdir(parents=True)
    (folder / "rollouts" / "attempts.jsonl").write_text('{"attempt": 0}\n')
    done = inside(*words)
    assert done.returncode == 2 and "collecting has begun there" in done.stderr
    assert not list((folder / "rollouts").glob("episode-*"))


def test_recordings_are_held_to_the_tasks_range(tmp_path):
    """The pendulum's torques reach 2; a brake is not negative."""
    from carracing.task import TASK as CARRACING
    from pendulum.task import TASK as PENDULUM

    recording(tmp_path / "a.npz", 3, -2.0)
    assert read_recording(tmp_path / "a.npz", 1, bounds=PENDULUM.bounds).action.tolist() == [[-2.0]] * 3
    with pytest.raises(InputError, match=r"actions must be in \[-1, 1\], as"):
        read_recording(tmp_path / "a.npz", 1)
    frames = striped_frames(np.random.default_rng(0), 3)
    np.savez(tmp_path / "b.npz", obs=frames, action=np.full((3, 3), -0.5))
    with pytest.raises(InputError, match=r"actions must be in \[-1, 1\], \[0, 1\], as"):
        read_recording(tmp_path / "b.npz", 3, bounds=CARRACING.bounds)


# --- names ---


def test_a_collecting_policy_is_named_by_its_hold(tmp_path, inside):
    """Torques held for 2 steps score otherwise than those held for 10: neither answers for the other."""
    assert PendulumScript("random_hold").label == BoxScript("random_hold").label == "random_hold"
    assert [kind("random_hold", max_hold=4).label for kind in (PendulumScript, BoxScript)] == ["random_hold4"] * 2
    assert PendulumScript("sweep").label == "sweep22" and PendulumScript("stay", max_hold=4).label == "stay"
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(ROOT / "results" / "pendulum" / "seed-0" / "iteration-01" / "config.json", folder)
    words = ("evaluate.py", "pendulum", "--run", folder, "--policy", "collector", "--episodes", 2, "--seed", 3)
    for hold in (10, 2):
        done = inside(*words, "--set", f"collect.max_hold={hold}")
        assert done.returncode == 0 and "evaluated before" not in done.stdout, done.stderr
    found = {e.file_name: e.scores for e in load_evaluations(folder / "evaluation")}
    assert set(found) == {"real-random_hold-seed3-n2.json", "real-random_hold2-seed3-n2.json"}
    assert len({tuple(scores) for scores in found.values()}) == 2
