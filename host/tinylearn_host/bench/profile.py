"""Which function of the native modules takes how many cycles, on a board that counts them by address."""

from __future__ import annotations

import base64
import importlib.util
import re
from collections import Counter
from pathlib import Path

from tinylearn_host import paths

REGISTER = 0x4F00001C  # of the emulated Pico: native_modules' calls are counted while it is not 0
FIRMWARE, ELSEWHERE = "MicroPython", "other code in RAM"


def control(state: Path):
    """The emulated Pico's control channel (boards/emulators/pico/control.py)."""
    spec = importlib.util.spec_from_file_location("control", paths.BOARDS / "emulators" / "pico" / "control.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Control(state)


def functions(counted: dict, arch: str) -> Counter:
    """{"object.function": cycles} of what the board has counted; labels of assembly stand for functions."""
    memory = base64.b64decode(counted["memory"])
    at = dict(counted["sram"])
    total = Counter({FIRMWARE: counted["flash"] + counted["rom"]})
    files = sorted((paths.NATIVE / arch).glob("*.objects/**/*.o"))
    owners = _owners(files)
    for object_file in files:
        for code, symbols in _sections(object_file):
            for place in code.finditer(memory):
                for offset in range(place.start(), place.end(), 2):
                    if offset in at:
                        before = [name for start, name in symbols if start <= offset - place.start()]
                        name = before[-1] if before else "?"
                        stem = owners.get((object_file, name.split(".")[0]), object_file.stem)
                        total[f"{stem}.{name}"] += at.pop(offset)
    total[ELSEWHERE] = sum(at.values())
    return Counter({name: round(cycles) for name, cycles in total.items() if round(cycles)})


def _owners(files: list[Path]) -> dict[tuple[Path, str], str]:
    """{(a module's linked object, function): whose it is}, where its parts were compiled as one program (natmod.mk)."""
    from elftools.elf.elffile import ELFFile

    found = {}
    for file in files:
        folder = next(parent for parent in file.parents if parent.suffix == ".objects")
        with file.open("rb") as f:
            for symbol in ELFFile(f).get_section_by_name(".symtab").iter_symbols():
                if symbol["st_info"]["type"] == "STT_FUNC" and file.stem != folder.stem:
                    found.setdefault((folder / f"{folder.stem}.o", symbol.name), file.stem)
    return found


def _sections(file: Path):
    """(a pattern of its bytes where a module is loaded, [(offset, function or label)]) of each section of code."""
    from elftools.elf.elffile import ELFFile

    with file.open("rb") as f:
        elf = ELFFile(f)
        table = elf.get_section_by_name(".symtab")
        for index, section in enumerate(elf.iter_sections()):
            if not section.name.startswith(".text") or not section.data_size:
                continue
            fixed = bytearray(b"\1" * section.data_size)
            relocations = elf.get_section_by_name(f".rel{section.name}")
            for entry in relocations.iter_relocations() if relocations else ():
                fixed[entry["r_offset"] : entry["r_offset"] + 4] = bytes(4)
            data = section.data()
            pattern = b"".join(re.escape(data[i : i + 1]) if fixed[i] else b"." for i in range(len(data)))
            named = [s for s in table.iter_symbols() if s["st_shndx"] == index and s.name and s.name[0] != "$"]
            named = sorted((s["st_value"] & ~1, s["st_info"]["type"] != "STT_FUNC", s.name) for s in named)
            yield re.compile(pattern, re.DOTALL), [(offset, name) for offset, _, name in named if name[0] != "."]
