"""Vectors of sixteen 32-bit numbers, as a type of Numba's.

Numba turns a loop into vector instructions where it can prove that it may, and keeps small arrays
in memory. The kernels need more: sums that stay in registers over a whole row. LLVM gives a vector
of sixteen the widest registers of the processor (one of AVX-512, two of AVX2, four of NEON).

    zero() · splat(x)           sixteen zeros · sixteen times x
    load(array, at)             array[at : at + 16]; uint16 holds bfloat16, and is widened
    store(array, at, x)         the reverse; into uint16 rounded to the nearest
    fma(x, y, z)                x y + z
    total(x)                    the sum of the sixteen
    four_totals(array, at, …)   the sums of four vectors, added to four numbers in a row
    any_above(array, at, x)     whether one of sixteen numbers is above x
    peek(array, at)             one element

No index is checked, and none may be negative: Numba's own indexing checks every one, which would
take as long as the work. The first argument of each function is Numba's typing context.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel.models import PrimitiveModel
from numba.extending import intrinsic, register_model

WIDTH = 16

_FLOAT = ir.VectorType(ir.FloatType(), WIDTH)
_INT = ir.VectorType(ir.IntType(32), WIDTH)
_SHORT = ir.VectorType(ir.IntType(16), WIDTH)


class Lanes(types.Type):
    """The type of sixteen numbers."""

    def __init__(self) -> None:
        super().__init__(name=f"Lanes{WIDTH}")


LANES = Lanes()


@register_model(Lanes)
class _Model(PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _FLOAT)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any, *, to: Any) -> Any:
    struct = context.make_array(kind)(context, builder, array)
    element = builder.gep(struct.data, [at])
    return builder.bitcast(element, to.as_pointer())


def _all(kind: Any, number: int) -> Any:
    return ir.Constant(kind, [number] * kind.count)


@intrinsic
def zero(typing: Any) -> Any:
    """Sixteen zeros."""
    return LANES(), lambda context, builder, signature, args: _all(_FLOAT, 0)


@intrinsic
def splat(typing: Any, x: Any) -> Any:
    """Sixteen times x."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # LLVM has no "repeat": x is put into place 0, and a shuffle takes that place only.
        empty = ir.Constant(_FLOAT, ir.Undefined)
        first_place = ir.Constant(ir.IntType(32), 0)
        first_only = builder.insert_element(empty, args[0], first_place)
        from_first = _all(_INT, 0)

        return builder.shuffle_vector(first_only, empty, from_first)

    return LANES(types.float32), generate


@intrinsic
def load(typing: Any, array: Any, at: Any) -> Any:
    """array[at : at + 16].

    Args:
        typing: Numba's typing context.
        array: float32, or uint16 with the bits of bfloat16.
        at: the first element.
    """
    short = array.dtype == types.uint16

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # Aligned to an element only: a row may begin anywhere.
        if not short:
            pointer = _pointer(context, builder, array, *args, to=_FLOAT)
            return builder.load(pointer, align=4)

        pointer = _pointer(context, builder, array, *args, to=_SHORT)
        # bfloat16 is the upper half of a 32-bit number.
        lower = builder.zext(builder.load(pointer, align=2), _INT)
        upper = builder.shl(lower, _all(_INT, 16))

        return builder.bitcast(upper, _FLOAT)

    return LANES(array, types.intp), generate


@intrinsic
def store(typing: Any, array: Any, at: Any, x: Any) -> Any:
    """array[at : at + 16] = x.

    Args:
        typing: Numba's typing context.
        array: float32, or uint16 for the bits of bfloat16.
        at: the first element.
        x: sixteen numbers.
    """
    short = array.dtype == types.uint16

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, array, *args[:2], to=_SHORT if short else _FLOAT)
        value = args[2]
        if short:
            # Rounded to the nearest, ties to even.
            bits = builder.bitcast(value, _INT)
            upper = builder.lshr(bits, _all(_INT, 16))
            odd = builder.and_(upper, _all(_INT, 1))
            # Just under half of the last digit kept, and the rest of a half where that is odd.
            half = builder.add(odd, _all(_INT, 0x7FFF))
            rounded = builder.add(bits, half)
            upper = builder.lshr(rounded, _all(_INT, 16))
            value = builder.trunc(upper, _SHORT)

        builder.store(value, pointer, align=2 if short else 4)

        return context.get_dummy_value()

    return types.void(array, types.intp, LANES), generate


