"""float32 against the board's integers: the same network, the same views, the same order, the same direction."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from graphs_backward import network
from tinylearn_host import digits, simulator, tlm
from tinylearn_host.learning import arithmetic, float_auto, float_heads, float_updates
from tinylearn_host.learning.arithmetic import Job
from tinylearn_host.learning.datasets import pixels
from tinylearn_host.learning.float_net import FloatNet, Weights, fastest
from tinylearn_host.learning.float_training import FloatTraining, Lesson, Order, views_of
from tinylearn_host.paths import MODELS
from tinylearn_host.simulator import Simulator

simulator.on_path()
from tinylearn import auto, teaching, training, tuning  # noqa: E402
from tinylearn.model import Model, load  # noqa: E402
from tinylearn.support import Layout, Support  # noqa: E402

torch.set_num_threads(1)  # as the benchmark does: networks so small gain nothing from a second one
GLYPH = tlm.read(MODELS / "glyph" / "glyph.tlm")


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """A model without a path has its files where it is: those of tests in other processes lie elsewhere."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    images, labels = digits.load()
    rows = np.concatenate([np.flatnonzero(labels == k)[:4] for k in range(3)])
    return Lesson(pixels(images[rows]), labels[rows], pixels(images[200:230]), 987654321)


def real(values: np.ndarray, record: tlm.TensorRecord) -> np.ndarray:
    return (values.astype(np.float64) - record.zero_point) * record.scale


def decibels(wanted: np.ndarray, found: np.ndarray) -> float:
    return 20 * np.log10(np.linalg.norm(wanted) / np.linalg.norm(wanted - found))


def test_the_network_in_real_numbers_is_the_boards_but_for_rounding(lesson):
    net, board = FloatNet(GLYPH), Simulator(GLYPH.raw)
    found = net.features(net.prefix(net.input(lesson.query[:, None]), 5), 5, {})[:, 0].numpy()
    wanted = real(board.run_batch(lesson.query).reshape(len(found), -1), GLYPH.tensors[GLYPH.features])
    assert decibels(found, wanted) > 25


def test_every_operator_in_real_numbers():
    for seed in range(8):
        model = tlm.read(tlm.build(network(seed)))
        net, board = FloatNet(model), Simulator(model.raw)
        net.last = len(model.ops)
        x = np.random.default_rng(seed).integers(-128, 128, (12, 1, int(np.prod(model.input_shape())))).astype(np.int8)
        values = net._run({model.input: net.input(x)}, 0, net.last, {})
        found = values[model.output].permute(0, 1, 3, 4, 2).flatten(1).numpy()
        record = model.tensors[model.output]
        low, high = ((v - record.zero_point) * record.scale for v in (-128, 127))
        wanted = real(board.run_batch(x[:, 0]).reshape(len(x), -1), record)
        assert np.abs(found.clip(low, high) - wanted).max() < 8 * record.scale, seed


def test_episodes_with_weights_of_their_own_do_not_meet(lesson):
    net = FloatNet(GLYPH)
    x = net.input(lesson.query[:6].reshape(2, 3, -1))
    boundary = net.prefix(x, 4)
    factor = torch.tensor([0.5, 1.0, 2.0])
    own = {
        i: Weights(w.w * factor.view(3, 1, 1, 1, 1), w.b * factor.view(3, 1)) for i, w in net.frozen.items() if i >= 4
    }
    together = net.features(boundary, 4, own)
    for e in range(3):
        alone = {i: Weights(w.w[e : e + 1], w.b[e : e + 1]) for i, w in own.items()}
        one = net.features({i: v[:, e : e + 1] for i, v in boundary.items()}, 4, alone)
        assert torch.allclose(one[:, 0], together[:, e], atol=1e-4)


def boards_training(lesson: Lesson, job: Job):
    """(Training of the board, the Support's views as bytes) ready for its first step."""
    board = Model(np.frombuffer(GLYPH.raw, np.uint8).copy())
    settings = tuning.Settings(board, {"width": arithmetic.WIDTHS[job.arithmetic], **job.options})
    fit = tuning.find(board, job.method, len(lesson.classes), 3, settings)
    support = Support(board, Layout(fit.layout()), lesson.seed)
    for i, x in enumerate(lesson.support):
        board.take(x)
        support.add(i)
    task = teaching.Task(board, {})
    task.labels = [0, 1, 2]
    rows = teaching._rows_of(task, bytearray(lesson.classes.astype(np.uint8)))
    head = teaching._new_head(task, "cosine")
    return training.Training(support, head, rows, lesson.seed), settings, fit


