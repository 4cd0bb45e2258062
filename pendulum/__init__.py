"""Pendulum: swing-up from pixels, the paper's example of its iterative procedure (paper, section 5).

Importing this package makes two environments known to Gymnasium and loads neither the physics nor TensorFlow:

    gymnasium.make("WorldModels/Pendulum-v0")        the real task, observations uint8 [64, 64, 3]
    gymnasium.make("WorldModels/PendulumDream-v0")   the dream, observations [z, c, h]

Both act in Box(-2, 2, (1,)) and count their own steps, so no `max_episode_steps` is declared.
"""

import gymnasium

from experiment.public import public

gymnasium.register("WorldModels/Pendulum-v0", entry_point="pendulum.env:Pendulum64")
gymnasium.register("WorldModels/PendulumDream-v0", entry_point="pendulum.dream:PendulumDream")

__all__, __getattr__, __dir__ = public(
    "pendulum",
    {
        "config": ["PendulumCollectConfig", "PendulumEnvConfig"],
        "dream": ["PendulumDream"],
        "env": ["Pendulum64"],
        "presets": ["PRESETS"],
        "scripted": ["PendulumScript"],
        "task": ["TASK"],
    },
)
