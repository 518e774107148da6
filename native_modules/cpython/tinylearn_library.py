"""The C of tinylearn as a shared library, for the twins of the native modules: found, compiled, called with buffers.

In a checkout the library is ``build/host/libtinylearn.so``; installed, it lies in the user's cache. Either way it is
compiled from the kernels beside this file by ``make host``, again whenever one of them is newer.
"""

import ctypes
import os
import shutil
import subprocess
from ctypes import pythonapi
from pathlib import Path

NATIVE_MODULES = Path(__file__).resolve().parent.parent


def _built() -> Path:
    """The folder for built things: the checkout's ``build``, or a cache where this is an installed package."""
    if (NATIVE_MODULES.parent / "pyproject.toml").exists():
        return NATIVE_MODULES.parent / "build"
    cache = os.environ.get("TINYLEARN_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "tinylearn"
    return Path(cache).expanduser() / "installed"


def _compile(library: Path) -> None:
    """Run ``make host``. Raises ImportError with what is missing, or with the compiler's own words."""
    compiler = os.environ.get("CC") or "cc"
    missing = [tool for tool in ("make", compiler) if shutil.which(tool) is None]
    if missing:
        raise ImportError(
            f"the simulator is compiled from {NATIVE_MODULES / 'kernels'}, and there is no "
            f"{' and no '.join(missing)} here: install a C compiler and make (Debian, Ubuntu: apt install gcc make)"
        )
    command = ["make", "--no-print-directory", "-C", str(NATIVE_MODULES), "host", f"BUILT={library.parent.parent}"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "CC": compiler})
    if done.returncode != 0:
        raise ImportError(f"the simulator does not compile ({' '.join(command)}):\n{done.stderr}")


def _load() -> ctypes.CDLL:
    library = _built() / "host" / "libtinylearn.so"
    sources = [*NATIVE_MODULES.glob("kernels/*.[ch]"), NATIVE_MODULES / "Makefile"]
    if not library.exists() or library.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        _compile(library)
    return ctypes.CDLL(str(library))


class Span(ctypes.Structure):
    """tl_span_t: a buffer's address and its bytes."""

    _fields_ = (("at", ctypes.c_void_p), ("bytes", ctypes.c_size_t))


SPANS = ctypes.POINTER(Span)


class _PyBuffer(ctypes.Structure):
    """CPython's Py_buffer, part of its stable interface."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


_get_buffer = pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = (ctypes.py_object, ctypes.POINTER(_PyBuffer), ctypes.c_int)
_release_buffer = pythonapi.PyBuffer_Release
_release_buffer.argtypes = (ctypes.POINTER(_PyBuffer),)
_release_buffer.restype = None
_WRITABLE = 1  # PyBUF_WRITABLE


class Spans:
    """Buffers held for the length of one C call: ``with Spans(read=(a, b), write=(c,)) as spans``.

    ``spans`` is an array of Span in the order given, those to read first. None is an empty span. Nothing is copied.
    Raises TypeError, as MicroPython does, for what is no buffer, not contiguous, or read-only where it must not be.
    """

    def __init__(self, read=(), write=()):
        self._wanted = [(o, 0) for o in read] + [(o, _WRITABLE) for o in write]
        self._held = []

    def __enter__(self):
        spans = (Span * len(self._wanted))()
        for span, (wanted, flags) in zip(spans, self._wanted, strict=True):
            if wanted is None:
                continue
            view = _PyBuffer()
            try:
                _get_buffer(wanted, view, flags)
            except (BufferError, ValueError) as error:
                self.__exit__()
                raise TypeError(str(error)) from None
            except TypeError:
                self.__exit__()
                raise
            self._held.append(view)
            span.at, span.bytes = view.buf, view.len
        return spans

    def __exit__(self, *_):
        while self._held:
            _release_buffer(self._held.pop())


def after(spans, count):
    """The spans behind the first ``count``, where they lie."""
    return ctypes.cast(ctypes.addressof(spans) + count * ctypes.sizeof(Span), SPANS)


def function(name, *arguments, result=ctypes.c_int32):
    """The library's function ``name`` with its argument and result types."""
    found = getattr(library, name)
    found.argtypes, found.restype = arguments, result
    return found


library = _load()
