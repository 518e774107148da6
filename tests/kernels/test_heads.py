"""The integer heads against float64 numpy, with the error that each may have; and every wrong buffer is a status."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tinylearn_host import simulator

simulator.on_path()
import tl_infer  # noqa: E402
import tl_train  # noqa: E402

ONE, TAU, ROW = 65536, 10, 1024  # of logits, of cosine prototypes, of weights
SEEDS = st.integers(0, 2**32 - 1)


def unit(a):
    return a / np.maximum(np.linalg.norm(a, axis=-1, keepdims=True), 1e-12)


def softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def params(n, k, zero, mult=0, shift=0, *more):
    return np.array([n, k, zero, mult, shift, *more], np.int32)


class Task:
    """Classes around random centres, as a network's features after a ReLU: mostly at the zero point, none below."""

    def __init__(self, seed, n, k, shots, zero=-128, spread=20.0):
        random = np.random.default_rng(seed)
        centres = np.maximum(random.normal(10, 40, (k, n)), 0)
        self.n, self.k, self.zero, self.shots = n, k, zero, shots
        self.labels = np.repeat(np.arange(k, dtype=np.uint8), shots)
        features = np.maximum(centres[self.labels] + random.normal(0, spread, (k * shots, n)), 0)
        self.features = np.clip(np.rint(features) + zero, -128, 127).astype(np.int8)
        self.x = self.features.astype(np.float64) - zero
        self.params = params(n, k, zero)

    def prototypes(self):
        """(w, b, sums, counts) from the kernels."""
        sums, counts = np.zeros((self.k, self.n), np.int32), np.zeros(self.k, np.int32)
        assert tl_train.class_sums(self.params, self.features, self.labels, sums, counts) == 0
        w, b = np.zeros((self.k, self.n), np.int16), np.zeros(self.k, np.int32)
        assert tl_train.class_rows(self.params, sums, counts, w, b) == 0
        return w, b, sums, counts

    def logits(self, w, b, given=None):
        out = np.zeros((len(self.features), self.k), np.int32)
        for x, row in zip(self.features, out, strict=True):
            assert tl_infer.head_scores(self.params if given is None else given, x, w, b, row) == 0
        return out / ONE

    def means(self):
        return np.array([self.x[self.labels == k].mean(0) for k in range(self.k)])


TASKS = st.builds(
    Task,
    SEEDS,
    n=st.sampled_from([1, 3, 16, 64, 200, 1030]),
    k=st.integers(1, 20),
    shots=st.integers(1, 6),
    zero=st.sampled_from([-128, -7, 0, 20]),
)


@given(TASKS)
def test_sums_and_counts_are_exact(task):
    _, _, sums, counts = task.prototypes()
    assert np.array_equal(sums, [task.x[task.labels == k].sum(0) for k in range(task.k)])
    assert np.array_equal(counts, [task.shots] * task.k)


@given(TASKS)
def test_rows_are_unit_vectors_times_the_temperature(task):
    w, b, *_ = task.prototypes()
    means = task.means()
    assert np.abs(w / ROW - TAU * unit(means)).max() <= 0.51 / ROW + TAU * 2**-14
    assert not b.any()


@given(TASKS)
def test_cosine_scores(task):
    """|error| <= half a step of w on each feature, and 2^-15 of the cosine's norm."""
    w, b, *_ = task.prototypes()
    x = unit(task.x)
    bound = np.abs(x).sum(1, keepdims=True) * (0.51 / ROW + TAU * 2**-14) + TAU * 2**-14 + 2 / ONE
    assert (np.abs(task.logits(w, b) - TAU * x @ unit(task.means()).T) <= bound).all()


