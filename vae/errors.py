"""The two ways a command ends badly, so that scripts can turn them into one line and an exit code."""

import math


class InputError(Exception):
    """Something the user gave is missing, damaged or does not fit (exit code 2): what, where, and what to do."""


class NumericalError(Exception):
    """A loss, a latent or a fitness stopped being a number (exit code 1); the last good state is kept."""


def check_losses(values: dict[str, float], where: str, advice: str) -> dict[str, float]:
    """`values` again; NumericalError naming `where` and `advice` if one is NaN or infinite."""
    bad = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
    if bad:
        raise NumericalError(f"{where}: {', '.join(bad)}; {advice}")
    return values
