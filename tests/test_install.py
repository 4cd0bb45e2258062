"""Installing and cloning on anybody's machine: which Python `make` takes, what an install finds, what a clone holds."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from commands import ROOT
from released import RELEASE

from experiment.errors import InputError
from experiment.files import check_manifest, read_file
from experiment.provenance import commit

PYTHONS = {"3.11": True, "3.12": True, "3.13": True, "3.10": False, "3.14": False, "2.7": False}
OUTSIDE = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHON", "VENV")}


# --- make ---


def pretend(folder: Path, name: str, version: str) -> None:
    """A Python in `folder` that is this one, but says that it is of another version."""
    numbers = ", ".join(version.split("."))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(
        f"""#!{sys.executable} -S
import sys
sys.version_info = type("Version", (tuple,), {{"major": {version.split(".")[0]}}})(({numbers}, 1, "final", 0))
if sys.argv[1] == "-V":
    print("Python {version}.1")
elif sys.argv[1] == "-c":
    exec(sys.argv[2])
"""
    )
    (folder / name).chmod(0o755)


@pytest.fixture
def tree(tmp_path):
    """A folder with a blank in its name that holds what `make install` reads, and a path with nothing but tools."""
    folder, tools = tmp_path / "a tree", tmp_path / "tools"
    folder.mkdir()
    tools.mkdir()
    for name in ("Makefile", "setup.py", "requirements-lock.txt"):
        shutil.copy(ROOT / name, folder)
    for name in ("make", "sh", "cat", "head", "test"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not on this machine")
        (tools / name).symlink_to(shutil.which(name))
    return folder, tools


def plan(tree, *words: str) -> subprocess.CompletedProcess:
    """What `make install` would do with only these tools on the path."""
    folder, tools = tree
    command = ["make", "-n", "install", *words]
    environment = {"PATH": str(tools)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", PYTHONS)
def test_make_takes_a_fitting_python_and_refuses_others(tree, version):
    """A `python3` of the range is taken; of another version the first line says so, and nothing is made."""
    pretend(tree[1], "python3", version)
    if PYTHONS[version]:
        assert plan(tree).stdout.startswith("'python3' -m venv --clear '.venv'\n")
        return
    done = subprocess.run(
        ["make", "install"], cwd=tree[0], env={"PATH": str(tree[1])}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and not (tree[0] / ".venv").exists()
    assert done.stderr.splitlines()[0].startswith("make: needs Python 3.11, 3.12 or 3.13")
    assert f"python3 is: Python {version}.1" in done.stderr.splitlines()[0]


def test_make_looks_further_than_python3(tree):
    """Where `python3` is too old or too new, one with a fitting name is found; a broken one is passed over."""
    pretend(tree[1], "python3", "3.14")
    (tree[1] / "python3.13").write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    (tree[1] / "python3.13").chmod(0o755)
    pretend(tree[1], "python3.12", "3.12")
    assert plan(tree).stdout.startswith("'python3.12' -m venv")
    assert plan(tree, "PYTHON=python3.12").stdout.startswith("'python3.12' -m venv")
    assert "python3.13 is: " in plan(tree, "PYTHON=python3.13").stdout  # the one that was named, and no other


def test_make_rebuilds_an_environment_of_another_python(tree):
    """One of the asked Python stays; of another, of one that is gone, half made or moved, it is made anew."""
    pretend(tree[1], "python3", "3.12")
    beside = tree[0] / ".venv" / "bin"
    stamp = tree[0] / ".venv" / "installed"
    pretend(beside, "python", "3.12")
    stamp.write_text(f"{tree[0]}\n")
    shutil.copy(ROOT / "Makefile", tree[0] / ".venv")  # it is not the clocks that decide
    for path in (tree[0] / "setup.py", tree[0] / "requirements-lock.txt"):
        os.utime(path, (1, 1))
    (beside / "pip.py").write_text("")  # what the pretended Python finds as pip
    environment = f"#!/bin/sh\nPYTHONPATH='{beside}' exec '{beside}/real' \"$@\"\n"
    (beside / "python").rename(beside / "real")
    (beside / "python").write_text(environment)
    (beside / "python").chmod(0o755)
    rebuilt = "-m venv --clear '.venv'"
    assert rebuilt not in plan(tree).stdout
    pretend(tree[1], "python3.13", "3.13")
    assert f"'python3.13' {rebuilt}" in plan(tree, "PYTHON=python3.13").stdout
    stamp.write_text("/where/it/was/before\n")
    assert f"'python3' {rebuilt}" in plan(tree).stdout
    stamp.write_text(f"{tree[0]}\n")
    (beside / "pip.py").unlink()
    assert f"'python3' {rebuilt}" in plan(tree).stdout
    (beside / "pip.py").write_text("")
    pretend(beside, "real", "3.10")
    assert f"'python3' {rebuilt}" in plan(tree).stdout
    (beside / "python").unlink()
    assert f"'python3' {rebuilt}" in plan(tree).stdout


# --- what an install finds ---


def installed_editable() -> bool:
    """Whether this tree is what this Python has installed."""
    try:
        origin = json.loads(metadata.distribution("world-models-tf").read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return False
    return origin.get("url") == ROOT.as_uri() and bool(origin.get("dir_info", {}).get("editable"))


FIND = "import doomrnn, vae; from doomrnn.task import TASK; print(TASK.name, doomrnn.__file__, vae.__file__)"


def assert_found(folder: Path, packages: Path, path: str | None) -> None:
    """From a folder with bare ones of the same names, the packages in `packages` are what is imported."""
    for name in ("doomrnn", "vae", "controller"):
        (folder / name).mkdir()
        (folder / name / "train.py").write_text("")
    environment = OUTSIDE | ({"PYTHONPATH": path} if path else {})
    done = subprocess.run(
        [sys.executable, "-c", FIND], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    wanted = f"doomrnn {packages / 'doomrnn' / '__init__.py'} {packages / 'vae' / '__init__.py'}"
    assert done.stdout.strip() == wanted, done.stderr


def test_an_editable_install_comes_before_bare_folders(tmp_path):
    """`import doomrnn` beside a `doomrnn/` of the authors' code, which has no `__init__.py`, takes ours."""
    if not installed_editable():
        pytest.skip("another tree than this one is installed")
    assert_found(tmp_path, ROOT, None)


