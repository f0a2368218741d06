# mypy: ignore-errors
"""Short vectors of float32 that compiled kernels keep in one register.

A footprint row of a map is 16 or 8 neighbouring numbers. Compilers turn loops that short into
single steps, so kernels name the vectors instead. Compiled, each function here is one or a few
vector instructions of whatever machine it is (wide vectors are split where registers are
narrower); interpreted, it works on NumPy arrays of as many numbers. Every sum has a fixed order,
and nothing is reordered by the compiler.

Numbers in the names are the lanes of the result; a flat array is float32 and contiguous, an
index into it uint64.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import intrinsic, overload, register_model

_INT32 = ir.IntType(32)


class LanesType(types.Type):
    """Numba type of a vector of `width` float32 numbers."""

    def __init__(self, width):
        self.width = width
        super().__init__(f"Lanes({width})")


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    """In memory and registers: an LLVM vector."""

    def __init__(self, manager, lanes):
        super().__init__(manager, lanes, _vector(lanes.width))


def _vector(width):
    return ir.VectorType(ir.FloatType(), width)


def _shuffle(builder, vector, order):
    order = ir.Constant(ir.VectorType(_INT32, len(order)), list(order))
    return builder.shuffle_vector(vector, vector, order)


def _address(context, builder, array_type, array, at, width):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), _vector(width).as_pointer())


def _loader(n, width):
    """Make the function that loads `n` numbers and repeats them up to `width`."""

    def load(flat, at):
        return np.tile(flat[int(at) : int(at) + n], width // n)

    @intrinsic
    def load_lanes(typing, flat, at):
        def generate(context, builder, signature, arguments):
            place = _address(context, builder, signature.args[0], *arguments, n)
            value = builder.load(place)
            value.align = 4
            if n == width:
                return value
            return _shuffle(builder, value, [lane % n for lane in range(width)])

        return LanesType(width)(flat, types.uint64), generate

    overload(load)(lambda flat, at: lambda flat, at: load_lanes(flat, at))
    return load


def _picker(order):
    """Make the function that returns the lanes of a vector named by `order`."""

    def pick(lanes):
        return lanes[list(order)]

    @intrinsic
    def pick_lanes(typing, lanes):
        def generate(context, builder, signature, arguments):
            return _shuffle(builder, arguments[0], order)

        return LanesType(len(order))(lanes), generate

    overload(pick)(lambda lanes: lambda lanes: pick_lanes(lanes))
    return pick


def _spreader(width):
    """Make the function that fills the halves of a vector with two numbers."""

    def spread(first, second):
        return np.repeat(np.array([first, second], np.float32), width // 2)

    @intrinsic
    def spread_lanes(typing, first, second):
        def generate(context, builder, signature, arguments):
            pair = ir.Constant(_vector(2), ir.Undefined)
            for lane, value in enumerate(arguments):
                pair = builder.insert_element(pair, value, ir.Constant(_INT32, lane))
            return _shuffle(builder, pair, [lane // (width // 2) for lane in range(width)])

        return LanesType(width)(types.float32, types.float32), generate

    overload(spread)(lambda first, second: lambda first, second: spread_lanes(first, second))
    return spread


def _unpacker(shifts):
    """Make the function that turns 16 bits of a uint32, from bit `shifts` on, into each lane."""

    def unpack(bits):
        return np.array([(int(bits) >> shift) & 65535 for shift in shifts], np.float32)

    @intrinsic
    def unpack_lanes(typing, bits):
        def generate(context, builder, signature, arguments):
            whole = ir.VectorType(_INT32, len(shifts))
            first = builder.insert_element(
                ir.Constant(whole, ir.Undefined), arguments[0], ir.Constant(_INT32, 0)
            )
            value = _shuffle(builder, first, [0] * len(shifts))
            value = builder.lshr(value, ir.Constant(whole, list(shifts)))
            value = builder.and_(value, ir.Constant(whole, [65535] * len(shifts)))
            return builder.sitofp(value, _vector(len(shifts)))

        return LanesType(len(shifts))(types.uint32), generate

    overload(unpack)(lambda bits: lambda bits: unpack_lanes(bits))
    return unpack


load_16 = _loader(16, 16)
load_8 = _loader(8, 8)
load_4 = _loader(4, 4)
repeat_4_to_16 = _loader(4, 16)
repeat_4_to_8 = _loader(4, 8)
spread_16 = _spreader(16)
spread_8 = _spreader(8)
spread_4 = _spreader(4)
unpack_low_8 = _unpacker([0] * 8)
unpack_high_8 = _unpacker([16] * 8)
unpack_both_8 = _unpacker([0] * 4 + [16] * 4)
pick_columns = _picker([lane // 4 for lane in range(16)])
pick_row_0, pick_row_1, pick_row_2, pick_row_3 = (_picker([4 + row] * 16) for row in range(4))


def add(a, b):
    """Add lane by lane."""
    return a + b


def subtract(a, b):
    """Subtract lane by lane."""
    return a - b


def multiply(a, b):
    """Multiply lane by lane."""
    return a * b


def multiply_add(a, b, c):
    """Return ``a b + c`` lane by lane, rounded once where the machine can."""
    return a * b + c


def total(lanes):
    """Return the sum of the lanes, halves first."""
    while len(lanes) > 1:
        lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
    return lanes[0]


def store(flat, at, lanes):
    """Write lanes into a flat array from index `at` on."""
    flat[int(at) : int(at) + len(lanes)] = lanes


def _lane_by_lane(function, instruction):
    """Compile `function` of two vectors to one instruction."""

    @intrinsic
    def lanes_of(typing, a, b):
        def generate(context, builder, signature, arguments):
            return getattr(builder, instruction)(*arguments)

        return a(a, b), generate

    overload(function)(lambda a, b: lambda a, b: lanes_of(a, b))


@intrinsic
def _multiply_add_lanes(typing, a, b, c):
    def generate(context, builder, signature, arguments):
        vector = _vector(a.width)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{a.width}f32"
        )
        return builder.call(function, arguments)

    return a(a, b, c), generate


@intrinsic
def _total_lanes(typing, lanes):
    def generate(context, builder, signature, arguments):
        value, half = arguments[0], lanes.width // 2
        while half:
            low = _shuffle(builder, value, range(half))
            high = _shuffle(builder, value, range(half, 2 * half))
            value, half = builder.fadd(low, high), half // 2
        return builder.extract_element(value, ir.Constant(_INT32, 0))

    return types.float32(lanes), generate


@intrinsic
def _store_lanes(typing, flat, at, lanes):
    def generate(context, builder, signature, arguments):
        flat_type, array, at, value = signature.args[0], *arguments
        builder.store(
            value, _address(context, builder, flat_type, array, at, lanes.width)
        ).align = 4
        return context.get_dummy_value()

    return types.none(flat, types.uint64, lanes), generate


_lane_by_lane(add, "fadd")
_lane_by_lane(subtract, "fsub")
_lane_by_lane(multiply, "fmul")
overload(multiply_add)(lambda a, b, c: lambda a, b, c: _multiply_add_lanes(a, b, c))
overload(total)(lambda lanes: lambda lanes: _total_lanes(lanes))
overload(store)(lambda flat, at, lanes: lambda flat, at, lanes: _store_lanes(flat, at, lanes))
