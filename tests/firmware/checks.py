"""What must hold for the package `tinylearn` wherever it runs: MicroPython on every board, CPython over the simulator.

Each check prints facts as integers and sentences; test_checks.py demands the same lines from all.
Lines that begin with # are measurements and may differ.
"""

import gc
import os
import sys
from array import array
from binascii import crc32

import tinylearn
from tinylearn import ops

MICROPYTHON = sys.implementation.name == "micropython"


class Random:
    """xorshift32: the same numbers everywhere."""

    def __init__(self, seed):
        self.state = seed

    def next(self, below):
        v = self.state
        v ^= (v << 13) & 0xFFFFFFFF
        v ^= v >> 17
        v ^= (v << 5) & 0xFFFFFFFF
        self.state = v
        return v % below


def pictures(classes, shots, seed=1, size=64):
    """(bytes, class) pairs: a pattern per class, with noise."""
    for k in range(classes):
        for shot in range(shots):
            pattern, noise = Random(1000 + k), Random(seed + 100 * k + shot + 1)
            yield bytes(min(255, pattern.next(2) * 160 + noise.next(96)) for _ in range(size)), k


def bits(buffer):
    return "%08x" % (crc32(bytes(buffer)) & 0xFFFFFFFF)


def answers(model, classes, seed=77):
    out = []
    for x, _ in pictures(classes, 2, seed):
        label, confidence = model.predict(x)
        out.append((label, int(confidence * 32768)))
    return out


def heap():
    gc.collect()
    return gc.mem_alloc() if MICROPYTHON else 0


def growth(model, x):
    """Heap that 100 predictions take for good, once they have run."""
    for _ in range(2):
        before = heap()
        for _ in range(100):
            model.predict(x)
    return heap() - before


def training(model, steps):
    """Heap that teaching the last layer takes, garbage and all."""
    samples = list(pictures(3, 2))
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    model.adapt(samples, method="last_layer", steps=steps)
    taken = gc.mem_alloc() - before
    gc.enable()
    return taken


def sentence(kind, function, *arguments, say="  ", **options):
    """The words of the exception that a call must raise."""
    try:
        function(*arguments, **options)
    except kind as e:
        print(say, kind.__name__, str(e))
        return str(e)
    else:
        raise AssertionError("no " + kind.__name__)


def close_together(samples):
    """A list of them. Pictures leave so much garbage that otherwise one would lie here and one there on the heap."""
    found = []
    for pair in samples:
        found.append(pair)
        gc.collect()
    return found


def trained(model, samples, **options):
    """head None, which makes every head of every fifth, is most of the time: for those that ask for it."""
    options.setdefault("head", "prototype")
    history = []
    model.reset()
    model.adapt(
        samples, steps=3, augment={"shift": 1, "gain": 0.2}, on_step=lambda *step: history.append(step), **options
    )
    weights = [bits(model.tensor(t)[0]) for t in model.changed]
    losses = [int(loss * 4096 + 0.5) for _, loss, _ in history]
    print(sorted(options.items()), losses, list(model.changed), weights, bits(model.head.w), answers(model, 3))


def explained(model):
    said = model.explain()
    print(said.criterion, said.cache, said.told.ram_bytes, said.told.macs_back, said.told.steps)
    for row in said.layers:
        print(row[:8], int(row.score * 1000 + 0.5), int(row.worth * 1000 + 0.5) if said.criterion[0] == "f" else "")
    print("#", repr(said).replace("\n", "; "))


# ---- Checks ----------------------------------------------------------------------------------------------------------


def check_load(model):
    """Files that are no models are refused with a sentence; nothing is allocated for them."""
    good = bytes(model.file)
    for name, content in (
        ("empty", b""),
        ("text", b"hello, this is no model but a text of more than the sixty-four bytes of a header"),
        ("cut", good[:-8]),
        ("header only", good[:64]),
        ("damaged", good[:1000] + bytes([good[1000] ^ 1]) + good[1001:]),
        ("newer", good[:4] + b"\x02" + good[5:]),
    ):
        with open("bad.tlm", "wb") as f:
            f.write(content)
        print("  ", name)
        sentence(ValueError, tinylearn.load, "bad.tlm")
    os.remove("bad.tlm")
    try:
        tinylearn.load("bad.tlm")
    except OSError as e:
        print("   OSError", e.args[0])
    again = tinylearn.Model(bytearray(good))
    assert again.labels == model.labels


