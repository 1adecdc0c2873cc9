"""What the compiled functions need of numba, with types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.core import types
from numba.np import arrayobj

Function = TypeVar("Function", bound=Callable[..., object])

# Without numba's memory management: a function can neither allocate an array nor return one, and needs no run time.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "boundscheck": False, "_nrt": False}

# Parts of numba that its own annotations leave untyped.
numba_types: Any = types
populate_array: Any = arrayobj.populate_array


def compiled(function: Function) -> Function:
    """Compile `function` on its first call from another compiled function; its type stays what it says."""
    return cast(Function, numba.njit(**OPTIONS)(function))
