"""The boot ROM's float tables, called bit for bit on the running board, against Python's doubles and exact integers."""

import math
import random
import struct
from fractions import Fraction

import pytest

INF, NAN = math.inf, math.nan

# The board's side: call an entry of table `code` ('SF' or 'SD') with r0-r3 as given, return r0-r3.
CALLER = """
import machine, array, binascii
@micropython.asm_thumb
def call(r0, r1):
    mov(r4, r0)
    mov(r5, r1)
    ldr(r0, [r4, 0])
    ldr(r1, [r4, 4])
    ldr(r2, [r4, 8])
    ldr(r3, [r4, 12])
    data(2, 0x47a8)  # blx r5
    str(r0, [r4, 0])
    str(r1, [r4, 4])
    str(r2, [r4, 8])
    str(r3, [r4, 12])
def table(code):
    at = machine.mem16[0x16]
    while machine.mem16[at] != code: at += 4
    return machine.mem16[at + 2]
def calls(code, offset, packed):
    f = machine.mem32[table(code) + offset]
    r = array.array('I', binascii.unhexlify(packed))
    for i in range(0, len(r), 4):
        w = r[i:i + 4]
        call(w, f)
        r[i:i + 4] = w
    print(binascii.hexlify(r).decode())
"""


@pytest.fixture(scope="module")
def board(pico):
    with pico.repl() as transport:
        transport.exec(CALLER)
        yield transport


@pytest.fixture(scope="module")
def rom(board):
    """rom(table, offset, [bytes of r0-r3, ...]) -> [bytes of r0-r3, ...], computed on the board."""

    def call(table: str, offset: int, arguments: list[bytes]) -> list[bytes]:
        results = b""
        for first in range(0, len(arguments), 100):
            packed = b"".join(a.ljust(16, b"\0") for a in arguments[first : first + 100]).hex()
            code = int.from_bytes(table.encode(), "little")
            results += bytes.fromhex(board.exec(f"calls({code}, {offset}, {packed!r})").decode())
        return [results[at : at + 16] for at in range(0, len(results), 16)]

    return call


class Format:
    """Single or double precision: packing, and the values that make trouble."""

    def __init__(self, table: str, code: str, digits: int, smallest: float, largest: float):
        self.table, self.code, self.digits = table, code, digits
        self.size = struct.calcsize(code)
        self.smallest, self.largest = smallest, largest  # normal numbers

    def pack(self, *values: float) -> bytes:
        return struct.pack(f"<{len(values)}{self.code}", *values)

    def unpack(self, result: bytes) -> float:
        return struct.unpack_from(f"<{self.code}", result)[0]

    def round(self, value: float) -> float:
        """`value` (a double) in this format, without denormals."""
        if abs(value) < self.smallest:
            return math.copysign(0.0, value)
        try:
            return self.unpack(self.pack(value))
        except OverflowError:
            return math.copysign(INF, value)

    def samples(self, count: int, seed: int) -> list[float]:
        generate = random.Random(seed)
        edges = [0.0, -0.0, 1.0, -1.0, 1.5, -2.5, self.smallest, self.largest, -self.largest, INF, -INF]
        denormal = math.ldexp(self.smallest, -3)
        ordinary = [
            math.ldexp(generate.uniform(-2, 2), generate.choice([0, 0, 1, 5, -7, 20, -30, 60, -60]))
            for _ in range(count)
        ]
        return [*edges, denormal, *(self.unpack(self.pack(x)) for x in ordinary)]

    def ulp(self, value: float) -> float:
        return math.ldexp(1.0, max(math.frexp(value)[1] - self.digits, -1074)) if value else self.smallest


SINGLE = Format("SF", "f", 24, 2.0**-126, (2 - 2.0**-23) * 2.0**127)
DOUBLE = Format("SD", "d", 53, 2.0**-1022, (2 - 2.0**-52) * 2.0**1023)
formats = pytest.mark.parametrize("fmt", [SINGLE, DOUBLE], ids=["float", "double"])


