"""What the least would take where nothing fits. Loaded when it is said."""


def refuse(budgets, method):
    """MemoryError or ValueError: what the least takes of what is short, what there is of it, and what to do."""
    from .tuning import LEAST_STEPS

    settings, advice = budgets.settings, "give fewer samples"
    cache = ", another cache" if settings.cache else ""
    if budgets.quickest is not None:
        limit = settings.time_budget
        raise ValueError(_TIME % (method, budgets.quickest, budgets.count, LEAST_STEPS, limit, advice))
    if not budgets.closest and budgets.least_flash is None:
        raise MemoryError(_NO_PLAN % (method, budgets.count, advice))
    if not budgets.closest or (budgets.closest[0][0] and budgets.least_flash is not None):
        advice += " or views" + cache
        raise MemoryError(_FLASH % (method, budgets.least_flash, budgets.count, budgets.flash, advice))
    advice += cache
    if settings.continual:
        advice += ", hold fewer bytes of them, forget a class" if settings.keep else ", forget a class"
    _, _, least, heap, arena = budgets.closest
    if settings.piece is not None and arena > settings.piece:
        raise MemoryError(_IN_ONE_PIECE % (method, arena, budgets.count, settings.piece, advice))
    room = "budget is %s" % settings.budget
    if budgets.free is not None and (settings.budget is None or least <= settings.budget):
        least, room = heap, "%d are free beside %d for Python" % (max(0, budgets.free), budgets.spare)
    if budgets.least_flash is not None:
        room += ", or %d of flash, of which %d are free" % (budgets.least_flash, budgets.flash)
    raise MemoryError(_RAM % (method, least, budgets.count, room, advice))


_TIME = (
    "method %r takes at least %.3g s for %d samples and %d steps, and time_budget is %.3g s: %s, or take 'prototype'"
)
_NO_PLAN = "method %r: no RAM is left to plan it in, for %d samples: %s, or take 'prototype'"
_FLASH = "method %r takes at least %d bytes of flash for %d samples, and %d are free: %s, or take 'prototype'"
_RAM = "method %r takes at least %d bytes of RAM for %d samples, and %s: %s, or take 'prototype'"
_IN_ONE_PIECE = (
    "method %r takes at least %d bytes of RAM in one piece for %d samples, and the largest there is has %d: "
    "%s, or load the model first in main.py"
)
