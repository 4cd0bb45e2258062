"""Functions as machine code (numba), kept on disk where that is possible and made anew where it is not."""

import contextlib
import os
from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, InTreeCacheLocator


class _BesideSource(InTreeCacheLocator):
    """The folder beside the source, where it is there to be read; numba's own wants to write there."""

    def ensure_cache_path(self) -> None:
        if not os.access(self.get_cache_path(), os.R_OK | os.X_OK):
            raise PermissionError(self.get_cache_path())


class _Places(CompileResultCacheImpl):
    _locator_classes = (*CompileResultCacheImpl._locator_classes, _BesideSource)


class _Kept(FunctionCache):
    """Machine code kept on disk; what cannot be read is compiled again, and what cannot be written is not kept."""

    _impl_class = _Places

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # numba unpickles it, so that a damaged file may raise anything
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)


def compiled(function: Callable) -> Callable:
    """Return the function as machine code, kept beside its source or in the user's cache where there is one."""
    made = numba.njit(fastmath=False, nogil=True, error_model="numpy")(function)
    with contextlib.suppress(RuntimeError):  # there is none
        made._cache = _Kept(function)
    return made
