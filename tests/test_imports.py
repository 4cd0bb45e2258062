"""The shape of the code base: who imports whom, what libraries keep their hands off, and what `--help` costs."""

import ast
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from commands import ROOT, SCRIPTS, TESTS, every_task, run
from conftest import ORDER

from controller.config import Preset

LAYERS = {
    "experiment": 0,
    "vae": 1,
    "rnn": 2,
    "rollouts": 3,
    "controller": 4,
    "doomrnn": 5,
    "pendulum": 5,
    "carracing": 5,
    "scripts": 6,
}
SCRIPT_MODULES = {path.stem for path in SCRIPTS.glob("*.py")} | {"benchmarking", "reliability", "reporting", "running"}
COMMANDS = sorted(path.name for path in SCRIPTS.glob("*.py") if '__name__ == "__main__"' in path.read_text())
PIPELINE = ("collect_rollouts", "train_vae", "encode_series", "train_rnn", "train_controller", "evaluate", "reproduce")
LIBRARIES = set(LAYERS) - {"scripts"}
LIBRARY_FILES = [path for package in sorted(LIBRARIES) for path in sorted((ROOT / package).glob("**/*.py"))]
HEAVY = {"tensorflow", "keras", "tf_keras", "tensorflow_probability", "scipy", "cma", "vizdoom", "mpi4py"}


def imported(tree: ast.AST) -> set[str]:
    """Dotted names of all modules imported anywhere in a file, functions included."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            names |= {word.value for word in node.args if isinstance(word, ast.Constant)}
    return names


def wrong_imports(package: str, source: str) -> set[str]:
    """Imports of a file of `package` that go against the one way."""
    wrong = set()
    for name in imported(ast.parse(source)):
        top = name.split(".")[0]
        if not top:
            continue  # relative, so its own
        upward = top in LAYERS and top != package and LAYERS[top] >= LAYERS[package]
        if upward or (top in SCRIPT_MODULES and package != "scripts"):
            wrong.add(name)
    return wrong


def meddling(source: str) -> set[str]:
    """What a library must not do: parse flags, or change what the whole process shares."""
    tree = ast.parse(source)
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    seeding = {call for call in calls if call.endswith(("random.seed", "random.set_seed", "set_random_seed"))}
    settings = {call for call in calls if "config.threading" in call or "enable_op_determinism" in call}
    flags = {name for name in imported(tree) if name.split(".")[0] in ("argparse", "absl", "optparse", "getopt")}
    return seeding | settings | flags


@pytest.mark.parametrize("package", LAYERS)
def test_imports_run_one_way(package):
    """experiment <- vae <- rnn <- rollouts <- controller <- the tasks <- scripts; no task imports another."""
    files = sorted((ROOT / package).glob("**/*.py"))
    assert files
    wrong = {file.name: wrong_imports(package, file.read_text()) for file in files}
    assert not {name: names for name, names in wrong.items() if names}


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("experiment", "from vae.model import VAE"),
        ("vae", "import rnn.model"),
        ("rollouts", "from controller.policies import Policy"),
        ("rnn", "def f():\n    from rollouts.farm import Farm"),
        ("doomrnn", "import carracing"),
        ("carracing", "from doomrnn import env"),
        ("controller", "import importlib\nimportlib.import_module('doomrnn.task')"),
        ("rnn", "import cli"),
    ],
)
def test_an_import_the_other_way_would_be_found(package, source):
    """The rule above can fail."""
    assert wrong_imports(package, source)
    assert not wrong_imports("scripts", source)


def test_libraries_leave_the_process_alone():
    """No flags, no global seeds, no threads set anywhere outside scripts/."""
    assert len(LIBRARY_FILES) > 40
    found = {str(file): meddling(file.read_text()) for file in LIBRARY_FILES}
    assert not {name: what for name, what in found.items() if what}


@pytest.mark.parametrize(
    "source",
    [
        "import argparse",
        "np.random.seed(0)",
        "import random\ndef f():\n    random.seed(1)",
        "tf.random.set_seed(3)",
        "keras.utils.set_random_seed(3)",
        "tf.config.threading.set_intra_op_parallelism_threads(1)",
    ],
)
def test_a_library_that_meddles_would_be_found(source):
    """The rule above can fail."""
    assert meddling(source)


def test_names_of_modules():
    """No module bears its package's name, and there is no drawer for odds and ends."""
    for package in LAYERS:
        modules = {file.stem for file in (ROOT / package).glob("*.py")}
        assert not modules & {package, "utils", "util", "common", "helpers", "misc"}, package


def test_scripts_and_tests_are_not_packages():
    """What is installed are the libraries alone."""
    for folder in ("scripts", "tests"):
        assert not (ROOT / folder / "__init__.py").exists()
    for package in LIBRARIES:
        assert (ROOT / package / "__init__.py").exists()