def fill(leave):
    """Something that takes all heap but about `leave` bytes, and leaves pieces large enough for a sentence."""
    hogs, size = None, 65536
    while size >= 512:
        gc.collect()
        try:
            if gc.mem_free() - size < leave - 512:
                raise MemoryError
            hogs = bytearray(size), hogs
        except MemoryError:
            size //= 2
    return hogs


def check_little_memory(model):
    """What is needed and what is free, before anything is allocated."""
    if not MICROPYTHON:
        return
    many = [(bytes(64), k % 2) for k in range(3)] * 100
    hogs = fill(12000)
    assert "samples: " in sentence(MemoryError, model.adapt, many, "prototype", say="#")
    hogs = hogs, fill(2400)
    assert "model.tlm: " in sentence(MemoryError, tinylearn.load, "model.tlm", say="#")
    hogs = None
    gc.collect()
    print("#", model.predict(bytes(64)))


def romfs_image(name, content, offset):
    """A ROMFS with one file, whose bytes start `offset` bytes behind a multiple of 4."""

    def number(v):
        out = bytes([v & 127])
        while v > 127:
            v >>= 7
            out = bytes([v & 127 | 128]) + out
        return out

    def record(kind, payload):
        return number(kind) + number(len(payload)) + payload

    for padding in range(4):
        files = record(1, bytes(padding)) + record(5, number(len(name)) + name + record(2, content))
        image = b"\xd2\xcd\x31" + number(len(files)) + files
        if image.find(content) % 4 == offset:
            return image


def check_memory_mapped(model):
    """A file of a memory-mapped file system is used where it lies; off a multiple of 4 it is copied, once."""
    try:
        import vfs

        mapped = vfs.VfsRom
    except (ImportError, AttributeError):
        return print("# no ROMFS here")
    for offset in (0, 1):
        image = romfs_image(b"model.tlm", bytes(model.file), offset)
        vfs.mount(mapped(memoryview(image)), "/mapped")
        before = heap()
        other = tinylearn.load("/mapped/model.tlm")
        taken = heap() - before
        print("# memory-mapped at", offset, "takes", taken, "bytes of heap, of which arena", len(other.arena))
        assert other.mapped == (offset == 0)
        assert taken < len(other.arena) + 2048 + offset * len(model.file)
        assert bits(other.run(bytes(64))) == bits(model.run(bytes(64)))
        other = None
        vfs.umount("/mapped")


def check_predict(model):
    print(model.labels, len(model.arena), bits(model.features(next(pictures(1, 1))[0])))
    print(bits(model.run(next(pictures(1, 1))[0])), answers(model, 6))


def check_inputs_agree(model):
    """uint8, int8 and float32 of the same picture are the same sample."""
    x, _ = next(pictures(1, 1))
    expected = bits(model.features(x))
    assert bits(model.features(bytearray(x))) == expected
    assert bits(model.features(array("B", x))) == expected
    assert bits(model.features(memoryview(x))) == expected
    assert bits(model.features(array("b", (v - 128 for v in x)))) == expected
    assert bits(model.features(array("f", (v / 255 for v in x)))) == expected
    print(expected)


def check_prototype(model):
    samples = list(pictures(5, 3))
    model.adapt(samples, "prototype")
    print(model.labels, bits(model.head.w), answers(model, 5))
    more = ((x, "class " + str(k)) for x, k in pictures(12, 2, 5) if k >= 5)  # from a generator
    model.adapt(more, "prototype")
    print(model.labels, list(model.head.counts), bits(model.head.w), answers(model, 12))
    model.adapt(pictures(2, 2, 9), "prototype")  # more examples of two of them
    print(list(model.head.counts), bits(model.head.w))
    model.forget("class 7")
    print(model.labels, bits(model.head.w), bits(model.head.sums), answers(model, 12))
    model.reset()
    model.adapt(samples, metric="euclidean")
    print(bits(model.head.w), bits(model.head.b), list(model.head.params), answers(model, 5))
    model.reset()


def check_last_layer(model):
    lines = []
    model.adapt(list(pictures(5, 4)), method="last_layer", steps=12, on_step=lambda *a: lines.append(a))
    print([(step, int(loss * 65536), int(right * 20 + 0.5)) for step, loss, right in lines])
    print(bits(model.head.w), bits(model.head.b), answers(model, 5))
    assert lines[-1][1] < lines[0][1], "the loss does not fall"
    model.adapt(((x, k + 10) for x, k in pictures(2, 3, 4)), method="last_layer", steps=3)  # what was known is kept
    print(model.labels, bits(model.head.w), answers(model, 5))
    model.reset()
    model.adapt(list(pictures(5, 4)), method="last_layer", steps=12, seed=2)
    print("another seed", bits(model.head.w))
    model.reset()


