"""CarRacing: the paper's first task, played in Gymnasium's physics or in the dream of it (paper, section 3).

Importing this package makes two environments known to Gymnasium and loads neither the physics nor TensorFlow:

    gymnasium.make("WorldModels/CarRacing-v0")        the real task, observations uint8 [64, 64, 3]
    gymnasium.make("WorldModels/CarRacingDream-v0")   the dream, observations [z, c, h]

Both count their own steps, so no `max_episode_steps` is declared.
"""

import gymnasium

from experiment.public import public

gymnasium.register("WorldModels/CarRacing-v0", entry_point="carracing.env:CarRacing64")
gymnasium.register(
    "WorldModels/CarRacingDream-v0",
    entry_point="carracing.dream:CarRacingDream",
    vector_entry_point="carracing.dream:CarRacingDreams",  # many dreams in one compiled batch, for `gymnasium.make_vec`
)

__all__, __getattr__, __dir__ = public(
    "carracing",
    {
        "config": ["CarRacingCollectConfig", "CarRacingEnvConfig"],
        "dream": ["CarRacingDream", "CarRacingDreams"],
        "env": ["CarRacing64"],
        "presets": ["PRESETS"],
        "scripted": ["CarRacingScript"],
        "task": ["TASK"],
    },
)
