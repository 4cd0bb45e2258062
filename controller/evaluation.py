"""Evaluating agents and scripted policies in either world, with intervals, and the tables made from it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from controller.checkpoints import load_controller
from controller.config import WORLDS, ControllerConfig, Stages, World
from controller.outcomes import OutcomeJournal
from controller.task import temperature_text
from experiment.errors import InputError, NumericalError
from experiment.files import first_line, read_json, write_json
from experiment.provenance import commit, digest
from experiment.random_streams import Purpose
from experiment.runs import Run, load_run
from experiment.stages import first_frames_digest, weights_digest
from rollouts.farm import Farm
from rollouts.rollout import Outcome, Rollout, WeightsOrScript
from rollouts.scripted import Script

LARGEST_SCORE = 1e12  # and no NaN


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What an evaluation is of: all that is known of it before its episodes are played."""

    task: str
    world: str
    policy: str
    controller: str | None
    temperature: float | None
    seed: int
    config_sha256: str
    commit: str
    period: int | None = None
    checkpoint: str | None = None
    made_with: str = ""  # a hash of all that decides the scores
    weights: str = ""  # a hash of C's, see `of_other_weights`; older evaluations have none
    precision: str = "float32"  # of V and M; "float32" without them
    settings: dict[str, Any] = field(default_factory=dict)  # see `other_settings`

    @property
    def who(self) -> str:
        """The controller's name, with its checkpoint unless the best; or the script's with a sweep's period."""
        if self.controller:
            return f"{self.controller}-last" if self.checkpoint == "last" else self.controller
        return f"sweep{self.period}" if self.period else self.policy

    def stem(self, episodes: int) -> str:
        """Return the name of its file without the ending; see `Evaluation.file_name`."""
        tau = f"-tau{temperature_text(self.temperature)}" if self.temperature is not None else ""
        precision = f"-{self.precision}" if self.precision != "float32" else ""
        settings = "".join(f"-{name.partition('.')[2]}={value}" for name, value in sorted(self.settings.items()))
        return f"{self.world}-{self.who}{tau}{precision}{settings}-seed{self.seed}-n{episodes}"


@dataclass(frozen=True, kw_only=True)
class Evaluation(Conditions):
    """The scores of one policy in one world, as stored in ``evaluation/*.json``.

    std has ddof 0, as the authors'; ci95 is a percentile bootstrap of the mean with 10,000 resamples.
    """

    episodes: int
    mean: float
    std: float
    ci95: list[float]
    scores: list[float]
    lengths: list[int]

    @property
    def file_name(self) -> str:
        """``<world>-<controller or policy>[-tau<T>][-bfloat16][-<setting>=<value>]-seed<S>-n<N>.json``."""
        return f"{self.stem(self.episodes)}.json"

    def made_in(self, precision: str) -> bool:
        """Return whether V and M computed in this precision, or neither was there to compute."""
        return self.precision == precision or (self.controller is None and self.world == "real")


@dataclass(frozen=True)
class Subject:
    """Who is evaluated.

    policy: "agent", or a scripted policy's name. acts: C's flat weights float32 [P], or the script. controller,
    checkpoint: the agent's, None for a script.
    """

    policy: str
    acts: WeightsOrScript
    controller: str | None = None
    checkpoint: str | None = None

    @property
    def period(self) -> int | None:
        """The steps that a sweep holds each side, None for everybody else."""
        return self.acts.period if isinstance(self.acts, Script) else None


def conditions(
    run: Run[Stages],
    subject: Subject,
    world: World,
    temperature: float,
    episodes: int,
    seed: int,
    precision: str | None = None,
) -> Conditions:
    """Return what an evaluation of a subject in a world is of; `temperature` counts in the dream only.

    precision: that of V and M, where it is not controller.precision.
    Settings that a score must be told apart by are named (`other_settings`).
    `made_with` hashes all that decides the scores: equal hashes, equal scores on one CPU type.
    """
    tau, agent = temperature if world == "dream" else None, subject.policy == "agent"
    models = [weights_digest(run.path, name) for name in ("vae", "rnn")] if agent or tau is not None else None
    precision = precision or run.stages.controller.precision if models else "float32"
    weights = subject.acts.tolist() if agent else None
    decisive = [run.task, world, subject.policy, tau, subject.period, episodes, seed, weights, models]
    decisive += [vars(run.stages.env)] + ([precision] if precision != "float32" else [])
    settings = other_settings(run, world)
    decisive += [settings["controller.death"]] if "controller.death" in settings else []
    decisive += [first_frames_digest(run.path)] if tau is not None else []
    return Conditions(
        task=run.task,
        world=world,
        policy=subject.policy,
        controller=subject.controller,
        temperature=tau,
        seed=seed,
        config_sha256=digest(asdict(run.stages)),
        commit=commit(),
        period=subject.period,
        checkpoint=subject.checkpoint,
        made_with=digest(decisive),
        weights=digest(weights) if agent else "",
        precision=precision,
        settings=settings,
    )