def check_closed_form(model):
    model.adapt(list(pictures(5, 4)), method="closed_form")  # fewer samples than features
    print(list(model.head.params), bits(model.head.w), bits(model.head.b), answers(model, 5))
    model.adapt(((x, k + 10) for x, k in pictures(2, 3, 4)), method="closed_form")
    print(model.labels, bits(model.head.w), answers(model, 5))
    model.reset()
    model.adapt(list(pictures(3, 15)), method="closed_form", shrinkage=0.25)  # more
    print(list(model.head.params), bits(model.head.w), bits(model.head.b), answers(model, 3))
    model.reset()
    model.adapt(list(pictures(5, 1)), method="closed_form")  # one of each: the nearest
    print(bits(model.head.w), [label for label, _ in answers(model, 5)])
    model.reset()


def check_several_prototypes(model):
    """A second session adds prototypes, so both are known; forgetting a class takes all of its away."""
    model.adapt(pictures(3, 2), "prototype")
    moved = [(bytes(255 - v for v in x), k) for x, k in pictures(4, 2, 8)]
    for method in ("prototype", "closed_form", "last_layer"):
        model.adapt(moved, method=method, more="add", steps=3)
        print(model.labels, list(model.head.owners), list(model.head.counts), bits(model.head.w))
        print([model.predict(x)[0] for x, _ in moved[::2]], answers(model, 3))
    model.adapt(moved[:1], "prototype")  # refines the newest
    print(list(model.head.counts))
    model.forget(1)
    print(model.labels, list(model.head.owners), list(model.head.counts), bits(model.head.sums), answers(model, 3))
    model.forget(0)
    print(model.labels, list(model.head.owners), answers(model, 3))
    model.forget(3)
    assert model.head is None


def check_chosen_head(model):
    for shots in (1, 4):
        model.adapt(list(pictures(4, shots)), "prototype", head="auto", steps=3)
        print(list(model.head.params), list(model.head.counts), bits(model.head.w), answers(model, 4))
        model.reset()


def check_own_classes(model):
    """Labels of the model's own extend it; wholly new ones are a new task, unless keep says otherwise."""
    model.adapt(((x, ("two", "new", "newer")[k]) for x, k in pictures(3, 3)), "prototype")
    print(model.labels, list(model.head.counts), bits(model.head.sums), bits(model.head.w), answers(model, 6))
    model.adapt(
        ((x, "four") for x, k in pictures(1, 2)), "prototype"
    )  # a pseudo-prototype makes room for the real thing
    print(list(model.head.counts), bits(model.head.sums))
    model.reset()
    model.adapt(pictures(2, 1), keep=True, method="last_layer", steps=5)
    print(model.labels, bits(model.head.w))
    model.reset()
    model.adapt(pictures(2, 1), "prototype")
    print(model.labels)
    model.reset()


def check_plan(model):
    for method, head in (("prototype", None), ("closed_form", None), ("last_layer", None), ("prototype", "auto")):
        plan = model.plan(method, ways=5, shots=4, head=head)
        print([getattr(plan, item) for item in ("method", "arena", "features", "head", "training")])
        assert plan.bytes == plan.features + plan.head + plan.training + plan.code
        assert 0 < plan.seconds < 60
        print("#", plan)


