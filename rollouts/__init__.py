"""Rollouts of real games and dreams in batches, spread over MPI ranks, and the collecting of episodes."""
