"""The table of what filtered gradients take."""

import sys

from tinylearn_host.paths import MODELS, ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import filtering


def test_as_many_times_less_as_there_are_pixels_in_a_patch():
    head, *lines = filtering.table(MODELS / "glyph" / "glyph.tlm", 6)
    assert len(head) == 8
    together = {line[1]: line for line in lines if line[0] == "together"}
    for side, least in (("2", 3.1), ("4", 12.2)):
        macs, plain, times, saved, plain_saved, times_saved = together[side][2:]
        assert float(times) >= least >= filtering.LEAST_WORK and float(times_saved) >= least >= filtering.LEAST_SAVED
        alone = [line for line in lines if line[1] == side and line[0] != "together"]
        for column, total in ((2, macs), (3, plain), (5, saved), (6, plain_saved)):
            assert sum(int(line[column].replace(",", "")) for line in alone) == int(total.replace(",", ""))
