"""Gestures under an armband of eight electrodes, as pictures: windows of 240 ms through the front end of the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tinylearn_host.front import Envelope, Front

FRONT = Envelope()
FRAMES, ELECTRODES = FRONT.frames, FRONT.channels
BLOCK = 1000  # samples: every 5 s the wearer changes between rest and the gesture
REACTION, RELEASE = 150, 20  # samples left out after the command to move, and before the next


@dataclass
class Block:
    """Up to five seconds of one gesture: frames uint8 [n, electrodes], any 12 of which in a row are a picture."""

    wearer: str
    session: int
    gesture: int
    frames: np.ndarray

    def picture(self, at: int) -> np.ndarray:
        return self.frames[at : at + FRAMES]

    @property
    def places(self) -> int:
        """How many pictures there are."""
        return len(self.frames) - FRAMES + 1


def load(path: str | Path) -> list[Block]:
    """From an .npz: emg int8 [n, 8] at 200 Hz, label per sample, and end, participant, session and gesture of each
    recording."""
    blocks = []
    with np.load(path) as file:
        recordings = np.split(file["emg"], file["end"][:-1]), np.split(file["label"], file["end"][:-1])
        people = file["participant"], file["session"], file["gesture"]
    for emg, label, wearer, session, gesture in zip(*recordings, *people, strict=True):
        for start, end in _runs(label == gesture):
            if end - start > BLOCK // 2:
                frames = _frames(emg[start + REACTION : end - RELEASE])
                blocks.append(Block(str(wearer), int(session), int(gesture), frames))
    return blocks


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Where the gesture is held: (start, end). A recording that is all rest is cut as the others are."""
    if mask.all():
        return [(start, start + BLOCK) for start in range(0, len(mask) - BLOCK + 1, 2 * BLOCK)]
    edges = np.flatnonzero(np.diff(np.r_[False, mask, False]))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _frames(emg: np.ndarray) -> np.ndarray:
    samples = len(emg) // FRONT.window * FRONT.window
    return Front(Envelope(samples=samples).pack())(emg[:samples])[..., 0].view(np.uint8) ^ 128


class Wearers:
    """Blocks to draw episodes from: the gestures of one wearer."""

    def __init__(self, blocks: list[Block], seed: int):
        self.random = np.random.default_rng(seed)
        self.blocks: dict[str, dict[int, list[list[Block]]]] = {}  # wearer -> session -> gesture -> blocks
        for wearer in sorted({block.wearer for block in blocks}):
            theirs = [block for block in blocks if block.wearer == wearer]
            for session in sorted({block.session for block in theirs}):
                now = [block for block in theirs if block.session == session]
                gestures = [[b for b in now if b.gesture == gesture] for gesture in sorted({b.gesture for b in now})]
                if all(len(of_one) > 1 for of_one in gestures):
                    self.blocks.setdefault(wearer, {})[session] = gestures

    def episode(self, shot: int, queries: int) -> np.ndarray:
        """Pictures 0 .. 255 [gestures, shot + queries, 12, 8]: the support from one block, queries from others."""
        sessions = self._one(list(self.blocks.values()))
        drawn = []
        for blocks in self._one(list(sessions.values())):
            first, *others = (blocks[i] for i in self.random.permutation(len(blocks)))
            takes = [first] * shot + [self._one(others) for _ in range(queries)]
            drawn.append([block.picture(self.random.integers(block.places)) for block in takes])
        return np.array(drawn)

    def _one(self, items: list):
        return items[self.random.integers(len(items))]
