"""How backbones come to be, for the zoo's recipes and `tinylearn train`. Needs the extra [train]."""