@intrinsic
def fma(typing: Any, x: Any, y: Any, z: Any) -> Any:
    """The sixteen x y + z, each rounded once.

    Args:
        typing: Numba's typing context.
        x: the first factors.
        y: the second factors.
        z: what is added.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        signature_of_fma = ir.FunctionType(_FLOAT, [_FLOAT] * 3)
        function = cgutils.get_or_insert_function(
            builder.module, signature_of_fma, f"llvm.fma.v{WIDTH}f32"
        )
        return builder.call(function, args)

    return LANES(LANES, LANES, LANES), generate


@intrinsic
def total(typing: Any, x: Any) -> Any:
    """The sum of the sixteen, always in the same order."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (sums,) = args

        # Neighbors, then their neighbors: a tree, whose order the compiler must not change.
        while sums.type.count > 2:
            sums = _neighbors(builder, sums, sums, half=True)

        first = builder.extract_element(sums, ir.Constant(ir.IntType(32), 0))
        second = builder.extract_element(sums, ir.Constant(ir.IntType(32), 1))

        return builder.fadd(first, second)

    return types.float32(LANES), generate


@intrinsic
def four_totals(typing: Any, array: Any, at: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """array[at : at + 4] += the sums of a, b, c and d, each in the order of `total`.

    Args:
        typing: Numba's typing context.
        array: float32.
        at: the first element.
        a: the vector whose sum goes to the first element.
        b: to the second.
        c: to the third.
        d: to the fourth.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums_of_a_b = _neighbors(builder, *args[2:4])
        sums_of_c_d = _neighbors(builder, *args[4:6])
        sums = _neighbors(builder, sums_of_a_b, sums_of_c_d)

        while sums.type.count > 4:
            sums = _neighbors(builder, sums, sums, half=True)

        pointer = _pointer(context, builder, array, *args[:2], to=sums.type)
        before = builder.load(pointer, align=4)
        builder.store(builder.fadd(before, sums), pointer, align=4)

        return context.get_dummy_value()

    return types.void(array, types.intp, LANES, LANES, LANES, LANES), generate


def _neighbors(builder: Any, x: Any, y: Any, *, half: bool = False) -> Any:
    """Sums of neighbors, those of x then those of y; with `half` those of x only."""
    n = x.type.count
    if half:
        n //= 2

    # A shuffle numbers the elements of x and y through: those of y follow those of x.
    places = ir.VectorType(ir.IntType(32), n)
    even = ir.Constant(places, list(range(0, 2 * n, 2)))
    odd = ir.Constant(places, list(range(1, 2 * n, 2)))
    left = builder.shuffle_vector(x, y, even)
    right = builder.shuffle_vector(x, y, odd)

    return builder.fadd(left, right)


@intrinsic
def any_above(typing: Any, array: Any, at: Any, x: Any) -> Any:
    """Whether one of array[at : at + 16] is above the same place of x; what is no number is not.

    Args:
        typing: Numba's typing context.
        array: float32.
        at: the first element.
        x: sixteen numbers.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, array, *args[:2], to=_FLOAT)
        numbers = builder.load(pointer, align=4)
        is_above = builder.fcmp_ordered(">", numbers, args[2])
        bits = builder.bitcast(is_above, ir.IntType(WIDTH))

        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(WIDTH), 0))

    return types.boolean(array, types.intp, LANES), generate


@intrinsic
def peek(typing: Any, array: Any, at: Any) -> Any:
    """array[at], unchecked.

    Args:
        typing: Numba's typing context.
        array: of any type.
        at: the element.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        struct = context.make_array(array)(context, builder, args[0])
        element = builder.gep(struct.data, [args[1]])
        return builder.load(element)

    return array.dtype(array, types.intp), generate
