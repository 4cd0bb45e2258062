"""What runs were made with: the settings that their scores depend on, and where these differ from preset `paper`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cli

from controller.checkpoints import training_settings
from experiment.errors import InputError
from experiment.files import read_json

if TYPE_CHECKING:
    from reporting.evidence import Played

OPERATIONAL = {  # settings that no score depends on, or that a claim names itself
    "collect.games_per_rank",
    "vae.validation_frames",
    "vae.validate_every",
    "vae.checkpoint_seconds",
    "series.batch_size",
    "series.shard_episodes",
    "rnn.checkpoint_seconds",
    "controller.batch_size",
    "controller.temperature",
}
PICKS_M = {"rnn.validation_frames", "rnn.validate_every"}  # with `rnn.patience`: the best of M's validations is kept
# whose settings decide scores, beside the controller's own
DECISIVE_STAGES = {"game": ("env",), "dream": ("env", "collect", "vae", "series", "rnn")}
VISION = ("env", "collect", "vae")  # stages that V depends on
NOT_STATED = "not stated"
POLICY_OF_DATA = ("max_hold", "policy")  # fields of collect that say who played the games that V and M learned from


def settings(run: Path, world: str, controller: str | None = None) -> dict[str, Any]:
    """Return the ``stage.field`` settings that scores in this world depend on, of a controller's where one is named.

    A stage's own ``begun.json`` counts before the run's configuration, which the last command may have written; a
    controller's generations are those that were played. Empty where a run has no configuration.
    """
    if not (run / "config.json").exists():
        return {}
    stages = stages_of(run / "config.json")
    for stage, folder in (("collect", "rollouts"), ("vae", "vae"), ("rnn", "rnn")):
        stages[stage] = _begun(run / folder).get(stage, stages[stage])
    names = list(DECISIVE_STAGES["dream" if world == "dream" or controller else "game"])
    if controller:
        stages["controller"] = training_settings(run / "controller" / controller) or stages["controller"]
        names.append("controller")
    found = {f"{stage}.{key}": value for stage in names for key, value in stages[stage].items()}
    idle = OPERATIONAL if stages["rnn"].get("patience") else OPERATIONAL | PICKS_M
    return {name: value for name, value in found.items() if name not in idle}


def stages_of(file: Path) -> dict[str, dict[str, Any]]:
    """Return the stages of a run's configuration, of whatever version; InputError where it has none."""
    try:
        stages = read_json(file)["stages"]
        return {stage: dict(stages[stage]) for stage in ("env", "collect", "vae", "series", "rnn", "controller")}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: not a run's configuration ({error!r})") from None


def _begun(folder: Path) -> dict[str, Any]:
    return read_json(folder / "begun.json") if (folder / "begun.json").exists() else {}


def differing(played: Sequence[Played]) -> list[str]:
    """Return in which settings what was played differs from preset `paper`: "stage.field value (paper's value)".

    Where those who played differ among themselves, each value says whose it is.
    """
    words: dict[str, list[str]] = {}
    for one in played:
        words.setdefault(one.first.who, []).extend(_differing(one))
    shared = list(dict.fromkeys(word for each in words.values() for word in each))
    makers = {word: [who for who, each in words.items() if word in each] for word in shared}
    controllers = {p.first.who for p in played if p.first.controller}
    return [word if set(makers[word]) >= controllers else f"{word} of {' and '.join(makers[word])}" for word in shared]


def _differing(played: Played) -> list[str]:
    made = settings(played.run, played.first.world, played.first.controller)
    precision = played.first.precision
    rounded = [f"played in {precision} (float32)"] if precision != "float32" else []
    if not made:
        return [f"unknown: no {played.run / 'config.json'}", *rounded]
    if "-z_hidden-" not in str(played.first.controller):
        made.pop("controller.hidden_size", None)
    return [*_beside_paper(played.first.task, made), *rounded]


def differing_vision(run: Path) -> list[str]:
    """Return in which settings a run's V was made otherwise than preset `paper` makes it, as `differing`."""
    made = {name: value for name, value in settings(run, "dream").items() if name.split(".")[0] in VISION}
    return (
        _beside_paper(read_json(run / "config.json")["task"], made) if made else [f"unknown: no {run / 'config.json'}"]
    )


def _beside_paper(task: str, made: dict[str, Any]) -> list[str]:
    stages = cli.task(task).presets["paper"].stages
    paper = {f"{stage}.{key}": value for stage, config in vars(stages).items() for key, value in vars(config).items()}
    names = [name for name in made if made[name] != paper.get(name)]
    return [f"{name} {made[name]} ({paper.get(name, 'not a setting of it')})" for name in names]


def data_policy(run: Path) -> str:
    """Return who played the games that a run's V and M learned from, as far as its settings say."""
    made = settings(run, "dream")
    found = [f"collect.{key} {made[f'collect.{key}']}" for key in POLICY_OF_DATA if f"collect.{key}" in made]
    return ", ".join(found) or NOT_STATED


def data_words(run: Path) -> str:
    """Return `data_policy`, and whose V a run's went on from, which other games may have taught."""
    start = settings(run, "dream").get("vae.start", "new")
    return data_policy(run) + ("" if start == "new" else f", V begun as that of {start}")
