"""The host tool of tinylearn: import, quantise, convert, simulate and flash models for MicroPython boards."""

__version__ = "0.1.0"


def quantize(source, calibration=None, **options):
    """An int8 model of a PyTorch module or a model file: see tinylearn_host.quantizing.quantize.

    model = tinylearn_host.quantize(module, x)          # x [N, C, H, W], as the module takes it
    model.save("model.tlm")
    """
    from tinylearn_host import quantizing

    return quantizing.quantize(source, calibration, **options)
