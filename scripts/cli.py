"""What all commands share: their flags, the task and run that these name, how they end, and their MPI ranks.

Nothing here loads NumPy before it is needed: a rank sets its threads first, and `--help` and wrong arguments answer at
once.
"""

from __future__ import annotations

import argparse
import codecs
import importlib
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from running.exits import dropped_if_unread
from running.exits import ending_well as ending_well
from running.ranks import ONE_THREAD as ONE_THREAD
from running.ranks import communicator as communicator
from running.ranks import fail
from running.ranks import load_tensorflow as load_tensorflow
from running.ranks import one_thread_a_rank as one_thread_a_rank
from running.ranks import rank as rank
from running.ranks import serve as serve

from experiment.config import describe, override
from experiment.errors import InputError, command
from experiment.files import read_json
from experiment.planning import plan_run
from experiment.runs import Run, check_task, existing_run, load_run
from experiment.stage_folder import is_begun
from experiment.stages import need
from rollouts.config import CollectConfig
from vae.config import NEW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.config import Stages
    from controller.task import Task

TASKS = ("doomrnn", "carracing", "pendulum")
OWN_TASK = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")  # module:attribute
GAMES = ("env.*", "collect.*")  # settings that count for the collecting policy, and for what it plays
# and those that do where C plays and is not trained
PLAYING = (*GAMES, "evaluate.games_per_rank", "controller.death", "controller.precision", "controller.batch_size")
MOST = 1_000_000  # of what an argument counts
IN_ASCII = {"±": "+-", "−": "-", "–": "-", "×": "x", "·": "*", "…": "..."}


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for the characters that a terminal, a pipe or a batch system's log cannot show."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(IN_ASCII.get(c, "?") for c in error.object[error.start : error.end]), error.end


def _open_streams() -> None:
    """Give a process whose streams were closed (``>&-``, a daemon's) others, before a file of ours is taken for one."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - to the end of the process


_open_streams()
codecs.register_error("in-ascii", _in_ascii)
for _stream in (sys.stdout, sys.stderr):
    if hasattr(_stream, "reconfigure"):
        _stream.reconfigure(errors="in-ascii")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's greetings
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["MPLBACKEND"] = "Agg"  # a notebook hands its own on to what it starts (!python scripts/report.py)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line from one rank, and whose help ends with the settings of the task named."""

    lists_settings = False

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def,override]  # noqa: ANN201
        """Parse, with the words in hand for the help, where there is a current folder, which all else asks for."""
        try:
            os.getcwd()
        except OSError as error:
            self.error(f"the current folder cannot be used ({error.strerror}); change to another one")
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

    def print_help(self, file: Any = None) -> None:
        """Print the help, as far as somebody reads it."""
        with dropped_if_unread():
            super().print_help(file)

    def error(self, message: str) -> None:  # type: ignore[override]
        fail(f"{self.prog}: {message} (see --help)")
        raise SystemExit(2)

    def refuse_temperature_of_no_dream(self, arguments: argparse.Namespace) -> None:
        """End with a line where --temperature is given and the dream is not among --world, a word or several."""
        if arguments.temperature and "dream" not in arguments.world:
            self.error("argument --temperature: is of the dream; add --world dream, or leave it out")


def parser(
    doc: str, preset: bool = True, fields: bool = True, seed_help: str = "seed of the run (default 0)"
) -> Parser:
    """Return a parser with the flags every script takes; `doc` is the script's docstring."""
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
    add_set(made, "change one setting (repeatable); --help after a TASK lists them")
    return made


def add_set(parser: argparse.ArgumentParser, help: str, metavar: str = "STAGE.FIELD=VALUE") -> None:
    """Let a parser take ``--set``, any number of times, as `overrides`."""
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar=metavar, help=help)


class Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=30, width=110)


def _settings_help(words: list[str]) -> str:
    """Return the settings of the task that the words name, with their preset's values; without one, of all tasks."""
    pre = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    pre.add_argument("--preset", nargs="?")
    wanted = pre.parse_known_args(words)[0].preset
    named = [word for word in words if word in TASKS or OWN_TASK.fullmatch(word)]
    return "\n\n".join(_task_settings(name, wanted) for name in named[:1] or TASKS)


def _task_settings(name: str, wanted: str | None) -> str:
    """Return the table of a task's settings in a preset, "paper" where the one wanted is none of the task's."""
    presets = task(name).presets
    preset = presets.get(wanted or "", presets["paper"])
    return f"settings of {name}, preset {preset.name}:\n{describe(preset.stages, preset.all_sources(presets['paper']))}"


def task_name(text: str) -> str:
    """Return an argument that names a task."""
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
    """Return an argument that is a seed."""
    value = int(text)
    if not 0 <= value < 2**31:
        raise argparse.ArgumentTypeError(f"{text}: a seed is a whole number from 0 to 2147483647")
    return value


def positive(text: str) -> int:
    """Return an argument that counts something: episodes, ranks, steps of a side."""
    value = int(text)
    if not 1 <= value <= MOST:
        raise argparse.ArgumentTypeError(f"{text}: must be from 1 to {MOST:,}")
    return value


def seconds(text: str) -> float:
    """Return an argument that is a time."""
    return _above_0(text, "a time is a number of seconds above 0")


def temperature(text: str) -> float:
    """Return an argument that is a temperature."""
    return _above_0(text, "a temperature is a number above 0")


