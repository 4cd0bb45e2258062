"""Where a command is started from: pipes, daemons, notebooks, locales, another launcher, a folder that is gone."""

import ast
import os
import subprocess
import sys

import pytest
from commands import ENVIRONMENT, ROOT, SCRIPTS, assert_refused, python, ranked, run
from released import PLAY, RELEASE, SHORT, settings_alone

from controller.score_files import load_evaluations


@pytest.mark.parametrize("words", [("evaluate.py", "--help"), ("evaluate.py", "doomrnn", "--run", "R", *PLAY)])
def test_output_that_nobody_reads(tmp_path, words):
    """``| head -0``: the scores are saved, and no traceback is printed."""
    folder = settings_alone(tmp_path)
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
    folder = settings_alone(tmp_path)
    command = python("evaluate.py", "doomrnn", "--run", folder, *PLAY, "--policy", "left", "right")
    done = run(command, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" +- ") == 2 and len(list(folder.glob("evaluation/*.json"))) == 2


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams(tmp_path, closed):
    """As a daemon has them: the scores are saved, and nothing is written into a file of ours."""
    folder = settings_alone(tmp_path / "run")
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *python("evaluate.py", "doomrnn", "--run", folder, *SHORT)]
    done = run(command)
    assert done.returncode == 0, done.stderr
    assert [e.scores for e in load_evaluations(folder / "evaluation")] == [[20.0, 20.0]]


def test_a_current_folder_that_is_gone(tmp_path):
    """Somebody else removed it: one line, where the game's library would end the process."""
    words = python("evaluate.py", "doomrnn", "--run", RELEASE, *SHORT)
    command = ["sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh", *words]
    done = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=120
    )
    assert_refused(done, 2, "the current folder cannot be used", "change to another one")


def test_a_notebook_and_a_matplotlibrc(tmp_path):
    """`!python` hands on a notebook's backend, which is not installed here; nobody has LaTeX for every word."""
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfont.size: 30\nsavefig.dpi: 20\n")
    code = (
        "import cli; from reporting import figures as f; r = f.plt.rcParams;"
        "print(f.matplotlib.get_backend().lower(), r['text.usetex'], r['font.size'], r['savefig.dpi'])"
    )
    settings = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "MATPLOTLIBRC": str(tmp_path)}
    done = run([sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); {code}"], **settings)
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
    "launcher",
    [
        {"PMI_RANK": "1", "PMI_SIZE": "2"},
        {"PMI_RANK": "0", "PMI_SIZE": "2"},
        {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"},
    ],
)
def test_another_mpis_launcher_is_refused_at_once(tmp_path, launcher):
    """Ranks that do not know of each other would wait for ever, or all do everything."""
    words = python("evaluate.py", "doomrnn", "--run", settings_alone(tmp_path), *PLAY)
    done = run(words, seconds=60, **launcher)
    assert_refused(done, 2, "this Python's MPI sees 1; start the ranks with", "mpirun")
    assert not (tmp_path / "evaluation").exists()


@pytest.mark.parametrize("script", ["train_vae.py", "reproduce.py"])
def test_scripts_of_one_process_under_mpirun(tmp_path, script):
    """Each rank would do all of it, and the first that finds the folder in use would end the others."""
    done = run(ranked(2, script, "doomrnn", "--preset", "smoke", "--run", tmp_path / "run"))
    assert done.returncode == 2 and not list(tmp_path.iterdir())
    assert f"error: {script} runs in one process, and here are 2; start it without mpirun" in done.stderr
