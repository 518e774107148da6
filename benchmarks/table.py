"""docs/benchmarks.md, made from benchmarks/results/*.json."""

from __future__ import annotations

from pathlib import Path

import profile_parts
import results
from tinylearn_host import boards
from tinylearn_host.bench import gradients, kernels, litert

TARGET = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
KERNELS = [layer.name for layer in kernels.LAYERS]
GRADIENTS = [gradient.name for gradient in gradients.GRADIENTS]
TOTAL = {"cycles": (1e6, "M cycles"), "instructions": (1e6, "M instr."), "seconds": (1e-3, "ms")}
EACH = {"cycles": (1, "cycles"), "instructions": (1, "instr."), "seconds": (1e-9, "ns")}
TEXT = """# Benchmarks

Made by `make bench` from `benchmarks/results/`; do not edit. Figures are of the native modules that a user flashes,
called from Python under the board's firmware, the cost of an empty call taken off. Every answer was compared with the
simulator's, and is the same to the bit. `benchmarks/run.py --check` fails where a count grows by more than 3 %.

- `pico-emulated`: cycles of the Cortex-M0+, by the emulator's own counter. Code and data lie in RAM, as on a Pico.
- `qemu-*`: instructions (QEMU does not model time), counted with `-icount`.
- Both are the same in every run, but for a few dozen cycles where garbage is collected meanwhile (`model.adapt`).
- `unix`: the least of five measurements on the machine that ran them last; only ratios mean anything.

## Layers

Per multiply-accumulate. Weights span the whole int8 range, and every channel has its own scale. Convolutions: L1 3x3
16x16x8->16, L2 3x3 stride 2 28x28x1->16, L4 1x1 14x14x32->64, L5 1x1 7x7x64->128. Depthwise: L3 3x3 14x14x32, L7 3x3
stride 2 28x28x32, L8 5x5 14x14x32. L6 is dense, 256->64.

{layers}

## Gradients

The same layers on the way back, through one record of `backward` of `tl_grad` (int16: of `tl_channels`), per
multiply-accumulate of the forward pass:
dx with its exponent, or dw and db with their update, without the scaling of dy, which both share. Gradients are int8
or int16. Steps are 0.002 of a weight on the average (L3: 0.014), as in `adapt scheme`: weights that move cost more.

{gradients}

## Odd shapes

Neighbours of clean layers on `pico-emulated` (`benchmarks/shapes.py`): remainders of channels and pixels, odd widths,
strides, other windows, few channels. Times: cycles per multiply-accumulate by those of the clean shape above. An empty
layer is one of one pixel and one channel: its record is read and checked and its kernel prepared, as for any other, and
small layers consist of that. "Beyond" is the same ratio without it. Where weights are trained, each takes a step,
however few products it has: a look through the sums for their exponent, a random number per row, rounding, a bias.
That is work of the step and not of the products, and on a small map it is most of it: "without steps" is what the ratio
is without it, by a profile. {steep}

{shapes}

On other boards, from `benchmarks/shapes.py --board B`: the ratio beyond an empty layer, of instructions, of all shapes
where it is above 2 on some board. No profile takes the steps off there. Forward, what stays above 2 is a map of one to
four pixels, whose weights are packed or read for few products, and a window on one channel, whose nine products are
few beside its output's requantising; both stand beside the fastest layers that there are, of two products per SMLAD.
{pixels}

{cliffs}

Where the cycles of those go that stay above without an empty layer, of the clean ones beside them, and of all that
train weights: per cent of a profile, with the call from Python, by what a function does. Set-up is all that is made
ready for products: panels, lists of taps, unpacked inputs; of depthwise kernels on small maps that of a channel's three
taps, which few gradients meet.

{steep_parts}

## Whole models

From the call of `model.predict` to its return (`glyph`, which has no classes of its own: `model.features`).

{models}

## Panels that stay

Millions of cycles of an answer on `pico-emulated` where packed weights of convolutions lie in the arena for themselves,
made once: `tinylearn partition --panels`, measured by `benchmarks/kept_panels.py`. Where nobody asks for it they are
made for each answer, in scratch that all share: a KB more buys 0.07 to 0.3 % of an answer, and on the way to training
there are better things to do with it. What training leaves of its budget it gives to them by itself, half of it: of a
layer that is trained, for the clean samples of a step, of which the first makes its panel; in the other half of a
step's forwards each sample has moved the weights. Steps are of 25 samples on `emg`, whose panels take 21 KB; the last
layer of `glyph` takes 36 KB, which a Pico has not left beside what it trains.

{panels}

## Learning

On `glyph`: `model.adapt` from beginning to end, and one step of its training alone, between two calls of `on_step`.
Heads: ten classes by five examples each. Training the network: five by five, within 48,000 bytes (`tinytrain`:
28,000, which every board has in one piece); what fits differs between methods. `adapt` is five steps, with the first
forward runs and, for `tinytrain`, the choice of what to train, which is not among the MACs. `adapt auto` is told no
method. 40 steps take minutes in an emulator, so that row is measured only where its whole name is asked for:
`benchmarks/run.py --board pico-emulated --only "adapt scheme, 40 steps" --save`.

{learning}

## Forecasts

Seconds of `model.adapt` on `pico-emulated`, five classes by five examples on `glyph`, by what is forecast:
`benchmarks/forecast.py --save`. The host reckons from a board's `cycles_per_mac` (`tinylearn partition`, `benchmark`);
`model.plan()` times each operator's forward. Where the network is trained, it is in so many steps and with the head
`prototype`.

{forecast}

## Where the cycles go

On `pico-emulated`, per cent of the cycles, by what a function does (`benchmarks/run.py --profile NAME` prints the
functions; `benchmarks/profile_parts.py` says which is which). Rounding is all that makes no products or sums:
requantising, exponents, masks, narrowing, and the update. Loops of products take 2.5 cycles per multiply-accumulate in
pointwise layers where two int8 gradients share a multiplication, and 4.0 where an int16 has one to itself. In a step, a
fifth of the rounding is the forward's requantising: where weights change nobody has proved that the short
multiplications do, so four sums at once are looked at. The other parts are passes over the sums of weights (how many
bits they have, the steps) and over gradients. They weigh most where few pixels share a weight: `step scheme` trains the
last layer alone, which has 16.

{profile}

## RAM

The least free heap, beyond the loaded model and code, with which `model.adapt` trains the same as with RAM to spare,
beside the limit that is to hold: `benchmarks/ram.py`, to 1 KB. Where RAM is short, samples wait on the flash. On `unix`
Python's objects are twice the size of a board's: there it is planning, code and objects that are gone when training
begins, that takes most, about as much for either budget; so `bias` is above the limit there, which is a board's.
With less than a row says fewer layers are trained, or MemoryError says what it takes. What is missing on `qemu-m3` has
not as much RAM there as it is measured with.

{ram}

## Beside LiteRT

On the machine that ran `unix`, one thread, microseconds. "Reference" are the kernels whose bits are ours; LiteRT's
default uses the machine's vector units and rounds differently.

{litert}

## Code

Bytes of the native modules, which a board without memory-mapped files holds in RAM.

{sizes}
"""


