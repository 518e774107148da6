"""What the functions of the native modules do, in a step of training and in one layer: parts of a profile
(bench/profile.py).

A pattern is how "object.function" begins; the longest that fits counts.
"""

from __future__ import annotations

from collections import Counter

PARTS = {
    "products": (
        *("dot4.", "chain.", "taps.", "slide", "spread.", "ring."),
        *("dense_grad.", "tapped.", "rows.", "fast_fully", "head.", "channel.", "mean."),
    ),
    "packing": (
        "pack.",
        "panel.",
        *("chain.tl_m0_chain", "chain.here", "chain.next", "chain.halves", "chain.bytes", "chain.total"),
        "fast_conv2d.",
        "fast_depthwise",
        "conv2d_grad.",
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
LAYER = {
    "products": (
        *(
            "dot4.lanes_80",
            "dot4.end",
            "dot4.raw",
            "dot4.next_quad",
            "dot4.quad",
            "rows.row",
            "rows.minus_80",
            "rows.end",
        ),
        *("tapped.tap", "tapped.two", "slide.", "head."),
    ),
    "requantising": (
        *("requantize.", "fast_conv2d.tl_dot4_beyond", "dot4.checked", "dot4.small", "dot4.beyond", "dot4.stored"),
        *("tapped.finish", "tapped.store", "tapped.saturate", "fully_connected.", "micro.tl_requant"),
    ),
    "weights prepared": ("panel.", "fast_conv2d.pack", "fast_conv2d.rescale", "tapped.region", "tapped.row"),
    "windows and inputs": (
        *("fast_conv2d.", "window.", "dot4.", "rows.", "fast_depthwise", "depthwise_conv2d.", "conv2d.", "tapped."),
        "add_rows",
    ),
    "record, and the call": ("tlm.", "operator", "program.", "crc32.", "MicroPython", "modtl_infer.", "other code"),
}
ROUNDING = ("requantising the forward", "exponents, masks, narrowing", "update")  # what has no products
REST = "rest"


def parts(functions: Counter, of: dict[str, tuple[str, ...]] = PARTS) -> dict[str, int]:
    """{part: cycles}, in the order of `of`"""
    known = sorted(((p, part) for part, patterns in of.items() for p in patterns), key=lambda pair: -len(pair[0]))
    found = Counter()
    for name, cycles in functions.items():
        found[next((part for pattern, part in known if name.startswith(pattern)), REST)] += cycles
    return {part: found[part] for part in (*of, REST) if found[part]}