def quotient(a: float, b: float) -> float:
    if b == 0:
        return NAN if a == 0 else math.copysign(INF, a) * math.copysign(1, b)
    return a / b


def same(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))


@formats
@pytest.mark.parametrize(
    "offset, operation",
    [(0x00, lambda a, b: a + b), (0x04, lambda a, b: a - b), (0x08, lambda a, b: a * b), (0x0C, quotient)],
    ids=["add", "sub", "mul", "div"],
)
def test_arithmetic_is_correctly_rounded(rom, fmt, offset, operation):
    """Rounding twice, to double and to float, is rounding once for these operations."""
    values = fmt.samples(300, seed=offset)
    pairs = [(a, b) for a in values[:12] for b in values[:12]] + list(zip(values, values[7:] + values[:7], strict=True))
    pairs += [(a, -math.nextafter(a, 0)) for a in values[12:40]] if fmt is DOUBLE else []
    results = rom(fmt.table, offset, [fmt.pack(a, b) for a, b in pairs])
    for (a, b), result in zip(pairs, results, strict=True):
        expected = fmt.round(operation(fmt.round(a), fmt.round(b)))
        assert same(fmt.unpack(result), expected), (a, b)


@formats
@pytest.mark.parametrize("offset", [0x10, 0x54], ids=["fast", "basic"])
def test_compare(rom, fmt, offset):
    values = fmt.samples(20, seed=3)
    pairs = [(a, b) for a in values for b in values]
    for (a, b), result in zip(pairs, rom(fmt.table, offset, [fmt.pack(a, b) for a, b in pairs]), strict=True):
        a, b = fmt.round(a), fmt.round(b)
        assert struct.unpack_from("<i", result)[0] == (a > b) - (a < b), (a, b)


@formats
def test_square_root_is_correctly_rounded(rom, fmt):
    values = [abs(v) for v in fmt.samples(300, seed=4)]
    for v, result in zip(values, rom(fmt.table, 0x18, [fmt.pack(v) for v in values]), strict=True):
        assert same(fmt.unpack(result), fmt.round(math.sqrt(fmt.round(v)))), v
    assert fmt.unpack(rom(fmt.table, 0x18, [fmt.pack(-2.0)])[0]) == -INF  # as the RP2040 has it


FUNCTIONS = {
    "cos": (0x3C, math.cos, -120, 120),
    "sin": (0x40, math.sin, -120, 120),
    "tan": (0x44, math.tan, -120, 120),
    "exp": (0x4C, math.exp, -80, 80),
    "ln": (0x50, math.log, 1e-30, 1e30),
}


@formats
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_accurate(rom, fmt, name):
    """float: within 0.51 ulp of the true value; double: within 1.5 ulp (2.5 for tan, which is a quotient)."""
    offset, function, low, high = FUNCTIONS[name]
    generate = random.Random(offset)
    values = [generate.uniform(low, high) for _ in range(200)] + [generate.uniform(max(low, -2), 2) for _ in range(200)]
    values += [math.pi, math.pi / 2, 1.0, 0.5, 1e-5, 11 * math.pi / 2]
    values = [fmt.unpack(fmt.pack(abs(v) if name == "ln" else v)) for v in values]
    allowed = 0.51 if fmt is SINGLE else 2.5 if name == "tan" else 1.5
    for v, result in zip(values, rom(fmt.table, offset, [fmt.pack(v) for v in values]), strict=True):
        true = function(v)
        assert abs(fmt.unpack(result) - true) <= allowed * fmt.ulp(true), (
            v,
            (fmt.unpack(result) - true) / fmt.ulp(true),
        )


