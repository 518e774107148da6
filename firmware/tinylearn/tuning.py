"""What a method trains of a network's tail, and how much of it within the budgets. Loaded while adapt plans.

Methods: "bias" (biases of the last layers), "scheme" (a sparse update that the host has put into the model: layers and
parts of their channels), "full" (all weights and biases of the last layers).
"""

from .head import matrix_bytes, training_bytes
from .support import FLASH, RAM, RECOMPUTE
from .tail import BIAS, WEIGHTS, Tail, schemes, trainable, usual, whole

STEPS, VIEWS, WIDTH = 40, 4, 8
RATE, RATES = 0.01, {"bias": 0.1}  # biases alone want larger steps: docs/training.md
PATIENCE = 10  # steps without a lower loss after which training ends
LEAST_STEPS = 5  # that a time budget leaves
SPARE = 16 * 1024  # bytes of RAM that are not planned with: what Python allocates meanwhile, and gaps between it


class Settings:
    """What adapt was told, else what the model's card says (META "train", "augment"), else the defaults.

    options: of adapt. The card's rate is a number, or {method: number}.
    steps, rate, views, width; augment: params of tl_train.augment or None; layers: of "bias" and "full", or None
    """

    def __init__(self, model, options):
        card = model.meta.get("train")
        card = card if isinstance(card, dict) else {}
        found = [options.get(name) for name in ("steps", "views", "width")]
        defaults = (STEPS, VIEWS, WIDTH)
        for i, name in enumerate(("steps", "views", "width")):
            if found[i] is None:
                found[i] = card.get(name, defaults[i])
        self.steps, self.views, self.width = found
        self.rate = _rate(options.get("rate"), card.get("rate"), options.get("method"))
        self.layers, self.scheme, self.cache = [options.get(name) for name in ("layers", "scheme", "cache")]
        self.budget, self.time_budget = options.get("budget"), options.get("time_budget")
        self._check()
        self.augment = _augmentation(model, options.get("augment")) if self.views else None
        if self.augment is None:
            self.views = 0

    def _check(self):
        _whole_number("steps", self.steps, 1, 100000)
        _whole_number("views", self.views, 0, 64)
        if isinstance(self.rate, bool) or not isinstance(self.rate, (int, float)) or not 1e-6 <= self.rate <= 1000:
            raise ValueError("rate is a number between 1e-6 and 1000, not %r" % (self.rate,))
        if self.width not in (8, 16):
            raise ValueError("width, of the gradients, is 8 or 16, not %r" % (self.width,))
        if self.layers is not None:
            _whole_number("layers", self.layers, 1, 4096)
        if self.cache not in (None, RAM, FLASH, RECOMPUTE):
            raise ValueError("cache is 'ram', 'flash', 'recompute' or None, not %r" % (self.cache,))
        if self.budget is not None:
            _whole_number("budget, in bytes,", self.budget, 1, 1 << 30)
        if self.time_budget is not None and not (
            isinstance(self.time_budget, (int, float)) and 0 < self.time_budget <= 1e6
        ):
            raise ValueError("time_budget is a number of seconds above 0, not %r" % (self.time_budget,))


def _rate(asked, card, method):
    if asked is not None:
        return asked
    if isinstance(card, dict):
        card = card.get(method)
    return RATES.get(method, RATE) if card is None else card


def _augmentation(model, asked):
    """params of tl_train.augment, or None where nothing is to differ."""
    if asked is False:
        return None
    from .augment import parameters

    params = parameters(model, asked)
    return params if any(params[5:]) else None


def _whole_number(name, value, least, most):
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError("%s is a whole number between %d and %d, not %r" % (name, least, most, value))


# ---- What fits -------------------------------------------------------------------------------------------------------


def choices(model, method, settings):
    """(choice, width) of what a method may train, the most first."""
    if method == "scheme":
        for choice, width in _of_schemes(model, settings):
            yield choice, width
        return
    flags = BIAS if method == "bias" else BIAS | WEIGHTS
    layers = trainable(model)[: settings.layers] if settings.layers else usual(model)  # last first
    for k in range(len(layers), 0, -1):
        yield {op.index: whole(flags & op.flags) for op in layers[:k]}, settings.width


def _of_schemes(model, settings):
    found = schemes(model)
    if settings.scheme is not None:
        found = [scheme for scheme in found if scheme.name == settings.scheme]
    if not found:
        raise ValueError(
            "this model has no scheme%s: `tinylearn partition` writes some"
            % (" %r" % settings.scheme if settings.scheme else "")
        )
    found.sort(key=_most_bytes)
    for scheme in found:
        yield scheme.choice, scheme.width
    choice = dict(found[-1].choice)  # less than the least: without its first layers
    while len(choice) > 1:
        del choice[min(choice)]
        yield dict(choice), found[-1].width


def _most_bytes(scheme):
    return -scheme.bytes