def test_views_and_order_are_the_boards(lesson):
    job = Job("full", "int8", 1, {"views": 3, "rate": 0.01, "layers": 11})
    board, settings, fit = boards_training(lesson, job)
    seen = views_of(lesson.support, 3, settings.augment, lesson.seed)
    assert set(fit.tail.boundary) == {GLYPH.input}
    support = board.support
    for i in range(len(lesson.classes)):
        for view in range(4):
            support.find(i, view)
            at = support.layout.places[GLYPH.input]
            assert (np.frombuffer(support.arena, np.int8)[at : at + 784] == seen[view, i]).all()
    order = Order(len(lesson.classes), lesson.seed)
    for _ in range(3):
        board._shuffle()
        assert list(board.order) == order.next()


@pytest.mark.parametrize("method, width", [("full", "int16"), ("full", "int8"), ("bias", "int16")])
def test_weights_move_as_in_float32(lesson, method, width):
    """Rounding is random, so that single weights differ: what counts is how far they go the way of float32."""
    job = Job(method, width, 1, {"views": 2, "rate": 0.02, "layers": 4})
    board, settings, fit = boards_training(lesson, job)
    net = FloatNet(GLYPH)
    floats = FloatTraining(net, fit.tail.choice, [lesson], fit.views, settings.augment, settings.rate)
    losses = [(board.step()[0], float(floats.step()[0])) for _ in range(2)]
    assert np.allclose(*zip(*losses, strict=True), atol=0.1), losses
    taught = trained_by(board)
    for index in fit.tail.choice:
        before, after = net.frozen[index], floats.trained[index]
        for name, tensor in (("w", GLYPH.ops[index].w), ("b", GLYPH.ops[index].b)):
            moved = (getattr(after, name) - getattr(before, name)).detach().numpy().reshape(-1)
            if tensor not in fit.tail.trained:
                assert not moved.any()
                continue
            found = (getattr(taught.frozen[index], name) - getattr(before, name)).numpy().reshape(-1)
            assert 0.8 < found @ moved / (moved @ moved) < 1.2, (index, name)


def trained_by(board) -> FloatNet:
    """The network with the weights and biases that the board's training has come to."""
    raw = bytearray(GLYPH.raw)
    for tensor, _ in board.layout.trained:
        record, at = GLYPH.tensors[tensor], board.layout.places[tensor]
        raw[record.place : record.place + record.bytes] = bytes(board.support.arena[at : at + record.bytes])
    return FloatNet(tlm.read(tlm.seal(bytes(raw))))


def test_a_scheme_moves_its_channels_only(lesson):
    from tinylearn.tail import Trained

    choice = {8: Trained(3, 0, 16, 24, None), 10: Trained(3, 1, 8, 40, None), 9: Trained(1, 0, 4, 12, None)}
    net = FloatNet(GLYPH)
    floats = FloatTraining(net, choice, [lesson], 0, None, 0.02)
    floats.step()
    moved = {i: (floats.trained[i].w - net.frozen[i].w)[0].abs().sum((2, 3)) for i in choice}
    inputs, outputs = moved[8].sum(0).nonzero()[:, 0], moved[10].sum(1).nonzero()[:, 0]
    assert inputs.tolist() == list(range(16, 40)) and outputs.tolist() == list(range(8, 48))
    assert moved[9].sum(1).nonzero()[:, 0].tolist() == list(range(4, 16))
    assert (floats.trained[9].b == net.frozen[9].b).all()


def test_the_best_weights_of_each_episode_stay(lesson, monkeypatch):
    floats = FloatTraining(FloatNet(GLYPH), {10: tuning.whole(2)}, [lesson, lesson], 0, None, 0.02)
    losses = iter(torch.tensor([[3.0, 1.0], [2.0, 2.0], [2.5, 3.0], [1.0, 0.5], [0.5, 0.1]]))
    biases = floats.trained[10].b

    def step():
        with torch.no_grad():
            biases[:] = biases.round() + 1  # which step it was
        return next(losses)

    with torch.no_grad():
        biases.zero_()
    monkeypatch.setattr(floats, "step", step)
    floats.run(5, patience=2)
    assert biases[:, 0].tolist() == [5, 1]  # the second had not fallen for two steps, whatever came then