@formats
def test_functions_at_the_edges(rom, fmt):
    def one(offset: int, *values: float) -> float:
        return fmt.unpack(rom(fmt.table, offset, [fmt.pack(*values)])[0])

    assert one(0x4C, 0.0) == 1 and one(0x4C, -INF) == 0 and one(0x4C, INF) == INF and one(0x4C, 800.0) == INF
    assert one(0x4C, -800.0) == 0
    top = math.log(fmt.largest) * (1 - 2.0**-20)
    assert abs(one(0x4C, top) / math.exp(fmt.unpack(fmt.pack(top))) - 1) < 2.0 ** (2 - fmt.digits)
    assert one(0x50, 1.0) == 0 and one(0x50, 0.0) == -INF and one(0x50, -1.0) == -INF and one(0x50, INF) == INF
    assert same(one(0x40, -0.0), -0.0) and one(0x3C, 0.0) == 1 and math.isnan(one(0x40, INF))
    assert math.isnan(one(0x4C, NAN)) and math.isnan(one(0x50, NAN)) and math.isnan(one(0x18, NAN))


@formats
def test_sine_comes_with_cosine(rom, fmt):
    values = [fmt.unpack(fmt.pack(v)) for v in (0.0, 0.3, -1.0, 2.0, 3.5, -5.0, 100.25)]
    for v, result in zip(values, rom(fmt.table, 0x48, [fmt.pack(v) for v in values]), strict=True):
        sine, cosine = struct.unpack_from(f"<2{fmt.code}", result)
        assert abs(sine - math.sin(v)) <= 1.5 * fmt.ulp(math.sin(v)), v
        assert abs(cosine - math.cos(v)) <= 1.5 * fmt.ulp(math.cos(v)), v


@formats
def test_arc_tangent_of_two(rom, fmt):
    edges = [0.0, -0.0, 1.0, -1.0, INF, -INF, 3.0]
    generate = random.Random(6)
    pairs = [(y, x) for y in edges for x in edges]
    pairs += [(generate.uniform(-3, 3), generate.uniform(-3, 3)) for _ in range(200)]
    pairs = [tuple(fmt.unpack(fmt.pack(v)) for v in pair) for pair in pairs]
    allowed = 0.51 if fmt is SINGLE else 2
    for (y, x), result in zip(pairs, rom(fmt.table, 0x58, [fmt.pack(y, x) for y, x in pairs]), strict=True):
        true, found = math.atan2(y, x), fmt.unpack(result)
        assert abs(found - true) <= allowed * fmt.ulp(true) and math.copysign(1, found) == math.copysign(1, true), (
            y,
            x,
        )


# offset, signed, width, with a number of fraction bits
TO_INTEGER = [
    (0x1C, True, 32, False),
    (0x20, True, 32, True),
    (0x24, False, 32, False),
    (0x28, False, 32, True),
    (0x6C, True, 64, False),
    (0x70, True, 64, True),
    (0x74, False, 64, False),
    (0x78, False, 64, True),
]