def write() -> None:
    TARGET.write_text(text())


def text() -> str:
    """The whole document."""
    columns = {board.name: _by_name(board.name) for board in boards.load_all().values() if board.emulated}
    columns = {name: rows for name, rows in columns.items() if rows}
    names = list(dict.fromkeys(name for rows in columns.values() for name in rows if "LiteRT" not in name))
    learning = [name for name in names if name.startswith(("adapt ", "step "))]
    models = [name for name in names if name not in (*KERNELS, *GRADIENTS) and name not in learning]
    return TEXT.format(
        layers=_table(columns, [name for name in KERNELS if name in names], EACH),
        gradients=_table(columns, [name for name in GRADIENTS if name in names], EACH),
        models=_table(columns, models, TOTAL),
        steep=_steep(results.load("shapes")),
        shapes=_shapes(results.load("shapes")),
        pixels=_pixels(shapes_of_boards()["qemu-m4"]),
        cliffs=_cliffs(shapes_of_boards()),
        steep_parts=_steep_parts(results.load("shapes")),
        panels=_panels(results.load("kept_panels")),
        learning=_table(columns, learning, TOTAL),
        forecast=_forecast(results.load("forecast")),
        profile=_profile(results.load("profile")),
        ram=_ram(results.load("ram")),
        litert=_litert(columns.get("unix", {})),
        sizes=_sizes(results.load("sizes")),
    )


