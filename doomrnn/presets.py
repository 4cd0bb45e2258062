"""Take cover's presets: `paper` is the paper's run; the others name only what they change.

`authors` is what the authors' released code does where that is something else.

`release` is the next release's.
"""

from dataclasses import replace

from controller.config import ControllerConfig, EvaluateConfig, IterateConfig, Preset, Stages
from doomrnn.config import DoomEnvConfig, TakeCoverCollectConfig
from rnn.config import RNNConfig, SeriesConfig
from vae.config import VAEConfig

PAPER = Stages(
    env=DoomEnvConfig(width=640, preprocess="authors"),  # the published frames show both
    collect=TakeCoverCollectConfig(),
    vae=VAEConfig(),
    series=SeriesConfig(),
    rnn=RNNConfig(),
    controller=ControllerConfig(),
    evaluate=EvaluateConfig(),
)

SOURCES = {"env.width": "authors' code", "env.preprocess": "as the published frames"}

AUTHORS = replace(
    PAPER,
    vae=VAEConfig(epochs=10.0),
    rnn=RNNConfig(epochs=400.0, train_across_seam=True),
    controller=ControllerConfig(temperature=1.25),
)

AUTHORS_SOURCES = dict.fromkeys(
    ("vae.epochs", "rnn.epochs", "rnn.train_across_seam", "controller.temperature"), "authors' code"
)

QUICK = replace(
    PAPER,
    env=DoomEnvConfig(),
    # long holds show M what happens at a wall, which short ones never reach; episodes are cheap and deaths in them
    # rare, so more of them make M's done generalise (measured: docs/deviations.md)
    collect=TakeCoverCollectConfig(episodes=1200, max_hold=80),
    # many small updates: M can learn only what V encodes, and a V that sees too few fireballs gives a dream in which
    # standing still is safe (measured: docs/deviations.md)
    vae=VAEConfig(batch_size=32, learning_rate=1e-3, final_learning_rate=3e-4, max_frames=165_000),
    rnn=RNNConfig(batch_size=32, sequence_length=64, epochs=6.0, decay=0.9985, validate_every=300),
    # with so little training the dream is soon exploited: rollouts beyond 1,000 steps cost minutes and only do that
    controller=ControllerConfig(
        generations=15, time_limit=1000, evaluate_every=4, evaluate_rollouts=64, validation_games=32
    ),
    evaluate=EvaluateConfig(dream_episodes=256),
)

# the paper's data, as far as two cores without AVX-512 get in an evening or two; what each value rests on:
# docs/doom_rules.md. Its V goes on from another one, which the command names (vae.start)
RELEASE = replace(
    PAPER,
    env=DoomEnvConfig(),
    collect=TakeCoverCollectConfig(episodes=5000),
    vae=VAEConfig(batch_size=32, learning_rate=1e-3, final_learning_rate=5e-5, max_frames=400_000),
    rnn=RNNConfig(batch_size=32, sequence_length=64, epochs=8.0, decay=0.9997, patience=5, validate_every=300),
    controller=ControllerConfig(
        generations=20, patience=20, evaluate_every=10, validation_games=256, validate_from=1.0
    ),
    evaluate=EvaluateConfig(probe_episodes=256),
    # half of V's and M's frames are new; each C anew, so that iterations differ in V and M alone
    iterate=IterateConfig(
        candidates=8,
        means=4,
        vae_epochs=1.0,
        vae_max_frames=400_000,
        vae_learning_rate=1e-4,
        rnn_epochs=3.0,
        generations=20,
        keep_mean=False,
        searches=3,
    ),
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
    iterate=IterateConfig(episodes=3, rnn_epochs=1.0, generations=1),
)

PRESETS = {
    "paper": Preset("paper", PAPER, variants=("zch",), sources=SOURCES),
    "authors": Preset("authors", AUTHORS, variants=("zch",), sources=AUTHORS_SOURCES),
    "quick": Preset("quick", QUICK, variants=("zch",)),
    "release": Preset("release", RELEASE, variants=("zch",)),
    "smoke": Preset("smoke", SMOKE, variants=("zch",)),
}
