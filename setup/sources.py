"""Sources of other projects: from their own release where the internet is there, else from Debian's archive.

Every way is verified: a release tarball by its pinned SHA-256, Debian's packages by the archive's signature, which
apt checks from the keyring package through an apt configuration of our own; the machine's own is left alone.
"""

import hashlib
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import apt
from common import CACHE, SetupError, build_once, run, say

# The one MicroPython version that everything here is built from (mpy 6.3), and the SHA-256 of its release tarball.
# Debian's archive may hold another one; those below were tested with everything in this repository, best first.
MICROPYTHON = "1.26.1"
MICROPYTHON_SHA256 = "12be6514df6272c0fcb328122b534af6b12abdd52435c19f40ee1707cc43ac98"
MICROPYTHON_URL = (
    f"https://github.com/micropython/micropython/releases/download/v{MICROPYTHON}/micropython-{MICROPYTHON}.tar.xz"
)
TESTED = [MICROPYTHON, "1.25.0"]
SUITES = ["sid", "trixie"]
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
CONNECT_SECONDS = 4


def micropython() -> Path:
    """The unpacked MicroPython tree in the cache. Others build from it with BUILD= elsewhere and never write in it."""
    for version in TESTED:
        tree = CACHE / f"micropython-{version}"
        if tree.is_dir():
            return tree
    apt.need("xz", "certificates")
    tarball, version = _micropython_tarball()

    def unpack(scratch: Path) -> None:
        run(["tar", "-xf", tarball, "-C", scratch, "--strip-components=1"])
        # Debian leaves micropython-lib out; manifests ask for this file even when they take nothing from there.
        (scratch / "lib" / "micropython-lib").mkdir(exist_ok=True)
        (scratch / "lib" / "micropython-lib" / "README.md").touch()

    return build_once("micropython", version, unpack)


def micropython_version() -> str:
    """The version of the tree that micropython() gives."""
    return micropython().name.removeprefix("micropython-")


def _micropython_tarball() -> tuple[Path, str]:
    try:
        return download(MICROPYTHON_URL, MICROPYTHON_SHA256), MICROPYTHON
    except OSError as error:
        say(f"MicroPython {MICROPYTHON} could not be downloaded from GitHub ({error}); asking Debian's archive")
    versions = debian_versions("micropython")
    upstream = {version: re.split(r"[+~-]", version)[0] for version in versions}
    for tested in TESTED:
        for version in versions:
            if upstream[version] == tested:
                return debian_source("micropython", version)[0], tested
    newest = versions[0]
    say(f"none of the tested MicroPython versions ({', '.join(TESTED)}) is there any more, trying {upstream[newest]}")
    return debian_source("micropython", newest)[0], upstream[newest]


def download(url: str, sha256: str) -> Path:
    """`url` in the cache, checked. Raises OSError where the network is closed, SetupError where the hash is wrong."""
    target = CACHE / "downloads" / url.rsplit("/", 1)[1]
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(target.suffix + ".part")
    say(f"downloading {url}")
    with urllib.request.urlopen(url, timeout=CONNECT_SECONDS) as answer, open(partial, "wb") as file:
        shutil.copyfileobj(answer, file)
    found = hashlib.sha256(partial.read_bytes()).hexdigest()
    if found != sha256:
        partial.unlink()
        raise SetupError(f"{url} has SHA-256 {found}, expected {sha256}: refusing to use it")
    partial.replace(target)
    return target


# Debian's archive, through an isolated apt


def debian_versions(package: str) -> list[str]:
    """Versions of the source package that the archive's suites hold, newest first."""
    shown = _apt_output("apt-cache", "showsrc", package)
    versions = set(re.findall(r"^Version: (\S+)$", shown, re.MULTILINE))
    if not versions:
        raise SetupError(f"Debian's archive has no source package {package}")
    return sorted(versions, key=lambda v: [int(n) for n in re.findall(r"\d+", v)], reverse=True)


def debian_source(package: str, version: str | None = None) -> list[Path]:
    """Upstream tarballs of a Debian source package (the newest version unless given), verified by apt."""
    version = version or debian_versions(package)[0]
    directory = CACHE / "debian" / f"{package}_{version}"
    if not directory.is_dir():
        say(f"fetching the source package {package} {version}")
        _fetch(directory, "source", "--download-only", "--tar-only", f"{package}={version}")
    return sorted(directory.glob("*.orig*.tar.*"))


def debian_binary(package: str, version: str) -> Path:
    """Folder with the unpacked contents of an architecture-independent Debian package (such as the -source ones)."""
    directory = CACHE / "debian" / f"{package}_{version}"
    if not directory.is_dir():
        say(f"fetching the package {package} {version}")
        _fetch(directory, "download", f"{package}={version}", then=_extract_deb)
    return directory


def _extract_deb(directory: Path) -> None:
    for deb in directory.glob("*.deb"):
        run(["dpkg-deb", "-x", deb, directory])
        deb.unlink()


def _fetch(directory: Path, *command: str, then=lambda directory: None) -> None:
    """Run an apt-get `command` that downloads into the current folder, in a fresh one that is renamed at the end."""
    partial = directory.with_name(f".{directory.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    run(["apt-get", *_isolated_apt(), *command], cwd=partial)
    then(partial)
    partial.rename(directory)


def _apt_output(*command: str) -> str:
    program, *words = command
    return subprocess.run([program, *_isolated_apt(), *words], capture_output=True, text=True).stdout


def _isolated_apt() -> list[str]:
    """Options that make apt use its own sources list and state below the cache; lists are fetched the first time."""
    home = CACHE / "apt"
    options = [
        f"-oDir::Etc::SourceList={home}/sources.list",
        "-oDir::Etc::SourceParts=/dev/null",
        f"-oDir::State::Lists={home}/lists",
        f"-oDir::State::Status={home}/status",
        f"-oDir::Cache={home}/cache",
        "-oAPT::Sandbox::User=",
        f"-oAcquire::http::ConnectTimeout={CONNECT_SECONDS}",
        f"-oAcquire::https::ConnectTimeout={CONNECT_SECONDS}",
        "-oAcquire::Languages=none",
    ]
    if not (home / "ready").is_file():
        apt.need("source-packages", "debian-keyring", "certificates")
        for part in ("lists/partial", "cache/archives/partial"):
            (home / part).mkdir(parents=True, exist_ok=True)
        (home / "status").touch()
        lines = [
            f"{kind} [signed-by={KEYRING}] {_mirror()} {suite} main\n"
            for suite in SUITES
            for kind in ("deb", "deb-src")
        ]
        (home / "sources.list").write_text("".join(lines))
        say(f"reading the package lists of {' and '.join(SUITES)} from {_mirror()}")
        run(["apt-get", *options, "-q", "update", "--error-on=any"])
        (home / "ready").touch()
    return options


def _mirror() -> str:
    """The Debian mirror that this machine itself uses, else the public one."""
    with open("/etc/os-release") as file:
        release = dict(re.findall(r'^(\w+)="?(.*?)"?$', file.read(), re.MULTILINE))
    if release.get("ID") == "debian":
        asked = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
        for line in subprocess.run(asked, capture_output=True, text=True).stdout.splitlines():
            uri, *place = line.split()
            if place == [release.get("VERSION_CODENAME"), "main"]:
                return uri.rstrip("/")
    return "http://deb.debian.org/debian"
