"""What all scripts share: their flags, how they end, and where they stand among MPI ranks.

Nothing here loads NumPy before it is needed: a rank sets its threads first, and `--help` and wrong arguments answer at
once.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiment.config import describe, override
from experiment.errors import InputError, NumericalError, command, disk_trouble
from experiment.files import read_json
from experiment.runs import Run, load_run, open_run
from experiment.stages import need

if TYPE_CHECKING:
    from controller.config import Stages
    from controller.task import Task

TASKS = ("doomrnn", "carracing", "pendulum")
OWN_TASK = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")  # module:attribute
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's greetings
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}


def one_thread_a_rank() -> None:
    """Rollout ranks use one thread each and no GPU; to be called before NumPy is imported."""
    os.environ.update(ONE_THREAD)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line from one rank, and whose help ends with the settings of the task named."""

    lists_settings = False

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def,override]
        """Parse, with the words in hand for the help."""
        self._words = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def format_help(self) -> str:
        """Return the help; its settings are those of the TASK and --preset among the words."""
        if self.lists_settings:
            try:
                self.epilog = _settings_help(self._words).replace("%", "%%")
            except InputError as error:
                self.error(str(error))
        return super().format_help()

    def error(self, message: str) -> None:  # type: ignore[override]
        fail(f"{self.prog}: {message} (see --help)")
        raise SystemExit(2)


def fail(line: str) -> None:
    """One line on standard error, from rank 0 only."""
    if rank() == 0:
        print(line, file=sys.stderr, flush=True)


def rank() -> int:
    """This process's MPI rank as mpirun tells it, 0 without mpirun."""
    return int(os.environ.get("OMPI_COMM_WORLD_RANK") or os.environ.get("PMI_RANK") or 0)


def communicator() -> Any:
    """MPI's communicator of all ranks, or None for a process started without mpirun."""
    if not (os.environ.get("OMPI_COMM_WORLD_SIZE") or os.environ.get("PMI_SIZE")):
        return None
    from mpi4py import MPI

    return MPI.COMM_WORLD


def load_tensorflow() -> None:
    """Import TensorFlow without the greetings it prints whatever its log level; they are shown if it fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            import tensorflow as tf

            tf.zeros(1)
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def parser(
    doc: str, preset: bool = True, fields: bool = True, seed_help: str = "seed of the run (default 0)"
) -> Parser:
    """A parser with the flags every script takes; `doc` is the script's docstring."""
    made = Parser(description=doc, formatter_class=Formatter)
    made.lists_settings = fields
    which = f"one of: {', '.join(TASKS)}; or one of your own, as module:attribute (docs/your_task.md)"
    made.add_argument("task", type=task_name, metavar="TASK", help=which)
    made.add_argument("--run", type=Path, required=True, metavar="DIR", help="the run's folder")
    if preset:
        made.add_argument(
            "--preset", metavar="P", help="settings to start from, such as paper or quick (default: the run's own)"
        )
    made.add_argument("--seed", type=seed, default=None, help=seed_help)
    made.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="STAGE.FIELD=VALUE",
        help="change one setting (repeatable); --help after a TASK lists them",
    )
    return made


class Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=30, width=110)


def _settings_help(words: list[str]) -> str:
    """The settings of the task that the words name, with the values of their preset; without one, of all tasks."""
    pre = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    pre.add_argument("--preset", nargs="?")
    wanted = pre.parse_known_args(words)[0].preset
    named = [word for word in words if word in TASKS or OWN_TASK.fullmatch(word)]
    return "\n\n".join(_task_settings(name, wanted) for name in named[:1] or TASKS)


def _task_settings(name: str, wanted: str | None) -> str:
    """The table of a task's settings in a preset, "paper" where the one wanted is none of the task's."""
    presets = task(name).presets
    preset = presets.get(wanted or "", presets["paper"])
    return f"settings of {name}, preset {preset.name}:\n{describe(preset.stages, preset.all_sources(presets['paper']))}"


def task_name(text: str) -> str:
    """An argument that names a task."""
    if text in TASKS:
        return text
    if OWN_TASK.fullmatch(text):
        try:
            task(text)
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return text
    raise argparse.ArgumentTypeError(f"{text}: not one of {', '.join(TASKS)}, and no module:attribute")


def seed(text: str) -> int:
    """An argument that is a seed."""
    value = int(text)
    if not 0 <= value < 2**31:
        raise argparse.ArgumentTypeError(f"{text}: a seed is a whole number from 0 to 2147483647")
    return value


def positive(text: str) -> int:
    """An argument that counts something."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be at least 1")
    return value


def temperature(text: str) -> float:
    """An argument that is a temperature."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: a temperature is a number above 0")
    return value


