"""C entry points of the compiled functions. Imported only to compile them (see `native.py`).

Each takes one pointer to a frame of int64: slot 0 is the result, then three slots an argument: an array's address and
its two dimensions (the second is 1 for vectors), or a whole number and two unused ones.
"""

from __future__ import annotations

import numba
from numba.core import types
from numba.extending import intrinsic

from dialoeval.metrics.meteor15.scoring import score_batch
from dialoeval.metrics.meteor15.words import describe, find_bases

SLOTS = 1 + 3 * 40

# numba lets only functions with its memory management return arrays, though these views own nothing.
_view = numba.njit(error_model="numpy", boundscheck=False)


def _pointer_to(element):
    """A compiled function that turns an address into a pointer to `element`."""

    @intrinsic
    def pointer(typing_context, address):
        def generate(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return types.CPointer(element)(types.int64), generate

    return pointer


def _views(element):
    """Compiled functions that make argument number n of a frame a vector or a matrix of `element`."""
    pointer = _pointer_to(element)

    @_view
    def vector(frame, n):
        return numba.carray(pointer(frame[1 + 3 * n]), (frame[2 + 3 * n],))

    @_view
    def matrix(frame, n):
        return numba.carray(pointer(frame[1 + 3 * n]), (frame[2 + 3 * n], frame[3 + 3 * n]))

    return vector, matrix


_u8, _ = _views(types.uint8)
_u16, _u16_matrix = _views(types.uint16)
_i32, _i32_matrix = _views(types.int32)
_u32, _ = _views(types.uint32)
_i64, _ = _views(types.int64)
_u64, _u64_matrix = _views(types.uint64)
_f64, _f64_matrix = _views(types.float64)

_entry = numba.cfunc(types.void(types.CPointer(types.int64)), error_model="numpy", boundscheck=False)


@_entry
def describe_words(address):
    f = numba.carray(address, (SLOTS,))
    describe(
        _u16(f, 0),
        _i32(f, 1),
        _i32(f, 2),
        _i32(f, 3),
        _u16(f, 4),
        _i32_matrix(f, 5),
        _i32_matrix(f, 6),
        _i32(f, 7),
        _i32(f, 8),
        _u16_matrix(f, 9),
        _u32(f, 10),
        _u32(f, 11),
        _i32_matrix(f, 12),
        _u64(f, 13),
    )


@_entry
def find_word_bases(address):
    f = numba.carray(address, (SLOTS,))
    find_bases(
        _u16(f, 0), _i32(f, 1), _i32(f, 2), _i32(f, 3), _u16(f, 4), _i32_matrix(f, 5), _u16_matrix(f, 6), _i32(f, 7)
    )


@_entry
def score_replies(address):
    f = numba.carray(address, (SLOTS,))
    f[0] = score_batch(
        f[1],
        _i32(f, 1),
        _i32(f, 2),
        _i64(f, 3),
        _i64(f, 4),
        _i32(f, 5),
        _u32(f, 6),
        _u32(f, 7),
        _u8(f, 8),
        _i32(f, 9),
        _i32_matrix(f, 10),
        _u64(f, 11),
        _i32(f, 12),
        _i64(f, 13),
        _i32(f, 14),
        _i64(f, 15),
        _u16(f, 16),
        _i32(f, 17),
        _f64(f, 18),
        _f64(f, 19),
        _i32_matrix(f, 20),
        _i32(f, 21),
        _i32(f, 22),
        _i32(f, 23),
        _i32(f, 24),
        _i32(f, 25),
        _i32_matrix(f, 26),
        _u64_matrix(f, 27),
        _u64_matrix(f, 28),
        _i32(f, 29),
        _i32_matrix(f, 30),
        _i32_matrix(f, 31),
        _i64(f, 32),
        _f64(f, 33),
        _f64_matrix(f, 34),
        _i32(f, 35),
    )


ENTRIES = {"describe_words": describe_words, "find_word_bases": find_word_bases, "score_replies": score_replies}
