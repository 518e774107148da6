"""What a status of the native modules means (native_modules/kernels/program.h), in a sentence. Loaded when needed."""

_SENTENCES = {
    1: "the model does not start on a multiple of 4 in memory; copy it into a bytearray",
    2: "the file is shorter than its header says: send it again with `tinylearn flash`",
    3: "this is not a .tlm file: make one with `tinylearn convert`",
    4: "the file's format is newer than this tinylearn: flash the package again",
    5: "the file is damaged (its checksum does not fit): send it again with `tinylearn flash`",
    6: "section %d is missing, there twice, misaligned or outside the file: convert the model again",
    7: "section %d has too many records or not of their size: convert the model again",
    8: "the header names tensors or operators that are not there: convert the model again",
    16: "tensor %d has an unknown type or region",
    17: "tensor %d: its shape does not give its bytes",
    18: "tensor %d lies outside the file or the arena, or is misaligned",
    19: "tensor %d has a scale that is not a positive number",
    32: "operator %d is not known to this tinylearn: flash the package again, it may be older than the model",
    33: "operator %d wants a variant of its kernel that this tinylearn does not have",
    34: "operator %d names a tensor that does not exist or has the wrong type for it",
    35: "operator %d has a field out of its range",
    36: "operator %d: shapes, window and padding do not fit together",
    37: "operator %d: a buffer has another size than the geometry needs",
    38: "operator %d: its requantisation is outside the file or out of range",
    39: "operator %d: the output overlaps something that is still read",
    40: "operator %d: its sums may not fit an int32",
    48: "first and last are not a range of the model's operators",
    49: "places has not one int32 per tensor",
    50: "the arena does not start on a multiple of 4",
    51: "params has the wrong number of integers, or one out of its range",
    52: "buffer %d is missing, has the wrong size, or does not start on a multiple of its element",
    53: "value %d is NaN or infinite, or the scale is not a positive number",
    54: "entry %d names a class that the head does not have",
    55: "masks has not one int32 per operator, or that of operator %d lies outside the arena",
    56: "record %d of the training plan does not fit its operator or the arena",
}


def explain(status):
    """A sentence for a status, str for int."""
    sentence = _SENTENCES.get(status & 255, "status %d, which this tinylearn does not know" % status)
    return sentence % (status >> 8) if "%d" in sentence else sentence
