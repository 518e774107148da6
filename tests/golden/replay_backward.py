# Replays backward.bin (README.md beside this file) through tl_infer.run, tl_grad ...: MicroPython and CPython.
# Put replay.py, it and backward.bin on the board, then: import replay_backward; replay_backward.run("backward.bin")

import struct

import replay as forward
import tl_channels
import tl_filter
import tl_grad
import tl_infer
import tl_train


def arrays(record):
    view, at, found = memoryview(record), 36, []
    for n in struct.unpack("<8I", record[4:36]):
        found.append(view[at : at + n] if n else None)
        at += (n + 3) // 4 * 4
    return found


def patches(model, arena, places, plan):
    """What the first record of a filtered pass needs: the operator, 2 or 4, where."""
    words = struct.unpack("<5i", plan[:20])
    params = struct.pack("<3i", words[0], 2 if words[1] & 128 else 4, words[4])
    return tl_filter.patches(params, model, places, arena)


def module_of(model, plan, state):
    """The module that knows all of a plan's records: kernels/backward.h."""
    flags, wide, mode = 0, False, struct.unpack("<i", state[12:16])[0]
    for at in range(0, len(plan), 64):
        flags |= struct.unpack("<i", plan[at + 4 : at + 8])[0]
        wide = wide or plan[at + 60] == 16
    more = flags & (32 | 64) or wide or mode or has_max_pool(model)
    return tl_filter if flags & (128 | 256) else tl_channels if more else tl_grad


def has_max_pool(model):
    for section in range(64, 64 + 16 * model[60], 16):
        if bytes(model[section : section + 4]) == b"OPS ":
            at, _, count = struct.unpack("<3I", model[section + 4 : section + 16])
            return 5 in [model[at + 64 * i] for i in range(count)]


def clear_scratch(arena, plan):
    """What a pass used its scratch for is each processor's own."""
    for at in range(0, len(plan), 64):
        begin, length = struct.unpack("<2i", plan[at + 24 : at + 32])
        for i in range(begin, begin + length):
            arena[i] = 0


def replay(record):
    """0 where the answer is the record's own, a status where something is refused, -1 where the answer differs."""
    kind = struct.unpack("<I", record[:4])[0]
    a = arrays(record)
    state, after, state_after = a[5:]
    if kind in (0, 6):
        model, arena, places, masks, plan = a[:5]
        status = patches(model, arena, places, plan) if kind else 0
        status = status or tl_infer.run(model, arena, 0, len(masks) // 4, places, masks)
        status = status or module_of(model, plan, state).backward(model, arena, places, plan, state)
        clear_scratch(arena, plan)
        clear_scratch(after, plan)
    else:
        params, x, w, b = a[:4]
        arena = bytearray(len(after))
        scratch = bytearray(struct.unpack("<I", a[4])[0]) if a[4] else None
        if kind == 1:
            module = tl_grad if len(arena) == len(x) else tl_channels  # gradients of 8 or 16 bits
            status = module.head_loss(params, x, w, b, arena, state, scratch)
        elif kind == 2:
            status = tl_channels.softmax_loss(params, x, arena, state, scratch)
        elif kind == 3:
            status = tl_train.augment(params, x, arena, state)
        elif kind == 4:
            status = tl_channels.activity(params, x, arena)
        else:
            status = tl_channels.channel_maps(params, x, w, arena)
    return status or -(arena != after or state != state_after)


def run(path):
    """(vectors replayed, list of (number of the vector, kind, what replay says) that went wrong)."""
    return forward.run(path, b"TLGB", replay, 0)
