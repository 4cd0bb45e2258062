"""Settings of C and its evaluation, and what joins the settings of all stages: `Stages` and `Preset`."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from experiment.config import FASTER, PRECISIONS, Settings, setting
from experiment.errors import InputError
from rnn.config import RNNConfig, SeriesConfig
from rollouts.config import MOST_GAMES, CollectConfig, EnvConfig
from vae.config import VAEConfig

Variant = Literal["zh", "z", "z_hidden", "zch"]  # what C sees
World = Literal["dream", "real"]  # where a policy acts
VARIANTS: tuple[Variant, ...] = get_args(Variant)
WORLDS: tuple[World, ...] = get_args(World)
DEATHS = ("likely", "sampled")  # see `rnn.dream.Dream`


@dataclass(frozen=True)
class ControllerConfig(Settings):
    """C and its training with CMA-ES."""

    hidden_size: int = setting(
        40, "hidden tanh units of variant z_hidden", unit="units", source="paper, appendix A.4", least=1
    )
    popsize: int = setting(
        64,
        "candidates in a generation, an even number",
        unit="candidates",
        source="paper, appendix A.4",
        least=4,
        even=True,
    )
    rollouts: int = setting(
        16, "rollouts averaged into a candidate's fitness", unit="rollouts", source="paper, appendix A.4", least=1
    )
    sigma_init: float = setting(0.1, "CMA-ES's initial step size", source="authors' code", above=0.0, most=100.0)
    generations: int = setting(1800, "generations of CMA-ES", unit="generations", source="authors' code", least=1)
    # either ends the search sooner than `generations`
    max_steps: int = setting(
        0, "steps of all fitness rollouts that end the search; 0: off", unit="steps", least=0, added=True
    )
    patience: int = setting(
        0, "generations without a better mean that end it; 0: off", unit="generations", least=0, added=True
    )
    temperature: float = setting(1.15, "dream temperature", source="paper, table 2", above=0.0)
    death: str = setting(
        "likely",
        "what ends a dream: done likelier than not, or sampled",
        choices=DEATHS,
        added=True,
    )
    # in the world of the training; validation games and evaluate.py play to env.time_limit, the most that this may be
    time_limit: int = setting(
        2100,
        "longest training rollout, the mean's too; not evaluate.py's",
        unit="steps",
        source="paper, section 4.1",
        least=1,
    )
    evaluate_every: int = setting(
        25, "interval of evaluations of CMA-ES's mean", unit="generations", source="paper, appendix A.4", least=1
    )
    evaluate_rollouts: int = setting(
        1024, "rollouts in each evaluation of CMA-ES's mean", unit="rollouts", source="paper, appendix A.4", least=1
    )
    validation_games: int = setting(
        0,
        "unreported real episodes to pick the best; 0: dream's score",
        unit="episodes",
        least=0,
    )
    # to pick by the game at 0.10 would look for the agent that transfers, which the paper says there is none of
    validate_from: float = setting(
        0.0, "temperature below which the dream's score picks the best", least=0.0, added=True
    )
    # in the real task; the steps that are left then count as the last one does
    stall_limit: int = setting(
        0,
        "steps without a reward above 0 that end a rollout; 0: off",
        unit="steps",
        least=0,
        added=True,
    )
    # doubled as the fitness rises, until they are controller.rollouts
    first_rollouts: int = setting(
        0,
        "rollouts per fitness at first; 0: controller.rollouts",
        unit="rollouts",
        least=0,
        added=True,
    )
    full_rollouts_at: float = setting(
        0.0, "mean fitness from which controller.rollouts are played", unit="return", added=True
    )
    batch_size: int = setting(512, "rollouts a rank keeps alive at once", unit="rollouts", least=16)
    precision: str = setting("float32", f"matmul precision in rollouts; {FASTER}", choices=PRECISIONS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.first_rollouts and self.full_rollouts_at <= 0:
            raise InputError(f"first_rollouts={self.first_rollouts}: set controller.full_rollouts_at above 0, too")

    @property
    def validates(self) -> bool:
        """Whether real episodes, not the dream's score, pick the best of a search in the dream of its temperature."""
        return self.validation_games > 0 and self.temperature >= self.validate_from


MOST_ROLLOUTS = 1_000_000  # of an evaluation, which are listed before they are played