@given(TASKS, st.floats(0.02, 0.3))
def test_euclidean_scores(task, scale):
    """2 c . x - |c|^2 in real units: |x|^2 less than the squared distance, which no softmax sees."""
    scale = np.float32(scale)
    mantissa, exponent = np.frexp(np.float64(scale) ** 2 * 1024)  # products have 6 fractional bits, logits 16
    shift = 16 - int(exponent)
    task.params = params(task.n, task.k, task.zero, int(mantissa * 65535), shift)
    w, b, *_ = task.prototypes()
    means, x = task.means(), task.x
    expected = (2 * x @ means.T - (means**2).sum(1)) * np.float64(scale) ** 2
    size = (np.abs(x) @ np.abs(means).T * 2 + (means**2).sum(1)) * np.float64(scale) ** 2
    step = (np.abs(x).sum(1, keepdims=True) + 2 * np.abs(means).sum(1)) * np.float64(scale) ** 2 / 64
    step += np.float64(scale) ** 2 / 64  # |c|^2 is cut to the unit of w . x, a 64th
    reachable = np.abs(expected).max() < 30000  # beyond, logits are clamped
    assert not reachable or (np.abs(task.logits(w, b) - expected) <= size * 2**-13 + step + 2 / ONE).all()


@given(
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=40)
    | st.lists(st.integers(-9 * ONE, 9 * ONE), min_size=1)
)
def test_softmax(values):
    logits, p = np.array(values, np.int32), np.zeros(len(values), np.int32)
    assert tl_infer.head_softmax(logits, p) == 0
    assert np.abs(p / 32768 - softmax(logits / ONE)).max() <= 2**-14 + 2**-16  # and half a unit of p
    assert abs(int(p.sum()) - 32768) <= len(values)


def reference_step(x, labels, w, b, mean, rate, clip=1.0):
    """One step of head_linear.c in float64: gives the new w, b, and the loss before."""
    u, k = unit(x), len(w)
    logits = u @ w.T + b
    p = softmax(logits)
    loss = -np.log(np.maximum(p[np.arange(len(x)), labels], 1e-300)).mean()
    gradient = (p - np.eye(k)[labels]).T @ (u - mean) / len(x)
    size = np.linalg.norm(gradient)
    moved = -rate * min(1, clip / max(size, 1e-12)) * gradient
    return w + moved, b - moved @ mean, loss, size


class Trainer:
    def __init__(self, task, seed=1, rate=100.0, clip=1.0):
        self.task, self.n, self.k, self.samples = task, task.n, task.k, len(task.features)
        self.w, self.b, *_ = task.prototypes()
        self.mean = np.zeros(task.n, np.int16)
        self.state = np.array([seed, 0, 0, 0], np.int32)
        self.scratch = np.zeros(self.samples * self.k + self.samples + self.n + 2 * self.k, np.int32)
        assert tl_train.unit_mean(task.params, task.features, self.mean, np.zeros(task.n, np.int32)) == 0
        self.params = params(task.n, task.k, task.zero, 0, 0, round(rate * 256), round(clip * 256))

    def step(self):
        t = self.task
        status = tl_train.head_step(
            self.params, t.features, t.labels, self.mean, self.w, self.b, self.state, self.scratch
        )
        assert status == 0
        return self.state[1] / ONE, int(self.state[2]), self.state[3] / ONE


@given(TASKS)
def test_mean_of_unit_features(task):
    mean = np.zeros(task.n, np.int16)
    assert tl_train.unit_mean(task.params, task.features, mean, np.zeros(task.n, np.int32)) == 0
    assert np.abs(mean / 16384 - unit(task.x).mean(0)).max() <= 2.6 / 16384


@settings(deadline=None)
@given(TASKS, st.sampled_from([1.0, 10.0, 100.0]), st.sampled_from([0.25, 1.0]))
@example(Task(413484169, n=1, k=2, shots=2), 1.0, 0.25)  # only the blank samples are wrong: all of it is pull
def test_one_step_is_sgd_in_float(task, rate, clip):
    """Each weight within a step of its rounding and 2^-9 of the largest move; the bias follows what the weights did."""
    trainer = Trainer(task, rate=rate, clip=clip)
    w, b, mean = trainer.w / ROW, trainer.b / ONE, trainer.mean / 16384
    new_w, _, loss, size = reference_step(task.x, task.labels, w, b, mean, rate, clip)
    found_loss, _, found_size = trainer.step()
    assert abs(found_loss - loss) <= 2e-3
    assert abs(found_size - size) <= size * 2**-8 + 2**-11
    inside = np.abs(new_w) < 31.9  # beyond, weights saturate
    error = np.abs(trainer.w / ROW - new_w)[inside]
    assert (error <= 1.01 / ROW + rate * 2**-12 + np.abs(new_w - w).max() * 2**-9).all()
    moved = (trainer.w / ROW - w) @ mean
    assert np.abs(trainer.b / ONE - (b - moved)).max() <= 2 / ONE


