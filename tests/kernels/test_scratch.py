"""The host's scratch of the way back is the kernels'."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
from test_golden import KERNELS
from tinylearn_host import variants


def cases(count: int) -> list[tuple[variants.Window, int, bool, int]]:
    """Windows with their width, whether they are depthwise, and how many input channels are trained."""
    rng = np.random.default_rng(1)
    found = []
    for i in range(count):
        k, s, d, pad = (tuple(map(int, rng.integers(low, high, 2))) for low, high in ((1, 5), (1, 4), (1, 3), (0, 3)))
        x, y = (tuple(map(int, rng.integers(1, most, 3))) for most in ((20, 20, 130)[i % 3], (16, 16, 200)[i % 3]))
        g = variants.Window(x, y, k, s, d, pad)
        if i % 5 == 0:
            g = variants.dense_window(x[2], y[2])
        found.append((g, (8, 16)[i % 2], bool(rng.random() < 0.3) and i % 5 > 0, int(rng.integers(1, x[2] + 1))))
    return found


def test_the_host_and_the_kernels_agree(tmp_path):
    program, source = tmp_path / "scratch", Path(__file__).with_name("scratch.c")
    subprocess.run([shutil.which("cc") or "gcc", "-std=c99", f"-I{KERNELS}", "-o", program, source], check=True)
    asked = cases(3000)
    lines = [
        " ".join(str(int(n)) for n in (*g.x, *g.y, *g.kernel, *g.stride, *g.dilation, *g.padding, width, depth, count))
        for g, width, depth, count in asked
    ]
    done = subprocess.run([program], input="\n".join(lines), capture_output=True, text=True, check=True)
    answers = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert answers == [
        (variants.grad_input_scratch(g, width, depth), variants.grad_weight_scratch(g, width, depth, count))
        for g, width, depth, count in asked
    ]
    for (g, _, depth, count), (of_input, of_weight) in zip(asked, answers, strict=True):
        assert of_input >= 4 * g.x[1] * g.x[2], "the plain kernel runs"
        assert of_weight >= 4 * g.kernel[0] * g.kernel[1] * (1 if depth else count)
        assert of_input % 4 == of_weight % 4 == 0