def other_settings(run: Run[Stages], world: str) -> dict[str, Any]:
    """Return the settings of `env` that are not those stored in the run's folder, by ``env.<field>``, and
    ``controller.death`` of a dream whose end is sampled: another command may store either value.
    """
    stored = load_run(run.path, run.stages, missing_ok=True) or run
    own = vars(stored.stages.env)
    found = {f"env.{name}": value for name, value in vars(run.stages.env).items() if value != own[name]}
    if world == "dream" and run.stages.controller.death != ControllerConfig.death:
        found["controller.death"] = run.stages.controller.death
    return found


def played_file(folder: Path, conditions: Conditions, episodes: int) -> Path:
    """Return where the episodes of an evaluation under way are kept."""
    return folder / f"{conditions.stem(episodes)}.jsonl"


class PlayedEpisodes:
    """The episodes of an evaluation under way, each durable when it has arrived, in a file beside the evaluation's.

    An episode that was played under other conditions does not count.

    Raises InputError where the file is damaged.
    """

    def __init__(self, folder: Path, conditions: Conditions, episodes: int):
        self._table = conditions.made_with
        self._journal = OutcomeJournal(played_file(folder, conditions, episodes), self._table)
        self.recovered = self._journal.recovered(self._table, episodes)

    def add(self, outcome: Outcome) -> None:
        """Keep the outcome of the episode that its id names; one that no evaluation may have is not kept."""
        if abs(outcome.score) < LARGEST_SCORE:
            self._journal.add(self._table, outcome)

    def delete(self) -> None:
        """Delete the file, once the evaluation is stored."""
        self._journal.file.unlink(missing_ok=True)