def check_bad_samples(model):
    """A sentence for each, and the model predicts as before."""
    good = list(pictures(3, 2))
    model.adapt(good, "prototype")
    before = answers(model, 3)
    x = good[0][0]

    def breaks():
        yield from good
        raise OSError("the sensor is gone")

    def stops():
        yield good[0]
        raise KeyboardInterrupt

    sentence(ValueError, model.adapt, [])
    sentence(TypeError, model.adapt, 3)
    sentence(ValueError, model.adapt, [x])
    sentence(ValueError, model.adapt, [(x[:-1], 0), (x, 1)])
    sentence(ValueError, model.adapt, [(x, 0), (array("f", [float("nan")] + [0.0] * 63), 1)])
    sentence(ValueError, model.adapt, [(x, 0), (array("f", [0.0] * 63 + [float("inf")]), 1)])
    sentence(TypeError, model.adapt, [(x, 0), (None, 1)])
    sentence(TypeError, model.adapt, [(x, 0), (array("h", [0] * 64), 1)])
    sentence(TypeError, model.adapt, [(x, 1.5)])
    sentence(TypeError, model.adapt, [(x, None)])
    sentence(TypeError, model.adapt, [(x, True)])
    sentence(ValueError, model.adapt, [(x, 1), (x, "1")])
    sentence(OSError, model.adapt, breaks())
    sentence(KeyboardInterrupt, model.adapt, stops())
    sentence(ValueError, model.adapt, good, method="magic")
    sentence(ValueError, model.adapt, good, "last_layer", steps=0)
    sentence(ValueError, model.adapt, good, "last_layer", rate=-1)
    sentence(ValueError, model.adapt, good, metric="manhattan")
    sentence(TypeError, model.adapt, good, on_step=3)
    sentence(ValueError, model.adapt, good, method="closed_form", shrinkage=1)
    sentence(ValueError, model.adapt, good, more="much")
    sentence(ValueError, model.adapt, good, head="best")
    sentence(ValueError, model.forget, "nobody")
    sentence(ValueError, model.predict, x[:-1])
    sentence(TypeError, model.predict, 3)
    sentence(ValueError, model.plan, "magic")
    assert answers(model, 3) == before

    def interrupts(step, loss, accuracy):
        raise KeyboardInterrupt

    sentence(KeyboardInterrupt, model.adapt, good, method="last_layer", on_step=interrupts)
    assert answers(model, 3) == before
    model.reset()
    sentence(ValueError, model.adapt, [(x, "only"), (x, "only")])
    sentence(ValueError, model.adapt, [(x, "one"), (x, "one")])
    sentence(ValueError, model.adapt, [(x, n) for n in range(257)])


def check_augment(model):
    """Views in words: the same numbers and the same bits everywhere."""
    import tl_train
    from tinylearn import augment

    x, out, state = array("b", range(-32, 32)), bytearray(64), array("I", [123456789])
    everything = {"shift": (1, 2), "flip": 0.5, "rotate": 10.5, "zoom": 0.1, "shear": 0.07, "gain": 0.2, "noise": 2.3}
    everything.update({"channel_gain": 0.15, "offset": 5.5, "channel_offset": 0.3, "mask": 2, "border": "wrap"})
    for amounts in (None, everything, {"time_shift": 3}, "image", "spectrogram", "signal"):
        params = augment.parameters(model, amounts)
        status = tl_train.augment(params, x, out, state)
        print("  ", list(params), status, bits(out), state[0])
    for amounts in ({"blur": 3}, {"shift": 9}, {"rotate": 91}, {"border": "none"}, "smell", 7):
        sentence(ValueError, augment.parameters, model, amounts)


def check_heap(model):
    """Predicting leaves nothing behind, training allocates nothing per step."""
    x = next(pictures(1, 1))[0]
    for _ in range(2):
        assert growth(model, x) == 0
        model.adapt(list(pictures(3, 2)), "prototype")
    if MICROPYTHON:
        training(model, 1)  # imports
        assert training(model, 45) - training(model, 5) < 40 * 8, "a step allocates"
    model.reset()


def check_module(model):
    """The functions of the package itself, on the model that was flashed."""
    tinylearn.adapt(pictures(2, 2), method="prototype")
    print(tinylearn.adapt(((x, k + 1) for x, k in pictures(2, 1)), method="last_layer", steps=2).labels)
    x, _ = next(pictures(1, 1))
    print(tinylearn.predict(x)[0])
    tinylearn.reset()
    for name in ("model.tld.0", "model.tld.1"):
        os.remove(name)
    tinylearn._model = None


