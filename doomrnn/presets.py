"""Take cover's presets: `paper` is the dataclasses' defaults; `quick` and `smoke` name only what they change."""

from dataclasses import replace

from controller.config import ControllerConfig, EvaluateConfig, Preset, Stages
from doomrnn.config import DoomEnvConfig, TakeCoverCollectConfig
from rnn.config import RNNConfig, SeriesConfig
from vae.config import VAEConfig

PAPER = Stages(
    env=DoomEnvConfig(),
    collect=TakeCoverCollectConfig(),
    vae=VAEConfig(),
    series=SeriesConfig(),
    rnn=RNNConfig(),
    controller=ControllerConfig(),
    evaluate=EvaluateConfig(),
)

QUICK = replace(
    PAPER,
    # long holds show M what happens at a wall, which short ones never reach; and games are cheap, deaths in them rare:
    # M's idea of the end generalises by their number (measured: docs/deviations.md)
    collect=TakeCoverCollectConfig(episodes=1200, max_hold=80),
    # many small updates: what V has learned of fireballs after so few frames decides what M can, and a V that sees too
    # little of them gives a dream in which standing still is safe (measured: docs/deviations.md)
    vae=VAEConfig(batch_size=32, learning_rate=1e-3, final_learning_rate=3e-4, max_frames=165_000),
    rnn=RNNConfig(batch_size=32, sequence_length=64, epochs=6.0, decay=0.9985, validate_every=300),
    # a dream this young is soon outlived: what lies beyond 1,000 steps of it costs minutes and teaches its tricks
    controller=ControllerConfig(
        generations=15, time_limit=1000, evaluate_every=4, evaluate_rollouts=64, validation_games=32
    ),
    evaluate=EvaluateConfig(dream_episodes=256),
)

SMOKE = replace(
    PAPER,
    env=DoomEnvConfig(time_limit=150),
    collect=TakeCoverCollectConfig(episodes=6, max_hold=80),
    vae=VAEConfig(batch_size=20, max_frames=200, validation_frames=40, validate_every=5, shuffle_megabytes=10),
    series=SeriesConfig(batch_size=64, shard_episodes=2, initial_frames=10),
    rnn=RNNConfig(
        hidden_size=16, batch_size=4, sequence_length=16, epochs=1.0, validate_every=5, validation_frames=100
    ),
    controller=ControllerConfig(
        popsize=4, rollouts=2, generations=2, time_limit=60, evaluate_every=1, evaluate_rollouts=4, batch_size=16
    ),
    evaluate=EvaluateConfig(episodes=3, dream_episodes=8, probe_episodes=2, games_per_rank=2),
)

PRESETS = {
    name: Preset(name, stages, variants=("zch",))
    for name, stages in (("paper", PAPER), ("quick", QUICK), ("smoke", SMOKE))
}
