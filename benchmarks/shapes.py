"""No shape falls off a cliff: what odd neighbours of clean layers cost per multiply-accumulate, on the emulated Pico
where no other board is named.

    benchmarks/shapes.py                    everything; writes benchmarks/results/shapes.json and docs/benchmarks.md
    benchmarks/shapes.py --board qemu-m4    everything there, into shapes-qemu-m4.json
    benchmarks/shapes.py --only depthwise   names that begin so: prints, writes nothing; with --save, those rows

Each group begins with a clean shape. A shape that costs more than twice as much as it is named again at the end.
What a layer of one pixel and one channel costs is what every layer of its kind costs before its first product, so each
row has the same ratio without that, too. Where that is more than twice, the row says by profile where the Pico's cycles
go, and so does the clean one. Where weights have been trained, every row does, and has the ratio without their steps.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "host")]

import command  # noqa: E402
import profile_parts  # noqa: E402
import table  # noqa: E402
from tinylearn_host import ir, tlm  # noqa: E402
from tinylearn_host.bench import gradients, kernels  # noqa: E402
from tinylearn_host.bench.measure import Figure, Meter  # noqa: E402
from tinylearn_host.bench.workloads import Workload  # noqa: E402
from tinylearn_host.errors import TinylearnError  # noqa: E402

C, D, F = ir.CONV2D, ir.DEPTHWISE_CONV2D, ir.FULLY_CONNECTED

# (code, x, output channels, side or (height, width), stride): the clean one first
FORWARD = {
    "pointwise": [
        (C, (14, 14, 32), 64, 1, 1),
        (C, (13, 13, 32), 64, 1, 1),
        (C, (14, 14, 31), 63, 1, 1),
        (C, (14, 14, 33), 65, 1, 1),
        (C, (14, 14, 32), 64, 1, 2),
        (C, (2, 2, 32), 64, 1, 1),
        (C, (1, 1, 32), 64, 1, 1),
    ],
    "conv": [
        (C, (16, 16, 8), 16, 3, 1),
        (C, (15, 13, 8), 16, 3, 1),
        (C, (16, 16, 7), 15, 3, 1),
        (C, (16, 16, 9), 17, 3, 1),
        (C, (16, 16, 8), 16, 3, 2),
        (C, (16, 16, 8), 16, 5, 1),
        (C, (16, 16, 8), 16, 7, 1),
        (C, (49, 10, 1), 64, (10, 4), 2),
        (C, (1, 40, 8), 16, (1, 3), 1),
        (C, (16, 16, 1), 16, 3, 1),
        (C, (16, 16, 3), 16, 3, 1),
    ],
    "depthwise": [
        (D, (14, 14, 32), 32, 3, 1),
        (D, (13, 11, 31), 31, 3, 1),
        (D, (28, 28, 32), 32, 3, 2),
        (D, (14, 14, 32), 32, 5, 1),
        (D, (4, 4, 32), 32, 3, 1),
        (D, (2, 2, 32), 32, 3, 1),
        (D, (1, 40, 32), 32, (1, 3), 1),
        (D, (14, 14, 1), 1, 3, 1),
    ],
    "dense": [
        (F, (1, 1, 256), 64, 1, 1),
        (F, (1, 1, 255), 63, 1, 1),
        (F, (1, 1, 253), 1, 1, 1),
        (F, (1, 1, 64), 10, 1, 1),
    ],
}
BACKWARD = {
    "pointwise": [
        (C, (14, 14, 32), 64, 1, 1),
        (C, (7, 7, 32), 64, 1, 1),
        (C, (14, 14, 31), 63, 1, 1),
        (C, (14, 14, 32), 64, 1, 2),
        (C, (2, 2, 32), 64, 1, 1),
        (C, (1, 1, 32), 64, 1, 1),
    ],
    "conv": [
        (C, (16, 16, 8), 16, 3, 1),
        (C, (15, 13, 7), 15, 3, 1),
        (C, (16, 16, 8), 16, 3, 2),
        (C, (1, 40, 8), 16, (1, 3), 1),
    ],
    "depthwise": [
        (D, (14, 14, 32), 32, 3, 1),
        (D, (13, 11, 31), 31, 3, 1),
        (D, (28, 28, 32), 32, 3, 2),
        (D, (1, 40, 32), 32, (1, 3), 1),
        (D, (1, 12, 96), 96, (1, 3), 1),
        (D, (1, 7, 64), 64, (1, 5), 1),
        (D, (4, 4, 128), 128, 3, 1),
        (D, (2, 2, 64), 64, 3, 1),
    ],
    "dense": [(F, (1, 1, 256), 64, 1, 1), (F, (1, 1, 255), 63, 1, 1)],
}


EMPTY = {
    "pointwise": (C, (1, 1, 1), 1, 1, 1),
    "conv": (C, (1, 1, 1), 1, 3, 1),
    "depthwise": (D, (1, 1, 1), 1, 3, 1),
    "dense": (F, (1, 1, 1), 1, 1, 1),
}


def main(arguments: list[str] | None = None) -> int:
    return command.run("shapes", __doc__, _rows, arguments)


def _rows(meter: Meter, only: str) -> Iterator[dict]:
    steep = []
    for empty, group in _groups(only):
        rows = list(_measure(meter, empty, group))
        if meter.name == command.BOARD:
            _explain(meter, group, rows)
        yield from rows
        steep += [row for row in rows if row["times"] > table.CLIFF]
    for row in steep:
        print(
            f"{row['name']} costs {row['times']:.1f} times as much as {row['beside']}, "
            f"{row['times_beyond']:.1f} times without the {row['empty']:,} of an empty layer"
        )


def _groups(only: str) -> Iterator[tuple[Workload, list[Workload]]]:
    """Of each kind and direction an empty layer, and the workloads whose name fits, behind the clean one."""
    made = [(_forward, kind, shapes) for kind, shapes in FORWARD.items()]
    for what in ("grad_input", "grad_weight"):
        made += [(lambda layer, what=what: _backward(layer, what), kind, shapes) for kind, shapes in BACKWARD.items()]
    for make, kind, shapes in made:
        works = [make(_layer(kind, *shape)) for shape in shapes]
        chosen = [work for work in works[1:] if fnmatchcase(work.name, only + "*")]
        if chosen:
            yield make(_layer(kind, *EMPTY[kind])), [works[0], *chosen]


def _layer(
    kind: str, code: str, x: tuple[int, int, int], channels: int, side: int | tuple[int, int], stride: int
) -> kernels.Layer:
    layer = kernels.Layer("", code, x, channels, side, stride)
    size = f"{x[2]}" if code == F else "x".join(map(str, x))
    shape = f" {layer.kernel[0]}x{layer.kernel[1]}" + (f" stride {stride}" if stride > 1 else "")
    window = "" if shape == " 1x1" else shape
    return replace(layer, name=f"{kind}{window} {size}" + f"->{channels}" * (code != D))


def _forward(layer: kernels.Layer) -> Workload:
    raw = tlm.build(kernels.graph(layer), growth=3.0)
    return Workload(layer.name, "kernel", _macs(raw), raw, kernels.sample(layer).tobytes())


def _backward(layer: kernels.Layer, what: str) -> Workload:
    raw, arena, arguments = gradients.job(gradients.Gradient(layer, what, 8))
    return Workload(f"{layer.name} {what}", "backward", _macs(raw), raw, arena, arguments)


def _macs(raw: bytes) -> int:
    return sum(op.macs for op in tlm.read(raw).ops)


def _measure(meter: Meter, empty: Workload, group: list[Workload]) -> Iterator[dict]:
    """A row of each workload, with how many times the first one's cycles per multiply-accumulate it takes, with and
    without those of the empty layer."""
    fixed = _figure(meter, empty).value
    clean = None
    for work in group:
        figure = _figure(meter, work)
        clean = clean or figure
        times = figure.per_mac / clean.per_mac
        beyond = (figure.value - fixed) / figure.macs * clean.macs / (clean.value - fixed)
        print(f"{figure.line()}  {times:.2f} times, {beyond:.2f} without {fixed:,}", flush=True)
        ratios = {"times": float(f"{times:.3g}"), "times_beyond": float(f"{beyond:.3g}")}
        yield figure.as_json() | {"beside": clean.name, "empty": fixed, **ratios}


def _explain(meter: Meter, group: list[Workload], rows: list[dict]) -> None:
    """Where the cycles of steep rows and of the clean one go, {part: cycles}, is added to them; where weights have been
    trained, to all, and what the ratio is without their steps."""
    steep = [row for row in rows if row["times_beyond"] > table.CLIFF]
    trained = rows[0]["name"].endswith("grad_weight")
    for row, work in zip(rows, group, strict=True):
        if trained or (steep and row in (rows[0], *steep)):
            row["parts"] = profile_parts.parts(meter.profile(work), profile_parts.LAYER)
        if trained and _without_steps(rows[0]) > 0:  # a dense layer has nothing else
            row["times_without_steps"] = float(f"{_without_steps(row) / _without_steps(rows[0]):.3g}")


def _without_steps(row: dict) -> float:
    """Cycles per multiply-accumulate without what weights take that have no products: an empty layer's cycles, the
    steps, and looking through the sums for their exponent."""
    steps = sum(row["parts"].get(part, 0) for part in profile_parts.STEPS)
    return max(0, row["cycles"] - row["empty"] - steps) / row["macs"]


def _figure(meter: Meter, work: Workload) -> Figure:
    figure = meter.figures(work)[0]
    if not isinstance(figure, Figure):
        raise TinylearnError(figure.line(), 1)
    return figure


if __name__ == "__main__":
    sys.exit(main())
