"""Take cover: the paper's second task, played in ViZDoom or in the dream of it (paper, section 4).

Importing this package makes two environments known to Gymnasium and loads neither the engine nor TensorFlow:

    gymnasium.make("WorldModels/DoomTakeCover-v0")   the real game, observations uint8 [64, 64, 3]
    gymnasium.make("WorldModels/DoomDream-v0")       the dream, observations [z, c, h]

Both act in Box(-1, 1, (1,)) and count their own 2,100 steps, so no `max_episode_steps` is declared: a second
counter around them would have to agree with their `time_limit`.
"""

import gymnasium

from experiment.public import public

gymnasium.register("WorldModels/DoomTakeCover-v0", entry_point="doomrnn.env:DoomTakeCover")
gymnasium.register(
    "WorldModels/DoomDream-v0",
    entry_point="doomrnn.dream:DoomDream",
    vector_entry_point="doomrnn.dream:DoomDreams",  # many dreams in one compiled batch, for `gymnasium.make_vec`
)

__all__, __getattr__, __dir__ = public(
    "doomrnn",
    {
        "config": ["DoomEnvConfig", "TakeCoverCollectConfig"],
        "dream": ["DoomDream", "DoomDreams"],
        "env": ["DoomTakeCover"],
        "presets": ["PRESETS"],
        "scripted": ["TakeCoverScript"],
        "task": ["TASK"],
    },
)
