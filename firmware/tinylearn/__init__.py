"""Few-shot learning on the board, in integers.

    import tinylearn
    tinylearn.adapt(samples)            # an iterable of (x, label), on the model that was flashed; saves
    tinylearn.predict(x)                # (label, confidence), also after the power was off
    tinylearn.rollback()                # go back one save
    tinylearn.reset()                   # the model as it came

    model = tinylearn.load("other.tlm")
    model.adapt(samples, method="last_layer")
    model.predict(x)
    model.save()

x is one sample: bytes or a bytearray (pixels 0 .. 255), array('f') (real values), or array('b') (int8, as they are).
"""

import sys

if sys.implementation.name == "cpython":
    # The simulator's modules stand in for the native ones, unless somebody has already said where they are.
    sys.path.append(__file__.replace("\\", "/").rsplit("/", 3)[0] + "/native_modules/cpython")

import gc

if hasattr(gc, "threshold"):  # as model.brought does
    before = gc.threshold()
    gc.threshold(4096)
    from .model import Model, load

    gc.threshold(before)
    del before
else:
    from .model import Model, load

__all__ = ["Model", "adapt", "augment", "load", "ops", "predict", "reset", "rollback", "save"]

_model = None


def _default():
    global _model
    if _model is None:
        _model = load()
    return _model


def adapt(samples, save=True, **options):
    """Teach the flashed model, /model.tlm, loaded at the first call. Options as of Model.adapt. Gives that Model.

    What it learns is saved, so it is still there when the power comes back, and the next adapt adds to it; reset()
    starts over. save=False: only until the power goes.
    """
    return _default().adapt(samples, save=save, **options)


def predict(x):
    """(label, confidence) of the flashed model for one sample, after what `adapt` has taught it."""
    return _default().predict(x)


def save():
    """Keep what the flashed model has learned; adapt does so itself. See Model.save."""
    _default().save()


def rollback():
    """Take the last adapt, or the last reset, back. See Model.rollback."""
    _default().rollback()


def reset():
    """Forget everything, also what was saved: the flashed model answers as it came. See Model.reset."""
    _default().reset()


def __getattr__(name):
    if name in ("ops", "augment"):  # loaded when asked for: who only predicts does not pay for them
        return __import__("tinylearn." + name, None, None, [name])
    raise AttributeError(name)
