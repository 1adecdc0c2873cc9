"""The compiled loops as C functions of a pointer to a frame of int64: each array's address and dimensions."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numba
from numba.extending import intrinsic

from dialoeval.metrics.meteor15.kernels.compiler import OPTIONS, populate_array
from dialoeval.metrics.meteor15.kernels.compiler import numba_types as types
from dialoeval.metrics.meteor15.kernels.pairs import score_replies
from dialoeval.metrics.meteor15.kernels.words import describe_words, find_base_forms
from dialoeval.metrics.meteor15.layout import ENTRY_POINTS, Arrays, array_types

FUNCTIONS: dict[str, Callable[..., None]] = {
    function.__name__: function for function in (describe_words, find_base_forms, score_replies)
}


def _numba_type(arrays: type[Arrays]) -> Any:
    """Return numba's type of a named tuple of arrays."""
    fields = [types.Array(getattr(types, dtype), ndim, "C") for dtype, ndim in array_types(arrays)]
    return types.NamedTuple(fields, arrays)


def _array_view(context: Any, builder: Any, array_type: Any, slots: Any) -> Any:
    """Generate the code that makes a C-contiguous array view of the next 1 + ndim slots of a frame."""
    array = context.make_array(array_type)(context, builder)
    address, *shape = (next(slots) for _ in range(1 + array_type.ndim))
    itemsize = context.get_constant(types.intp, array_type.dtype.bitwidth // 8)
    strides = [itemsize]
    for size in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], size))
    data = builder.inttoptr(address, array.data.type)
    populate_array(array, data=data, shape=shape, strides=strides, itemsize=itemsize, meminfo=None)
    return array._getvalue()


def _frame_reader(arguments: tuple[type[Arrays], ...]) -> Any:
    """Return a compiled function that turns a frame's address into a tuple of these named tuples."""
    argument_types = [_numba_type(arrays) for arrays in arguments]

    def read_frame(typing_context: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            slots = (
                builder.load(builder.gep(values[0], [context.get_constant(types.intp, slot)]))
                for slot in itertools.count()
            )
            items = [
                context.make_tuple(
                    builder, named, [_array_view(context, builder, array_type, slots) for array_type in named.types]
                )
                for named in argument_types
            ]
            return context.make_tuple(builder, signature.return_type, items)

        return types.Tuple(argument_types)(types.CPointer(types.int64)), generate

    return intrinsic(read_frame)


def compile_entry_point(name: str) -> Any:
    """Return the C function that calls the compiled function of this name with the arrays of its frame."""
    function, read_frame = FUNCTIONS[name], _frame_reader(ENTRY_POINTS[name])

    def entry_point(frame: Any) -> None:
        function(*read_frame(frame))

    return numba.cfunc(types.void(types.CPointer(types.int64)), **OPTIONS)(entry_point)
