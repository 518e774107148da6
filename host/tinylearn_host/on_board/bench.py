"""What calls cost, and what they answer, so that the host can compare it with the simulator, where this runs too.

`measure(f, *args)` gives (ticks, calls), measure.stop() the ticks since measure.start(). The model was loaded before
all this, when the heap was in one piece. Each function answers (status, empty, call, result): `empty` is the measure of
a call that does nothing, result is bytes.
"""

import os
from array import array

import tl_infer


def read(path):
    with open(path, "rb") as f:
        return f.read()


def nothing(*args):
    pass


def least(measure, measured):
    """The least of as many measures as `measure` wants."""
    tries = getattr(measure, "tries", 1)
    return min((measured() for _ in range(tries)), key=lambda cost: cost[0] / cost[1])


def kernel(measure, model, sample):
    """The forward program alone, as Model calls it."""
    model.x[:] = read(sample)
    run, program = tl_infer.run, (model.file, model.arena)
    status = run(*program, 0, model.operators)
    result = bytes(model.y)
    empty = least(measure, lambda: measure(run, *program, 0, 0))
    return status, empty, least(measure, lambda: measure(run, *program, 0, model.operators)), result


def operator(measure, model, sample, index, output):
    """One operator of the forward program, behind those before it; the result is its output, a tensor's index."""
    model.x[:] = read(sample)
    run, program = tl_infer.run, (model.file, model.arena)
    status = run(*program, 0, index + 1, model.places)
    result = bytes(model.tensor(output)[0])
    empty = least(measure, lambda: measure(run, *program, index, index, model.places))
    return status, empty, least(measure, lambda: measure(run, *program, index, index + 1, model.places)), result


def predict(measure, model, sample):
    """A whole answer; the features where the model has no classes of its own."""
    x = array("b", read(sample))
    own = model.first_of_head < model.operators
    f = model.predict if own else model.features
    f(x)
    result = bytes(model.y if own else model.f)
    return 0, measure(nothing, x), measure(f, x), result


def front(measure, model, samples):
    """The model's front end alone: from raw samples to its input."""
    raw = read(samples)
    model.features(raw)  # loads it; what ran behind it lies over the input now
    call = measure(model._front.run, raw, model.x)
    return 0, measure(nothing, raw, model.x), call, bytes(model.x)


class Samples:
    """(x, label) of each sample of a file, read one by one: not all of them fit beside a model."""

    def __init__(self, path, labels, size):
        self.path, self.labels, self.x = path, labels, bytearray(size)

    def __len__(self):
        return len(self.labels)

    def __iter__(self):
        with open(self.path, "rb") as f:
            for label in self.labels:
                f.readinto(self.x)
                yield self.x, label


def adapt(measure, model, samples, labels, options):
    """A whole adaptation; the result is the head, and the weights that it changed."""
    pairs = Samples(samples, labels, len(model.x))

    def teach():
        model.reset()
        model.adapt(pairs, **options)

    cost = measure(teach)
    return 0, measure(nothing), cost, learned(model)


def learned(model):
    """A hash of the head and of the weights that have changed, which might not fit beside them."""
    import hashlib

    digest = hashlib.sha256(model.head.w)
    digest.update(model.head.b)
    for t in model.changed:
        digest.update(model.tensor(t)[0])
    return digest.digest()


def step(measure, model, samples, labels, options):
    """One step of training: what lies between the first two calls of on_step, of which the empty call is an empty one.
    The result is that of `adapt`."""
    pairs, ticks = Samples(samples, labels, len(model.x)), []
    measure.start()
    empty = measure.stop()

    def on_step(number, loss, accuracy):
        if number == 2:
            ticks.append(measure.stop())
        else:
            measure.start()

    for _ in range(measure.laps):
        model.reset()
        model.adapt(pairs, steps=2, on_step=on_step, **options)
    return 0, (empty, 1), (min(ticks), 1), learned(model)


def backward(measure, model, arena, scratch, places, record, state):
    """A plan of one record; the empty call is the same record without gradients: dy's scale alone. The result is a hash
    of the arena without scratch."""
    import hashlib

    tl_grad = __import__("tl_channels" if record[-1] == 16 else "tl_grad")
    size = os.stat(arena)[6]
    memory, places = bytearray(size + scratch), array("i", places)

    def fresh(flags):
        with open(arena, "rb") as f:
            f.readinto(memoryview(memory)[:size])
        plan, now = array("i", record), array("i", state)
        plan[1] = flags
        return model.file, memory, places, plan, now

    status = tl_grad.backward(*fresh(record[1]))
    result = hashlib.sha256(memoryview(memory)[:size]).digest()
    empty = least(measure, lambda: measure(tl_grad.backward, *fresh(0)))
    return status, empty, least(measure, lambda: measure(tl_grad.backward, *fresh(record[1]))), result
