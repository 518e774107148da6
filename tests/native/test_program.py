"""tl_check and tl_run: what they accept, what they refuse, and that nothing makes them leave their buffers."""

import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from examples import every_operator, every_operator_file
from tinylearn_host import ir, simulator, tlm

ROOT = Path(__file__).resolve().parents[2]
KERNELS = ROOT / "native_modules" / "kernels"
tl_infer = simulator.module()

ALIGN, LENGTH, MAGIC, VERSION, CRC, SECTION, COUNT, HEADER = range(1, 9)
TENSOR, OVERLAP, RANGE, PLACES, ARENA, MASKS = 34, 39, 48, 49, 50, 55
OPERATOR_SIZE = 64


@pytest.fixture
def file() -> bytearray:
    return bytearray(every_operator_file())


def code(status: int) -> int:
    return status & 255


def sealed(file: bytearray) -> bytearray:
    file[12:16] = zlib.crc32(file[16:]).to_bytes(4, "little")
    return file


def compiled(folder: Path, *flags: str) -> Path:
    program = folder / "fuzz"
    listed = (ROOT / "native_modules/tl_infer/kernels.txt").read_text().split()
    sources = [ROOT / "tests/native/fuzz.c", *(KERNELS / name for name in listed if name.endswith(".c"))]
    command = [
        "cc",
        "-std=c99",
        "-g",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        f"-I{KERNELS}",
        *flags,
        "-o",
        program,
        *sources,
    ]
    subprocess.run(command, check=True)
    return program