def check_ops(model):
    random = Random(5)
    x = array("b", (random.next(255) - 127 for _ in range(128)))
    w = array("b", (random.next(255) - 127 for _ in range(4 * 9 * 2)))
    b = array("i", (random.next(2000) - 1000 for _ in range(4)))
    y = ops.conv2d(
        x, (8, 8, 2), w, (4, 3, 3, 2), b, ops.requant([0.002] * 4), bytearray(64), (4, 4, 4), stride=(2, 2), x_zero=3
    )
    print("conv2d", bits(y))
    w = array("b", (random.next(255) - 127 for _ in range(36)))
    y = ops.depthwise_conv2d(
        x, (8, 8, 2), w, (3, 3, 4), b, ops.requant([0.004] * 4), bytearray(256), (8, 8, 4), pad=(1, 1)
    )
    print("depthwise_conv2d", bits(y))
    y = ops.fully_connected(x, array("b", x), None, ops.dense_scale([0.0005]), bytearray(1))
    print("fully_connected", bits(y))
    print("avg_pool", bits(ops.avg_pool(x, (8, 8, 2), bytearray(32), (4, 4, 2), (2, 2))))
    print("max_pool", bits(ops.max_pool(x, (8, 8, 2), bytearray(32), (4, 4, 2), (2, 2))))
    print("mean", bits(ops.mean(x, (8, 8, 2), bytearray(2))))
    print("add", bits(ops.add(x, x, bytearray(128), (0.5, 0.5, 1.0))))
    print("pad", bits(ops.pad(x, (8, 8, 2), bytearray(200), (10, 10, 2), (1, 1, 0), -7)))
    print("clamp", bits(ops.clamp(x, bytearray(128), 0.5, limits=(0, 60))))
    print("softmax", bits(ops.softmax(x, bytearray(128), 0.0625, rows=16)))
    sentence(ValueError, ops.add, x, x, bytearray(127), (0.5, 0.5, 1.0))
    sentence(ValueError, ops.avg_pool, x, (8, 8, 2), bytearray(32), (4, 4, 2), (0, 2))
    sentence(ValueError, ops.max_pool, x, (8, 8, 0), bytearray(32), (4, 4, 2), (2, 2))


# ---- Checks of training the network ----------------------------------------------------------------------------------


def check_tail(model):
    """Training the network itself: the same bits everywhere, wherever the samples are kept, and nothing half done."""
    samples = close_together(pictures(3, 4))
    for options in (
        {"method": "bias", "layers": 2, "head": None},
        {"method": "full", "layers": 3, "head": None},
        {"method": "full", "layers": 3, "cache": "flash"},
        {"method": "full", "layers": 3, "cache": "recompute"},
        {"method": "full", "layers": 2, "width": 16, "views": 0},
        {"method": "full", "layers": 2, "rate": "find"},
        {"method": "scheme"},
        {"method": "scheme", "scheme": "small", "head": "closed_form", "seed": 5},
        {"method": "tinytrain", "budget": 40000, "head": None},
    ):
        trained(model, samples, **options)
    known = []
    for budget in (12000, 6000, 4500):  # with panels that stay, in all the scratch that kernels want, in what is left
        trained(model, samples, method="full", layers=3, cache="flash", budget=budget)
        known.append(([bits(model.tensor(t)[0]) for t in model.changed], bits(model.head.w)))
        print(model.explain().told.panel_bytes)
    assert known[0] == known[1] == known[2]
    assert not any(name.endswith(".tmp") for name in os.listdir(".")), "the file of the samples stays"
    with open(model.path + ".was.tmp", "wb") as f:
        f.write(b"weights")
    with open(model.path + ".tmp", "wb") as f:  # as if the power had gone
        f.write(b"samples")
    tinylearn.load(model.path)
    assert not any(name.endswith(".tmp") for name in os.listdir(".")), "the file of the samples stays"
    model.adapt(samples, method="bias", layers=2, steps=2)
    model.adapt(((x, k + 1) for x, k in pictures(3, 2, 9)), "prototype")  # a head alone, over what was trained
    print(model.labels, list(model.head.counts), answers(model, 4))
    trained(model, (pair for pair in samples), method="full", layers=3, keep=True, head=None)
    mistakes(model, samples)


