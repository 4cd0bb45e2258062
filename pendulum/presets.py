"""Pendulum's presets: the paper names no numbers for this experiment, so `paper` takes CarRacing's; others are ours."""

from dataclasses import replace

from controller.config import ControllerConfig, EvaluateConfig, IterateConfig, Preset, Stages
from pendulum.config import PendulumCollectConfig, PendulumEnvConfig
from rnn.config import RNNConfig, SeriesConfig
from vae.config import VAEConfig

VAE = VAEConfig(z_size=32)
RNN = RNNConfig(
    hidden_size=256, done_head=False, reward_head=True, regime="episodes", sequence_length=199, batch_size=50, decay=1.0
)
CONTROLLER = ControllerConfig(time_limit=200, temperature=1.0)
TEMPERATURE = 0.3  # the task is deterministic; at 1.0 M's own noise sets the rod swinging (docs/pendulum.md)

PAPER = Stages(
    env=PendulumEnvConfig(),
    collect=PendulumCollectConfig(minimum_length=1, episodes=1000, games_per_rank=16),
    vae=VAE,
    series=SeriesConfig(),
    rnn=RNN,
    controller=CONTROLLER,
    evaluate=EvaluateConfig(),
)

RELEASE = replace(
    PAPER,
    collect=PendulumCollectConfig(minimum_length=1, episodes=120, games_per_rank=16),
    # a rod has an angle and nothing more: 8 latents, of which few are used
    vae=replace(
        VAE,
        z_size=8,
        batch_size=32,
        learning_rate=1e-3,
        epochs=1.5,
        max_frames=12_000,
        validation_frames=400,
        shuffle_megabytes=200,
    ),
    # many cheap updates: M is small, and its cost is that of its steps one after the other
    rnn=replace(
        RNN,
        hidden_size=64,
        regime="concatenated",
        batch_size=64,
        sequence_length=20,
        epochs=160.0,
        learning_rate=5e-3,
        minimum_learning_rate=1e-4,
        decay=0.999,
        validate_every=200,
        validation_frames=4000,
    ),
    controller=replace(
        CONTROLLER,
        popsize=32,
        rollouts=4,
        sigma_init=0.5,
        temperature=TEMPERATURE,
        generations=60,
        evaluate_every=10,
        evaluate_rollouts=64,
    ),
    evaluate=EvaluateConfig(dream_episodes=100, games_per_rank=64),  # large tiles of the agent
    iterate=IterateConfig(
        episodes=16,
        explore_noise=1.0,  # less, and an agent that leans on one torque explores nothing (measured)
        candidates=4,
        vae_epochs=0.3,
        vae_learning_rate=5e-4,
        rnn_epochs=24.0,  # of ever more episodes: 1,500 updates in the twentieth iteration
        rnn_learning_rate=2e-3,
        generations=60,
        searches=2,  # one from the agent, one from 0: none leaves an agent that leans on one torque (measured)
    ),
)

# one iteration in minutes, for a first look
QUICK = replace(RELEASE, evaluate=EvaluateConfig(episodes=30, dream_episodes=60, probe_episodes=20))

SMOKE = replace(
    PAPER,
    env=PendulumEnvConfig(time_limit=40),
    collect=PendulumCollectConfig(minimum_length=1, episodes=6, games_per_rank=2),
    vae=replace(
        VAE, z_size=4, batch_size=20, max_frames=120, validation_frames=20, validate_every=5, shuffle_megabytes=10
    ),
    series=SeriesConfig(batch_size=32, shard_episodes=2, initial_frames=10),
    rnn=replace(RNN, hidden_size=16, batch_size=2, sequence_length=39, epochs=2.0, validate_every=3),
    controller=replace(
        CONTROLLER,
        popsize=4,
        rollouts=2,
        time_limit=20,
        generations=2,
        evaluate_every=1,
        evaluate_rollouts=2,
        batch_size=16,
    ),
    evaluate=EvaluateConfig(episodes=2, dream_episodes=4, probe_episodes=2, games_per_rank=2),
    iterate=IterateConfig(episodes=3, vae_epochs=0.5, rnn_epochs=1.0, generations=1, candidates=2, searches=2),
)

SOURCES = (
    dict.fromkeys(
        (
            "collect.episodes",
            "collect.minimum_length",
            "collect.games_per_rank",
            "rnn.batch_size",
            "rnn.sequence_length",
            "rnn.done_head",
            "rnn.reward_head",
            "controller.time_limit",
            "controller.temperature",
        ),
        "ours",
    )
    | dict.fromkeys(
        ("vae.z_size", "rnn.hidden_size", "rnn.regime", "rnn.decay"),
        "as in CarRacing",
    )
    | {"evaluate.episodes": "as in the paper's tables"}
)

PRESETS = {
    name: Preset(name, stages, variants=("zh",), sources=SOURCES if name == "paper" else {})
    for name, stages in (("paper", PAPER), ("release", RELEASE), ("quick", QUICK), ("smoke", SMOKE))
}
