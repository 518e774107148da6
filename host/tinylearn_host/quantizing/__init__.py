"""From a float model to int8 for boards: read, rewrite, calibrate, choose, compare.

network.py   a float network as plain lists, from ONNX (importers/tflite_float.py makes ONNX of a .tflite)
rewrite.py   in the operators that boards have, channels first; passes.py: tidied
observe.py   what its activations are on the calibration set; ranges.py: the range that their 256 steps cover
steps.py     scales under which every runtime rounds alike
qdq.py       to QDQ int8, by ONNX Runtime's static quantiser
equalise.py, bias.py   help that is kept where it helps: search.py tries
compare.py   int8 beside float; report.py: what there is to say about it
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tinylearn_host import files, fuse, ir, partition, tlm
from tinylearn_host.errors import BAD_DATA, BAD_MODEL, USAGE, TinylearnError
from tinylearn_host.importers import onnx_qdq
from tinylearn_host.quantizing import compare, data, qdq, search
from tinylearn_host.quantizing.network import Network, from_model, is_quantised, read
from tinylearn_host.quantizing.observe import Runner, runner
from tinylearn_host.quantizing.ranges import METHODS
from tinylearn_host.quantizing.rewrite import Rewritten, check, rewrite

PIXELS = (0.0, 1.0)  # what a network saw for the pixels 0 and 255, where nothing else is said
SAME = 1e-3  # by how much of its greatest answer a rewritten network may differ


@dataclass
class Quantised:
    """An int8 model and how it compares.

    qdq:          QDQ ONNX, an onnx.ModelProto
    tries:        what was tried on the way, and what of it was kept
    calibration:  int8 beside float on the calibration set; None for a model that came quantised, without such a set
    validation:   the same on the validation set, where there is one
    truth:        {"calibration", "validation"}: labels as indices of the outputs, where they are known
    notes:        sentences that the user should read
    """

    graph: ir.Graph
    qdq: object
    tries: list[search.Try] = field(default_factory=list)
    calibration: compare.Comparison | None = None
    validation: compare.Comparison | None = None
    truth: dict[str, np.ndarray | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def model(self, growth: float | None = 0.25) -> tlm.Model:
        """The board's file. growth: by how much the arena may grow for faster layers."""
        return partition.prepare(tlm.read(tlm.build(fuse.columns_into_rows(self.graph), growth)))

    def save(self, path: str | Path) -> None:
        """Write a .tlm, or the QDQ .onnx."""
        path = Path(path)
        if path.suffix == ".tlm":
            tlm.save(self.model(), path)
        elif path.suffix == ".onnx":
            save_onnx(self.qdq, path)
        else:
            raise TinylearnError(f"the output is called {path.name}; its name must end in .tlm or .onnx", USAGE)


def save_onnx(model, path: Path) -> None:
    """Write an .onnx under its final name only once it is whole."""
    files.write(path, model.SerializeToString(), exit_code=1)


def quantize(
    source,
    calibration=None,
    *,
    validate=None,
    labels: list[str] | None = None,
    pixels: tuple[float, float] = PIXELS,
    method: str | None = None,
    quick: bool = False,
    name: str | None = None,
    watch: search.Watch = lambda what, done, total: None,
) -> Quantised:
    """An int8 model of `source`: the path of a float .onnx or .tflite or of a QDQ .onnx, or a PyTorch module.

    calibration:  typical inputs: the path of an .npz (x, perhaps y) or .npy, an array [N, ...], or a pair (x, y).
                  float32 as the model was trained on, or uint8 pixels; images are [N, H, W, C], or, for a module,
                  [N, C, H, W] as it takes them. A QDQ model needs none
    validate:     samples like the real ones to compare on, in the same forms
    labels:       names of the outputs
    pixels:       what the network was trained to see for a pixel of 0 and of 255, where samples are uint8
    method:       one of METHODS for the ranges of activations, instead of the best
    quick:        take the first that comes, without trying what would be better

    Raises TinylearnError: 11 (the model), 12 (an operator), 13 (the data).
    """
    module = not isinstance(source, (str, Path))
    sets = {"calibration": calibration, "validation": validate}
    raws = {what: data.of(given, f"the {what} set") for what, given in sets.items() if given is not None}
    path = Path(f"{type(source).__name__}.onnx" if module else source)
    model = exported(source, raws) if module else _read(path)
    if is_quantised(model):
        result = _as_it_is(model, path, raws, labels, pixels, watch)
    elif calibration is None:
        raise TinylearnError(f"{path} is a float model: give samples to calibrate on", USAGE)
    else:
        result = _from_float(model, path, raws, labels, pixels, (method, quick), not module, watch)
    result.graph.name = name or path.stem
    result.graph.labels = labels
    result.graph.check()
    return result