def mistakes(model, samples):
    """A sentence for each, and the model predicts as before."""
    before = answers(model, 4), bits(model.head.w), [bits(model.tensor(t)[0]) for t in model.changed]

    def interrupts(step, loss, accuracy):
        raise KeyboardInterrupt

    def breaks():
        yield samples[0]
        raise OSError("the sensor is gone")

    sentence(KeyboardInterrupt, model.adapt, samples, method="full", layers=2, on_step=interrupts)
    sentence(KeyboardInterrupt, model.adapt, samples, method="full", layers=2, on_step=interrupts, cache="flash")
    sentence(OSError, model.adapt, breaks(), method="bias")
    sentence(ValueError, model.adapt, [], method="full")
    samples.append((b"1", 2))
    sentence(ValueError, model.adapt, samples, method="full")
    samples.pop()
    sentence(ValueError, model.adapt, samples, method="scheme", scheme="none")
    sentence(ValueError, model.adapt, samples, method="full", layers=0)
    sentence(ValueError, model.adapt, samples, method="full", rate="guess")
    sentence(ValueError, model.adapt, samples, method="full", width=12)
    sentence(ValueError, model.adapt, samples, method="full", cache="sd card")
    sentence(ValueError, model.adapt, samples, method="full", views=-1)
    sentence(ValueError, model.adapt, samples, method="full", budget=0.5)
    sentence(ValueError, model.adapt, samples, method="full", time_budget=-1)
    sentence(ValueError, model.adapt, samples, method="full", augment={"blur": 1})
    sentence(MemoryError, model.adapt, samples, method="full", budget=1000)
    sentence(ValueError, model.adapt, samples, method="full", time_budget=1e-5, say="#")
    assert (answers(model, 4), bits(model.head.w), [bits(model.tensor(t)[0]) for t in model.changed]) == before
    model.reset()
    sentence(ValueError, model.adapt, [(samples[0][0], "only")] * 3, method="full")
    assert model.head is None and not model.changed


# ---- Checks of TinyTrain ---------------------------------------------------------------------------------------------


def check_tinytrain(model):
    """What is chosen is the same everywhere, by whatever criterion, and what of it goes wrong changes nothing."""
    samples = close_together(pictures(3, 4))
    for options in (
        {"criterion": "fisher", "axis": "output", "ratio": 0.3, "cache": "flash"},
        {"criterion": "fisher/memory", "cache": "recompute", "width": 16, "compute": 0.4},
        {"criterion": "fisher/compute", "layers": 2, "ratio": 1, "cache": "ram"},
        {"criterion": "l2", "budget": 14000},
        {"criterion": "random", "seed": 3},
    ):
        options.setdefault("budget", 24000)
        trained(model, samples if options["criterion"][0] == "f" else iter(samples), method="tinytrain", **options)
        explained(model)
    trained(model, samples, method="tinytrain", keep=True, criterion="both", budget=24000, head=None)
    explained(model)
    before = answers(model, 4), bits(model.head.w), [bits(model.tensor(t)[0]) for t in model.changed]
    for wrong in ({"ratio": 0}, {"axis": "both"}, {"criterion": "mood"}, {"compute": 2}, {"compute": 0.001}):
        sentence(ValueError, model.adapt, samples, method="tinytrain", **wrong)
    sentence(MemoryError, model.adapt, samples, method="tinytrain", budget=2000)
    sentence(ValueError, model.adapt, samples, method="tinytrain", time_budget=1e-5, say="#")
    samples.append((b"1", 2))
    sentence(ValueError, model.adapt, samples, method="tinytrain")
    samples.pop()
    assert (answers(model, 4), bits(model.head.w), [bits(model.tensor(t)[0]) for t in model.changed]) == before
    assert not any(name.endswith(".tmp") for name in os.listdir(".")), "a file of the samples stays"
    model.reset()
    sentence(ValueError, model.explain)


# ---- Checks of filtered gradients ------------------------------------------------------------------------------------


def check_filter(model):
    """Filtered gradients: the same bits everywhere, less to keep, and a reason where there is nothing to filter."""
    samples = close_together(pictures(3, 4))
    for options in ({"method": "full", "layers": 2}, {"method": "scheme"}, {"method": "bias", "layers": 2}):
        kept = []
        for side in (None, 2, 4):
            trained(model, samples, filter=side, budget=24000, **options)
            kept.append(model.explain().told.macs_back)
        assert kept[0] > kept[1] > kept[2], kept
    trained(model, samples, method="tinytrain", filter=2, criterion="l2", budget=24000, head=None)
    explained(model)
    before = answers(model, 4), bits(model.head.w), [bits(model.tensor(t)[0]) for t in model.changed]
    for wrong in ({"filter": 3}, {"filter": 2, "continual": "lightcl"}):
        sentence(ValueError, model.adapt, samples, method="full", **wrong)
    assert (answers(model, 4), bits(model.head.w), [bits(model.tensor(t)[0]) for t in model.changed]) == before
    model.reset()


# ---- Checks of task after task ---------------------------------------------------------------------------------------


