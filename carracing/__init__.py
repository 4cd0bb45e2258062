"""CarRacing, the paper's first task: so far the sizes of its V and M; the environment and its scripts are to come."""