def play(
    farm: Farm,
    world: str,
    players: list[WeightsOrScript],
    episodes: int,
    seed: int,
    played: Sequence[PlayedEpisodes] = (),
) -> list[list[Outcome]]:
    """Return the outcomes [players][episodes] of rollouts on streams kept for evaluation, all played side by side.

    Episode n has the same random stream for every player. played: of each player, what was played before, which is
    not played again, and where every outcome is kept; empty: nothing is kept.
    """
    found = {n * episodes + outcome.id: outcome for n, one in enumerate(played) for outcome in one.recovered}
    rollouts = [
        Rollout(number, world, Purpose.EVALUATE.stream(seed, episode=number % episodes), players[number // episodes])
        for number in range(len(players) * episodes)
        if number not in found
    ]
    for outcome in farm.play(rollouts):
        found[outcome.id] = outcome
        if played:
            played[outcome.id // episodes].add(outcome._replace(id=outcome.id % episodes))
    return [[found[n * episodes + episode] for episode in range(episodes)] for n in range(len(players))]


def summarise(outcomes: list[Outcome], conditions: Conditions) -> Evaluation:
    """Return the evaluation of one subject's outcomes, in their order."""
    from controller.statistics import bootstrap_interval  # loads SciPy

    scores = np.array([outcome.score for outcome in outcomes])
    for episode in np.flatnonzero(~np.isfinite(scores))[:1]:
        who = f"{conditions.policy} in the {conditions.world}"
        raise NumericalError(f"{who}: episode {episode} of seed {conditions.seed} returned {scores[episode]}")
    return Evaluation(
        episodes=len(outcomes),
        mean=float(scores.mean()),
        std=float(scores.std()),
        ci95=bootstrap_interval(scores),
        scores=scores.tolist(),
        lengths=[outcome.length for outcome in outcomes],
        **vars(conditions),
    )


FIRST_KEYS = ("task", "world", "policy", "controller", "temperature", "episodes", "seed")  # of a file
FIRST_KEYS += ("mean", "std", "ci95", "scores", "lengths")
KEYS = tuple(dict.fromkeys([*FIRST_KEYS, *(item.name for item in fields(Evaluation))]))  # of a file, in their order
UNCHECKED = {"config_sha256", "commit", "made_with"}  # are read whatever they hold


def _json_types(annotation: Any) -> set[type]:
    """Return the types that a field of this annotation may have in a file: a whole number may stand for a float."""
    parts = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    types = {get_origin(part) or part for part in parts}
    return types | {int} if float in types else types


KINDS = {name: _json_types(get_type_hints(Evaluation)[name]) for name in KEYS if name not in UNCHECKED}


def save_evaluation(folder: Path, evaluation: Evaluation) -> Path:
    """Write an evaluation's JSON; returns where."""
    path, values = folder / evaluation.file_name, asdict(evaluation)
    write_json(path, {key: values[key] for key in KEYS})
    return path


def load_evaluations(
    folder: Path, precision: str | None = None, advice: str = "delete it and evaluate again"
) -> list[Evaluation]:
    """Return all evaluations in a folder, or those of one precision.

    Raises InputError, with `advice`, where a file is not one.
    """
    found = []
    for path in sorted(Path(folder).glob("[!.]*.json")):
        values = read_json(path)
        try:
            found.append(Evaluation(**values))
            _check(found[-1])
        except TypeError as error:
            raise InputError(f"{path}: not an evaluation ({first_line(error)}); {advice}") from None
    return [evaluation for evaluation in found if precision is None or evaluation.made_in(precision)]


def of_other_weights(run: Path, evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """Return those whose controller has other weights in the run now: it was trained on, or anew, since.

    Of what says no weights, as older evaluations do not, and of a controller that is not there, nothing is known.
    """
    there: dict[tuple[str, str], str] = {}
    found = []
    for evaluation in evaluations:
        key = str(evaluation.controller), evaluation.checkpoint or "best"
        folder = run / "controller" / key[0]
        if not evaluation.weights or not (folder / f"{key[1]}.json").exists():
            continue
        if key not in there:
            there[key] = digest(load_controller(folder, key[1])[1].tolist())
        if evaluation.weights != there[key]:
            found.append(evaluation)
    return found


def evaluations_of(run: Run) -> list[Evaluation]:
    """Return a run's evaluations in the precision and the settings that it plays in now, of the weights it has now."""
    found = load_evaluations(run.path / "evaluation", run.stages.controller.precision)
    stale = of_other_weights(run.path, found)
    found = [evaluation for evaluation in found if evaluation not in stale]
    settings = {world: other_settings(run, world) for world in WORLDS}
    return [evaluation for evaluation in found if evaluation.settings == settings.get(evaluation.world)]


def largest(evaluations: Iterable[Evaluation], key: Callable[[Evaluation], Any]) -> dict[Any, Evaluation]:
    """Return of all evaluations with the same key the one of most episodes, the first of these where they are alike."""
    found: dict[Any, Evaluation] = {}
    for evaluation in sorted(evaluations, key=lambda e: e.episodes):
        known = found.get(key(evaluation))
        if known is None or evaluation.episodes > known.episodes:
            found[key(evaluation)] = evaluation
    return found


def _check(evaluation: Evaluation) -> None:
    """Raise TypeError where a value is not of its field's type, or the scores are not one number an episode."""
    for name, kinds in KINDS.items():
        if type(getattr(evaluation, name)) not in kinds:
            raise TypeError(f"{name} is {str(getattr(evaluation, name))[:50]}")
    for numbers, count in (
        (evaluation.scores, evaluation.episodes),
        (evaluation.lengths, evaluation.episodes),
        (evaluation.ci95, 2),
        ([evaluation.mean, evaluation.std], 2),
    ):
        if len(numbers) != count or not all(type(n) in (int, float) and abs(n) < LARGEST_SCORE for n in numbers):
            raise TypeError("scores, lengths, mean, std or ci95 are not numbers, or not as many as there were episodes")


def row(evaluation: Evaluation) -> str:
    """Return ``mean ± std [lo, hi] (N)``."""
    low, high = evaluation.ci95
    return f"{evaluation.mean:.0f} ± {evaluation.std:.0f} [{low:.0f}, {high:.0f}] ({evaluation.episodes})"


def table(rows: list[tuple[str, ...]], heads: tuple[str, ...]) -> str:
    """Return rows of text in columns, as Markdown."""
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows, strict=True)]
    lines = [heads, tuple("-" * w for w in widths), *rows]
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in lines)
