"""CMA-ES as the authors use it: ask, tell, and an exact resume by replaying what was told.

A pickled `cma` object does not go on as the uninterrupted one does; the same asks and tells from the same seed do.
"""

import hashlib
import warnings

import numpy as np
from threadpoolctl import threadpool_limits

from experiment.arrays import checked_whole, described
from experiment.random_streams import Purpose

with warnings.catch_warnings():  # it misses matplotlib, for plots that nobody asks it for
    warnings.simplefilter("ignore", UserWarning)
    import cma
    from cma.sigma_adaptation import CMAAdaptSigmaCSA


class CMAES:
    """Maximises a fitness over flat weights. Source: paper, appendix A.4; Hansen's `cma` underneath.

    size: length of the weights. popsize: candidates a generation. sigma_init: first step size. mean: where the search
    starts, [size]; 0 where none is given. All randomness comes from the seed's own stream.

    Raises ValueError for a mean of another size or that is not finite, a popsize below 2, or a sigma_init not above 0.
    """

    def __init__(self, size: int, popsize: int, sigma_init: float, seed: int, mean: np.ndarray | None = None):
        checked_whole("popsize", popsize, 2)
        if not 0 < sigma_init < np.inf:
            raise ValueError(f"sigma_init must be a number above 0, not {sigma_init}")
        start = np.zeros(size) if mean is None else np.asarray(mean, np.float64)
        if start.shape != (size,) or not np.isfinite(start).all():
            raise ValueError(f"mean must be {size} finite numbers, not {described(mean)}")
        rng = Purpose.CMA_ES.stream(seed).generator()
        options = {
            "popsize": popsize,
            # the path length rule of 2018; from 300 weights on `cma` 4 would turn to its two-point rule, under which
            # the step size doubles within 20 generations of noisy returns (docs/carracing.md)
            "AdaptSigma": CMAAdaptSigmaCSA,
            "randn": lambda *shape: rng.standard_normal(shape),
            "seed": np.nan,  # cma then leaves NumPy's global generator alone
            "verbose": -9,
            "verb_log": 0,
        }
        with threadpool_limits(1):
            self._es = cma.CMAEvolutionStrategy(start, sigma_init, options)

    def ask(self) -> np.ndarray:
        """Return the candidates of a generation, float64 [popsize, size]."""
        with threadpool_limits(1):  # with two BLAS threads a replay diverges within a few generations
            return np.array(self._es.ask())

    def tell(self, candidates: np.ndarray, fitness: np.ndarray) -> None:
        """Take the fitness [popsize] of the candidates, the higher the better; the sign flips here and nowhere else.

        Raises ValueError where they are not that many finite numbers: one NaN would sort the others by chance.
        """
        fitness = np.asarray(fitness, np.float64)
        if fitness.shape != (len(candidates),) or not np.isfinite(fitness).all():
            raise ValueError(f"fitness must be {len(candidates)} finite numbers, one a candidate, not {fitness}")
        with threadpool_limits(1):
            self._es.tell(list(candidates), list(-fitness))

    @property
    def mean(self) -> np.ndarray:
        """The current mean of the search distribution, float64 [size]."""
        return np.array(self._es.mean)

    @property
    def rms_sigma(self) -> float:
        """Root mean square of the coordinates' standard deviations."""
        return float(np.sqrt(np.mean(self._es.stds**2)))


def fingerprint(candidates: np.ndarray) -> str:
    """Return a hash of a generation's candidates, to know a replay by."""
    return hashlib.sha256(np.ascontiguousarray(candidates).tobytes()).hexdigest()