def _by_name(board: str) -> dict[str, dict]:
    return {row["name"]: row for row in results.load(board)}


def _table(columns: dict[str, dict], names: list[str], units: dict[str, tuple[float, str]]) -> str:
    """A line per name, a column per board; and the time where we know a board's clock."""
    lines = [["", "MACs", *(f"{board}, {units[_unit(rows)][1]}" for board, rows in columns.items())]]
    clocks = {board: boards.find(board).clock_hz for board in columns} if units is TOTAL else {}
    clocks = {board: hz for board, hz in clocks.items() if hz}
    lines[0] += [f"{board}, ms at {hz / 1e6:.0f} MHz" for board, hz in clocks.items()]
    for name in names:
        macs = next(rows[name]["macs"] for rows in columns.values() if name in rows)
        cells = [_cell(rows.get(name), units) for rows in columns.values()]
        times = [_time(columns[board].get(name), hz) for board, hz in clocks.items()]
        lines.append([name, f"{macs:,}", *cells, *times])
    return _markdown(lines)


def _unit(rows: dict[str, dict]) -> str:
    return results.value(next(iter(rows.values())))[0]


def _cell(row: dict | None, units: dict[str, tuple[float, str]]) -> str:
    if row is None:
        return ""
    if results.refused(row):
        return "does not fit"
    unit, value = results.value(row)
    return _number((row["per_mac"] if units is EACH else value) / units[unit][0])


def _time(row: dict | None, hz: float) -> str:
    return "" if row is None or results.refused(row) else _number(results.value(row)[1] / hz * 1e3)


