"""The development platform `tinylearn` of PlatformIO: boards are those of boards/*.toml, builds are make's."""

from pathlib import Path

from platformio.compat import load_python_module
from platformio.platform.base import PlatformBase
from platformio.platform.board import PlatformBoardConfig
from platformio.platform.exception import UnknownBoard

try:
    import tomllib
except ImportError:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
scons = load_python_module(
    "tinylearn_scons", str(HERE / "scons.py")
)  # by path: this folder's platform.py is not Python's


class Board(PlatformBoardConfig):
    """boards/NAME.toml, under the names that PlatformIO has for its fields."""

    def __init__(self, path):
        board = tomllib.loads(path.read_text())
        self._id = path.stem
        self.manifest_path = str(path)
        self._manifest = {
            "name": board["title"],
            "vendor": "tinylearn",
            "url": board.get("firmware", {}).get("url", "https://micropython.org/download/"),
            "platform": "tinylearn",
            "frameworks": [],
            "build": {"mcu": board["arch"], "f_cpu": f"{board['clock_hz']}L"},
            "upload": {"maximum_ram_size": board["heap_bytes"], "maximum_size": board["flash_bytes"]},
        }


class TinylearnPlatform(PlatformBase):
    def get_boards(self, id_=None):
        boards = {path.stem: path for path in sorted(HERE.parent.glob("*.toml"))}
        if id_ is None:
            return {name: Board(path) for name, path in boards.items()}
        if id_ not in boards:
            raise UnknownBoard(id_)
        return Board(boards[id_])

    def configure_project_packages(self, env, targets=None):
        scons.ensure()  # this comes before PlatformIO asks its registry for it
        super().configure_project_packages(env, targets)