@pytest.mark.parametrize(
    "flags", [("-fsanitize=address,undefined",), ("-fsanitize=address", "-DUNCHECKED=1")], ids=["checked", "unchecked"]
)
def test_no_damage_makes_it_leave_its_buffers(tmp_path, file, flags):
    program = compiled(tmp_path, "-fno-sanitize-recover=all", *flags)
    model = tmp_path / "model.tlm"
    model.write_bytes(file)
    done = subprocess.run([program, model, "20000"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    _, refused, _, accepted = done.stdout.split()
    assert int(refused) > 10000 and int(accepted) > 1000, done.stdout  # damage to weights is accepted, and run


def test_a_good_file_is_accepted(file):
    assert tl_infer.check(file) == 0


def test_a_longer_buffer_is_accepted(file):
    assert tl_infer.check(file + bytes(100)) == 0


@pytest.mark.parametrize(
    ("at", "value", "expected"),
    [
        (0, b"TLMX", MAGIC),
        (4, b"\2\0", VERSION),
        (8, b"\xff\xff\xff\0", LENGTH),
        (8, b"\x50\0\0\0", LENGTH),
        (20, b"\x01", CRC),
        (64, b"NONE", SECTION),  # no tensors
        (64 + 4, b"\1", SECTION),  # misaligned
        (64 + 8, b"\xff\xff\xff\xff", SECTION),  # beyond the end
        (64 + 12, b"\xff\xff", COUNT),
        (52, b"\xff\xff", HEADER),  # input
        (58, b"\xff\xff", HEADER),  # head
    ],
)
def test_what_is_wrong_has_a_code_of_its_own(file, at, value, expected):
    file[at : at + len(value)] = value
    if expected != CRC:
        sealed(file)
    assert code(tl_infer.check(file)) == expected


@pytest.mark.parametrize("length", [0, 1, 63, 64, 100, 1000])
def test_a_cut_file_is_refused(file, length):
    assert tl_infer.check(file[:length]) == LENGTH


def test_a_misaligned_file_is_refused(file):
    assert tl_infer.check(memoryview(bytearray(1) + file)[1:]) == ALIGN


def test_a_status_names_the_operator(file):
    model = tlm.read(bytes(file))
    at = file.index(model.ops[6].pack())
    file[at + 12 : at + 14] = (999).to_bytes(2, "little")
    status = tl_infer.check(sealed(file))
    assert (code(status), status >> 8) == (TENSOR, 6)


def test_an_output_over_its_own_input_is_refused(file):
    model = tlm.read(bytes(file))
    conv = model.ops[1]
    record = model.tensors[conv.y]
    moved = tlm.TensorRecord(
        **{**vars(record), "place": min(model.tensors[conv.x].place, (model.arena - record.bytes) & ~3)}
    )
    at = file.index(record.pack())
    file[at : at + 32] = moved.pack()
    assert tl_infer.check(sealed(file)) == OVERLAP + 256 * 1


# ---- run ------------------------------------------------------------------------------------------------------------


def arena_of(model: tlm.Model) -> np.ndarray:
    return np.zeros(model.arena, np.int8)


def filled(model: tlm.Model, seed: int) -> np.ndarray:
    arena = arena_of(model)
    record = model.tensors[model.input]
    arena[record.place : record.place + record.bytes] = np.random.default_rng(seed).integers(-128, 128, record.bytes)
    return arena


def test_running_in_pieces_gives_the_same(file):
    model = tlm.read(bytes(file))
    whole, pieces = filled(model, 1), filled(model, 1)
    assert tl_infer.run(file, whole, 0, len(model.ops)) == 0
    for i in range(len(model.ops)):
        assert tl_infer.run(file, pieces, i, i + 1) == 0
    assert (whole == pieces).all() and whole.any()


def test_moved_tensors_give_the_same(file):
    """Every weight and bias copied into the arena, every activation further up."""
    model = tlm.read(bytes(file))
    arena = filled(model, 2)
    assert tl_infer.run(file, arena, 0, len(model.ops)) == 0
    places, end, copies = [], model.arena, []
    for index, record in enumerate(model.tensors):
        if record.region == tlm.IN_FILE:
            places.append(end)
            copies.append(np.frombuffer(model.raw, np.int8, record.bytes, record.place))
            copies.append(np.zeros(-record.bytes % 4, np.int8))
            end += (record.bytes + 3) // 4 * 4
        else:
            places.append(record.place if index % 2 else -1)
    moved = np.concatenate([filled(model, 2), *copies])
    assert tl_infer.run(file, moved, 0, len(model.ops), np.array(places, np.int32)) == 0
    assert (moved[: model.arena] == arena).all()
    weights = model.ops[1].w
    moved[places[weights]] ^= 64  # and the copy is what counts
    assert tl_infer.run(file, moved, 0, len(model.ops), np.array(places, np.int32)) == 0
    assert (moved[: model.arena] != arena).any()


def test_masks_say_what_lies_inside_the_clamp(file):
    """As numpy sees the outputs, each operator run by itself; what is beside a mask stays."""
    model = tlm.read(bytes(file))
    arena = bytearray(model.arena + 4096)
    np.frombuffer(arena, np.int8)[: model.arena] = np.random.default_rng(5).integers(-128, 128, model.arena)
    for i, op in enumerate(model.ops):
        arena[model.arena :] = b"\x55" * 4096
        y = model.tensors[op.y]
        masks = np.full(len(model.ops), -1, np.int32)
        masks[i] = model.arena + 4
        assert tl_infer.run(file, arena, i, i + 1, None, masks) == 0
        value = np.frombuffer(arena, np.int8)[y.place : y.place + y.bytes]
        low, high = op.clamp if op.code in (1, 2, 3, 4, 5, 7, 9) else (-128, 127)
        expected = np.packbits((value > low) & (value < high), bitorder="little").tobytes()
        assert bytes(arena[model.arena :]) == b"\x55" * 4 + expected + b"\x55" * (4092 - len(expected)), op


def test_wrong_arguments_have_a_status(file):
    model = tlm.read(bytes(file))
    arena, n = arena_of(model), len(model.ops)
    for first, last in ((-1, 1), (0, n + 1), (2, 1), (n + 5, n + 9)):
        assert tl_infer.run(file, arena, first, last) == RANGE
    assert tl_infer.run(file, arena, 0, 1, bytes(8)) == PLACES
    assert tl_infer.run(file, arena, 0, 1, None, bytes(8)) == MASKS
    for place in (model.arena, model.arena - 4, 2):
        assert tl_infer.run(file, arena, 0, n, None, np.full(n, place, np.int32)) == MASKS
    assert tl_infer.run(file, memoryview(bytearray(model.arena + 1))[1:], 0, n) == ARENA
    assert code(tl_infer.run(file, bytearray(16), 0, n)) != 0
    places = np.full(len(model.tensors), -1, np.int32)
    places[model.output] = model.arena
    assert code(tl_infer.run(file, arena, 0, n, places)) != 0


def test_buffers_that_are_none(file):
    arena = bytearray(2000)
    with pytest.raises(TypeError):
        tl_infer.run(file, bytes(arena), 0, 1)
    with pytest.raises(TypeError):
        tl_infer.check(7)
    with pytest.raises(TypeError):
        tl_infer.run(file, np.zeros((20, 20), np.int8)[:, ::2], 0, 1)


def test_operators_one_by_one_give_the_program(file):
    """tl_infer.op on the operators' own buffers computes what tl_infer.run does."""
    model, graph = tlm.read(bytes(file)), every_operator()
    arena = filled(model, 3)
    assert len(graph.ops) == len(model.ops)
    for index, record in enumerate(model.ops):
        x, x2 = (view(arena, model, i) for i in (record.x, record.x2))
        x, x2 = (None if v is None else v.copy() for v in (x, x2))
        assert tl_infer.run(file, arena, index, index + 1) == 0
        y = np.zeros(model.tensors[record.y].bytes, np.int8)
        w, b = (None if i == tlm.NOBODY else model.constant(i).copy() for i in (record.w, record.b))
        requant = requantisation(model, record)
        status = tl_infer.op(params(model, record), x, x2, w, b, requant, y, None)
        assert status == 0, (record.name, status)
        assert (y == view(arena, model, record.y)).all(), record.name


def view(arena, model, index):
    if index == tlm.NOBODY:
        return None
    record = model.tensors[index]
    return arena[record.place : record.place + record.bytes]


def requantisation(model, record):
    if not record.requant:
        return None
    channels = model.tensors[record.y].shape[3]
    size = channels * (8 if record.name == ir.FULLY_CONNECTED else 5)
    return np.frombuffer(model.raw, np.uint8, size, record.requant).copy()


def params(model, op):
    """The operator's code and the fields of its geometry (kernels/tl.h)."""
    x, y = model.tensors[op.x], model.tensors[op.y]
    zeros = (x.zero_point, y.zero_point)
    fields = {
        ir.FULLY_CONNECTED: lambda: (x.bytes, y.bytes, *zeros, *op.clamp),
        ir.MEAN: lambda: (x.shape[1] * x.shape[2], x.shape[3], *zeros, *op.q[:2]),
        ir.ADD: lambda: (y.bytes, x.zero_point, model.tensors[op.x2].zero_point, y.zero_point, *op.clamp, *op.q[:7]),
        ir.PAD: lambda: (*x.shape[1:], *y.shape[1:], *op.q[1:4], op.q[0]),
        ir.CLAMP: lambda: (y.bytes, *zeros, *op.clamp, *op.q[:2]),
        ir.SOFTMAX: lambda: (x.shape[1] * x.shape[2], x.shape[3], *op.q[:2]),
        ir.RESHAPE: lambda: (y.bytes,),
    }
    windowed = (*x.shape[1:], *y.shape[1:], *op.kernel, *op.stride, *op.dilation, *op.padding, *zeros, *op.clamp)
    return np.array((op.code, *fields.get(op.name, lambda: windowed)()), np.int32)
