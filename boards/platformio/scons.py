"""PlatformIO's build tool, the package tool-scons: made from PyPI's SCons where its registry cannot be reached."""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from platformio.dependencies import get_core_dependencies
from platformio.exception import PlatformioException
from platformio.package.manager.core import get_core_package_dir
from platformio.package.manager.tool import ToolPackageManager

NAME = "tool-scons"
REGISTRY = "api.registry.platformio.org"
START = "import SCons.Script\n\nSCons.Script.main()\n"


def ensure() -> None:
    """Have tool-scons: as it is, from the registry, or from PyPI."""
    if get_core_package_dir(NAME, auto_install=False):
        return
    if _reachable():
        try:
            get_core_package_dir(NAME)
            return
        except PlatformioException as error:
            click.secho(f"PlatformIO's registry gives no {NAME}: {error}", fg="yellow")
    click.secho(f"Making {NAME} from PyPI's SCons", fg="yellow")
    _from_pypi()


def _reachable() -> bool:
    """PlatformIO asks for a minute before it gives up; this asks for three seconds."""
    try:
        socket.create_connection((REGISTRY, 443), timeout=3).close()
        return True
    except OSError:
        return False


def _from_pypi() -> None:
    version = get_core_dependencies()[NAME].lstrip("~^=")  # 4.41101.0 holds SCons 4.11.1
    digits = version.split(".")[1]
    scons = f"{digits[0]}.{int(digits[1:3])}.{int(digits[3:5])}"
    packages = Path(ToolPackageManager().package_dir)
    packages.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=packages) as scratch:
        package = Path(scratch) / NAME
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--target", package, f"scons=={scons}"], check=True)
        (package / "scons.py").write_text(START)
        (package / "package.json").write_text(json.dumps({"name": NAME, "version": version, "description": "SCons"}))
        spec = {"owner": "platformio", "id": None, "name": NAME, "requirements": None, "uri": None}
        (package / ".piopm").write_text(json.dumps({"type": "tool", "name": NAME, "version": version, "spec": spec}))
        shutil.rmtree(packages / NAME, ignore_errors=True)
        package.rename(packages / NAME)
