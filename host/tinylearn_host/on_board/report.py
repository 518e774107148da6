"""Print what the host must know of a board before it sends anything."""

import os
import sys


def built_in(name):
    path = sys.path[:]
    sys.path[:] = []
    try:
        __import__(name)
        return True
    except ImportError:
        return False
    finally:
        sys.path[:] = path


def report():
    implementation = sys.implementation
    try:
        fs = os.statvfs(os.getcwd())
    except OSError:
        fs = None
    return {
        "name": implementation.name,
        "version": ".".join(str(n) for n in implementation.version[:3]),
        "machine": getattr(implementation, "_machine", sys.platform),
        "mpy": getattr(implementation, "_mpy", 0),
        "block": fs[1] or fs[0] if fs else 0,
        "flash_free": fs[3] * (fs[1] or fs[0]) if fs else 0,
        "flash_total": fs[2] * (fs[1] or fs[0]) if fs else 0,
        "built_in": [
            name
            for name in ("tl_infer", "tl_train", "tl_grad", "tl_channels", "tl_filter", "tl_front", "tl_float")
            if built_in(name)
        ],
    }


print(report())