def exported(module, raws: dict[str, data.Raw]):
    """A PyTorch module as an onnx.ModelProto, shown the first sample. Raises: exit code 11."""
    import tempfile
    import warnings

    import torch

    if not isinstance(module, torch.nn.Module):
        raise TinylearnError(f"a path or a torch.nn.Module was expected, not {type(module).__name__}", BAD_MODEL)
    if "calibration" not in raws:
        raise TinylearnError("a module needs samples to calibrate on", USAGE)
    x = raws["calibration"].x[:1]
    if not len(x):
        raise TinylearnError("the calibration set: there are no samples in it", BAD_DATA)
    was_training = module.training
    module.eval()
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter that needs no further package is called the old one
            path = Path(folder) / "module.onnx"
            weights = next(iter(module.parameters()), torch.empty(0))
            sample = torch.zeros(x.shape, dtype=torch.float32, device=weights.device)
            torch.onnx.export(module, (sample,), str(path), dynamo=False, opset_version=17)
            return read(path)
    except (RuntimeError, TypeError, ValueError, torch.onnx.errors.OnnxExporterError) as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise TinylearnError(
            f"PyTorch cannot export the module for samples of shape {x.shape[1:]}: {first}", BAD_MODEL
        ) from None
    finally:
        module.train(was_training)


def _read(path: Path):
    if path.suffix.lower() == ".onnx":
        return read(path)
    if path.suffix.lower() == ".tflite":
        from tinylearn_host.importers import tflite_float

        return tflite_float.load(path)
    raise TinylearnError(f"{path}: a float .onnx or .tflite, or a QDQ .onnx, was expected", BAD_MODEL)


def _from_float(model, path, raws, labels, pixels, how, last, watch) -> Quantised:
    check(model, str(path))
    original = from_model(model, str(path), path.stem, numbered=path.suffix.lower() == ".onnx")
    rewritten = rewrite(original)
    network = rewritten.network
    sets = {what: data.fit(raw, network.shape, pixels, last or rewritten.last) for what, raw in raws.items()}
    calibration = sets["calibration"]
    notes = [*rewritten.notes, *data.check_calibration(calibration)]
    _check_same(original, rewritten, calibration.x[:2])
    truth = _truths(sets, network, labels, notes)
    step = _pixel_step(pixels) if calibration.pixels else None
    looking = search.Search(network, calibration.x, path, step, watch)
    method, quick = how
    best = looking.best([method] if method else list(METHODS), quick)
    names = qdq.real_names(best.model)
    run, whole = runner(best.network, _wanted(best.network, best.graph, names)), runner(network)
    compared = _compare(best.graph, names, run, whole, sets, watch)
    return Quantised(best.graph, best.model, looking.tries, **compared, truth=truth, notes=notes)


def _wanted(network: Network, graph: ir.Graph, names: dict[str, str]) -> list[str]:
    made = {node.output[0] for node in network.nodes}
    return list(dict.fromkeys(names[op.output] for op in graph.ops if names[op.output] in made))


