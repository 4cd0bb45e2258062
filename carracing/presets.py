"""CarRacing's presets: `paper` is the paper's run; the others name only what they change.

`authors` is what the authors' released code does where that is something else.
"""

from dataclasses import replace

from carracing.config import CarRacingCollectConfig, CarRacingEnvConfig
from controller.config import ControllerConfig, EvaluateConfig, IterateConfig, Preset, Stages
from rnn.config import RNNConfig, SeriesConfig
from vae.config import VAEConfig

VAE = VAEConfig(z_size=32)
RNN = RNNConfig(hidden_size=256, done_head=False, regime="episodes", sequence_length=999, decay=1.0)
CONTROLLER = ControllerConfig(time_limit=1000, temperature=0.7)

PAPER = Stages(
    env=CarRacingEnvConfig(view="v0", preprocess="authors"),  # the published frames show both
    collect=CarRacingCollectConfig(minimum_length=1),
    vae=VAE,
    series=SeriesConfig(),
    rnn=RNN,
    controller=CONTROLLER,
    evaluate=EvaluateConfig(dream_episodes=100, games_per_rank=32),  # a large tile of the agent
)

SOURCES = {  # of the values above that are not the paper's Doom experiment's
    "env.view": "as the published frames",
    "env.preprocess": "as the published frames",
    "collect.episodes": "paper, section 3.2",
    "collect.minimum_length": "ours",
    "series.initial_frames": "ours",
    "rnn.done_head": "paper, section 3.2",
    "rnn.regime": "authors' code",
    "rnn.sequence_length": "authors' code",
    "rnn.decay": "authors' code",
    "controller.generations": "paper, appendix A.4",
    "controller.temperature": "authors' code",
    "controller.time_limit": "CarRacing-v0",
    "evaluate.episodes": "paper, table 1",
    "evaluate.dream_episodes": "ours",
    "evaluate.games_per_rank": "ours",
}

AUTHORS = replace(
    PAPER,
    vae=replace(VAE, epochs=10.0),
    rnn=replace(RNN, epochs=4_000 * 100 / 9_500),  # 4,000 updates of 100 of the episodes that are not held out
)

RELEASE = replace(
    PAPER,
    env=CarRacingEnvConfig(view="v0"),
    # habit is fast and soon leaves the road, brownian is slow: half of each
    collect=CarRacingCollectConfig(minimum_length=1, episodes=2000, policy="mixed"),
    vae=replace(
        VAE, batch_size=32, learning_rate=1e-3, final_learning_rate=1e-4, max_frames=1_000_000, precision="bfloat16"
    ),
    rnn=replace(RNN, batch_size=32, epochs=12.0, decay=0.997, validate_every=50),
    # what is certainly bad is known after four rollouts and 40 steps without a tile
    controller=replace(
        CONTROLLER,
        first_rollouts=4,
        full_rollouts_at=600.0,
        stall_limit=40,
        generations=200,
        max_steps=40_000_000,
        evaluate_every=5,
        evaluate_rollouts=64,
        precision="bfloat16",
    ),
)

QUICK = replace(
    PAPER,
    env=CarRacingEnvConfig(),
    # brownian gets past the first bend, which the authors' policy seldom does in a hundred episodes
    collect=CarRacingCollectConfig(minimum_length=1, episodes=150, policy="brownian"),
    vae=replace(VAE, batch_size=32, learning_rate=1e-3, final_learning_rate=3e-4, max_frames=90_000),
    # short rows of joined episodes make many updates of little data; rewards are predicted too, so that
    # `train_controller.py carracing --world dream` works on a quick run
    rnn=replace(
        RNN,
        reward_head=True,
        regime="concatenated",
        batch_size=32,
        sequence_length=64,
        epochs=12.0,
        decay=0.9975,
        validate_every=200,
    ),
    # the first 400 frames tell good policies from bad ones, and 40 without a tile a car that has stopped
    controller=replace(
        CONTROLLER,
        popsize=24,
        rollouts=2,
        time_limit=400,
        stall_limit=40,
        generations=55,
        evaluate_every=5,
        evaluate_rollouts=16,
    ),
)

SMOKE = replace(
    PAPER,
    env=CarRacingEnvConfig(time_limit=40),
    collect=CarRacingCollectConfig(minimum_length=1, episodes=6, policy="brownian"),
    vae=replace(VAE, batch_size=20, max_frames=120, validation_frames=20, validate_every=5, shuffle_megabytes=10),
    series=SeriesConfig(batch_size=32, shard_episodes=2, initial_frames=10),
    rnn=replace(RNN, hidden_size=16, reward_head=True, batch_size=2, sequence_length=39, epochs=2.0, validate_every=3),
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
    iterate=IterateConfig(episodes=3, vae_epochs=0.5, rnn_epochs=1.0, generations=1),
)

PRESETS = {
    "paper": Preset("paper", PAPER, variants=("zh", "z", "z_hidden"), sources=SOURCES),
    "authors": Preset(
        "authors",
        AUTHORS,
        variants=("zh", "z", "z_hidden"),
        sources=dict.fromkeys(("vae.epochs", "rnn.epochs"), "authors' code"),
    ),
    "release": Preset("release", RELEASE, variants=("zh", "z", "z_hidden")),
    "quick": Preset("quick", QUICK, variants=("zh", "z")),
    "smoke": Preset("smoke", SMOKE, variants=("zh",)),
}
