# What PlatformIO builds: for a board its native modules, by native_modules/Makefile; without one the tests, by SCons.

import sys
from pathlib import Path

from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()
root = Path(env.subst("$PROJECT_DIR"))
board = env.get("BOARD")
python = root / ".venv" / "bin" / "python"
prepare = f'"{sys.executable}" "{root / "setup" / "prepare.py"}" venv '


def modules():
    """The board's native modules, and the commands that make and flash them."""
    arch = env.BoardConfig().get("build.mcu")
    make = f'make --no-print-directory -C "{root / "native_modules"}" native ARCHS={arch}'
    build = env.Alias("modules", None, [env.VerboseAction(prepare + board, f"Preparing {board}"), make])
    port = '--port "$UPLOAD_PORT"' if env.subst("$UPLOAD_PORT") else ""
    flash = f'"{python}" "{root / "host" / "flash.py"}" --board {board} {port}'
    AlwaysBuild(build, env.Alias("upload", build, env.VerboseAction(flash, f"Flashing {board}")))
    Default(build)


def tests():
    env.Replace(PROGSUFFIX="")
    program = env.BuildProgram()
    AlwaysBuild(env.Alias("buildprog", program))
    Default(program)


modules() if board else tests()