def test_heads_are_chosen_as_on_the_board():
    random = np.random.default_rng(0)
    centres = random.integers(-60, 60, (4, 32))
    for noise in (5, 30, 60):
        classes = np.tile(np.arange(4), 6)
        x = np.clip(centres[classes] + random.normal(0, noise, (24, 32)), -128, 127).astype(np.int8)
        model = SimpleNamespace(
            f=bytes(32), f_zero=0, head=None, held=None, memory=None, forward_bytes=lambda: 0, _find_panels=lambda: None
        )
        board = teaching.Task(model, {"steps": 40, "rate": 100.0})
        board.options.update(method="full", metric="cosine", seed=1, shrinkage=None, more="refine", head=None)
        board.labels = [0, 1, 2, 3]
        rows = teaching._rows_of(board, bytearray(classes.astype(np.uint8)))
        assert teaching.possible(board, len(rows)) == float_heads.CLOSED
        found = teaching.judged(board, memoryview(bytearray(x.tobytes())), memoryview(rows), float_heads.CLOSED)
        head, right = float_heads.judged(x.astype(float), classes, float_heads.CLOSED, "prototype")
        assert found == (head, right)


def test_of_one_example_of_each_class_nothing_can_be_held_out():
    assert float_heads.judged(np.eye(3), np.arange(3), float_heads.CLOSED, "prototype") == ("prototype", 0)


