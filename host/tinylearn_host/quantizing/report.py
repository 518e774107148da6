"""What there is to say about a quantised model: in sentences, as a table with bars, as JSON, and drawn."""

from __future__ import annotations

import html
import io
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tinylearn_host import files
from tinylearn_host.errors import USAGE, TinylearnError
from tinylearn_host.quantizing import Quantised
from tinylearn_host.quantizing.compare import Comparison, Layer

WORST = 5  # layers that are named, at most a quarter of all
NARROW = 0.002  # share of values beyond the range, more than on the calibration set, from which on there is a word
BAR, NAME = 14, 22  # characters
GOOD, POOR = 30.0, 15.0  # dB


def narrow(result: Quantised) -> list[str]:
    """Words about layers that saturate on the validation set and did not on the calibration set."""
    if result.calibration is None or result.validation is None:
        return []
    known = {layer.index: layer.saturation for layer in result.calibration.layers}
    found = [
        (layer.saturation - known.get(layer.index, 0.0), layer)
        for layer in result.validation.layers
        if layer.saturation - known.get(layer.index, 0.0) > NARROW
    ]
    if not found:
        return []
    found.sort(key=lambda pair: -pair[0])
    places = [
        f"{100 * layer.saturation:.1f} % of {_title(layer)} (up to {layer.times:.1f} times)" for _, layer in found
    ]
    more = f", and {len(places) - 3} more layers" if len(places) > 3 else ""
    return [
        "the calibration set is narrower than the validation set: beyond what int8 can show lie "
        f"{'; '.join(places[:3])}{more}. Calibrate on samples as wide as the real ones: every light, loudness and "
        "style that will come, the filled and the faint"
    ]


def _title(layer: Layer) -> str:
    return f'the input "{layer.name}"' if layer.index < 0 else f'operator {layer.index} ({layer.code} "{layer.name}")'