def _above_0(text: str, what: str) -> float:
    """Return an argument that is a finite number above 0; `what` is said of another one."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: {what}")
    return value


def task(name: str) -> Task:
    """Return a task, loaded by name, or from a module of the user's (in the current folder, or installed)."""
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


def resolve(
    arguments: argparse.Namespace,
    own_seed: bool = False,
    free: tuple[str, ...] = (),
    read: Sequence[str] | None = None,
) -> Run:
    """Return the run the arguments name, to be continued or made; nothing is written, since it may be refused yet.

    own_seed: ``--seed`` is the script's own. free: stages whose settings may differ from those of what is there.
    read: see `refuse_unread`; None: settings that this script does not read are stored for others.
    """
    from controller.iteration import pinned_iterate_fields

    chosen = task(arguments.task)
    preset = getattr(arguments, "preset", None)
    exists = (arguments.run / "config.json").exists()
    if preset is None and not exists:
        first = command("scripts/collect_rollouts.py", arguments.task, "--run", arguments.run, "--preset", "quick")
        raise InputError(f"{arguments.run}: no run there yet; start one with {first}")
    if preset is not None and preset not in chosen.presets:
        raise InputError(f"--preset {preset}: unknown; one of {', '.join(chosen.presets)}")
    like = chosen.presets[preset or "paper"].stages
    check_task(arguments.run, arguments.task)
    stored = load_run(arguments.run, like, missing_ok=True)
    # what --set says has to fit what it changes: the run's own settings, unless another preset replaces them
    base = stored.stages if stored and preset in (None, stored.preset) else like
    stages, explicit = overridden(base, arguments.overrides)
    if read is not None:
        refuse_unread(arguments.overrides, read)
    seed = 0 if own_seed or arguments.seed is None else arguments.seed
    explicit |= {"seed"} if arguments.seed is not None and not own_seed else set()
    wanted = Run(arguments.run, arguments.task, preset or "paper", seed, stages)
    if "vae.start" in explicit and stages.vae.start != NEW and not is_begun(wanted.folder("vae")):
        existing_run(stages.vae.start)  # at once, and not when all is collected
    return plan_run(arguments.run, wanted, explicit, preset is not None, free, pinned_iterate_fields(wanted))


def overridden(stages: Stages, words: Sequence[str]) -> tuple[Stages, set[str]]:
    """Return the stages with the words of ``--set`` applied, and the ``stage.field`` these name."""
    return override(stages, *words), {word.partition("=")[0] for word in words}


def temperature_words(task: Task, temperature: float) -> list[str]:
    """Return the temperature of a search as words of `train_controller.py`, which refuses one in the real task."""
    return ["--temperature", str(temperature)] if task.world == "dream" else []


def refuse_unread(overrides: Sequence[str], read: Sequence[str]) -> None:
    """Raise InputError for a word of ``--set`` that would change nothing.

    read: the settings that do, each a ``stage.field``, or ``stage.*`` for all of a stage: of ``collect.*`` those of
    the task's own policy, and not those of collecting.
    """
    of_collecting = {f"collect.{field.name}" for field in fields(CollectConfig)}
    for word in overrides:
        name = word.partition("=")[0]
        if name in of_collecting or not {name, f"{name.partition('.')[0]}.*"} & {*read}:
            raise InputError(f"--set {word}: has no effect here, where only {', '.join(read)} count; leave it out")


def open_existing(path: Path, overrides: Sequence[str] = (), read: Sequence[str] = ()) -> Run:
    """Return the run in a folder, whatever its task, with words of ``--set``.

    Raises InputError where there is none, and for a setting that is not among those `read` (see `refuse_unread`).
    """
    stored = read_json(path / "config.json", "name a run's folder with --run")
    name = stored.get("task") if isinstance(stored, dict) else None
    if not isinstance(name, str) or not (name in TASKS or OWN_TASK.fullmatch(name)):
        raise InputError(f"{path / 'config.json'}: not a run's configuration (task {name!r})")
    run = load_run(path, task(name).presets["paper"].stages)
    changed = replace(run, stages=overridden(run.stages, overrides)[0])
    refuse_unread(overrides, read)
    return changed


def need_done_or_reward_head(run: Run, rnn: Any = None) -> None:
    """Raise InputError where M predicts neither done nor rewards, so that all policies score alike in its dream.

    rnn: M, loaded; without it, the run's settings say which heads it has.
    """
    heads = run.stages.rnn if rnn is None else rnn
    if not (heads.done_head or heads.reward_head):
        raise InputError(
            f"{run.folder('rnn')}: this M predicts neither done nor rewards, so that nothing can be learned or "
            "scored in its dream; train one with --set rnn.done_head=true or rnn.reward_head=true in another --run"
        )


def need_episodes(run: Run) -> None:
    """Raise InputError where not all episodes are collected yet."""
    from controller.iteration import is_iteration, iterate_command

    need(run, "collect", iterate_command(run) if is_iteration(run.path) else "")


def need_models(run: Run) -> None:
    """Raise InputError naming the script to run first where V, the series or M is not finished."""
    for stage in ("vae", "series", "rnn"):
        need(run, stage)


def refuse_validation(overrides: Sequence[str], world: str) -> None:
    """Raise InputError where a command asks for validation by real episodes of a C that learns in the real task."""
    for name in ("controller.validation_games", "controller.validate_from"):
        told = [word.partition("=")[2] for word in overrides if word.startswith(f"{name}=")]
        if world == "real" and not set(told) <= {"0", "0.0"}:
            raise InputError(f"--set {name}: is of a C that learns in the dream; leave it out")