def lessons(count: int) -> list[Lesson]:
    images, labels = digits.load()
    random = np.random.default_rng(5)
    found = []
    for e in range(count):
        rows = np.concatenate([random.permutation(np.flatnonzero(labels == k))[:2] for k in range(3)])
        found.append(Lesson(pixels(images[rows]), np.arange(6) // 2, pixels(images[:9]), 1000 + e))
    return found


def trained_together(of: list[Lesson], device: str = "cpu", method: str = "full") -> FloatTraining:
    job = Job(method, "float32", 1, {"layers": 6})
    settings, fit = arithmetic.fit(GLYPH, job, 6, 3)
    training = FloatTraining(FloatNet(GLYPH, device), fit.tail.choice, of, 2, settings.augment, 0.02)
    training.run(3, 10)
    return training


def as_one_by_one(together: FloatTraining, of: list[Lesson], method: str) -> None:
    """Each lesson alone on the CPU comes to the weights that it came to beside the others."""
    net = FloatNet(GLYPH)
    for e, lesson in enumerate(of):
        alone = trained_together([lesson], method=method)
        for index in together.trained:
            for name in ("w", "b"):
                one = getattr(alone.trained[index], name)[0] - getattr(net.frozen[index], name)[0]
                own = getattr(together.trained[index], name)
                among = own[min(e, len(own) - 1)].cpu() - getattr(net.frozen[index], name)[0]
                assert (one - among).norm() <= 2e-3 * one.norm() + 1e-6, (e, index, name)


@pytest.mark.parametrize("method", ["full", "bias"])
def test_side_by_side_is_one_after_the_other(method):
    of = lessons(3)
    as_one_by_one(trained_together(of, method=method), of, method)


@pytest.mark.skipif(fastest() == "cpu", reason="there is no graphics card")
@pytest.mark.parametrize("method", ["full", "bias"])
def test_a_graphics_card_comes_to_the_same(method):
    of = lessons(3)
    as_one_by_one(trained_together(of, "cuda", method), of, method)


def test_channels_are_worth_what_the_board_finds(lesson, monkeypatch, tmp_path):
    """Fisher information of the same pass: in the board's integers and in real numbers."""
    from tinylearn import selection

    job = Job("tinytrain", "float32", 1, {"views": 2, "layers": 6})
    settings, inspected = arithmetic.fit(GLYPH, job, len(lesson.classes), 3, inspect=True)
    layers = {op: part.axis for op, part in inspected.tail.choice.items()}
    parameters = settings.augment
    floats = FloatTraining(FloatNet(GLYPH), {}, [lesson], settings.views, parameters, 0.0, min(layers))
    wanted = floats.fisher(layers)
    found, condense = {}, selection.condense

    def listening(op, axis, ratio, values):
        if op not in found:
            found[op] = np.array(values[0], float) * 2.0 ** values[1]
        return condense(op, axis, ratio, values)

    monkeypatch.setattr(selection, "condense", listening)
    path = tmp_path / "model.tlm"
    path.write_bytes(GLYPH.raw)
    from tinylearn.model import load

    board = load(str(path), recall=False)
    options = {"method": "tinytrain", "views": 2, "layers": 6, "steps": 1, "seed": lesson.seed, "width": 16}
    board.adapt(arithmetic.pairs(lesson.support, lesson.classes), **options)
    assert set(found) == set(wanted) == set(layers)
    ours, theirs = (np.concatenate([of[op].reshape(-1) for op in sorted(layers)]) for of in (wanted, found))
    assert np.corrcoef(ours, theirs)[0, 1] > 0.98
    assert np.corrcoef(np.argsort(np.argsort(ours)), np.argsort(np.argsort(theirs)))[0, 1] > 0.9


def test_each_lesson_may_train_channels_of_its_own(lesson):
    from tinylearn.tail import Trained

    one, two = {10: Trained(3, 1, 8, 40, None)}, {8: Trained(3, 0, 0, 2, [3, 5])}
    net = FloatNet(GLYPH)
    together = FloatTraining(net, [one, two], [lesson, lesson], 0, None, 0.02)
    together.step()
    for e, choice in enumerate((one, two)):
        alone = FloatTraining(net, choice, [lesson], 0, None, 0.02)
        alone.step()
        for index in (8, 10):
            same = alone.trained[index].w[0] if index in choice else net.frozen[index].w[0]
            assert torch.allclose(together.trained[index].w[e], same, atol=1e-6)


# ---- What decides by itself ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shots, invert", [(5, False), (5, True), (1, False), (1, True)])
def test_the_board_and_real_numbers_judge_alike(shots, invert, monkeypatch):
    """Whether to train, how sure prototypes are, and how many held out are right: within what int8 features differ."""
    images, labels = digits.load()
    rows = np.concatenate([np.flatnonzero(labels == k)[10 : 10 + shots] for k in range(6)])
    x, y = pixels(255 - images[rows] if invert else images[rows]), labels[rows]
    board = Model(np.frombuffer(GLYPH.raw, np.uint8).copy())
    verdicts = []

    def stop(task, *_):
        verdicts.append(task.verdict)
        return "what would be made"

    monkeypatch.setattr(teaching, "training", lambda: SimpleNamespace(tune_first=stop))
    monkeypatch.setattr(auto, "_frozen", stop)
    board.in_place = True
    board.adapt(arithmetic.pairs(x, y), seed=9, keep=False)
    frozen = FloatTraining(FloatNet(GLYPH), {}, [Lesson(x, y, x, 9)], 0, None, 0.0)
    settings = tuning.Settings(board, {"method": "full"})
    views = float_auto.asked_views(x, settings.augment, 9)
    found = float_auto.judge(frozen.known()[:, 0], y, frozen.features_of(views), teaching.of_one(board))
    assert found.trains == bool(verdicts[0].methods) == invert
    assert found.head == verdicts[0].head
    assert (found.right is None) == (verdicts[0].right is None) == (shots == 1)
    if shots > 1:
        assert abs(found.right - verdicts[0].right) <= 1


def test_views_that_watch_are_not_trained_on(lesson):
    """They gain from steps down, and lose by steps up."""
    net = FloatNet(GLYPH)
    parts = dict(arithmetic.fit(GLYPH, Job("full", "float32", 1), 12, 3)[1].tail.choice.items())
    for rate, gains in ((0.01, True), (-0.05, False)):
        training = FloatTraining(net, parts, [lesson], 4, None, rate)
        assert training.run_watched(3).tolist() == [gains]
        assert training.views == 3


@pytest.mark.parametrize("kind", arithmetic.UPDATES)
def test_updates_are_what_they_say(lesson, kind):
    """Of one gradient: QAS divides by squares of scales, which is SGD in real numbers; without it they stay in."""
    record = GLYPH.tensors[GLYPH.ops[10].w]
    scales = np.frombuffer(GLYPH.raw, "<f4", record.shape[0], record.scales).astype(np.float64)
    update = float_updates.Update(kind, GLYPH, [(10, True)], torch.device("cpu"))
    gradient = torch.from_numpy(np.random.default_rng(1).normal(size=(2, len(scales), 3, 1, 1))).float()
    of = scales[None, :, None, None, None]
    wanted = {
        "sgd": gradient.numpy(),
        "integers": gradient.numpy() * of**2 / (of**2).mean(),
        "momentum": 0.1 * gradient.numpy(),
        "sign": of * np.sign(gradient.numpy()),
    }[kind]
    assert np.allclose(update(0, gradient), wanted, rtol=1e-5)
    if kind == "momentum":
        assert np.allclose(update(0, gradient), 0.19 * gradient.numpy(), rtol=1e-5)


@pytest.mark.parametrize("fewer", [False, True])
def test_where_fewer_held_out_are_right_the_network_stays_as_it_was(fewer, monkeypatch, tmp_path):
    images, labels = digits.load()
    rows = np.concatenate([np.flatnonzero(labels == k)[:5] for k in range(4)])
    path = tmp_path / "model.tlm"
    path.write_bytes(GLYPH.raw)
    board, measured = load(str(path), recall=False), training.judged

    def judged(task, *arguments):
        head, _ = measured(task, *arguments)
        return head, task.verdict.right - fewer

    monkeypatch.setattr(training, "judged", judged)
    board.adapt(arithmetic.pairs(pixels(255 - images[rows]), labels[rows]), steps=1, keep=False, time_budget=1e6)
    assert (not board.changed) == fewer
    assert ("stays as it is" in board.why) == fewer
