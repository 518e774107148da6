"""A taught head: k rows over the features, whatever method made them (native_modules/kernels/heads.h)."""

from array import array

import tl_infer

from .model import argmax, fail


class Head:
    """params: array('i') n, k, zero point, mult, shift. w: int16 [k, n]. b: int32 [k].
    sums: int32 [k, n] and counts: array('i') [k], from which more examples go on; a negative count is a class that only
    the model's own classifier has seen. All are buffers.
    """

    def __init__(self, params, labels, w, b, sums, counts):
        self.params, self.labels, self.w, self.b = params, labels, w, b
        self.sums, self.counts = sums, counts
        self._logits = array("i", counts)
        self._p = array("i", counts)

    def answer(self, features):
        """(label, confidence) for int8 features."""
        p = self._p
        status = tl_infer.head_scores(self.params, features, self.w, self.b, self._logits)
        status = status or tl_infer.head_softmax(self._logits, p)
        if status:
            fail(status, "the head")
        best = argmax(p)
        return self.labels[best], p[best] / 32768