def test_a_step_for_long_samples_beside_short_ones():
    """The short samples make the mean, and are right; the gradient is the long ones' pull on it."""
    task = Task(0, n=8192, k=2, shots=2)
    task.x = np.repeat(np.stack([np.eye(8192)[0], np.full(8192, 255.0)]), 2, axis=0)
    task.features = (task.x - 128).astype(np.int8)
    trainer = Trainer(task, rate=1.0, clip=16.0)
    trainer.w[1] = 0
    w, b, mean = trainer.w / ROW, trainer.b / ONE, trainer.mean / 16384
    new_w, _, _, size = reference_step(task.x, task.labels, w, b, mean, 1.0, 16.0)
    assert abs(trainer.step()[2] - size) <= size * 2**-8
    assert np.abs(trainer.w / ROW - new_w).max() <= 1.01 / ROW + 2**-12


@pytest.mark.parametrize("seed", range(4))
def test_training_follows_float_to_its_end(seed):
    task = Task(seed, n=64, k=10, shots=5, spread=60)
    trainer = Trainer(task)
    w, b, mean = trainer.w / ROW, trainer.b / ONE, trainer.mean / 16384
    for _ in range(40):
        w, b, loss, _ = reference_step(task.x, task.labels, w, b, mean, 100.0)
        found, right, _ = trainer.step()
        assert abs(found - loss) < 1e-3
    assert right == len(task.x)
    assert np.abs(task.logits(trainer.w, trainer.b) - (unit(task.x) @ w.T + b)).max() < 0.03


def test_rounding_is_unbiased():
    """Steps far below one unit of a weight arrive on average: rounding to the nearest would lose them all."""
    task = Task(3, n=32, k=4, shots=4)
    first = Trainer(task).w / ROW
    total = np.zeros_like(first)
    for seed in np.random.default_rng(1).integers(1, 2**31, 400):  # small states make small first numbers
        trainer = Trainer(task, seed=seed, rate=1 / 16)
        trainer.step()
        total += trainer.w / ROW - first
    wanted = reference_step(task.x, task.labels, first, np.zeros(4), Trainer(task).mean / 16384, 1 / 16)[0] - first
    assert np.abs(wanted).max() < 1 / ROW
    assert np.abs(total / 400 - wanted).max() < 4.5 * 0.5 / ROW / np.sqrt(400)


def test_same_seed_same_bits():
    task = Task(5, n=48, k=6, shots=3)
    runs = [Trainer(task, seed=seed) for seed in (1, 1, 2)]
    for trainer in runs:
        for _ in range(10):
            trainer.step()
    assert np.array_equal(runs[0].w, runs[1].w)
    assert not np.array_equal(runs[0].w, runs[2].w)


@settings(deadline=None)
@given(SEEDS, st.integers(1, 300), st.integers(1, 8), st.integers(1, 30), st.sampled_from([-128, 0, 127]))
def test_any_bytes_train(seed, n, k, samples, zero):
    """Random features, weights and biases, a blank sample: no overflow (the sanitizer build runs this too)."""
    random = np.random.default_rng(seed)
    task = Task(0, 1, 1, 1)
    task.n, task.k, task.zero, task.params = n, k, zero, params(n, k, zero)
    task.features = random.integers(-128, 128, (samples, n)).astype(np.int8)
    task.features[0] = zero
    task.labels = random.integers(0, k, samples).astype(np.uint8)
    trainer = Trainer(task, rate=16384)
    trainer.w[:] = random.integers(-32768, 32768, (k, n))
    trainer.b[:] = random.integers(-(2**31), 2**31, k)
    for _ in range(3):
        trainer.step()