def task(name: str) -> Task:
    """A task's description, loaded by name, or from a module of the user's (in the current folder, or installed)."""
    if name in TASKS:
        return importlib.import_module(f"{name}.task").TASK
    from controller.task import Task

    module, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found = getattr(importlib.import_module(module), attribute)
    except InputError:
        raise
    except Exception as error:  # whatever somebody else's module raises
        raise InputError(f"TASK {name}: cannot be loaded ({type(error).__name__}: {error})") from None
    if not isinstance(found, Task):
        raise InputError(f"TASK {name}: is a {type(found).__name__}, and must be a controller.task.Task")
    return replace(found, name=name)


def resolve(arguments: argparse.Namespace, own_seed: bool = False) -> Run:
    """The run the arguments name, opened or made; `own_seed` keeps ``--seed`` for the script itself."""
    chosen = task(arguments.task)
    preset = getattr(arguments, "preset", None)
    exists = (arguments.run / "config.json").exists()
    if preset is None and not exists:
        first = command("scripts/collect_rollouts.py", arguments.task, "--run", arguments.run, "--preset", "quick")
        raise InputError(f"{arguments.run}: no run there yet; start one with {first}")
    if preset is not None and preset not in chosen.presets:
        raise InputError(f"--preset {preset}: unknown; one of {', '.join(chosen.presets)}")
    stages, explicit = overridden(chosen.presets[preset or "paper"].stages, arguments.overrides)
    seed = 0 if own_seed or arguments.seed is None else arguments.seed
    explicit |= {"seed"} if arguments.seed is not None and not own_seed else set()
    wanted = Run(arguments.run, arguments.task, preset or "paper", seed, stages)
    return open_run(arguments.run, wanted, explicit, preset_given=preset is not None)


def overridden(stages: Stages, words: list[str]) -> tuple[Stages, set[str]]:
    """Stages with the words of ``--set`` applied, and the ``stage.field`` these name."""
    for word in words:
        stages = override(stages, word)
    return stages, {word.partition("=")[0] for word in words}


def open_existing(path: Path) -> Run:
    """The run in a folder, whatever its task; InputError where there is none."""
    stored = read_json(path / "config.json", "name a run's folder with --run")
    name = stored.get("task") if isinstance(stored, dict) else None
    if not isinstance(name, str) or not (name in TASKS or OWN_TASK.fullmatch(name)):
        raise InputError(f"{path / 'config.json'}: not a run's configuration (task {name!r})")
    return load_run(path, task(name).presets["paper"].stages)


def need_telling_dream(run: Run) -> None:
    """InputError where M predicts neither done nor rewards, so that all policies score alike in its dream."""
    config = run.stages.rnn
    if not (config.done_head or config.reward_head):
        raise InputError(
            f"{run.folder('rnn')}: this M predicts neither done nor rewards, so that nothing can be learned or "
            "scored in its dream; train one with --set rnn.reward_head=true in another --run"
        )


def need_episodes(run: Run) -> None:
    """InputError where not all episodes are collected yet."""
    from controller.iteration import is_iteration

    script = ("iterate.py", "--to") if is_iteration(run.path) else ("collect_rollouts.py",)
    need(run, "collect", *script)


def need_models(run: Run) -> None:
    """InputError naming the script to run first where V, the series or M is not finished."""
    for stage, script in (("vae", "train_vae.py"), ("series", "encode_series.py"), ("rnn", "train_rnn.py")):
        need(run, stage, script)


def serve(comm: Any, task: Task, tensorflow: bool = True) -> None:
    """Play what rank 0 hands out until it leaves its farm: all that any other rank does.

    tensorflow: load it now, while rank 0 prepares.
    """
    from controller.workers import TaskPlayers
    from rollouts import farm

    farm.introduce(comm)
    if tensorflow:
        load_tensorflow()
    farm.serve(TaskPlayers(task, farm.await_setup(comm)), comm)


@contextlib.contextmanager
def ending_well(comm: Any = None) -> Iterator[None]:
    """Report what can go wrong as one line and an exit code; under MPI end all ranks with it.

    An error that is not foreseen prints its traceback. SIGTERM ends a process alone as Ctrl-C does; ranks leave it to
    mpirun.
    """
    if comm is None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with _guarded(comm):
            yield
        code = 0
    except InputError as error:
        code = _ended(f"error: {error}", 2, comm)
    except NumericalError as error:
        code = _ended(f"failed: {error}", 1, comm)
    except OSError as error:
        line = disk_trouble(error)
        if line is None:
            raise
        code = _ended(f"failed: {line}", 1, comm)
    except KeyboardInterrupt:
        code = _ended(
            "interrupted; everything finished so far is saved, the same command goes on from there", 130, comm
        )
    if code:
        sys.exit(code)


def _guarded(comm: Any) -> contextlib.AbstractContextManager:
    if comm is None:
        return contextlib.nullcontext()
    from rollouts.farm import guarded

    return guarded(comm)


def _ended(line: str, code: int, comm: Any) -> int:
    print(line, file=sys.stderr, flush=True)
    if comm is not None and comm.Get_size() > 1:
        from rollouts.farm import abort

        abort(comm, code)
    return code
