"""What the functions of the native modules do in a step of training: parts of a profile (bench/profile.py).

A pattern is how "object.function" begins; the longest that fits counts.
"""

from __future__ import annotations

from collections import Counter

PARTS = {
    "products": (
        *("dot4.", "chain.", "taps.", "slide", "spread.", "ring."),
        *("dense_grad.", "depthwise.", "rows.", "fast_fully", "head.", "channel.", "mean."),
    ),
    "packing": (
        "pack.",
        "panel.",
        *("chain.tl_chain", "chain.here", "chain.next", "chain.halves", "chain.bytes", "chain.total"),
        "fast_conv2d.",
        "fast_depthwise",
        "conv2d_grad.",
        "panel_grad.",
        "depthwise_conv2d_grad.",
        "elements.tl_fill",
    ),
    "requantising the forward": (
        *("requantize.", "fast_conv2d.tl_dot4_beyond", "dot4.checked", "dot4.small", "dot4.beyond"),
        *("quantize.", "micro.tl_requant"),
    ),
    "exponents, masks, narrowing": ("elements.", "gradient."),
    "update": ("update.",),
    "plans and loss": ("backward.", "operator", "tlm.", "program.", "loss.", "crc32."),
    "MicroPython": ("MicroPython",),
}
# The same of one layer
LAYER = {
    "record": ("backward.", "operator", "tlm.", "program.", "MicroPython"),
    "set-up": (
        *PARTS["packing"],
        *("depthwise.channel", "depthwise.next_channel", "depthwise.region", "depthwise.row", "depthwise.columns"),
        *("depthwise.line", "depthwise.slide", "depthwise.end_of_run", "depthwise_conv2d.", "window.", "divide."),
        *("rows.here", "rows.tl_dense_rows", "fully_connected."),
        *("dot4.here", "dot4.tl_dot4", "dot4.pixel", "dot4.words", "dot4.listed", "dot4.last"),
        *("taps.tl_m0_taps", "taps.lane", "taps.done", "slide_grad.channel", "slide_grad.next"),
    ),
    "products": PARTS["products"],
    "requantising": (
        *PARTS["requantising the forward"],
        *("depthwise.finish", "depthwise.line_finish", "depthwise.store", "depthwise.line_store"),
        *("fully_connected.put", "fully_connected.tl_wide", "fully_connected.scale"),
    ),
    "exponents and narrowing": ("elements.", "gradient."),
    "steps": ("update.",),
}
STEPS = ("steps", "exponents and narrowing")  # of weights
ROUNDING = ("requantising the forward", "exponents, masks, narrowing", "update")  # what has no products
REST = "rest"


def parts(functions: Counter, of: dict[str, tuple] = PARTS) -> dict[str, int]:
    """{part: cycles}, in their order"""
    known = sorted(((p, part) for part, patterns in of.items() for p in patterns), key=lambda pair: -len(pair[0]))
    found = Counter()
    for name, cycles in functions.items():
        found[next((part for pattern, part in known if name.startswith(pattern)), REST)] += cycles
    return {part: found[part] for part in (*of, REST) if found[part]}