@given(SEEDS, st.integers(2, 6))
def test_own_classes_lie_along_their_rows(seed, taught):
    """prototype = mean of the taught classes + their spread * direction of (row - mean of rows)."""
    task = Task(seed, n=40, k=8, shots=3)
    keep = task.labels < taught
    task.features, task.labels, task.x = task.features[keep], task.labels[keep], task.x[keep]
    _, _, sums, counts = task.prototypes()
    random = np.random.default_rng(seed)
    rows = random.integers(-127, 128, (10, 40)).astype(np.int8)
    scales = random.integers(8000, 32768, 10).astype(np.int32)
    source = np.array([-1] * taught + list(range(8 - taught)), np.int16)
    before = sums.copy()
    given = params(40, 8, task.zero, 0, 0, 10)
    assert tl_train.own_classes(given, source, rows, scales, sums, counts, np.zeros(80, np.int32)) == 0
    means = np.array([task.x[task.labels == k].mean(0) for k in range(taught)])
    middle = means.mean(0)
    spread = np.sqrt(((means - middle) ** 2).sum(1).mean())
    weights = rows * scales[:, None].astype(np.float64)
    directions = unit(weights - weights.mean(0))[: 8 - taught]
    expected = np.clip(middle + spread * directions, -255, 255)
    assert np.array_equal(sums[:taught], before[:taught])
    assert np.array_equal(counts, [3] * taught + [-16] * (8 - taught))
    assert np.abs(sums[taught:] / 16 - expected).max() <= 0.1


def test_examples_take_a_pseudo_prototypes_place():
    task = Task(2, n=8, k=2, shots=2)
    sums, counts = np.full((2, 8), 99, np.int32), np.array([-16, 1], np.int32)
    assert tl_train.class_sums(task.params, task.features, task.labels, sums, counts) == 0
    assert counts.tolist() == [2, 3]
    assert np.array_equal(sums[0], task.x[:2].sum(0))
    assert np.array_equal(sums[1], 99 + task.x[2:].sum(0))