def worst(comparison: Comparison) -> list[Layer]:
    """Layers by signal to noise, least first."""
    layers = sorted((layer for layer in comparison.layers if layer.index >= 0), key=lambda layer: layer.sqnr)
    return layers[: min(WORST, -(-len(layers) // 4))]


def lost(layer: Layer, layers: dict[int, Layer]) -> float:
    """dB that this layer lost beneath the worst of its inputs."""
    before = [layers[index].sqnr for index in layer.inputs if index in layers] or [layers[-1].sqnr]
    return max(min(before) - layer.sqnr, 0.0)


# ---- In words and in the terminal -----------------------------------------------------------------------------------


def sentences(result: Quantised) -> list[str]:
    """How good the model is, one line per set, then what to look out for."""
    lines = []
    for what in ("calibration", "validation"):
        comparison = getattr(result, what)
        if comparison is not None:
            lines.append(f"{what}, {len(comparison.real)} samples: {_figures(result, what, comparison)}")
    return lines


def _figures(result: Quantised, what: str, comparison: Comparison) -> str:
    facts = [f"answers {comparison.sqnr:.1f} dB above their error"]
    labels = result.truth.get(what)
    if labels is not None:
        real, shown = comparison.top1(labels)
        facts.insert(0, f"int8 {100 * shown:.1f} % right, float {100 * real:.1f} %")
    if comparison.real.shape[1] > 1:
        facts.append(f"the same highest output in {100 * comparison.agreement:.1f} %")
    return ", ".join(facts)


def tried(result: Quantised) -> list[str]:
    return [f"{t.sqnr:6.1f} dB  {t.what}{'' if t.kept else ', not kept'}" for t in result.tries]


def table(comparison: Comparison) -> Table:
    """One row per layer with a bar of its signal to noise; the worst are red."""
    rows = Table(box=None, pad_edge=False, header_style="bold")
    for name, side in (("", "right"), ("operator", "left"), ("layer", "left"), ("dB", "right"), ("", "left")):
        rows.add_column(name, justify=side, no_wrap=True)
    for name in ("lost", "beyond"):
        rows.add_column(name, justify="right", no_wrap=True)
    layers = {layer.index: layer for layer in comparison.layers}
    named = {layer.index for layer in worst(comparison)}
    top = max((layer.sqnr for layer in comparison.layers), default=1.0)
    for layer in comparison.layers:
        bar = "█" * max(1, round(BAR * max(layer.sqnr, 0) / max(top, 1)))
        style = "red" if layer.index in named else ""
        rows.add_row(
            "" if layer.index < 0 else str(layer.index),
            layer.code,
            Text(layer.name[-NAME:]),
            f"{layer.sqnr:.1f}",
            Text(bar, style=style or "cyan"),
            f"{lost(layer, layers):.1f}" if layer.index >= 0 else "",
            f"{100 * layer.saturation:.2f}" if layer.saturation else "",
            style=style,
        )
    return rows


def show(result: Quantised, console: Console) -> None:
    comparison = result.validation or result.calibration
    if comparison is not None:
        console.print(table(comparison))
        console.print(
            "dB: signal to noise of the layer's int8 output, errors of all layers before it included; lost: below its "
            "worst input;\nbeyond: per cent of values outside what int8 can show. Red: the worst.",
            style="dim",
        )


def as_json(result: Quantised) -> dict:
    def of(what: str) -> dict | None:
        comparison = getattr(result, what)
        if comparison is None:
            return None
        layers = {layer.index: layer for layer in comparison.layers}
        labels = result.truth.get(what)
        real, shown = comparison.top1(labels) if labels is not None else (None, None)
        return {
            "samples": len(comparison.real),
            "sqnr_db": round(comparison.sqnr, 2),
            "same_highest_output": comparison.agreement,
            "top1_float": real,
            "top1_int8": shown,
            "layers": [
                {
                    "index": layer.index,
                    "operator": layer.code,
                    "name": layer.name,
                    "sqnr_db": round(layer.sqnr, 2),
                    "lost_db": round(lost(layer, layers), 2),
                    "saturation": layer.saturation,
                    "times": round(layer.times, 3),
                }
                for layer in comparison.layers
            ],
        }

    return {
        "tries": [{"what": t.what, "sqnr_db": round(t.sqnr, 2), "kept": t.kept} for t in result.tries],
        "calibration": of("calibration"),
        "validation": of("validation"),
        "notes": [*result.notes, *narrow(result)],
    }


# ---- Drawn ----------------------------------------------------------------------------------------------------------


def check_path(path: Path) -> None:
    """Refuse a report that could not be drawn, before any work is done."""
    if path.suffix not in (".svg", ".html"):
        raise TinylearnError(f"the report is called {path.name}; its name must end in .svg or .html", USAGE)
    try:
        import matplotlib  # noqa: F401 an optional dependency: the extra [plot]
    except ModuleNotFoundError:
        raise TinylearnError('--report needs matplotlib: pip install "tinylearn[plot]"', USAGE) from None


def save(result: Quantised, path: Path, title: str) -> None:
    """Write the drawing as .svg, or with the sentences around it as .html."""
    drawing = _svg(result, title)
    text = drawing if path.suffix == ".svg" else _page(result, title, drawing)
    files.write(path, text, exit_code=1)


def _svg(result: Quantised, title: str) -> str:
    from matplotlib.figure import Figure

    comparison = result.validation or result.calibration
    layers = comparison.layers if comparison else []
    figure = Figure(figsize=(10, 1.6 + 0.24 * len(layers)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    names = [f"{layer.index if layer.index >= 0 else 'input'}  {layer.name}"[-48:] for layer in layers]
    colours = ["tab:red" if v < POOR else "tab:orange" if v < GOOD else "tab:blue" for v in (x.sqnr for x in layers)]
    left.barh(names, [layer.sqnr for layer in layers], color=colours)
    left.set_xlabel("signal to noise in dB")
    right.barh(names, [100 * layer.saturation for layer in layers], color="tab:purple")
    right.set_xlabel("% beyond int8")
    left.invert_yaxis()
    left.tick_params(axis="y", labelsize=7)
    for layer in worst(comparison) if comparison else []:
        position = layers.index(layer)
        left.annotate(f"{layer.sqnr:.1f}", (layer.sqnr, position), va="center", fontsize=7)
    figure.suptitle(title)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _page(result: Quantised, title: str, drawing: str) -> str:
    def listed(lines: list[str]) -> str:
        return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>" if lines else ""

    comparison = result.validation or result.calibration
    words = [f"{_title(layer)}: {layer.sqnr:.1f} dB" for layer in worst(comparison)] if comparison else []
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>"
        "<style>body{font:15px/1.5 system-ui,sans-serif;max-width:64em;margin:2em auto;padding:0 1em}"
        "svg{max-width:100%;height:auto}</style>"
        f"<h1>{html.escape(title)}</h1>{listed(sentences(result))}{listed([*result.notes, *narrow(result)])}"
        f"<h2>Tried</h2>{listed(tried(result))}<h2>Worst layers</h2>{listed(words)}"
        f"{drawing[drawing.index('<svg') :]}</html>\n"
    )
