"""What makes a model's input of its sensor's raw samples: section FRNT of its file (docs/SPEC.md). Loaded by need."""

from struct import unpack_from

import tl_front

from .model import allocate, fail

_LOG_MEL = 1


class Front:
    """kind: the type code of its samples, "h" (int16) or "b" (int8). n: how many make one input."""

    def __init__(self, section):
        self.section = section
        scratch = tl_front.scratch(section)
        if scratch < 0:
            raise ValueError("the model's front end (section FRNT) is damaged: convert and flash the model again")
        kind, channels, _, samples = unpack_from("<2H2I", section)
        self.kind, self.n = ("h" if kind == _LOG_MEL else "b"), channels * samples
        self.scratch = allocate(scratch, "the model's front end")

    def takes(self, code, n):
        """Whether n values of a type code are raw samples; bytes are, where they have the size of them."""
        size = 2 if self.kind == "h" else 1
        return (code == self.kind and n == self.n) or (code == "B" and n == self.n * size)

    def run(self, samples, x):
        """Write the input that raw samples make to x."""
        status = tl_front.run(self.section, samples, x, self.scratch)
        if status:
            fail(status, "this sample")

    def wants(self):
        """A sentence's end."""
        if self.kind == "h":
            return "%d raw ones of its sensor: array('h'), or as bytes" % self.n
        return "%d raw ones of its sensor: array('b'), or bytes" % self.n