PROBE = f"""
import runpy, sys
script, sys.argv = sys.argv[1], sys.argv[1:]
sys.path.insert(0, {str(SCRIPTS)!r})
try:
    runpy.run_path(script, run_name="__main__")
finally:
    print(*sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)
"""


def help_of(script: str, *words: str) -> list[str]:
    """The lines of a script's help for these words, which loads nothing heavy and says nothing else."""
    done = run([sys.executable, "-c", PROBE, str(SCRIPTS / script), *words])
    assert done.returncode == 0
    assert done.stderr.strip() == ""
    return done.stdout.splitlines()


def settings_of(lines: list[str], task: str) -> dict[str, str]:
    """The lines that a help shows of a task, by the ``stage.field`` they begin with."""
    begin = lines.index(f"settings of {task}, preset paper:")
    words = [line.split() for line in lines[begin:]]
    end = next((n for n, line in enumerate(words[1:], 1) if line[:2] == ["settings", "of"]), len(words))
    table = zip(words[2:end], lines[begin + 2 :], strict=False)
    return {line[0]: text for line, text in table if line and text.startswith("  ")}


def assert_all_fields(shown: dict[str, str], preset: Preset) -> None:
    """Every field of a preset has a line with its value, meaning and source; there is no other line."""
    expected = {f"{stage}.{item.name}": item for stage, c in vars(preset.stages).items() for item in fields(c)}
    assert shown.keys() == expected.keys()
    for name, item in expected.items():
        meta, (stage, key) = item.metadata, name.split(".")
        source = preset.sources.get(name, meta["source"])
        assert meta["help"] and source
        assert shown[name].split()[1] == str(getattr(getattr(preset.stages, stage), key))
        assert f"  {meta['help']}  " in shown[name] and shown[name].endswith(f"  {source}")


@pytest.mark.parametrize("script", COMMANDS)
def test_help_lists_every_field_and_loads_nothing_heavy(script):
    """`--help` answers at once: no TensorFlow, engine or MPI is imported for it, and all settings stand in it."""
    lines = help_of(script, "--help")
    if script.removesuffix(".py") in PIPELINE:
        for task in every_task():
            assert_all_fields(settings_of(lines, task.name), task.presets["paper"])


@pytest.mark.parametrize("task", every_task(), ids=lambda task: task.name)
def test_help_of_a_task_lists_its_settings_alone(task):
    """With a TASK before or after it, `--help` shows that task's settings and no other's."""
    lines = help_of("train_vae.py", task.name, "--help")
    assert lines == help_of("train_vae.py", "--run", "nowhere", "--help", task.name)
    assert [line for line in lines if line.startswith("settings of")] == [f"settings of {task.name}, preset paper:"]
    assert_all_fields(settings_of(lines, task.name), task.presets["paper"])


def test_help_of_a_preset_lists_its_values():
    """`--preset quick --help` shows quick's values, and says which of them are its own."""
    lines = help_of("train_vae.py", "doomrnn", "--preset", "quick", "--help")
    assert "settings of doomrnn, preset quick:" in lines
    (line,) = (line for line in lines if line.startswith("  vae.max_frames "))
    assert line.split()[1] == "165000" and line.endswith("  preset quick")


@pytest.mark.parametrize("script", [name for name in COMMANDS if "one_thread_a_rank" in (SCRIPTS / name).read_text()])
def test_threads_are_set_before_numpy(script):
    """A rank's BLAS reads its number of threads when NumPy is loaded, so nothing before the setting may load it."""
    source = (SCRIPTS / script).read_text()
    before = source[: source.index("cli.one_thread_a_rank()")]
    done = run(
        [
            sys.executable,
            "-c",
            f"import sys\nsys.path.insert(0, {str(SCRIPTS)!r})\nexec({before!r})\nprint('numpy' in sys.modules)",
        ]
    )
    assert done.stdout.strip() == "False", done.stderr


def test_errors_in_the_arguments_load_nothing_heavy():
    """A wrong word is answered as fast as `--help`."""
    words = ["doomrnn", "--run", "nowhere", "--preset", "smoke", "--set", "rnn.nonsense=1"]
    done = run([sys.executable, "-c", PROBE, str(SCRIPTS / "train_rnn.py"), *words])
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].strip() == ""
    assert not Path("nowhere").exists()


def test_every_script_shows_its_command():
    """The docstring of a script holds the line to type."""
    assert {f"{name}.py" for name in PIPELINE} <= set(COMMANDS)
    for script in COMMANDS:
        docstring = ast.get_docstring(ast.parse((SCRIPTS / script).read_text()))
        assert f"python scripts/{script}" in docstring or f"mpi4py scripts/{script}" in docstring


def test_every_file_of_tests_has_its_place():
    """In the order that fails fast: a file that is not listed would come last."""
    assert sorted(ORDER) == sorted(path.name for path in TESTS.glob("test_*.py"))