def check_continual(model):
    """Task after task the same bits everywhere, also where the power goes in between; what does not fit is refused."""
    tasks = [close_together((x, k + 2 * t) for x, k in pictures(2, 3, 9 * t + 1)) for t in range(3)]
    for options in (
        {"method": "full", "layers": 3, "budget": 24000},
        {"method": "scheme", "budget": 12000, "hold": {"samples": 4, "share": 0.3, "strength": 10}},
        {"method": "full", "layers": 3, "width": 16, "cache": "recompute", "budget": 14000, "head": "prototype"},
        {"method": "full", "layers": 2, "continual": "replay", "hold": {"bytes": 900}, "cache": "flash"},
    ):
        options.update(
            {"continual": options.get("continual", "lightcl"), "steps": 3, "augment": {"shift": 1}, "keep": False}
        )
        model.reset()
        model.adapt(tasks[0], **options)
        model.save()
        remembered(model)
        for samples in tasks[1:]:
            model.adapt(samples, **options)
        last = remembered(model)
        model.change(())
        gc.collect()
        again = tinylearn.load(model.path)  # as after a power cut behind the first task
        print(again.explain())
        for samples in tasks[1:]:
            again.adapt(samples, **options)
        assert remembered(again) == last
        again.reset()
        empty = tinylearn.load(model.path)
        assert not (again.held or again.memory or empty.held or empty.memory)
        again = empty = None
    model.saved = False
    for name in ("model.tld.0", "model.tld.1"):
        os.remove(name)
    model.reset()
    model.adapt(tasks[0], method="full", layers=3, budget=24000, continual="lightcl", steps=2)
    for wrong in (
        {"method": "prototype"},
        {"continual": "by heart"},
        {"continual": None},
        {"hold": {"samples": 0}},
        {"hold": {"share": 0.6, "most": 0.5}},
        {"hold": {"strength": -1}},
        {"hold": {"old": 1}},
        {"hold": 5},
        {"continual": "replay", "hold": {"samples": 3}},
        {"continual": "replay", "hold": {"bytes": 0}},
        {"continual": "replay", "hold": None, "method": "tinytrain"},
    ):
        given = {"method": "full", "continual": "lightcl", "hold": {}}
        given.update(wrong)
        sentence(ValueError, model.adapt, tasks[1], **given)
    sentence(MemoryError, model.adapt, tasks[1], method="full", continual="lightcl", budget=2000)
    model.reset()


def remembered(model):
    """What of all tasks the model knows."""
    held = [(tensor, bits(model.held[tensor])) for tensor in sorted(model.held)]
    kept = model.memory and (model.memory[0], bits(model.memory[1]))
    known = held, kept, [bits(model.tensor(t)[0]) for t in model.changed], bits(model.head.w), answers(model, 6)
    print(known)
    return known


# ---- Checks of what decides by itself --------------------------------------------------------------------------------


def check_auto(model):
    """The samples say whether to train: the same decision everywhere, in words, and nothing half done."""
    views = {"augment": {"shift": 1, "gain": 0.2}, "steps": 4}
    for classes, shots in ((3, 4), (6, 2), (4, 1)):
        model.reset()
        model.adapt(close_together(pictures(classes, shots)), **views)
        print(model.why)
        print(list(model.changed), bits(model.head.w), answers(model, classes))
        assert model.why in repr(model.explain())
    model.reset()
    model.adapt((pair for pair in close_together(pictures(3, 3))), cache="flash", head="prototype", **views)
    print(model.why, bits(model.head.w))
    model.adapt(((x, k + 2) for x, k in pictures(2, 3, 9)), **views)  # one class of before, and one more
    print(model.why, model.labels, bits(model.head.w))
    model.adapt(close_together(pictures(4, 1)), augment=False)
    print(model.why)
    samples = close_together(pictures(4, 3))
    model.adapt(samples, budget=1000)
    print(model.why)
    model.adapt(samples, metric="euclidean")
    assert model.why is None
    mistakes_of_auto(model, samples)


