"""Evaluating agents and scripted policies in either world: what an evaluation is of, its episodes and its summary."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from controller.config import ControllerConfig, Stages, World
from controller.task import temperature_text
from experiment.errors import NumericalError
from experiment.provenance import commit, digest
from experiment.random_streams import Purpose
from experiment.runs import Run, load_run
from experiment.stages import first_frames_digest, weights_digest
from rollouts.farm import Farm
from rollouts.rollout import Outcome, Rollout, WeightsOrScript, wrong_return
from rollouts.scripted import Script

if TYPE_CHECKING:
    from controller.score_files import PlayedEpisodes


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What an evaluation is of: all that is known of it before its episodes are played."""

    task: str
    world: str
    policy: str
    controller: str | None
    temperature: float | None
    seed: int
    config_sha256: str  # of the settings of all stages: equal hashes, the same environment
    commit: str
    period: int | None = None
    checkpoint: str | None = None
    made_with: str = ""  # a hash of all that decides the scores
    weights: str = ""  # a hash of C's, see `score_files.of_other_weights`; older evaluations have none
    precision: str = "float32"  # of V and M; "float32" without them
    settings: dict[str, Any] = field(default_factory=dict)  # see `other_settings`

    @property
    def plays(self) -> str:
        """The checkpoint whose weights play: the best one where none is named, as of a script, which has none."""
        return self.checkpoint or "best"

    @property
    def who(self) -> str:
        """The controller's name, with its checkpoint unless the best; or the script's with a sweep's period."""
        if self.controller:
            return self.controller if self.plays == "best" else f"{self.controller}-{self.plays}"
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

    def in_precision(self, precision: str) -> bool:
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
    `made_with` hashes all that decides the scores: equal hashes, equal scores on one CPU type, with the same
    of TensorFlow's products (`experiment.provenance.environment`).
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


def play(
    farm: Farm,
    world: str,
    players: list[WeightsOrScript],
    episodes: int,
    seed: int,
    played: "Sequence[PlayedEpisodes]" = (),
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
    """Return the evaluation of one subject's outcomes, in their order.

    Raises NumericalError naming the first episode whose return is no number, or too large for a file to hold it.
    """
    from controller.statistics import bootstrap_interval  # loads SciPy

    for episode, outcome in enumerate(outcomes):
        if wrong := wrong_return(outcome.score):
            who = f"{conditions.policy} in the {conditions.world}"
            raise NumericalError(f"{who}: episode {episode} of seed {conditions.seed} returned {wrong}")
    scores = np.array([outcome.score for outcome in outcomes])
    return Evaluation(
        episodes=len(outcomes),
        mean=float(scores.mean()),
        std=float(scores.std()),
        ci95=bootstrap_interval(scores),
        scores=scores.tolist(),
        lengths=[outcome.length for outcome in outcomes],
        **vars(conditions),
    )


def largest(evaluations: Iterable[Evaluation], key: Callable[[Evaluation], Any]) -> dict[Any, Evaluation]:
    """Return of all evaluations with the same key the one of most episodes, the first of these where they are alike."""
    found: dict[Any, Evaluation] = {}
    for evaluation in sorted(evaluations, key=lambda e: e.episodes):
        known = found.get(key(evaluation))
        if known is None or evaluation.episodes > known.episodes:
            found[key(evaluation)] = evaluation
    return found