def closed_form(task, prior, sums=None, counts=None):
    """(w, b, params to predict with) from the kernel; prior in examples."""
    n, k = task.n, task.k
    if sums is None:
        _, _, sums, counts = task.prototypes()
    w, b, scale = np.zeros((k, n), np.int16), np.zeros(k, np.int32), np.zeros(2, np.int32)
    m = min(n, len(task.features))
    scratch = np.zeros(m * (m + 1) // 2 + m + 2 * n + k + (k * n + 1) // 2, np.int32)
    given = params(n, k, task.zero, 0, 0, round(prior * 256))
    status = tl_train.closed_form(given, task.features, task.labels, sums, counts, w, b, scale, scratch)
    assert status == 0
    return w, b, params(n, k, task.zero, *scale)


def discriminant(task, means, prior):
    """Logits of shrunken LDA in float64, of the task's samples [samples, k], and the longest row's |w|_1."""
    z = task.x - task.means()[task.labels]
    examples, trace = len(z) - task.k, (z * z).sum()
    d = means - means.mean(0)
    covariance = z.T @ z + np.eye(task.n) * trace * prior / (examples * task.n) if trace else np.eye(task.n)
    w = np.linalg.solve(covariance, d.T).T
    w *= 8 / max((w * d).sum(1).mean(), 1e-12)
    return task.x @ w.T - (w * (means + means.mean(0))).sum(1) / 2, np.abs(w).sum(1).max()


def bound(size, means):
    """Of errors of logits whose largest is `size`: 1/128 of it, and what means in 1/64 lose where they lie together."""
    apart = np.abs(means - means.mean(0)).max()
    return size * (1 / 128 + (1 / 64 / apart if apart else 0)) + 2 / ONE


PRIORS = st.sampled_from([0.05, 1.0, 10.0])  # in numbers of features


@settings(deadline=None)
@given(TASKS, PRIORS, st.integers(1, 6))
@example(Task(0, n=1, k=2, shots=3, zero=-128), 0.05, 4)  # means 1.7 steps apart
def test_closed_form_is_linear_discriminant_analysis(task, prior, closer):
    """Scaled down by a power of two where logits could pass 2^14."""
    task.x = np.rint(task.x / closer)
    task.features = np.clip(task.x + task.zero, -128, 127).astype(np.int8)
    task.x = task.features.astype(np.float64) - task.zero
    prior = max(1, round(prior * task.n * 256)) / 256
    w, b, given_params = closed_form(task, prior)
    found = task.logits(w, b, given_params)
    expected, longest = discriminant(task, task.means(), prior)
    size = np.abs(expected - expected.mean(1, keepdims=True)).max()
    if longest * 255 > 2**13 and size:
        down = np.abs(found - found.mean(1, keepdims=True)).max() / size
        assert down <= 1.01
        expected, size = expected * 2 ** np.rint(np.log2(down)), size * 2 ** np.rint(np.log2(down))
    assert np.abs(found - expected).max() <= bound(size, task.means())


def test_closed_form_knows_how_features_vary_together():
    """Two classes apart across a long thin direction: the nearest mean fails where the whitened one does not."""
    random = np.random.default_rng(0)
    task = Task(0, n=4, k=2, shots=40, zero=0)
    task.x = random.normal(0, 3, (80, 4)) + np.outer(random.normal(0, 30, 80), [1, 1, 0, 0])
    task.x += np.where(task.labels[:, None] == 1, 1, -1) * [6, -6, 0, 0]
    task.features = np.rint(task.x).clip(-128, 127).astype(np.int8)
    w, b, *_ = task.prototypes()
    nearest = (task.logits(w, b).argmax(1) == task.labels).mean()
    w, b, given_params = closed_form(task, 4)
    assert (task.logits(w, b, given_params).argmax(1) == task.labels).mean() > 0.98
    assert nearest < 0.9


@given(SEEDS, st.integers(2, 8))
def test_one_example_each_is_the_nearest_example(seed, k):
    task = Task(seed, n=30, k=k, shots=1)
    w, b, given_params = closed_form(task, 30)
    assert np.array_equal(task.logits(w, b, given_params).argmax(1), task.labels)


@settings(deadline=None)
@given(TASKS)
def test_means_come_from_all_calls_and_the_covariance_from_this(task):
    _, _, sums, counts = task.prototypes()
    shift = np.random.default_rng(1).integers(-20, 20, sums.shape)
    sums = (3 * sums + 2 * counts[:, None] * shift).astype(np.int32)  # two more samples for each, moved
    w, b, given_params = closed_form(task, task.n, sums, 3 * counts)
    means = np.clip(sums / (3 * counts[:, None]), -255, 255)
    expected, longest = discriminant(task, means, task.n)
    size = np.abs(expected - expected.mean(1, keepdims=True)).max()
    if longest * 255 < 2**13:
        assert np.abs(task.logits(w, b, given_params) - expected).max() <= bound(size, means)


@settings(deadline=None)
@given(SEEDS, st.integers(1, 150), st.integers(1, 8), st.integers(1, 40), st.sampled_from([0, 1, 3, 128]))
def test_any_bytes_have_a_closed_form(seed, n, k, samples, amplitude):
    """Constant features, sums and counts that no samples gave: no overflow (the sanitizer build runs this too)."""
    random = np.random.default_rng(seed)
    task = Task(0, 1, 1, 1)
    task.n, task.k, task.zero, task.params = n, k, int(random.integers(-128, 128)), None
    task.features = random.integers(-amplitude, max(1, amplitude), (samples, n)).astype(np.int8)
    task.labels = random.integers(0, k, samples).astype(np.uint8)
    sums = random.integers(-(2**31), 2**31, (k, n)).astype(np.int32) >> int(random.integers(0, 32))
    counts = random.integers(-(2**31), 2**31, k).astype(np.int32) >> int(random.integers(0, 32))
    for prior in (1 / 256, 1, n, 2**15):
        w, b, given_params = closed_form(task, prior, sums, counts)
        task.logits(w, b, given_params)


def test_closed_form_in_pieces_that_are_too_large_is_a_status():
    for n, samples, prior, expected in ((513, 513, 256, PARAMS), (4, 4, 0, PARAMS), (4, 4, 1 << 24, PARAMS)):
        m, k = min(n, samples), 2
        words = m * (m + 1) // 2 + m + 2 * n + k + (k * n + 1) // 2
        arguments = (np.zeros((samples, n), np.int8), np.zeros(samples, np.uint8), np.zeros((k, n), np.int32))
        arguments += (np.ones(k, np.int32), np.zeros((k, n), np.int16), np.zeros(k, np.int32), np.zeros(2, np.int32))
        given_params = params(n, k, 0, 0, 0, prior)
        assert tl_train.closed_form(given_params, *arguments, np.zeros(words, np.int32)) == expected
        if n == 4:
            given_params[5] = 256
            assert tl_train.closed_form(given_params, *arguments, np.zeros(words, np.int32)) == 0
            assert tl_train.closed_form(given_params, *arguments, np.zeros(words - 1, np.int32)) == BUFFER + 256 * 7
            arguments[1][1] = 2
            assert tl_train.closed_form(given_params, *arguments, np.zeros(words, np.int32)) == LABEL + 256


PARAMS, BUFFER, LABEL = 51, 52, 54


@pytest.mark.parametrize(
    "wrong",
    [(0, 1, 0, 0, 0), (1, 0, 0, 0, 0), (1, 257, 0, 0, 0), (40000, 1, 0, 0, 0), (4, 2, 128, 0, 0), (4, 2, 0, -1, 0),
     (4, 2, 0, 65536, 0), (4, 2, 0, 1, 63), (4, 2, 0, 1)],
)  # fmt: skip
def test_wrong_params_are_a_status(wrong):
    buffers = np.zeros(4, np.int8), np.zeros((2, 4), np.int16), np.zeros(2, np.int32), np.zeros(2, np.int32)
    assert tl_infer.head_scores(np.array(wrong, np.int32), *buffers) == PARAMS


@pytest.mark.parametrize("index", range(4))
def test_wrong_buffers_are_a_status(index):
    for change in (lambda a: a.reshape(-1)[:-1], lambda a: np.append(a, a.reshape(-1)[:1]), lambda a: None):
        scores = [np.zeros(4, np.int8), np.zeros((2, 4), np.int16), np.zeros(2, np.int32), np.zeros(2, np.int32)]
        scores[index] = change(scores[index])
        assert tl_infer.head_scores(params(4, 2, 0), *scores) == BUFFER + 256 * index
        rows = [np.zeros((2, 4), np.int32), np.zeros(2, np.int32), np.zeros((2, 4), np.int16), np.zeros(2, np.int32)]
        rows[index] = change(rows[index])
        assert tl_train.class_rows(params(4, 2, 0), *rows) == BUFFER + 256 * index


def test_a_label_without_a_row_is_a_status_and_changes_nothing():
    task = Task(1, n=4, k=3, shots=1)
    trainer = Trainer(task)
    before = trainer.w.copy()
    task.labels = np.array([0, 3, 1], np.uint8)
    sums, counts = np.zeros((3, 4), np.int32), np.zeros(3, np.int32)
    assert tl_train.class_sums(task.params, task.features, task.labels, sums, counts) == LABEL + 256
    assert not sums.any() and not counts.any()
    arguments = (task.features, task.labels, trainer.mean, trainer.w, trainer.b, trainer.state, trainer.scratch)
    assert tl_train.head_step(trainer.params, *arguments) == LABEL + 256
    assert np.array_equal(trainer.w, before)
