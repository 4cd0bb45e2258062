"""The presets of a task that brings none of its own."""

from dataclasses import dataclass, fields, replace

from controller.config import ControllerConfig, EvaluateConfig, IterateConfig, Preset, Stages
from experiment.config import setting
from rnn.config import RNNConfig, SeriesConfig
from rollouts.config import CollectConfig, EnvConfig
from vae.config import VAEConfig

LONGEST = 1000  # steps, where neither the task nor Gymnasium names a limit


@dataclass(frozen=True)
class OwnEnvConfig(EnvConfig):
    """A task of one's own."""

    time_limit: int = setting(LONGEST, "longest episode", unit="steps", source="the task's own", least=1)


@dataclass(frozen=True)
class OwnCollectConfig(CollectConfig):
    """Episodes of random actions, each held for a while."""

    max_hold: int = setting(10, "longest hold of a random action", unit="steps", least=1)


def default_presets(env: EnvConfig | None = None, *, ends: bool = True, pays: bool = True) -> dict[str, Preset]:
    """Return the presets paper, quick and smoke of a task.

    env: its environment's settings. ends: whether episodes end by themselves, so that M predicts the end. pays: whether
    rewards differ from step to step, so that M predicts them too (without, a dream pays 1 a step, as the paper's).
    """
    paper = _paper(env or OwnEnvConfig(), ends, pays)
    made = {"paper": paper, "quick": _quick(paper), "smoke": _smoke(paper)}
    sources = {"evaluate.episodes": "as in the paper's tables"} | {
        f"{stage}.{item.name}": "ours"
        for stage, config in vars(paper).items()
        for item in fields(config)
        if getattr(config, item.name) != item.default
    }
    return {
        name: Preset(name, stages, variants=("zh",), sources=sources if name == "paper" else {})
        for name, stages in made.items()
    }


def _paper(env: EnvConfig, ends: bool, pays: bool) -> Stages:
    return Stages(
        env=env,
        collect=OwnCollectConfig(minimum_length=1, games_per_rank=16),
        vae=VAEConfig(z_size=32),
        series=SeriesConfig(),
        rnn=RNNConfig(hidden_size=256, done_head=ends, reward_head=pays, decay=1.0),
        controller=ControllerConfig(time_limit=env.time_limit, temperature=1.0),
        evaluate=EvaluateConfig(),
        iterate=IterateConfig(),
    )


def _quick(paper: Stages) -> Stages:
    updates = {"batch_size": 32, "sequence_length": min(64, paper.env.time_limit)}
    search = {"popsize": 32, "rollouts": 8, "generations": 40, "evaluate_every": 5, "evaluate_rollouts": 64}
    return replace(
        paper,
        collect=replace(paper.collect, episodes=200),
        vae=replace(paper.vae, batch_size=32, learning_rate=1e-3, final_learning_rate=3e-4, max_frames=60_000),
        rnn=replace(paper.rnn, **updates, epochs=12.0, decay=0.998),
        controller=replace(paper.controller, **search),
        evaluate=EvaluateConfig(dream_episodes=256),
        iterate=IterateConfig(episodes=100, vae_epochs=0.5, generations=20),
    )


def _smoke(paper: Stages) -> Stages:
    few = {"batch_size": 16, "popsize": 4, "rollouts": 2, "evaluate_every": 1, "evaluate_rollouts": 2}
    return replace(
        paper,
        env=replace(paper.env, time_limit=min(paper.env.time_limit, 40)),
        collect=replace(paper.collect, episodes=6, games_per_rank=2),
        vae=VAEConfig(
            z_size=4, batch_size=8, max_frames=80, validation_frames=16, validate_every=5, shuffle_megabytes=10
        ),
        series=SeriesConfig(batch_size=32, shard_episodes=2, initial_frames=10),
        rnn=replace(
            paper.rnn,
            hidden_size=16,
            batch_size=2,
            sequence_length=8,
            epochs=1.0,
            validate_every=3,
            validation_frames=20,
        ),
        controller=replace(paper.controller, generations=2, time_limit=20, **few),
        evaluate=EvaluateConfig(episodes=2, dream_episodes=4, probe_episodes=2, games_per_rank=2),
        iterate=IterateConfig(episodes=3, vae_epochs=0.5, rnn_epochs=1.0, generations=1),
    )
