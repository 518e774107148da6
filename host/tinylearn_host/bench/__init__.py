"""What tinylearn costs on a board: cycles, instructions or seconds of the real modules under the real firmware."""
