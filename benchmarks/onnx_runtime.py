"""int8 models beside ONNX Runtime on the QDQ model that they stand for: `python benchmarks/onnx_runtime.py`.

The networks are those that people bring (tests/host/networks.py), trained on scikit-learn's digits as
tests/soak/test_trained_networks.py does it. Of each, on digits not trained on:

layer       each layer on the int8 inputs that ONNX Runtime's own layers gave, so that nothing adds up on the way
output      the whole model's logits
reference   the same of the ONNX project's evaluator, in numpy
optimised   the same of ONNX Runtime with all its optimisations, which joins QDQ nodes to integer kernels

ONNX Runtime runs without optimisations otherwise. A step is that of the output's scale. Writes
benchmarks/results/quantizing/onnx_runtime.json and docs/quantizing.md.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / folder) for folder in ("host", "firmware", "tests/host", "tests/soak")]

from tinylearn_host import ir, quantizing, tlm  # noqa: E402
from tinylearn_host.quantizing import compare, qdq  # noqa: E402
from tinylearn_host.quantizing.observe import Runner  # noqa: E402
from tinylearn_host.simulator import Simulator  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "quantizing" / "onnx_runtime.json"
DOCUMENT = ROOT / "docs" / "quantizing.md"
NETWORKS = ("mobilenet_v2", "resnet8", "ds_cnn", "mcunet", "cnn_1d")
LAYERWISE, FEW = 10, 10  # samples that are looked at layer by layer; that the slow evaluator in numpy gets

TEXT = """# int8 beside ONNX Runtime

Made by `benchmarks/onnx_runtime.py` from `benchmarks/results/quantizing/`; do not edit. Networks trained on
scikit-learn's digits, made int8 by `tinylearn_host.quantize`; on {samples} digits not trained on, the board's bits
beside ONNX Runtime's answers to the QDQ model. A step is that of the output's scale.

- What comes from ONNX rounds each sum once, as ONNX Runtime does. LiteRT's reference kernels, whose bits a `.tflite`
  keeps, round twice, and about one value of 2^(1 - shift) differs by a step.
- Averages become depthwise convolutions with a scale of their own: an average pool in its input's scale ends on a half
  every second time, and what ONNX Runtime does with a half depends on the last bit of a float32.
- What is left are sums so near a half that it matters that ONNX Runtime rounds scales, products and sums to float32,
  and a board its multipliers to 29 bits. The deepest network magnifies such a step to two.
- ONNX Runtime with its optimisations, which join QDQ nodes to integer kernels, is another matter: see the last column,
  from the machine that ran this.

| network | a layer: most | others | output: most | within a step | same | same class | ONNX's evaluator | optimised |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{rows}

"others": values of all layers that differ, per million, each layer on the same inputs. "ONNX's evaluator", "optimised":
how far these are from ONNX Runtime without optimisations, at most, and how many outputs are within a step.
"""


@click.command(help=__doc__.partition("\n")[0])
@click.option("--networks", default=",".join(NETWORKS), show_default=True, help="Which, by commas.")
@click.option("--trained", type=click.Path(path_type=Path), help="Folder that keeps the trained networks.")
@click.option("--samples", type=int, default=100, show_default=True)
@click.option("--table", is_flag=True, help="Only write the document from the figures that there are.")
def main(networks: str, trained: Path | None, samples: int, table: bool) -> None:
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in [] if table else networks.split(","):
        result, shown = _quantised(name, trained, samples)
        found[name] = {"samples": samples, **figures(result, shown)}
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
        click.echo(f"{name}: {found[name]}")
    DOCUMENT.write_text(text(found))


def _quantised(name: str, folder: Path | None, samples: int) -> tuple[quantizing.Quantised, np.ndarray]:
    """The int8 model, and digits it has not seen, float32 [samples, ...]."""
    import test_trained_networks as digits
    import torch

    kept = folder / f"{name}.pt" if folder else None
    if kept and kept.exists():
        net, shape, pixels = torch.load(kept, weights_only=False)
    else:
        net, shape, pixels, _ = digits.trained(name)
        if kept:
            folder.mkdir(parents=True, exist_ok=True)
            torch.save((net, shape, pixels), kept)
    torch.manual_seed(1)
    calibration = digits.sized(pixels[:200], shape)
    shown = digits.sized(pixels[digits.TEACH : digits.TEACH + samples], shape)
    return quantizing.quantize(net, calibration, name=name), shown.numpy()


def figures(result: quantizing.Quantised, samples: np.ndarray) -> dict:
    """What the module's text says of one model. samples: float32 [N, ...] as the float network takes them"""
    graph = result.graph
    y = graph.tensors[graph.output]
    ours = compare.answers(graph, Simulator(tlm.build(graph, None)), samples)
    theirs = Runner(result.qdq).outputs(samples)
    layer = _layers(result, samples[:LAYERWISE])
    few = samples[:FEW]
    return {
        "layer": layer,
        "output": _apart(ours, theirs, y),
        "reference": _apart(_evaluated(result.qdq, few), theirs[: len(few)], y),
        "optimised": _apart(Runner(result.qdq, optimised=True).outputs(samples), theirs, y),
    }


