"""What is wrong with a model, and where: the sentences of all who walk over somebody's network."""

from __future__ import annotations

from tinylearn_host.errors import BAD_MODEL, UNSUPPORTED_OPERATOR, TinylearnError


class Walk:
    """where: the operator at hand"""

    where = "the model"

    def _bad(self, what: str) -> TinylearnError:
        return TinylearnError(f"{self.where}: {what}", BAD_MODEL)

    def _unsupported(self, what: str, hint: str) -> TinylearnError:
        """hint: the nearest thing that works"""
        return TinylearnError(f"{self.where}: {what}; {hint}", UNSUPPORTED_OPERATOR)