def _as_it_is(model, path, raws, labels, pixels, watch) -> Quantised:
    """A QDQ model: nothing is changed; it is compared with ONNX Runtime's arithmetic on reals."""
    graph = fuse.pads_into_convolutions(onnx_qdq.from_model(model, path))
    shape = tuple(side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim)[1:]
    names = qdq.dequantised_names(model)
    sets = {what: data.fit(raw, shape, pixels) for what, raw in raws.items()}
    notes = [f"{path.name} is quantised already and was taken as it is"]
    network = Network(path.stem, str(path), list(model.graph.node), {}, "", shape, model.graph.output[0].name, 0)
    truth = _truths(sets, network, labels, notes, graph)
    run = Runner(_giving(model, [names[op.output] for op in graph.ops]))
    return Quantised(
        graph, model, [], **_compare(graph, names, run, Runner(model), sets, watch), truth=truth, notes=notes
    )


def _giving(model, names: list[str]):
    """A copy of `model` whose outputs are these activations."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    for name in dict.fromkeys(names):
        copy.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return copy


def _pixel_step(pixels: tuple[float, float]) -> tuple[float, int]:
    """(scale, zero point) under which int8 is the pixel less 128, as nearly as a whole zero point allows."""
    scale = (pixels[1] - pixels[0]) / 255
    if scale <= 0:
        raise TinylearnError(f"pixels run from {pixels[0]:g} to {pixels[1]:g}; the second must be greater", USAGE)
    return scale, int(np.clip(np.rint(-128 - pixels[0] / scale), -128, 127))


def _check_same(original: Network, rewritten: Rewritten, samples: np.ndarray) -> None:
    """A network must not change by being rewritten. What goes by notes alone ends elsewhere and is not compared."""
    if rewritten.notes:
        return
    given = np.ascontiguousarray(np.moveaxis(samples, 1, -1)) if rewritten.last else samples
    old = Runner(original.model()) if original.output in original.shapes else None
    new, value = runner(rewritten.network).outputs(samples), rewritten.output
    if value.last:
        new = np.moveaxis(new, 1, -1)
    elif value.order:
        new = np.moveaxis(new.reshape(-1, *value.order), 1, -1)
    expected = np.concatenate([next(old.batches(sample[None]))[old.names[0]] for sample in given])
    worst = np.abs(expected.reshape(-1) - new.reshape(-1)).max()
    if not worst <= SAME * max(np.abs(expected).max(), 1e-6):
        raise TinylearnError(
            f"{original.source}: rewritten for boards it would answer otherwise (by {worst:g}); this is a fault of "
            "tinylearn: please report the model",
        )


def _truths(sets: dict, network: Network, labels, notes: list[str], graph: ir.Graph | None = None) -> dict:
    """Labels as indices, for each set that has some, where the model has a classifier."""
    if all(given.y is None for given in sets.values()):
        return {}
    outputs = graph.tensors[graph.output].bytes if graph else int(np.prod(network.shapes[network.output]))
    has_head = graph.classifier()[1] < len(graph.ops) if graph else _classifies(network)
    if not has_head:
        notes.append(f"y was not used: the model has no classifier of its own, it gives {outputs} features")
        return {}
    return {what: data.classes(given, outputs, labels) for what, given in sets.items()}


def _classifies(network: Network) -> bool:
    """Whether the network ends in a dense layer, or a convolution on one pixel."""
    for node in reversed(network.nodes):
        if node.op_type not in ("Softmax", "Reshape"):
            one = all(n == 1 for n in network.shapes.get(node.input[0], (0,))[2:])
            return node.op_type == "Gemm" or (node.op_type == "Conv" and one)
    return False


def _compare(graph, names, run, whole, sets: dict, watch) -> dict[str, compare.Comparison]:
    from tinylearn_host.simulator import Simulator

    simulator = Simulator(tlm.build(graph, None))
    compared = {}
    for what, given in sets.items():
        show = lambda done, total, what=what: watch(f"comparing, {what} set", done, total)  # noqa: E731
        compared[what] = compare.compare(graph, simulator, names, run, whole, given.x, show)
    return compared