@formats
@pytest.mark.parametrize("offset, signed, width, fixed", TO_INTEGER)
def test_to_integer_rounds_down_and_saturates(rom, fmt, offset, signed, width, fixed):
    edges = [0.5, -0.5, -1e-3, 2.0**31, -(2.0**31), 2.0**32, 2.0**63, -(2.0**63)]
    values = [*fmt.samples(150, seed=offset), *edges]
    generate = random.Random(offset)
    cases = [(v, generate.choice([0, 1, 8, 16, 31, -3]) if fixed else 0) for v in values]
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    for (v, bits), result in zip(
        cases, rom(fmt.table, offset, [fmt.pack(v) + struct.pack("<i", bits) for v, bits in cases]), strict=True
    ):
        v = fmt.round(v)
        exact = (low if v < 0 else high) if math.isinf(v) else math.floor(Fraction(v) * Fraction(2) ** bits)
        found = int.from_bytes(result[: width // 8], "little", signed=signed)
        assert found == min(max(exact, low), high), (v, bits)


FROM_INTEGER = [
    (0x2C, True, 32, False),
    (0x30, True, 32, True),
    (0x34, False, 32, False),
    (0x38, False, 32, True),
    (0x5C, True, 64, False),
    (0x60, True, 64, True),
    (0x64, False, 64, False),
    (0x68, False, 64, True),
]


def nearest(value: int, bits: int, fmt: Format) -> float:
    """value * 2**-bits rounded once, ties to even, in exact integers."""
    drop = max(abs(value).bit_length() - fmt.digits, 0)
    kept, rest = divmod(abs(value), 1 << drop)
    half = (1 << drop) >> 1
    kept += bool(drop) and (rest > half or (rest == half and kept & 1))
    return math.copysign(math.ldexp(float(kept), drop - bits), value)


@formats
@pytest.mark.parametrize("offset, signed, width, fixed", FROM_INTEGER)
def test_from_integer_rounds_to_nearest_even(rom, fmt, offset, signed, width, fixed):
    generate = random.Random(offset)
    values = [0, 1, 3, (1 << width - 1) - 1, (1 << 24) + 1, (1 << 24) + 3, (1 << 25) + 2]
    values += [generate.getrandbits(generate.randint(1, width - 1)) for _ in range(150)]
    values += [-v for v in values] + [-(1 << width - 1)] if signed else [(1 << width) - 1, 1 << width - 1]
    cases = [(v, generate.choice([0, 1, 8, 31, -4]) if fixed else 0) for v in values]
    packed = [v.to_bytes(width // 8, "little", signed=signed) + struct.pack("<i", bits) for v, bits in cases]
    for (v, bits), result in zip(cases, rom(fmt.table, offset, packed), strict=True):
        assert fmt.unpack(result) == nearest(v, bits, fmt), (v, bits)


def test_float_to_double_and_back(rom):
    singles = SINGLE.samples(100, seed=8)
    for v, result in zip(singles, rom("SF", 0x7C, [SINGLE.pack(v) for v in singles]), strict=True):
        assert same(DOUBLE.unpack(result), SINGLE.round(v)), v
    doubles = [*DOUBLE.samples(200, seed=9), 1 + 2.0**-24, 1 + 3 * 2.0**-24, 1e-40, 3.5e38, -1e300]
    for v, result in zip(doubles, rom("SD", 0x7C, [DOUBLE.pack(v) for v in doubles]), strict=True):
        assert same(SINGLE.unpack(result), SINGLE.round(DOUBLE.round(v))), v


def test_what_micropython_makes_of_it(board):
    """Through the pico-sdk's wrappers, as users' programs get there."""
    code = """
import math
print([math.sqrt(2), math.sin(1), math.cos(200), math.exp(1.5), math.log(10), math.pow(2.5, 3.5), math.tan(1.2)])
print([int(-2.7), int(3e9), round(2.5), round(-1.5), 7 // 2.0, -7.5 % 2, 1 / 3, 0.1 + 0.2, 2.0 ** 100])
print([math.floor(-2.5), math.ceil(2.1), math.atan2(1, -2), float('inf') - 1, 1e-40, math.isnan(float('nan') * 2)])
print(math.sinh(1), math.gamma(5), math.erf(0.5), math.fmod(7.5, 2), 1.5 < 2.5, -0.0 == 0.0, float('nan') == 1)
"""
    first, second, third, fourth = board.exec(code).decode().splitlines()
    expected = [
        math.sqrt(2),
        math.sin(1),
        math.cos(200),
        math.exp(1.5),
        math.log(10),
        math.pow(2.5, 3.5),
        math.tan(1.2),
    ]
    assert [float(word) for word in first.strip("[]").split(",")] == pytest.approx(expected, rel=3e-7)
    numbers = [float(word) for word in second.strip("[]").split(",")]
    assert numbers[:6] == [-2, 3e9, 2, -2, 3, 0.5] and numbers[6:] == pytest.approx([1 / 3, 0.3, 2.0**100], rel=3e-7)
    assert third == "[-3, 3, 2.6779452, inf, 0.0, True]"
    assert fourth.split()[-3:] == ["True", "True", "False"]