def fast() -> list[str]:
    """Builds without an environment of their own where this Python has what builds."""
    try:
        return ["--no-build-isolation"] if int(metadata.version("setuptools").split(".")[0]) >= 61 else []
    except metadata.PackageNotFoundError:
        return []


def test_a_wheel_works_from_any_folder(tmp_path):
    """`pip wheel .` makes one that holds all packages; installed, they are found beside bare folders too."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    names = ["setup.py", "pyproject.toml", "README.md"]
    packages = [path.parent.name for path in ROOT.glob("*/__init__.py")]
    for name in names:
        shutil.copy(ROOT / name, source)
    for name in packages:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    made = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *fast(), "--no-deps", "--wheel-dir", str(tmp_path), str(source)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if "No matching distribution found for setuptools" in made.stderr or "No module named pip" in made.stderr:
        pytest.skip("setuptools or pip is not to be had here")
    assert made.returncode == 0, made.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    assert {path.parent.name for path in target.glob("*/__init__.py")} == set(packages)
    away = tmp_path / "away"
    away.mkdir()
    assert_found(away, target, str(target))


def test_python_requires_what_make_takes():
    """setup.py and the Makefile say the same range."""
    assert 'python_requires=">=3.11,<3.14"' in (ROOT / "setup.py").read_text()
    makefile = (ROOT / "Makefile").read_text()
    assert "FIRST = 3, 11\n" in makefile and "LAST = 3, 13\n" in makefile
    assert "3.11, 3.12 or 3.13" in (ROOT / "README.md").read_text()


# --- what a clone holds ---


def git(folder: Path, *words: str) -> str:
    """Git's answer, untouched by the user's own settings."""
    if shutil.which("git") is None:
        pytest.skip("git is not on this machine")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = [
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@t",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "protocol.file.allow=always",
    ]
    command = ["git", "-C", str(folder), *who, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_a_clone_keeps_every_byte_of_the_release(tmp_path):
    """Whatever line ends the user's git is told to write, the released files fit their manifests."""
    origin = tmp_path / "origin"
    origin.mkdir()
    shutil.copy(ROOT / ".gitattributes", origin)
    shutil.copytree(RELEASE, origin / RELEASE.relative_to(ROOT))
    (origin / "script.py").write_text("print(1)\n")
    git(origin, "init", "-q")
    git(origin, "-c", "core.compression=0", "add", "-A", "--force")
    git(origin, "commit", "-qm", "all")
    for setting in ("core.autocrlf=true", "core.eol=crlf"):
        clone = tmp_path / setting
        git(tmp_path, "-c", setting, "clone", "-q", "--config", setting, str(origin), str(clone))
        assert (clone / "script.py").read_bytes() == b"print(1)\n"
        for manifest in RELEASE.rglob("manifest.json"):
            folder = clone / manifest.parent.relative_to(ROOT)
            check_manifest(folder)
            for path in folder.iterdir():
                assert path.is_dir() or read_file(path) == (ROOT / path.relative_to(clone)).read_bytes()
        assert git(clone, "status", "--porcelain") == ""


def test_nobody_is_told_to_delete_a_release(tmp_path):
    """A damaged file of one is to be taken anew, one with other line ends cloned again; a run's advice stays."""
    release = tmp_path / "release"
    shutil.copytree(RELEASE, release)
    metrics, weights = release / "vae" / "metrics.jsonl", release / "rnn" / "weights.npz"
    metrics.write_bytes(metrics.read_bytes().replace(b"\n", b"\r\n"))
    weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(
        InputError, match="its line ends were changed on the way; clone again, with git's core.autocrlf"
    ):
        read_file(metrics, "delete the folder")
    for read in (lambda: read_file(weights, "delete the folder"), lambda: check_manifest(weights.parent, "delete it")):
        with pytest.raises(InputError, match="take .*/release/rnn anew from where it came") as refusal:
            read()
        assert "delete" not in str(refusal.value).replace(str(tmp_path), "")
    (release / "rollouts").mkdir()
    with pytest.raises(InputError, match="damaged, .*; delete the folder"):
        read_file(weights, "delete the folder")


def test_the_commit_is_never_that_of_a_repository_around(tmp_path, monkeypatch):
    """A copy inside another repository is of no known commit, whatever a hook's GIT_DIR says."""
    git(tmp_path, "init", "-q")
    shutil.copytree(ROOT / "experiment", tmp_path / "inner" / "experiment")
    shutil.copytree(ROOT / "experiment", tmp_path / "experiment")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "all")
    head = git(tmp_path, "rev-parse", "HEAD")

    def said(folder: Path, **environment: str) -> str:
        code = "from experiment.provenance import commit; print(commit())"
        command = [sys.executable, "-c", code]
        environment = OUTSIDE | {"PYTHONPATH": str(folder)} | environment
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert said(tmp_path) == head
    assert said(tmp_path / "inner") == "unknown"
    assert said(tmp_path / "inner", GIT_DIR=str(tmp_path / ".git")) == "unknown"
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    assert commit() != head
