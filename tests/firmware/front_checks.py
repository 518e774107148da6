"""A model with a front end takes raw samples, in whatever form, with the same lines everywhere: test_raw_samples.py."""

from array import array
from binascii import crc32

import tinylearn


def raw(kind, n, waves, seed=0):
    """Noise that grows `waves` times from nothing: what the classes are told by."""
    values, state = array(kind, (0 for _ in range(n))), 2463534242 + seed
    for i in range(n):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        most = (i * waves * 64 // n) % 64 + 1
        values[i] = (state >> 12) % (2 * most + 1) - most
    return values


def bits(buffer):
    return "%08x" % (crc32(bytes(buffer)) & 0xFFFFFFFF)


def refused(model, x):
    try:
        model.predict(x)
    except (TypeError, ValueError) as error:
        print("refused", error)


def taught(model, kind, n):
    return [model.predict(raw(kind, n, waves, 100 + waves))[0] for waves in (1, 4, 8)]


def run(path, kind, n):
    model = tinylearn.load(path)
    x = raw(kind, n, 3)
    model.take(x)
    ready = array("b", (v if v < 128 else v - 256 for v in model.x))
    print("input", bits(ready))
    print("features", bits(model.features(x)))
    print("of bytes", bits(model.features(bytes(x))), "of a view", bits(model.features(memoryview(bytes(x)))))
    print("ready", bits(model.features(ready)))
    model.adapt(((raw(kind, n, waves, seed), waves) for seed in range(3) for waves in (1, 4, 8)), metric="euclidean")
    print("taught", taught(model, kind, n))
    refused(model, x[1:])
    refused(model, array("f", (0.0 for _ in range(n))))
    refused(model, array("h" if kind == "b" else "b", (0 for _ in range(n))))
    print("still", taught(model, kind, n))
