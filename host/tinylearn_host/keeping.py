"""What a board has learned, copied between it and the PC: the two slots of docs/SPEC.md beside the board's model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tinylearn_host import flash, tld
from tinylearn_host.errors import BAD_DATA, BAD_MODEL, VERIFY_FAILED, TinylearnError
from tinylearn_host.on_board import source
from tinylearn_host.transport import Transport

SLOTS = ("model.tld.0", "model.tld.1")


@dataclass(frozen=True)
class Slot:
    """delta: what lies there, if it is whole and of the board's model. worth: as on the board, the lowest is next."""

    path: str
    delta: tld.Delta | None
    worth: tuple[int, int]


def pull(board: Transport) -> tld.Delta:
    """The last save of the board's model. Raises exit code 13 where nothing was saved."""
    newest = _newest(_slots(board, model_hash(board)))
    if newest is None:
        raise TinylearnError(
            f"nothing was saved on the board at {board.port} for its model: model.save() there does", BAD_DATA
        )
    return newest.delta


def push(board: Transport, delta: tld.Delta) -> str:
    """Make a delta the last save of the board's model, and give the slot that it went to.

    The board's own reader checks it before it counts; a broken connection leaves the last save as it was.
    Raises exit code 11 where it belongs to another model or the board refuses it, 10 where it does not arrive as sent.
    """
    model = model_hash(board)
    if delta.model != model:
        raise TinylearnError(
            f"it belongs to another model than the board's: {delta.model.hex()[:16]}..., the board has "
            f"{model.hex()[:16]}.... Flash that model first.",
            BAD_MODEL,
        )
    slots = _slots(board, model)
    newest, slot = _newest(slots), min(slots, key=lambda slot: slot.worth)
    raw = tld.renumbered(delta, newest.delta.sequence + 1 if newest else 1)
    part = slot.path + flash.TEMPORARY
    try:
        board.put(part, raw)
        if board.hashes([part]) != [hashlib.sha256(raw).hexdigest()]:
            raise TinylearnError("it did not arrive as it was sent; the last save counts. Run it again.", VERIFY_FAILED)
        answer = board.exec(source("check_delta", call=f"check({flash.MODEL!r}, {part!r})"), timeout=60).strip()
        if answer != "fits":
            raise TinylearnError(f"the board refuses it: {answer}", BAD_MODEL)
    except TinylearnError:
        board.remove(part)
        raise
    board.rename(part, slot.path)
    board.soft_reset()
    return slot.path


def model_hash(board: Transport) -> bytes:
    """The SHA-256 in the header of the board's model. Raises exit code 11 where there is none."""
    header = board.eval(f"open({flash.MODEL!r}, 'rb').read(64)") if board.size(flash.MODEL) else b""
    if len(header) < 64 or header[:4] != b"TLML":
        raise TinylearnError(f"there is no model on the board at {board.port}: flash one first", BAD_MODEL)
    return header[16:48]


def _slots(board: Transport, model: bytes) -> list[Slot]:
    return [_slot(path, board.get(path) if board.size(path) else b"", model) for path in SLOTS]


def _slot(path: str, raw: bytes, model: bytes) -> Slot:
    try:
        delta = tld.read(raw)
    except TinylearnError:
        return Slot(path, None, (0, 0))
    return Slot(path, delta, (2, delta.sequence)) if delta.model == model else Slot(path, None, (1, delta.sequence))


def _newest(slots: list[Slot]) -> Slot | None:
    return max((slot for slot in slots if slot.delta), key=lambda slot: slot.worth, default=None)
