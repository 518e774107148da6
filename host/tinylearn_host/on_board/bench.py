"""What calls cost, and what they answer, so that the host can compare it with the simulator, where this runs too.

`measure(f, *args)` gives (ticks, calls). The model was loaded before all this, when the heap was in one piece. Each
function answers (status, empty, call, result): `empty` is the measure of a call that does nothing, result is bytes.
"""

from array import array

import tl_infer


def read(path):
    with open(path, "rb") as f:
        return f.read()


def nothing(*args):
    pass


def kernel(measure, model, sample):
    """The forward program alone, as Model calls it."""
    model.x[:] = read(sample)
    run, program = tl_infer.run, (model.file, model.arena)
    status = run(*program, 0, model.operators)
    result = bytes(model.y)
    return status, measure(run, *program, 0, 0), measure(run, *program, 0, model.operators), result


def predict(measure, model, sample):
    """A whole answer; the features where the model has no classes of its own."""
    x = array("b", read(sample))
    own = model.first_of_head < model.operators
    f = model.predict if own else model.features
    f(x)
    result = bytes(model.y if own else model.f)
    return 0, measure(nothing, x), measure(f, x), result


def read_pairs(model, samples, labels):
    """The samples of a file as (x, label)."""
    data, size = memoryview(read(samples)), len(model.x)
    return [(data[i * size : (i + 1) * size], label) for i, label in enumerate(labels)]


def adapt(measure, model, samples, labels, method):
    """A whole adaptation, from samples in memory; the result is the head."""
    pairs = read_pairs(model, samples, labels)

    def teach():
        model.reset()
        model.adapt(pairs, method=method)

    cost = measure(teach)
    return 0, measure(nothing), cost, bytes(model.head.w) + bytes(model.head.b)


def step(measure, model, samples, labels):
    """One step of training the last layer: what two cost more than one, which is the empty call here."""
    from tinylearn.teaching import RATE, collect, train

    pairs = read_pairs(model, samples, labels)
    model.adapt(pairs)
    head = model.head
    features, classes = collect(model, pairs, list(head.labels))

    def steps(count):
        train(head, features, classes, count, RATE, None, 1)

    steps(1)
    result = bytes(head.w) + bytes(head.b)
    return 0, measure(steps, 1), measure(steps, 2), result