def _apart(some: np.ndarray, others: np.ndarray, tensor: ir.Tensor) -> dict:
    """most: steps between the furthest two; within: share at most one step apart; same, same_class: shares"""
    steps = np.abs(np.rint((some - others) / np.float32(tensor.scale)))
    return {
        "most": int(steps.max()),
        "within": round(float(np.mean(steps <= 1)), 5),
        "same": round(float(np.mean(steps == 0)), 5),
        "same_class": round(float(np.mean(some.argmax(1) == others.argmax(1))), 5),
    }


def _evaluated(model, samples: np.ndarray) -> np.ndarray:
    import onnx
    from onnx.reference import ReferenceEvaluator

    run = ReferenceEvaluator(onnx.version_converter.convert_version(model, 19))  # the first that it knows QDQ of
    name = model.graph.input[0].name
    return np.concatenate([run.run(None, {name: sample[None]})[0] for sample in samples])


def _layers(result: quantizing.Quantised, samples: np.ndarray) -> dict:
    """most: steps that a value of any layer differs by; other: share of the values that differ"""
    graph, names = result.graph, qdq.dequantised_names(result.qdq)
    run = Runner(quantizing._giving(result.qdq, [names[n] for n in (graph.input, *(op.output for op in graph.ops))]))
    simulator = Simulator(tlm.build(graph, None))
    most = other = count = 0
    for given in run.batches(samples):
        theirs = {name: _steps(given[names[name]], graph.tensors[name]) for name in names if names[name] in given}
        for index, op in enumerate(graph.ops):
            record = simulator.model.ops[index]
            for tensor, name in zip((record.x, record.x2), op.inputs, strict=False):
                simulator.view(tensor)[:] = theirs[name]
            simulator.tl_infer.run(simulator.file, simulator.arena, index, index + 1)
            mine = simulator.view(record.y)
            if op.code == ir.RESHAPE:  # channels last on our side: what follows reads it in that order
                theirs[op.output] = mine.copy()
            steps = np.abs(mine.astype(int) - theirs[op.output])
            most, other, count = max(most, int(steps.max())), other + int((steps > 0).sum()), count + steps.size
    return {"most": most, "other": round(other / count, 7)}


def _steps(real: np.ndarray, tensor: ir.Tensor) -> np.ndarray:
    """int8, channels last, of one sample's values in reals."""
    steps = np.rint(real[0] / np.float32(tensor.scale)) + tensor.zero_point
    return np.moveaxis(steps, 0, -1).reshape(-1).astype(np.int8)


def text(found: dict) -> str:
    def share(value: float) -> str:
        return f"{100 * value:.1f} %"

    rows = []
    for name in [name for name in NETWORKS if name in found]:
        row = found[name]
        output, others = row["output"], [row[key] for key in ("reference", "optimised")]
        cells = [row["layer"]["most"], f"{1e6 * row['layer']['other']:.1f}", output["most"]]
        cells += [share(output[key]) for key in ("within", "same", "same_class")]
        cells += [f"{other['most']}, {share(other['within'])}" for other in others]
        rows.append(f"| {name} | {' | '.join(map(str, cells))} |")
    counts = sorted({row["samples"] for row in found.values()})
    return TEXT.format(rows="\n".join(rows), samples=" or ".join(map(str, counts)))


if __name__ == "__main__":
    main()
