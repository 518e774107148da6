"""The host tool of tinylearn: import, convert, inspect, simulate and flash int8 models for MicroPython boards."""

__version__ = "0.1.0"
