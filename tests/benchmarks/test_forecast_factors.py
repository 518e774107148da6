"""benchmarks/forecast_factors.py finds the factors that seconds were made with."""

from __future__ import annotations

import forecast_factors
import pytest
from forecast_factors import Row


def test_factors_are_found():
    """Gradients in little scratch take 1.5 times, with int16 twice the seconds; an operator's own part stays."""
    rows = [
        Row(wants_x, weights, 8 if slower < 2 else 16, int(slower == 1.5), forward, forward * (0.2 + slower * part))
        for forward in (0.01, 0.02, 0.05)
        for wants_x, weights, part in ((True, False, 0.9), (False, True, 1.3), (True, True, 2.2), (False, False, 0))
        for slower in (1, 1.5, 2)
    ]
    fast = [row for row in rows if row.width == 8 and row.speed == 0]
    shares = forecast_factors.back(fast)
    assert shares == pytest.approx([0.2, 0.9, 1.3])
    assert forecast_factors.beside(fast, shares) == pytest.approx(1)
    assert forecast_factors.beside([row for row in rows if row.speed == 1], shares) == pytest.approx(1.5)
    assert forecast_factors.beside([row for row in rows if row.width == 16], shares) == pytest.approx(2)
