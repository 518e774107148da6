"""A taught head: k rows over the features, whatever method made them (native_modules/kernels/heads.h)."""

from array import array

import tl_infer

from .model import argmax, fail

HEADS = "closed_form", "prototype", "last_layer"  # where they are equally good, the first is chosen
FOLDS = 5  # in which the samples are held out to choose one
# The closed form, by how many examples its round covariance counts as: as many as there are features, or an eighth.
CLOSED = "closed_form", "closed_form/8"
TAILS = "bias", "scheme", "tinytrain", "full"  # methods that train the network's tail, and then one of these

AUTO = "auto"  # whichever of all these the samples say


def check_method(method, head):
    if method not in HEADS and method not in TAILS and method != AUTO:
        known = (AUTO,) + HEADS[1:] + HEADS[:1] + TAILS
        raise ValueError("method is one of '%s', not %r" % ("', '".join(known), method))
    if head not in (None, "auto") and not (method not in HEADS and head in HEADS):
        raise ValueError(
            "head is 'auto', which chooses by the samples, or None; of a method that trains the network also "
            "the name of a head; not %r" % (head,)
        )


def matrix_bytes(n, k, samples):
    """What closed_form works in."""
    size = min(n, samples)
    return 4 * (size * (size + 1) // 2 + size + 2 * n + k + (k * n + 1) // 2)


def training_bytes(n, k, samples):
    """What last_layer works in."""
    return 4 * (samples * k + samples + n + 2 * k)


def work_bytes(method, n, k, samples):
    """What a head of k rows is made in, beside itself and the features; head="auto": what the largest takes, and one
    more head."""
    if method == AUTO:
        return max([work_bytes(name, n, k, samples) for name in HEADS]) + head_bytes(n, k)
    if method == "closed_form":
        return matrix_bytes(n, k, samples)
    return training_bytes(n, k, samples) + 2 * n if method == "last_layer" else 0


def head_bytes(n, k):
    """Sums, counts, rows, biases, and whose they are."""
    return k * (6 * n + 17)


class Head:
    """params: array('i') n, k, zero point, mult, shift. w: int16 [k, n]. b: int32 [k].
    sums: int32 [k, n] and counts: array('i') [k], from which more examples go on; a negative count is a class that only
    the model's own classifier has seen. All are buffers.
    owners: bytearray [k], the class of each row, an index of labels; a class has one row or several.
    """

    def __init__(self, params, labels, w, b, sums, counts, owners):
        self.params, self.labels, self.w, self.b = params, labels, w, b
        self.sums, self.counts, self.owners = sums, counts, owners
        self._logits = array("i", counts)
        self._p = array("i", counts)

    def nearest(self, features):
        """The row that int8 features are nearest to."""
        status = tl_infer.head_scores(self.params, features, self.w, self.b, self._logits)
        if status:
            fail(status, "the head")
        return argmax(self._logits)

    def answer(self, features):
        """(label, confidence) for int8 features: the class of the nearest row; confidence of all its rows together."""
        best = self.owners[self.nearest(features)]
        return self.labels[best], self._of(best) / 32768

    def belief(self, features, owner):
        """(whether int8 features are nearest to a row of a class, its probability: 32768 is 1)."""
        return self.owners[self.nearest(features)] == owner, self._of(owner)

    def _of(self, owner):
        """The probability of a class for the features that nearest was asked about."""
        status = tl_infer.head_softmax(self._logits, self._p)
        if status:
            fail(status, "the head")
        total = 0
        for row, k in enumerate(self.owners):
            if k == owner:
                total += self._p[row]
        return min(total, 32768)
