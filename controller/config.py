"""Settings of collecting, C and its evaluation, and the preset that joins all stages of a task."""

from dataclasses import dataclass

from experiment.config import PRECISIONS, Settings, setting
from experiment.errors import InputError

VARIANTS = ("zh", "z", "z_hidden", "zch")
WORLDS = ("dream", "real")


@dataclass(frozen=True)
class ControllerConfig(Settings):
    """C and CMA-ES."""

    hidden_size: int = setting(
        40, "tanh units of the z_hidden variant", unit="units", source="paper, section 3.3", least=1
    )
    popsize: int = setting(64, "candidates in a generation (an even number)", source="paper, appendix A.4", least=4)
    rollouts: int = setting(16, "rollouts a fitness is the mean of", source="paper, appendix A.4", least=1)
    sigma_init: float = setting(0.1, "CMA-ES's first step size", source="authors' code", above=0.0)
    generations: int = setting(1800, "generations of CMA-ES", source="authors' code", least=1)
    temperature: float = setting(1.15, "temperature of the dream", source="paper, table 2", above=0.0)
    time_limit: int = setting(
        2100,
        "longest rollout in training, in either world (evaluations last env.time_limit)",
        unit="steps",
        source="paper, section 4.1",
        least=1,
    )
    evaluate_every: int = setting(25, "generations between evaluations of the mean", source="authors' code", least=1)
    evaluate_rollouts: int = setting(1024, "rollouts of such an evaluation", source="authors' code", least=1)
    validation_games: int = setting(
        0,
        "real games, never those reported, that pick the best mean instead; 0: the dream picks it, as in the paper",
        unit="games",
        least=0,
    )
    stall_limit: int = setting(
        0,
        "a training rollout of the real task ends after so many steps in a row without a reward above 0, and the steps "
        "left count as its last one does; 0: never",
        unit="steps",
        least=0,
        added=True,
    )
    first_rollouts: int = setting(
        0,
        "rollouts a fitness is the mean of at first, doubled as the fitness rises; 0: controller.rollouts at once",
        unit="rollouts",
        least=0,
        added=True,
    )
    full_rollouts_at: float = setting(
        0.0, "mean fitness from which a fitness is the mean of controller.rollouts", unit="return", added=True
    )
    batch_size: int = setting(512, "rollouts a rank keeps alive at once", unit="rollouts", least=16)
    precision: str = setting("float32", "arithmetic of M's products in rollouts", choices=PRECISIONS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.first_rollouts and self.full_rollouts_at <= 0:
            raise InputError(f"first_rollouts={self.first_rollouts}: set controller.full_rollouts_at above 0, too")


@dataclass(frozen=True)
class EvaluateConfig(Settings):
    """The games and dreams behind a table."""

    episodes: int = setting(100, "real games of each row", unit="games", source="paper, table 2", least=1)
    dream_episodes: int = setting(1024, "dreams of each row", unit="dreams", source="authors' code", least=1)
    probe_episodes: int = setting(100, "games and dreams of each scripted policy", least=2)
    games_per_rank: int = setting(16, "real games a rank plays side by side", unit="games", least=2)


@dataclass(frozen=True)
class Preset:
    """A named set of settings for all stages of a task."""

    name: str
    stages: dict[str, Settings]
    variants: tuple[str, ...]  # of C, each with a row in the table that `reproduce.py` ends in
