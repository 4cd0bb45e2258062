"""The order of the tests, cheap ones first, and the one tiny run of the whole pipeline that the slow ones share."""

import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as `use_tensorflow` has it in what the tests start

import pytest
from commands import SCRIPTS, python, run
from filelock import FileLock
from hypothesis import settings

# a shell starts what it puts into the background with Ctrl-C ignored, and every process of the tests would inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("default", max_examples=30)
settings.register_profile("torture", max_examples=500)
settings.load_profile("default")

ORDER = (
    # no TensorFlow, no game, no other process
    "test_imports.py",
    "test_public.py",
    "test_config.py",
    "test_docs.py",
    "test_cards.py",
    "test_task.py",
    "test_files.py",
    "test_random_streams.py",
    "test_cores.py",
    "test_install.py",
    "test_storage.py",
    "test_interrupts.py",
    "test_runs.py",
    "test_recordings.py",
    "test_fuzz.py",
    "test_frames.py",
    "test_preprocessing.py",
    "test_batches.py",
    "test_cma_es.py",
    "test_controller.py",
    "test_evaluation.py",
    "test_statistics.py",
    "test_compare_scores.py",
    "test_survival.py",
    "test_controller_records.py",
    "test_claims.py",
    "test_benchmark.py",
    # networks
    "test_keras_settings.py",
    "test_tiles.py",
    "test_policies.py",
    "test_vae_model.py",
    "test_mdn.py",
    "test_rnn_model.py",
    "test_step_counter.py",
    "test_published_rnn.py",
    "test_encoding.py",
    "test_training.py",
    "test_dream.py",
    "test_dream_env.py",
    "test_agent.py",
    "test_public_inputs.py",
    "test_carracing.py",
    "test_driving.py",
    "test_pendulum.py",
    # processes and games
    "test_farm.py",
    "test_many_ranks.py",
    "test_doom_env.py",
    "test_doom_engine.py",
    "test_collecting.py",
    # the whole pipeline; files of a minute or more first, so that no worker waits long for the other at the end
    "test_procedure.py",
    "test_own_task.py",
    "test_carracing_pipeline.py",
    "test_iterate.py",
    "test_made_from.py",
    "test_bad_input.py",
    "test_containers.py",
    "test_fitness_ranks.py",
    "test_doom_pipeline.py",
    "test_release.py",
    "test_import_weights.py",
    "test_shells.py",
    "test_refusals.py",
    "test_labels.py",
    "test_measured_models.py",
    "test_report.py",
    "test_dream_page.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """What runs the tests computes with one thread, as ranks do: only so does a tile's row come to the same anywhere.

    What they start has the threads that it would have from a shell: `commands` has kept the environment of before, and
    the process that starts pytest's workers, which inherit its own, runs no test.
    """
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        os.environ["TF_NUM_INTRAOP_THREADS"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in ORDER, which names all (test_imports.py)."""
    place = {name: number for number, name in enumerate(ORDER)}
    items.sort(key=lambda item: place.get(item.path.name, len(ORDER)))


class SmokeRun(NamedTuple):
    """A finished run of the smoke preset, not to be changed, and what its command printed."""

    path: Path
    output: str


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> SmokeRun:
    """The whole pipeline on the real game, on two ranks; once for all of pytest's workers."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    path, said = folder / "smoke run", folder / "smoke run.txt"  # a blank, as in many a path
    with FileLock(folder / "smoke run.lock"):
        if not said.exists():
            done = run(python("reproduce.py", "doomrnn", "--preset", "smoke", "--run", path, "--ranks", 2), seconds=500)
            assert done.returncode == 0, f"the pipeline failed:\n{done.stdout}\n{done.stderr}"
            said.write_text(done.stdout)
    return SmokeRun(path, said.read_text())


@pytest.fixture(scope="module")
def game():
    """An engine of take cover that a file's tests share: what one has played must not matter to the next."""
    from doomrnn.env import TakeCoverGame

    game = TakeCoverGame()
    yield game
    game.close()


class InsideScripts:
    """Runs scripts within this process, where TensorFlow is loaded already; their code and output as of a process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture):
        self._monkeypatch, self._capfd = monkeypatch, capfd

    def __call__(self, script: str, *words: object) -> subprocess.CompletedProcess:
        """Run scripts/`script` with these words."""
        command = [str(SCRIPTS / script), *map(str, words)]
        self._capfd.readouterr()
        code = 0
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "argv", command)
            patch.setattr(sys, "path", [*sys.path])  # a task of one's own adds the current folder
            try:
                runpy.run_path(command[0], run_name="__main__")
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        output, errors = self._capfd.readouterr()
        return subprocess.CompletedProcess(command, code, output, errors)


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> Iterator[Callable]:
    """See `InsideScripts`; the environment is put back afterwards."""
    before = dict(os.environ)
    yield InsideScripts(monkeypatch, capfd)
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture
def in_one_process(monkeypatch: pytest.MonkeyPatch, inside: InsideScripts) -> InsideScripts:
    """`inside` for scripts that start others: those run inside as well, one after the other."""
    import launch

    monkeypatch.setattr(launch, "Launcher", launch.Inside)
    return inside