class Fit:
    """A tail with the way its samples are kept, and what that takes.

    bytes: of RAM beyond what is loaded, all of adapt but code: the arena, samples, head. flash: bytes of a file
    best: bytes of a copy of the best weights, where there is room for it; choosing: of what choosing a head takes
    seconds: of the whole run, from one of the frozen network's runs; None where nobody has timed it
    """

    def __init__(self, model, tail, count, ways, cache, settings, keep_best, per_mac=None):
        n, record = len(model.f), tail.record
        self.tail, self.count, self.cache, self.settings, self.steps = tail, count, cache, settings, settings.steps
        self.views = settings.views
        slots = count * (1 + self.views)
        trained = sum([(model.nbytes(t) + 3) & ~3 for t in tail.trained])
        self.best = trained if keep_best else 0
        again = sum([model.nbytes(t) for t in model.changed])  # what they are now, in case that something goes wrong
        self.arena = ((tail.size + count * n + 3) & ~3) + record * (slots if cache == RAM else 1)
        self.inputs = len(model.x) * (1 + (count if cache == RECOMPUTE else 0))
        self.flash = slots * record if cache == FLASH else 0
        self.head = ways * (6 * n + 17) + 4 * (n + 2 * ways) + 4 * ways * n  # and the sums that each step starts from
        self.choosing = ways * (6 * n + 17) + max(matrix_bytes(n, ways, count), training_bytes(n, ways, count) + 2 * n)
        moved = 0 if model.in_place else trained
        self.bytes = self.arena + self.inputs + again + max(self.head + self.best, self.choosing + moved)
        frozen, forward, back = tail.macs
        self.first_macs = frozen * slots
        self.step_macs = count * (2 * forward + back * BACKWARD // 16)
        if cache == RECOMPUTE:
            self.step_macs += 2 * count * frozen
        self.seconds = None if per_mac is None else per_mac * (self.first_macs + self.steps * self.step_macs)

    def layout(self):
        """The fields of a support.Layout."""
        fields, settings = self.tail.layout(), self.settings
        fields.update({"count": self.count, "views": self.views, "cache": self.cache, "steps": self.steps})
        fields.update({"rate": settings.rate, "augment": settings.augment, "best": self.best})
        fields["patience"] = PATIENCE
        return fields

    def forget(self):
        """Let go of everything: a stray pointer on a board's stack keeps an object from being collected."""
        for name in ("ops", "back", "blocks", "kept", "live", "choice", "boundary"):
            setattr(self.tail, name, None)


BACKWARD = 16  # sixteenths: what a multiply-accumulate of the backward takes, beside one of the forward


def find(model, method, count, ways, settings, available=None, per_mac=None):
    """The Fit of the most that a method can train within the budgets. MemoryError or ValueError with the numbers.

    available: bytes of RAM, or None; per_mac: seconds of a multiply-accumulate, None: measured where there is a time
    budget
    """
    budget = settings.budget
    if budget is None and available is not None:
        budget = available - SPARE
    if per_mac is None and settings.time_budget is not None:
        per_mac = seconds_per_mac(model)
    least = quickest = None
    for choice, width in choices(model, method, settings):
        tail = Tail(model, choice, width)
        for cache, keep_best in _ways_to_keep(settings):
            fit = Fit(model, tail, count, ways, cache, settings, keep_best, per_mac)
            if least is None or fit.bytes < least:
                least = fit.bytes
            if (budget is not None and fit.bytes > budget) or not _fits_flash(model, fit.flash):
                continue
            if settings.time_budget is None or fit.seconds <= settings.time_budget:
                return fit
            first, step = per_mac * fit.first_macs, per_mac * fit.step_macs
            steps = int((settings.time_budget - first) / step)
            if steps >= LEAST_STEPS:
                fit.steps, fit.seconds = steps, first + steps * step
                return fit
            if quickest is None or first + LEAST_STEPS * step < quickest:
                quickest = first + LEAST_STEPS * step
    if quickest is not None:
        raise ValueError(
            "method %r takes at least %.1f s for %d samples and %d steps, and time_budget is %.1f s: "
            "give fewer samples, or take 'prototype'" % (method, quickest, count, LEAST_STEPS, settings.time_budget)
        )
    raise MemoryError(
        "method %r takes at least %d bytes of RAM for %d samples and %s: give fewer samples, or take 'prototype'"
        % (method, least, count, "budget is %d" % budget if settings.budget is not None else "%d are free" % budget)
    )


def _ways_to_keep(settings):
    """(cache, whether the best weights are kept), what is best first."""
    for cache in (RAM, FLASH, RECOMPUTE) if settings.cache is None else (settings.cache,):
        yield cache, True
        yield cache, False


def _fits_flash(model, size):
    if size == 0:
        return True
    import os

    try:
        _, block, _, blocks = os.statvfs((model.path or "").rpartition("/")[0] or ("/" if model.path else "."))[:4]
    except (OSError, AttributeError):
        return False
    return size + 16 * 1024 <= block * blocks


def seconds_per_mac(model):
    from .plan import forward_seconds

    return forward_seconds(model) / max(1, sum([model.operator(i, "<I", 28)[0] for i in range(model.first_of_head)]))
