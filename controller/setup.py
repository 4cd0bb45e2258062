"""The `Setup` of a job, read from a run's folder on rank 0."""

from controller.cast import Setup, Weights
from controller.config import ControllerConfig
from controller.shapes import PolicyShape
from rnn.latents import load_initial
from vae.runs import Run


def play_setup(run: Run, worlds: set[str], learned: bool, temperature: float, policy: PolicyShape | None) -> Setup:
    """What the ranks need to play in these worlds; `learned` says that C acts too, and so needs V and M.

    Raises InputError where a stage that is needed is not there.
    """
    config: ControllerConfig = run.stages["controller"]
    dreams, agents = "dream" in worlds, learned and "real" in worlds
    return Setup(
        env=run.stages["env"],
        games_per_rank=run.stages["evaluate"].games_per_rank,
        vae=_vae_weights(run, config.precision) if agents else None,
        rnn=_rnn_weights(run, config.precision) if dreams or agents else None,
        initial=load_initial(run.folder("series"), run.stages["vae"].z_size) if dreams else None,
        temperature=temperature,
        time_limit=run.stages["env"].time_limit,
        batch_size=config.batch_size,
        policy=policy,
    )


def _vae_weights(run: Run, precision: str) -> Weights:
    from vae.training import load_vae

    return Weights.of(load_vae(run.folder("vae"), precision))


def _rnn_weights(run: Run, precision: str) -> Weights:
    from rnn.training import load_rnn

    return Weights.of(load_rnn(run.folder("rnn"), precision))
