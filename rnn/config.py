"""Settings of the series stage (frames to latents) and of M."""

import numbers
from dataclasses import dataclass

from experiment.config import FASTER, PRECISIONS, Settings, setting
from experiment.errors import InputError

ADVICE = "run scripts/train_rnn.py first, or again after deleting the folder"


def checked_temperature(temperature: float) -> float:
    """Return the temperature of a dream; InputError where it is not a number above 0."""
    number = temperature if isinstance(temperature, numbers.Real) and not isinstance(temperature, bool) else 0
    if not 0 < number < float("inf"):
        raise InputError(f"temperature {temperature!r}: must be a number above 0")
    return float(number)


@dataclass(frozen=True)
class SeriesConfig(Settings):
    """Encoding every episode with V into a series of (mu, logvar)."""

    batch_size: int = setting(256, "batch size of encoding", unit="frames", least=2)
    shard_episodes: int = setting(100, "episodes in one series file", unit="episodes", least=1)
    initial_frames: int = setting(
        1000, "stored first-frame latents a dream starts from", unit="frames", source="authors' code", least=1
    )


@dataclass(frozen=True)
class RNNConfig(Settings):
    """M and its training. Defaults: the paper's Doom run; where it is silent, the authors' code."""

    hidden_size: int = setting(512, "LSTM units", unit="units", source="paper, appendix A.2", least=1)
    mixtures: int = setting(
        5, "mixture components of each latent dimension", unit="components", source="paper, appendix A.2", least=1
    )
    done_head: bool = setting(
        True, "predict the end of the episode, and read restart flags", source="paper, section 4.2"
    )
    reward_head: bool = setting(False, "predict each step's reward (to train C in the dream)")
    count_steps: bool = setting(False, "a unit of the LSTM counts the episode's steps", added=True)
    regime: str = setting(
        "concatenated",
        "rows cut from joined episodes, or whole episodes",
        source="authors' code",
        choices=("concatenated", "episodes"),
    )
    batch_size: int = setting(100, "batch size", unit="rows", source="authors' code", least=1)
    sequence_length: int = setting(
        500, "time steps in a row (regime episodes: longest episode)", unit="steps", source="authors' code", least=1
    )
    epochs: float = setting(
        20.0,
        "passes over the training series; 0: random initial weights",
        unit="passes",
        source="paper, appendix A.2",
        least=0.0,
    )
    learning_rate: float = setting(1e-3, "Adam's initial learning rate", source="authors' code", above=0.0)
    minimum_learning_rate: float = setting(
        1e-5, "learning rate that the decay tends to", source="authors' code", least=0.0
    )
    decay: float = setting(
        0.99999, "factor of the learning rate's decay, every update", source="authors' code", above=0.0
    )
    clip: float = setting(1.0, "bound of gradient clipping by value", source="authors' code", above=0.0)
    done_weight: float = setting(
        10.0, "weight of a positive in the done cross-entropy", source="authors' code", above=0.0
    )
    train_across_seam: bool = setting(False, "z loss across joined episodes, as in the authors' code")
    patience: int = setting(
        0,
        "early stopping, keeping the best weights; 0: off",
        unit="validations",
        least=0,
    )
    validate_every: int = setting(200, "interval of validations", unit="updates", least=1)
    validation_frames: int = setting(50000, "held-out frames in each validation", unit="frames", least=10)
    checkpoint_seconds: float = setting(90.0, "interval of checkpoints", unit="s", above=0.0)
    precision: str = setting("float32", f"matmul precision; {FASTER}", choices=PRECISIONS)
