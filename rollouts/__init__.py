"""Rollouts of real games and dreams in batches, spread over MPI ranks, and the collecting of episodes."""

from experiment.public import public

__all__, __getattr__, __dir__ = public(
    "rollouts",
    {
        "collecting": ["collect"],
        "config": ["CollectConfig", "EnvConfig"],
        "dream_player": ["DreamPlayer", "DreamPolicy"],
        "farm": ["Farm"],
        "game_player": ["Chooser", "GamePlayer", "ScriptChooser"],
        "games": ["Games", "Steps"],
        "rollout": ["Cast", "Outcome", "Player", "Rollout"],
        "scripted": ["Script"],
    },
)
