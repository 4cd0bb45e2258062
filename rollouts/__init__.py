"""Rollouts of real games and dreams in batches, spread over MPI ranks, and the collecting of episodes."""

from experiment.public import public

__all__, __getattr__, __dir__ = public(
    "rollouts",
    {
        "collecting": ["collect"],
        "config": ["CollectConfig", "EnvConfig"],
        "dream_player": ["DreamPlayer", "DreamPolicy"],
        "farm": ["Farm"],
        "game_player": ["Actor", "GamePlayer", "ScriptActor"],
        "games": ["Game", "Games", "SeparateGames", "Steps"],
        "rollout": ["Outcome", "Player", "PlayerFactory", "Rollout"],
        "scripted": ["Script"],
    },
)
