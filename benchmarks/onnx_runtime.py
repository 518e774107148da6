"""int8 models beside ONNX Runtime on the QDQ model that they stand for: `python benchmarks/onnx_runtime.py`.

The networks are those that people bring (tests/host/networks.py), trained on scikit-learn's digits as
tests/soak/test_trained_networks.py does it, or random. On inputs that they have not been calibrated on:

layer       each layer on the int8 inputs that ONNX Runtime's own layers gave, so that nothing adds up on the way
output      the whole model's logits
reference   the same of the ONNX project's evaluator, in numpy
optimised   the same of ONNX Runtime with all its optimisations, which joins QDQ nodes to integer kernels
saturating  the same by those kernels as they come, which on x86 without VNNI cut sums of two products off at 16 bits

and how many digits the float and the int8 network get right. ONNX Runtime runs without optimisations otherwise. A step
is that of the output's scale. Writes benchmarks/results/quantizing/onnx_runtime.json and docs/quantizing.md.
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
LAYERWISE, FEW = 10, 5  # samples that are looked at layer by layer; that the slow evaluator in numpy gets
NOISE = 32  # samples of it that random networks are shown

TEXT = """# int8 beside float, and beside ONNX Runtime

Made by `benchmarks/onnx_runtime.py` from `benchmarks/results/quantizing/`; do not edit. Networks trained on
scikit-learn's digits, made int8 by `tinylearn_host.quantize`: digits not trained on that are recognised, under noise.

| network | digits | float | int8 |
| --- | ---: | ---: | ---: |
{accuracy}

The board's bits beside ONNX Runtime's answers to the QDQ model, trained on {samples} digits not trained on, random with
batch statistics on {noise} samples of noise. A step is that of the output's scale.

- `quantize` chooses all scales so that no sum comes near a half (`quantizing/steps.py`). What is left to rounding
  elsewhere, some values in a million, has no place to happen, and a deep network has nothing to magnify.
- So it makes no difference who computes: ONNX Runtime in float32, its integer kernels, the ONNX project's evaluator in
  numpy, and boards give the same values.
- But for one way. On x86 processors without VNNI, ONNX Runtime's integer kernels cut sums of two products off at 16
  bits unless they are told not to (`session.x64quantprecision`). The last column is what they say as they come, on the
  machine that ran this.
- Averages become depthwise convolutions: an average pool in its input's scale ends on a half every second time.

| network | layers: values that differ | output: steps apart | within a step | evaluator | optimised | as it comes |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
{rows}

"evaluator", "optimised", "as it comes": how many steps these are from ONNX Runtime without optimisations, at most.
"""


@click.command(help=__doc__.partition("\n")[0])
@click.option("--networks", default=",".join(NETWORKS), show_default=True, help="Which, by commas.")
@click.option("--trained", type=click.Path(path_type=Path), help="Folder that keeps the trained networks.")
@click.option("--samples", type=int, default=100, show_default=True)
@click.option("--table", is_flag=True, help="Only write the document from the figures that there are.")
def main(networks: str, trained: Path | None, samples: int, table: bool) -> None:
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in [] if table else networks.split(","):
        result, shown, truth = _quantised(name, trained)
        found[name] = {"samples": samples, **figures(result, shown[:samples]), "accuracy": _accuracy(result, truth)}
        result, noise = _random(name)
        found[name]["random"] = {"samples": len(noise), **figures(result, noise)}
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
        click.echo(f"{name}: {found[name]}")
    DOCUMENT.write_text(text(found))


def _quantised(name: str, folder: Path | None) -> tuple[quantizing.Quantised, np.ndarray, np.ndarray]:
    """The int8 model; digits it has not seen, float32 [N, ...], each in several views; their labels."""
    import test_trained_networks as digits
    import torch

    kept = folder / f"{name}.pt" if folder else None
    if kept and kept.exists():
        net, shape, pixels = torch.load(kept, weights_only=False)
        labels = digits.load()[1]
    else:
        net, shape, pixels, labels = digits.trained(name)
        if kept:
            folder.mkdir(parents=True, exist_ok=True)
            torch.save((net, shape, pixels), kept)
    torch.manual_seed(1)
    calibration = digits.sized(pixels[:200], shape)
    shown, truth = digits.views(name, pixels, labels, shape)
    return quantizing.quantize(net, calibration, validate=(shown, truth), name=name), shown.numpy(), truth.numpy()


def _random(name: str) -> tuple[quantizing.Quantised, np.ndarray]:
    import networks
    import torch

    torch.manual_seed(0)
    net, sample = networks.NETWORKS[name]()
    net, x = networks.settled(net, torch.rand(16, *sample.shape[1:])), torch.rand(2 * NOISE, *sample.shape[1:])
    return quantizing.quantize(net, x[NOISE:], quick=True, name=name), x[:NOISE].numpy()


def _accuracy(result: quantizing.Quantised, truth: np.ndarray) -> dict:
    real, shown = result.validation.top1(truth)
    return {"digits": len(truth), "float": round(real, 4), "int8": round(shown, 4)}


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
        "saturating": _apart(Runner(result.qdq, optimised=True, saturating=True).outputs(samples), theirs, y),
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

    def row(name: str, one: dict) -> str:
        output = one["output"]
        cells = [share(one["layer"]["other"]), output["most"], share(output["within"])]
        cells += [one[key]["most"] for key in ("reference", "optimised", "saturating")]
        return f"| {name} | {' | '.join(map(str, cells))} |"

    known = {name: found[name] for name in NETWORKS if name in found}
    rows = [row(f"{name}, trained", one) for name, one in known.items()]
    rows += [row(f"{name}, random", one["random"]) for name, one in known.items()]
    facts = ((name, one["accuracy"]) for name, one in known.items())
    accuracy = [f"| {name} | {a['digits']} | {share(a['float'])} | {share(a['int8'])} |" for name, a in facts]
    samples, noise = (
        " or ".join(sorted({str(one["samples"]) for one in ones}))
        for ones in (known.values(), [one["random"] for one in known.values()])
    )
    return TEXT.format(accuracy="\n".join(accuracy), rows="\n".join(rows), samples=samples, noise=noise)


if __name__ == "__main__":
    main()
