"""Three int8 models of other people: MLPerf Tiny's keyword spotting and image classification, TFLite Micro's speech.

Taken from the data folder beside the repository where there is one, else fetched once into the cache; never committed.
"""

from __future__ import annotations

import hashlib
import os
import urllib.request
from pathlib import Path

from tinylearn_host import paths
from tinylearn_host.errors import BAD_DATA, TinylearnError

BESIDE = paths.ROOT.parent / "shared" / "data" / "models"
CACHE = Path(os.environ.get("TINYLEARN_CACHE") or Path.home() / ".cache" / "tinylearn") / "models"
MLPERF = "https://raw.githubusercontent.com/mlcommons/tiny/master/benchmark/training"
TFLITE_MICRO = "https://raw.githubusercontent.com/tensorflow/tflite-micro/main/tensorflow/lite/micro/examples"
SOURCES = {
    "kws_ref_model": (
        f"{MLPERF}/keyword_spotting/trained_models/kws_ref_model.tflite",
        "aeea436800704fce17b17292e4412630ad856e9d777c044c64ef748a880bd0ae",
    ),
    "micro_speech": (
        f"{TFLITE_MICRO}/micro_speech/models/micro_speech_quantized.tflite",
        "09e5e2a9dfb2d8ed78802bf18ce297bff54281a66ca18e0c23d69ca14f822a83",
    ),
    "pretrainedResnet_quant": (
        f"{MLPERF}/image_classification/trained_models/pretrainedResnet_quant.tflite",
        "3c002613d1b2475eb51dd78dfb85a546c8ae658dee71cf6ade43b022fe205415",
    ),
}
NAMES = sorted(SOURCES)


def path(name: str) -> Path:
    """Where the .tflite `name` lies."""
    for folder in (BESIDE, CACHE):
        found = folder / f"{name}.tflite"
        if found.is_file():
            return found
    return _fetch(name, CACHE / f"{name}.tflite")


def _fetch(name: str, target: Path) -> Path:
    url, sha256 = SOURCES[name]
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            raw = answer.read()
    except OSError as error:
        raise TinylearnError(f"cannot fetch {url}: {error}. Put the file at {target} yourself", BAD_DATA) from None
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise TinylearnError(f"{url} is not the file that we know: its SHA-256 differs", BAD_DATA)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(raw)
    return target
