"""Public names of a package that are loaded when they are first used (PEP 562), so that importing it stays light."""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any


def public(
    package: str, modules: dict[str, Sequence[str]]
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__all__``, ``__getattr__`` and ``__dir__`` for the ``__init__`` of a package.

    modules: the public names of each module of the package. A name in two modules raises ValueError.
    """
    homes = {name: module for module, names in modules.items() for name in names}
    if len(homes) != sum(map(len, modules.values())):
        raise ValueError(f"{package}: a public name stands twice")

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        value = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, value)  # found without this function from now on
        return value

    return sorted(homes), load, lambda: sorted({*vars(sys.modules[package]), *homes})
