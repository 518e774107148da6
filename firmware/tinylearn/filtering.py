"""What filtered gradients take (native_modules/kernels/filter.h; Yang et al., CVPR 2023, arXiv 2301.00330).

Opt-in: read the patent notice in docs/training.md first. Loaded while adapt plans.

1 x 1 convolutions alone are filtered, as every tap of a larger kernel would get the same step. In the place of their
input, the means of its patches wait for the backward; gradients cost as many multiply-accumulates as there are patches.
"""

from array import array

from .tail import _PANEL, WEIGHTS, Tail, _Block, read_backward

SIZES = 2, 4
NOTHING = (
    "filter=%d has nothing to do: no gradient goes through a 1x1 convolution of more than 2x2 pixels. Leave it out"
)
_CONV2D, _ROOM = 1, 8704  # bytes beyond which no panel grows, native_modules/kernels/work.h


class Filtered(Tail):
    """A tail whose gradients are filtered. size: of a patch, 2 or 4; filtered: operators, in the backward's order"""

    def __init__(self, model, choice, width, size):
        self.side = size
        super().__init__(model, choice, width)

    def _operators(self, model):
        return read_backward(model)

    def _find_backward(self):
        super()._find_backward()
        self.filtered = []
        for op, wants_x, _ in self.back:
            _, h, w, outputs = self.model.shape(op.y)
            if op.code != _CONV2D or op.shape[1] > 1 or h * w <= 4:
                continue
            _, _, in_w, inputs = self.model.shape(op.x)
            patches = -(-h // self.side) * -(-w // self.side)
            op.share = patches / (h * w)
            op.macs_input, op.macs_weight = [macs * patches // (h * w) for macs in (op.macs_input, op.macs_weight)]
            op.plain = 4 * max((patches + in_w + 1) * inputs if wants_x else 0, outputs, inputs)
            self.filtered.append((op, patches * inputs))

    def _keeps_input(self, op):
        return super()._keeps_input(op) and not any(op is known for known, _ in self.filtered)

    def _scratch(self, op, wants_x):
        """As without a filter, of the patches as one row of pixels."""
        sums = [size for known, size in self.filtered if op is known]
        if not sums:
            return super()._scratch(op, wants_x)
        outputs, _, inputs = op.shape
        fast = some = op.plain
        if wants_x:
            panel = 4 * ((inputs + 3) & ~3) * ((outputs + 1) // 2 if self.width == 8 else outputs)
            fast, some = [max(op.plain, 4 * (sums[0] + 3) + min(panel, most)) for most in (_ROOM, _PANEL)]
        if self._trains(op, WEIGHTS) and sums[0] > inputs:  # of one patch there are plain kernels alone
            weights = self._scratch_of_weights(op)
            fast, some = max(fast, weights[0]), max(some, weights[1])
        return [(size + 3) & ~3 for size in (fast, some, op.plain)]

    def _read_later(self, reads):
        super()._read_later(reads)
        for op, size in self.filtered:
            if self._trains(op, WEIGHTS):
                self.blocks["patches", op.index] = _Block(size, op.index - self.first, self._time_back(op))

    def layout(self):
        """And: patches, what tl_filter.patches takes before each of these operators runs."""
        fields, size = super().layout(), self.side
        blocks = sorted([(i, block.at) for (kind, i), block in self.blocks.items() if kind == "patches"])
        fields["patches"] = [array("i", (i, size, at)) for i, at in blocks]
        return fields

    def records(self):
        words, filtered = super().records(), [op for op, _ in self.filtered]
        for i, (op, _, _) in enumerate(self.back):
            if op in filtered:
                patches = self.blocks.get(("patches", op.index))
                words[16 * i + 1] |= 64 * self.side  # TL_FILTER_2, TL_FILTER_4
                words[16 * i + 4] = patches.at if patches else -1
        return words
