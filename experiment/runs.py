"""A run: its folder, and everything resolved that it is made with, in ``config.json``.

What a stage's folder holds is told by `experiment.stage_folder`, and which settings a command may change by
`experiment.planning`.
"""

import dataclasses
from pathlib import Path
from typing import Any, Generic

from experiment.config import S, Settings, from_values
from experiment.errors import InputError
from experiment.files import read_json, read_sealed, write_sealed
from experiment.provenance import environment

FOLDERS = {"collect": "rollouts", "vae": "vae", "series": "series", "rnn": "rnn"}
# the settings that cannot change once a stage is begun; those of what it was made from are pinned by their own stages
PINNED = {"collect": ("env", "collect"), "vae": ("vae",), "series": ("series",), "rnn": ("rnn",)}


@dataclasses.dataclass(frozen=True)
class Run(Generic[S]):
    """One run: its folder, task, preset, seed and the resolved settings of every stage.

    overrides: the ``stage.field`` that commands set themselves, and their values, which are in `stages` too.
    """

    path: Path
    task: str
    preset: str
    seed: int
    stages: S
    overrides: dict[str, Any] = dataclasses.field(default_factory=dict, compare=False)

    def folder(self, stage: str) -> Path:
        """Return where a stage keeps its files."""
        return self.path / FOLDERS[stage]

    def pinned(self, stage: str) -> dict[str, dict[str, Any]]:
        """Return the settings that a stage is made with, by stage and field."""
        return {name: vars(getattr(self.stages, name)) for name in PINNED[stage]}


def save_run(run: Run) -> None:
    """Write ``config.json`` where the run's settings are not those it holds already."""
    stored = load_run(run.path, run.stages, missing_ok=True)
    if stored != run or stored.overrides != run.overrides:
        _write_config(run)


def existing_run(run: str | Path) -> Path:
    """Return a run's folder; InputError where there is none: a misspelt one is not a run that lacks its weights."""
    path = Path(run).expanduser()
    if not path.is_dir():
        place = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise InputError(f"{path}: no such folder{place}; name a run's folder")
    return path


def check_task(path: Path, task: str) -> None:
    """Raise InputError where the run in `path` is another task's: first of all, since nothing else of it would fit."""
    file = path / "config.json"
    stored = read_json(file) if file.exists() else {}
    found = stored.get("task", task) if isinstance(stored, dict) else task
    if found != task:
        raise InputError(f"{path}: belongs to task {found}, not {task}; name another run")


def load_run(path: Path, like: S, missing_ok: bool = False) -> Run[S] | None:
    """Return the run stored in `path`, with settings of the same types as `like`.

    InputError (or None with `missing_ok`) where there is none.
    """
    path = Path(path)
    file = path / "config.json"
    if missing_ok and not file.exists():
        return None
    values = read_sealed(file, "run scripts/collect_rollouts.py with --run and --preset first, in a new folder")
    newer = {item.name: vars(item.default) for item in dataclasses.fields(like) if isinstance(item.default, Settings)}
    try:
        stages = {
            name: from_values(type(config), values["stages"].get(name, newer.get(name)), f"{file} [{name}]")
            for name, config in vars(like).items()
        }
        if type(values["seed"]) is not int or values["seed"] < 0:
            raise ValueError(f"seed {values['seed']!r}")
        known = str(values["task"]), str(values["preset"]), values["seed"], type(like)(**stages)
        return Run(path, *known, dict(values.get("overrides", {})))  # which older records lack
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"{file}: not a run's configuration ({error!r})") from None


def _write_config(run: Run) -> None:
    write_sealed(
        run.path / "config.json",
        {
            "task": run.task,
            "preset": run.preset,
            "seed": run.seed,
            "overrides": run.overrides,
            "stages": dataclasses.asdict(run.stages),  # type: ignore[call-overload]
            **environment(),
        },
    )