@dataclass(frozen=True)
class EvaluateConfig(Settings):
    """Evaluations and their tables."""

    episodes: int = setting(
        100,
        "real episodes of each row of a table",
        unit="episodes",
        source="paper, table 2",
        least=1,
        most=MOST_ROLLOUTS,
    )
    dream_episodes: int = setting(
        1024,
        "dream rollouts of each row of a table",
        unit="rollouts",
        source="paper, appendix A.5",
        least=1,
        most=MOST_ROLLOUTS,
    )
    probe_episodes: int = setting(
        100, "rollouts of each scripted policy, in each world", unit="rollouts", least=2, most=MOST_ROLLOUTS
    )
    games_per_rank: int = setting(
        16,
        "real episodes a rank plays at once, agent and scripts apart",
        unit="episodes",
        least=2,
        most=MOST_GAMES,
    )


@dataclass(frozen=True)
class IterateConfig(Settings):
    """The iterative procedure: what each iteration after the first does differently (paper, section 5)."""

    episodes: int = setting(1000, "episodes of the agent to collect", unit="episodes", least=2)
    minimum_length: int = setting(1, "shortest of them to keep", unit="steps", least=1)
    explore_share: float = setting(0.5, "share of them in which the agent explores", least=0.0, most=1.0)
    explore_noise: float = setting(0.3, "std of the noise on C's outputs while exploring", least=0.0)
    # of CMA-ES's last generation, in turn; 1: the agent itself
    candidates: int = setting(1, "how many of the best candidates explore; 1: the agent", unit="candidates", least=1)
    means: int = setting(
        0, "how many of its search's latest evaluated means explore, too", unit="means", least=0, added=True
    )
    new_share: float = setting(0.5, "share of new data in V's and M's batches; 0: as it comes", least=0.0, most=1.0)
    # of vae_max_frames frames where these are fewer than all
    vae_epochs: float = setting(0.0, "passes of V over all frames; 0: V is frozen", unit="passes", least=0.0)
    # new_share of them are new only where there are so many new ones
    vae_max_frames: int = setting(0, "frames of a pass of V; 0: vae.max_frames", unit="frames", least=0, added=True)
    vae_learning_rate: float = setting(3e-4, "V's Adam learning rate", above=0.0)
    rnn_epochs: float = setting(2.0, "passes of M over all series", unit="passes", above=0.0)
    rnn_learning_rate: float = setting(3e-4, "M's first Adam learning rate", above=0.0)
    generations: int = setting(100, "generations of CMA-ES", unit="generations", least=1)
    keep_mean: bool = setting(True, "CMA-ES starts from the agent, not from 0", source="paper, section 5")
    # all but the first begin at 0, whatever keep_mean says
    searches: int = setting(1, "searches for C, of which the best by its own score acts", unit="searches", least=1)
    # of the searches' mean validation score where they all have validation games, else of the agent's real one
    patience: int = setting(0, "iterations without a gain before it stops; 0: off", unit="iterations", least=0)


@dataclass(frozen=True)
class Stages:
    """The settings of every stage of a run, in the order of the pipeline; `env` and `collect` are the task's own."""

    env: EnvConfig
    collect: CollectConfig
    vae: VAEConfig
    series: SeriesConfig
    rnn: RNNConfig
    controller: ControllerConfig
    evaluate: EvaluateConfig
    iterate: IterateConfig = IterateConfig()


def death_weight(controller: ControllerConfig, rnn: RNNConfig) -> float | None:
    """Return the weight of a death where a dream's end is sampled (see `rnn.dream.Dream`), or None."""
    return rnn.done_weight if controller.death == "sampled" else None


@dataclass(frozen=True)
class Preset:
    """A named set of settings for all stages of a task.

    variants: of C, each with a row in the table that `reproduce.py` ends in.
    sources: where a value comes from, by ``stage.field``, if not from the field's own source, which is that of its
    default in the paper's Doom experiment.
    """

    name: str
    stages: Stages
    variants: tuple[Variant, ...]
    sources: dict[str, str] = field(default_factory=dict)

    def all_sources(self, paper: "Preset") -> dict[str, str]:
        """Return the sources of all values that `paper`, the task's preset of that name, or this preset changes."""
        changed = {
            f"{stage}.{name}"
            for stage, config in vars(self.stages).items()
            for name, value in vars(config).items()
            if value != getattr(getattr(paper.stages, stage), name)
        }
        return {**paper.sources, **dict.fromkeys(changed, f"preset {self.name}"), **self.sources}