def mistakes_of_auto(model, samples):
    model.adapt(samples, "full", layers=2, steps=2, views=0)
    before = answers(model, 4), bits(model.head.w), [bits(model.tensor(t)[0]) for t in model.changed]
    x = samples[0][0]
    short, nan, nobody = [(x[:-1], 1)], [(x, 1), (array("f", [float("nan")] * 64), 1)], [(x, None)]

    def interrupts(step, loss, accuracy):
        raise KeyboardInterrupt

    def breaks():
        yield samples[0]
        raise OSError("the sensor is gone")

    def stops():
        yield samples[0]
        raise KeyboardInterrupt

    sentence(KeyboardInterrupt, model.adapt, samples, on_step=interrupts)
    sentence(OSError, model.adapt, breaks())
    sentence(OSError, model.adapt, breaks(), cache="flash")
    sentence(KeyboardInterrupt, model.adapt, stops())
    sentence(ValueError, model.adapt, [])
    sentence(ValueError, model.adapt, samples + short)
    sentence(ValueError, model.adapt, samples + nan)
    sentence(TypeError, model.adapt, samples + nobody)
    sentence(ValueError, model.adapt, samples, head="best")
    sentence(ValueError, model.adapt, samples, steps=0)
    sentence(ValueError, model.adapt, samples, augment={"blur": 1})
    sentence(ValueError, model.adapt, samples, time_budget=-1)
    assert (answers(model, 4), bits(model.head.w), [bits(model.tensor(t)[0]) for t in model.changed]) == before
    model.reset()
    sentence(ValueError, model.adapt, [(x, "only")] * 3)
    assert model.head is None and not model.changed
    assert not any(name.endswith(".tmp") for name in os.listdir(".")), "a file of the samples stays"


# ---- Checks of the tail's plan ---------------------------------------------------------------------------------------


def check_tail_plan(model):
    for options in (
        {"method": "bias"},
        {"method": "full", "layers": 2},
        {"method": "scheme", "budget": 16000},
        {"method": "tinytrain", "budget": 24000, "ratio": 0.25},
        {"method": "full", "layers": 3, "budget": 12000},
    ):
        plan = model.plan(ways=3, shots=4, **options)
        if "budget" in options:
            print("panels", plan.panels)
        print(
            [getattr(plan, item) for item in ("operators", "features", "head", "training", "cache", "flash", "steps")]
        )
        assert plan.bytes == plan.features + plan.head + plan.training + plan.code
        print("#", plan)


# ---- Checks of the tail's steps --------------------------------------------------------------------------------------


def check_steps_allocate_nothing(model):
    """A step allocates what it tells, two floats and their tuple, and nothing else: whatever the method, wherever the
    samples are."""
    samples, marks = close_together(pictures(3, 3)), array("i", (0 for _ in range(6)))

    def mark(step, loss, accuracy):
        if MICROPYTHON:
            if step == 1:
                gc.collect()
                gc.disable()
            marks[step - 1] = gc.mem_alloc()

    shared = {"steps": 6, "augment": {"shift": 1}, "head": "prototype", "on_step": mark, "budget": 24000}
    for options in (
        {"method": "last_layer", "head": None, "augment": None, "budget": None},
        {"method": "bias", "layers": 2},
        {"method": "scheme"},
        {"method": "full", "layers": 2},
        {"method": "full", "layers": 2, "cache": "flash"},
        {"method": "full", "layers": 2, "cache": "recompute"},
        {"method": "full", "layers": 2, "width": 16, "views": 0},
        {"method": "tinytrain", "criterion": "l2"},
        {"method": "tinytrain"},
        {"method": "full", "layers": 2, "continual": "lightcl"},
        {"method": "full", "layers": 2, "continual": "lightcl"},  # and now something is held
    ):
        if not options.get("continual"):
            model.reset()
        given = dict(shared)
        given.update(options)
        try:
            model.adapt(samples, **given)
        finally:
            gc.enable()
        taken = [marks[i + 1] - marks[i] for i in range(1, len(marks) - 1)]
        print("# bytes that a step allocates:", taken, sorted(options.items()))
        if options.get("cache") != "flash" or sys.platform != "qemu":  # whose driver of the flash is in Python
            assert max(taken) <= TOLD, (taken, options)
    model.reset()


TOLD = 48 if sys.maxsize < 1 << 31 else 96  # bytes: two floats and a tuple


# ---- Running ---------------------------------------------------------------------------------------------------------


def load_measured(path):
    before = heap()
    model = tinylearn.load(path)
    taken = heap() - before
    beyond = taken - len(model.arena) - (0 if model.mapped else len(model.file))
    print("# load:", taken, "bytes of heap, of which beside the arena and the file", beyond)
    assert beyond < 2048, beyond
    return model


def run(path="model.tlm"):
    before = heap()
    model = load_measured(path)
    names = [name for name in globals() if name.startswith("check_")]
    for name in sorted(names):
        print(name)
        globals()[name](model)
    model = None
    print("# heap that stays:", heap() - before, "bytes")
