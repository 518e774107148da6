# Runs on the board (and on CPython with the simulator): what the native modules do there, as lines to compare.
import array
import gc

import tl_channels
import tl_filter
import tl_float
import tl_grad
import tl_infer
import tl_train

try:
    import micropython
except ImportError:
    micropython = None


def raised(function, *arguments):
    try:
        return function(*arguments)
    except TypeError:
        return "TypeError"


def names():
    for module in (tl_infer, tl_float, tl_train, tl_grad, tl_channels, tl_filter):
        print("names", [n for n in sorted(NAMES.split()) if callable(getattr(module, n, None))])


NAMES = "check run op quantize pixels crc32 head_scores head_softmax "
NAMES += "class_sums class_rows own_classes closed_form unit_mean head_step augment "
NAMES += "rates head_loss softmax_loss backward activity channel_maps patches"


def garbage(model):
    print("empty", tl_infer.check(b""), "text", tl_infer.check(b"x" * 100), "short", tl_infer.check(model[:100]))
    print("misaligned", tl_infer.check(memoryview(bytearray(1) + model)[1:]))
    for at in (0, 4, 9, 20, 53, 59, 60, 66, 68, 76, 200, 900):
        damaged = bytearray(model)
        damaged[at] ^= 0x55
        print("damaged at", at, tl_infer.check(damaged))
        print("run anyway", tl_infer.run(damaged, bytearray(2000), 0, 3))


def arguments(model):
    arena = bytearray(2000)
    print("no buffer", raised(tl_infer.check, 7), raised(tl_infer.check, None) != 0)
    print("read only", raised(tl_infer.run, model, bytes(2000), 0, 1))
    print("ranges", [tl_infer.run(model, arena, a, b) for a, b in ((-1, 1), (0, 99), (3, 2), (50, 60), (0, 0))])
    print("small arena", tl_infer.run(model, bytearray(8), 0, 1), tl_infer.run(model, bytearray(0), 0, 1))
    print("places", tl_infer.run(model, arena, 0, 1, b"1234"), tl_infer.run(model, arena, 0, 1, None))
    print("params", tl_infer.op(b"", None, None, None, None, None, None, None))
    print("params", tl_infer.op(array.array("i", [11]), None, None, None, None, None, None, None))
    print("params", tl_infer.op(array.array("i", [99, 4]), None, None, None, None, None, None, None))
    print("buffers", tl_infer.op(array.array("i", [11, 4]), b"1234", None, None, None, None, None, None))
    print("buffers", tl_infer.op(array.array("i", [11, 4]), b"1234", None, b"", None, None, bytearray(5), None))
    print("read only", raised(tl_infer.op, array.array("i", [11, 4]), b"1234", None, None, None, None, b"1234", None))
    y = bytearray(4)
    print("reshape", tl_infer.op(array.array("i", [11, 4]), b"1234", None, None, None, None, y, None), bytes(y))


def quantize():
    values = array.array("f", [0.0, -0.0, 0.5, 1.5, -2.5, 31.75, -1e9, 1e-40, 3e38, 0.49999997, 0.25])
    scale = array.array("f", [0.5])
    y = array.array("b", bytes(len(values)))
    print("quantize", tl_float.quantize(y, values, scale, -3), list(y))
    print("too short", tl_float.quantize(array.array("b", bytes(3)), values, scale, 0))
    for bad in ("inf", "nan", "0", "-1"):
        print("scale", bad, tl_float.quantize(y, values, array.array("f", [float(bad)]), 0))
    values[4] = float("nan")
    print("nan", tl_float.quantize(y, values, scale, 0))


def program(model, input_bytes, arena_bytes, operators):
    arena = bytearray(arena_bytes)
    for i in range(input_bytes):
        arena[i] = (i * 37 + 11) & 255
    print("check", tl_infer.check(model))
    for i in range(operators):
        print("run", i, tl_infer.run(model, arena, i, i + 1), tl_infer.crc32(arena))
    return arena


def heap(model, arena, operators):
    """A run allocates nothing."""
    run = tl_infer.run
    if micropython:
        gc.collect()
        before = gc.mem_alloc()
        micropython.heap_lock()
        status = run(model, arena, 0, operators)
        again = run(model, arena, 0, operators, None)
        micropython.heap_unlock()
        print("heap", status, again, gc.mem_alloc() - before)
    else:
        print("heap", run(model, arena, 0, operators), run(model, arena, 0, operators, None), 0)


def everything(path, input_bytes, arena_bytes, operators):
    with open(path, "rb") as f:
        model = bytearray(f.read())
    names()
    print("crc32", tl_infer.crc32(b"hello"), tl_infer.crc32(b"lo", tl_infer.crc32(b"hel")))
    garbage(model)
    arguments(model)
    quantize()
    heap(model, program(model, input_bytes, arena_bytes, operators), operators)
