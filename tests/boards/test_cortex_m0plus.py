"""The emulated core against the ARMv6-M Architecture Reference Manual's pseudocode, and against the cycle table of the
Cortex-M0+ Technical Reference Manual."""

import json
import random
import subprocess
from pathlib import Path

import pytest

RUNNER = Path(__file__).with_name("run_cortex_m0plus.mjs")
CODE, DATA, STACK = 0x20000000, 0x20001000, 0x20002000
N, Z, C, V = 8, 4, 2, 1
MASK = 0xFFFFFFFF


def run(cases: list[dict]) -> list[dict]:
    done = subprocess.run(["node", RUNNER], input=json.dumps(cases), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


# The manual's pseudocode: functions return (result, carry, overflow), None for a flag that stays as it is.


def signed(x: int) -> int:
    return x - (1 << 32) if x >> 31 else x


def add_with_carry(x: int, y: int, carry: int) -> tuple:
    unsigned_sum, signed_sum = x + y + carry, signed(x) + signed(y) + carry
    result = unsigned_sum & MASK
    return result, int(result != unsigned_sum), int(signed(result) != signed_sum)


def shift(kind: str, x: int, amount: int, carry: int) -> tuple:
    if amount == 0:
        return x, carry, None
    if kind == "ror":
        amount %= 32
        result = (x >> amount | x << (32 - amount)) & MASK if amount else x
        return result, result >> 31, None
    if kind == "lsl":
        wide = x << amount
        return wide & MASK, wide >> 32 & 1, None
    value = signed(x) if kind == "asr" else x
    return value >> amount & MASK, value >> (amount - 1) & 1, None


def logical(result: int) -> tuple:
    return result & MASK, None, None


REGISTER_OPERATIONS = {  # opcode in bits 9..6 of 010000: (d, m, carry) -> result; False: nothing is written
    0: (lambda d, m, c: logical(d & m), True),
    1: (lambda d, m, c: logical(d ^ m), True),
    2: (lambda d, m, c: shift("lsl", d, m & 0xFF, c), True),
    3: (lambda d, m, c: shift("lsr", d, m & 0xFF, c), True),
    4: (lambda d, m, c: shift("asr", d, m & 0xFF, c), True),
    5: (lambda d, m, c: add_with_carry(d, m, c), True),
    6: (lambda d, m, c: add_with_carry(d, m ^ MASK, c), True),
    7: (lambda d, m, c: shift("ror", d, m & 0xFF, c), True),
    8: (lambda d, m, c: logical(d & m), False),
    9: (lambda d, m, c: add_with_carry(m ^ MASK, 0, 1), True),
    10: (lambda d, m, c: add_with_carry(d, m ^ MASK, 1), False),
    11: (lambda d, m, c: add_with_carry(d, m, 0), False),
    12: (lambda d, m, c: logical(d | m), True),
    13: (lambda d, m, c: logical(d * m), True),
    14: (lambda d, m, c: logical(d & ~m), True),
    15: (lambda d, m, c: logical(~m), True),
}
IMMEDIATE_SHIFTS = {0: "lsl", 1: "lsr", 2: "asr"}
EDGES = [0, 1, 2, 31, 32, 33, 0x7F, 0x80, 0xFF, 0x100, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFE, 0xFFFFFFFF]


def flags_after(result: int, carry: int | None, overflow: int | None, before: int) -> int:
    nz = (N if result >> 31 else 0) | (Z if result == 0 else 0)
    c = before & C if carry is None else C * carry
    v = before & V if overflow is None else V * overflow
    return nz | c | v


def check(cases: list[dict], expected: list[tuple[int | None, int]]) -> None:
    """expected: value of r0, and the flags."""
    for case, (value, flags), after in zip(cases, expected, run(cases), strict=True):
        found = after["registers"][0], after["flags"]
        assert (found, after["fault"]) == ((value, flags), None), (case, [hex(c) for c in case["code"]])


def test_data_processing_on_registers():
    generate, cases, expected = random.Random(1), [], []
    pairs = [(d, m) for d in EDGES for m in EDGES] + [(generate.getrandbits(32), generate.getrandbits(32))] * 50
    for opcode, (operation, writes) in REGISTER_OPERATIONS.items():
        for d, m in pairs:
            flags = generate.choice([0, C, V, C | V, N, Z | C])
            cases.append({"code": [0x4000 | opcode << 6 | 1 << 3], "registers": {0: d, 1: m}, "flags": flags})
            result, carry, overflow = operation(d, m, flags >> 1 & 1)
            expected.append((result if writes else d, flags_after(result, carry, overflow, flags)))
    check(cases, expected)


def test_additions_subtractions_and_immediates():
    generate, cases, expected = random.Random(2), [], []
    for n in [*EDGES, *(generate.getrandbits(32) for _ in range(30))]:
        for m in EDGES:
            for code, y, carry in [(0x1800, m, 0), (0x1A00, m ^ MASK, 1)]:  # ADDS, SUBS r0, r1, r2
                cases.append({"code": [code | 2 << 6 | 1 << 3], "registers": {1: n, 2: m}, "flags": 0})
                expected.append((add_with_carry(n, y, carry)[0], flags_after(*add_with_carry(n, y, carry), 0)))
            # ADD r0, r2 leaves the flags alone
            cases.append({"code": [0x4410], "registers": {0: n, 2: m}, "flags": C})
            expected.append(((n + m) & MASK, C))
        for imm in (0, 1, 7, 255):
            for code, y, carry, writes in [(0x3000, imm, 0, 1), (0x3800, imm ^ MASK, 1, 1), (0x2800, imm ^ MASK, 1, 0)]:
                cases.append({"code": [code | imm], "registers": {0: n}, "flags": V})
                result = add_with_carry(n, y, carry)
                expected.append((result[0] if writes else n, flags_after(*result, 0)))
        for imm in (0, 1, 31):
            for opcode, kind in IMMEDIATE_SHIFTS.items():
                cases.append({"code": [opcode << 11 | imm << 6 | 1 << 3], "registers": {1: n}, "flags": C})
                result = shift(kind, n, imm if kind == "lsl" else imm or 32, 1)
                expected.append((result[0], flags_after(*result, C)))
    check(cases, expected)


def test_extend_and_reverse():
    cases, expected = [], []
    for value in [0x12345678, 0x80FF7F81, 0xFFFF8000, 0x0000FF80]:
        b = value.to_bytes(4, "little")
        for code, result in [
            (0xB200, int.from_bytes(b[:2], "little", signed=True)),
            (0xB240, int.from_bytes(b[:1], "little", signed=True)),
            (0xB280, value & 0xFFFF),
            (0xB2C0, value & 0xFF),
            (0xBA00, int.from_bytes(b, "big")),
            (0xBA40, int.from_bytes(bytes([b[1], b[0], b[3], b[2]]), "little")),
            (0xBAC0, int.from_bytes(b[:2], "big", signed=True)),
        ]:
            cases.append({"code": [code | 1 << 3], "registers": {1: value}, "flags": N | V})
            expected.append((result & MASK, N | V))
    check(cases, expected)


CONDITIONS = [
    lambda n, z, c, v: z,
    lambda n, z, c, v: c,
    lambda n, z, c, v: n,
    lambda n, z, c, v: v,
    lambda n, z, c, v: c and not z,
    lambda n, z, c, v: n == v,
    lambda n, z, c, v: n == v and not z,
]


def test_conditional_branches():
    cases, expected = [], []
    for condition in range(14):
        for flags in range(16):
            if flags & N and flags & Z:
                continue  # no result is negative and zero
            # B<cond> over a MOV r0, r1, which leaves the flags alone
            cases.append({"code": [0xD000 | condition << 8, 0x4608], "registers": {0: 1, 1: 2}, "flags": flags})
            holds = bool(CONDITIONS[condition >> 1](*(bool(flags & bit) for bit in (N, Z, C, V)))) ^ (condition & 1)
            expected.append((1 if holds else 2, flags))
    check(cases, expected)


def test_loads_and_stores():
    memory = {str(DATA): 0x80FF7F81, str(DATA + 4): 0x12345678}
    cases, expected = [], []
    for code, result in [
        (0x6808, 0x80FF7F81),  # LDR r0, [r1]
        (0x6848, 0x12345678),  # LDR r0, [r1, #4]
        (0x5888, 0x12345678),  # LDR r0, [r1, r2]
        (0x7848, 0x7F),  # LDRB r0, [r1, #1]
        (0x8848, 0x80FF),  # LDRH r0, [r1, #2]
        (0x56C8, 0xFFFFFF81),  # LDRSB r0, [r1, r3]
        (0x5EC8, 0x7F81),  # LDRSH r0, [r1, r3]
        (0x5A88, 0x5678),  # LDRH r0, [r1, r2]
        (0x5C88, 0x78),  # LDRB r0, [r1, r2]
    ]:
        cases.append({"code": [code], "registers": {1: DATA, 2: 4, 3: 0}, "flags": 0, "memory": memory})
        expected.append((result, 0))
    check(cases, expected)
    stores = [(0x6008, "aabbccdd"), (0x7008, "aabbcc81"), (0x8008, "80ffccdd"), (0x5488, None)]
    words = run(
        [{"code": [c], "registers": {0: 0xAABBCCDD, 1: DATA, 2: 4}, "flags": 0, "memory": memory} for c, _ in stores]
    )
    assert words[0]["memory"][str(DATA)] == 0xAABBCCDD
    assert words[1]["memory"][str(DATA)] == 0x80FF7FDD
    assert words[2]["memory"][str(DATA)] == 0x80FFCCDD
    assert words[3]["memory"][str(DATA + 4)] == 0x123456DD


def test_multiple_loads_stores_and_stack():
    # PUSH {r0, r1, lr}; POP {r2, r3}; POP {r4}
    (after,) = run([{"code": [0xB503, 0xBC0C, 0xBC10], "registers": {0: 1, 1: 2, 14: 3, 13: STACK}, "flags": 0}])
    assert after["registers"][2:5] == [1, 2, 3] and after["registers"][13] == STACK
    # STMIA r1!, {r2, r3}; SUBS r1, #8; LDMIA r1, {r1, r4}: no write-back when the base is loaded
    registers = {1: DATA, 2: 5, 3: 6}
    (after,) = run([{"code": [0xC10C, 0x3908, 0xC912], "registers": registers, "flags": 0}])
    assert after["registers"][1] == 5 and after["registers"][4] == 6


# code, cycles: the manual's table 3-1, with one cycle less for the single-cycle IO port
CYCLES = [
    ("MOVS r0, #1", [0x2001], 1),
    ("MULS r0, r1", [0x4348], 1),
    ("LDR r0, [r1]", [0x6808], 2),
    ("STRB r0, [r1]", [0x7008], 2),
    ("LDR r0, [r5], IO port", [0x6828], 1),
    ("LDR r0, [PC]", [0x4800], 2),
    ("LDMIA r1!, {r2-r4}", [0xC91C], 4),
    ("STMIA r1!, {r2-r4}", [0xC11C], 4),
    ("PUSH {r0-r2}", [0xB407], 4),
    ("PUSH {r0-r2, lr}", [0xB507], 5),
    ("POP {r2-r4}", [0xBC1C], 4),
    ("POP {r0, pc}", [0xBD01], 5),
    ("B, taken", [0xE7FF], 2),
    ("BEQ, not taken", [0xD0FF], 1),
    ("BNE, taken", [0xD1FF], 2),
    ("BL", [0xF000, 0xF800], 3),
    ("BX r6", [0x4730], 2),
    ("BLX r6", [0x47B0], 2),
    ("MOV pc, r7", [0x46BF], 2),
    ("MRS r0, PRIMASK", [0xF3EF, 0x8010], 3),
    ("DMB", [0xF3BF, 0x8F50], 3),
    ("NOP", [0xBF00], 1),
]


@pytest.mark.parametrize("name, code, cycles", CYCLES, ids=[name for name, _, _ in CYCLES])
def test_cycles(name, code, cycles):
    end = CODE + 2 * len(code)
    registers = {1: DATA, 5: -0x30000000, 6: end | 1, 7: end, 13: STACK, 14: 0}
    case = {"code": code, "registers": registers, "flags": 0, "memory": {str(STACK + 4): end | 1}}
    (after,) = run([case])
    assert (after["cycles"], after["fault"]) == (cycles, None)


@pytest.mark.parametrize(
    "code, fault", [([0x6848], "unaligned"), ([0xDE00], "undefined"), ([0x6810], "where nothing is")]
)
def test_faults_say_what_is_wrong(code, fault):
    (after,) = run([{"code": code, "registers": {1: DATA + 2, 2: 0x30000000}, "flags": 0}])
    assert fault in after["fault"]