def _number(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _profile(rows: list[dict]) -> str:
    """A line per workload, a column per part, and what rounding makes of it altogether."""
    names = [*profile_parts.PARTS, profile_parts.REST]
    lines = [["", "cycles per MAC", *names, "rounding"]]
    for row in rows:
        parts = row["parts"]
        rounding = sum(parts.get(name, 0) for name in profile_parts.ROUNDING)
        shares = [100 * n / row["cycles"] for n in (*(parts.get(name, 0) for name in names), rounding)]
        lines.append([row["name"], _number(row["cycles"] / row["macs"]), *(f"{share:.1f}" for share in shares)])
    return _markdown(lines)


def _panels(rows: list[dict]) -> str:
    """A line per model and bytes of panels that stay."""
    lines = [["", "bytes that stay", "M cycles", "less"]]
    for row in rows:
        none = next(r for r in rows if r["name"] == row["name"])["cycles"]
        cycles = row.get("cycles")
        less = f"{1 - cycles / none:.1%}" if cycles and cycles != none else ""
        lines.append([row["name"], f"{row['stay_bytes']:,}", _number(cycles / 1e6) if cycles else "no RAM", less])
    return _markdown(lines)


def _forecast(rows: list[dict]) -> str:
    """A line per method: what it took, and how far off each forecast was."""
    lines = [["", "steps", "seconds", "host", "plan()"]]
    for row in rows:
        off = ["" if row[by] is None else f"{row[by] / row['seconds'] - 1:+.0%}" for by in ("host", "plan")]
        lines.append([row["name"], str(row["steps"] or ""), _number(row["seconds"]), *off])
    return _markdown(lines)


CLIFF = 2.0  # times a clean shape's cycles


def _steep(rows: list[dict]) -> str:
    """A list by each ratio."""
    steep, beyond, without = (
        ", ".join(row["name"] for row in rows if row.get(ratio, row["times_beyond"]) > CLIFF) or "none"
        for ratio in ("times", "times_beyond", "times_without_steps")
    )
    return f"More than {CLIFF:g} times: {steep}. Beyond: {beyond}. Without steps: {without}."


def _shapes(rows: list[dict]) -> str:
    """A line per shape; a clean one stands above its neighbours."""
    lines = [["", "MACs", "cycles per MAC", "times", "an empty layer, cycles", "times beyond", "without steps"]]
    for row in rows:
        clean = row["name"] == row["beside"]
        name = f"**{row['name']}**" if clean else row["name"]
        without = _number(row["times_without_steps"]) if "times_without_steps" in row else ""
        beyond = ["", _number(row["times_beyond"]), without]
        times = ["", f"{row['empty']:,}", "", ""] if clean else [_number(row["times"]), *beyond]
        lines.append([name, f"{row['macs']:,}", _number(row["per_mac"]), *times])
    return _markdown(lines)


def shapes_of_boards() -> dict[str, list[dict]]:
    """{board: rows of shapes.py}, of all boards that it was run on"""
    emulated = [board.name for board in boards.load_all().values() if board.emulated]
    rows = {board: results.load(results.of_board("shapes", board)) for board in emulated}
    return {board: found for board, found in rows.items() if found}


def _cliffs(columns: dict[str, list[dict]]) -> str:
    """A line per shape that is steep on some board, a column per board."""
    times = {board: {row["name"]: row["times_beyond"] for row in rows} for board, rows in columns.items()}
    names = dict.fromkeys(name for of_board in times.values() for name in of_board)
    steep = [name for name in names if any(of_board.get(name, 0) > CLIFF for of_board in times.values())]
    cells = [[_number(of_board[name]) if name in of_board else "" for of_board in times.values()] for name in steep]
    return _markdown([["", *times], *([name, *row] for name, row in zip(steep, cells, strict=True))])


PIXELS = """A pixel of the gradient to the input of a depthwise layer has 2.25 products at stride 2, and 9 at stride 1:
it takes {:.0f} instructions on `qemu-m4`, and {:.0f}."""


def _pixels(rows: list[dict]) -> str:
    """What every pixel takes, however few its products are."""
    each = {row["name"]: row["per_mac"] for row in rows}
    clean, strided = "depthwise 3x3 14x14x32 grad_input", "depthwise 3x3 stride 2 28x28x32 grad_input"
    return PIXELS.format(2.25 * each[strided], 9 * each[clean])


def _steep_parts(rows: list[dict]) -> str:
    """A line per shape that was profiled."""
    names = [*profile_parts.LAYER, profile_parts.REST]
    lines = [["", "cycles", *names]]
    for row in rows:
        if "parts" in row:
            clean = row["name"] == row["beside"]
            shares = [100 * row["parts"].get(name, 0) / sum(row["parts"].values()) for name in names]
            name = f"**{row['name']}**" if clean else row["name"]
            lines.append([name, f"{row['cycles']:,}", *(f"{share:.0f}" for share in shares)])
    return _markdown(lines)


def _litert(rows: dict[str, dict]) -> str:
    lines = [["", "tinylearn", *litert.RESOLVERS]]
    for name in rows:
        peers = [rows.get(f"{name}, {peer}") for peer in litert.RESOLVERS]
        if all(peers):
            lines.append([name, *(_number(row["seconds"] * 1e6) for row in (rows[name], *peers))])
    return _markdown(lines)


def _ram(rows: list[dict]) -> str:
    lines = [[f"{row['name']} {row['method']}", row["board"], f"{row['bytes']:,}", f"{row['limit']:,}"] for row in rows]
    return _markdown([["", "board", "bytes", "budget"], *lines])


def _sizes(rows: list[dict]) -> str:
    names = sorted({row["name"] for row in rows})
    by_place = {(row["board"], row["name"]): f"{row['bytes']:,}" for row in rows}
    folders = sorted({row["board"] for row in rows})
    return _markdown([["", *names], *([folder, *(by_place.get((folder, n), "") for n in names)] for folder in folders)])


def _markdown(lines: list[list[str]]) -> str:
    """A table: the first line is its head, numbers stand to the right."""
    head, *body = lines
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *body))
