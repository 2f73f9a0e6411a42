"""The peers as Debian packages them, unpacked into a folder of their own. Nothing is installed: no service of Debian's
starts, now or at the next boot, and nobody needs to be root. Names: the group [compare] of .ci/packages.txt."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


class Missing(Exception):
    pass


def names(text, group="compare"):
    wanted, inside = [], False
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            inside = line == f"[{group}]"
        elif inside and line and not line.startswith("#"):
            wanted.append(line)
    return wanted


def unpack(folder):
    """Downloads and unpacks what is not there yet; where `usr` is."""
    wanted = names((ROOT / ".ci" / "packages.txt").read_text())
    done = folder / "done"
    if done.is_file() and done.read_text().split() == wanted:
        return folder / "root"
    archives = folder / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    got = subprocess.run(["apt-get", "download", "-qq", *wanted], cwd=archives, capture_output=True, text=True, check=False)
    if got.returncode != 0:
        raise Missing(f"apt-get download failed; `apt-get update` may help:\n{got.stderr}")
    for archive in sorted(archives.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", archive, folder / "root"], check=True)
    done.write_text("\n".join(wanted))
    return folder / "root"


def program(root, name):
    for place in ("usr/sbin", "usr/bin"):
        if (root / place / name).exists():
            return str(root / place / name)
    raise Missing(f"{name} is in none of the packages")


def only(root, pattern):
    """The one path that `pattern` stands for: versions are the packages' matter."""
    found = sorted(root.glob(pattern))
    if len(found) != 1:
        raise Missing(f"{len(found)} paths are called {pattern} in {root}; remove {root.parent} to unpack it anew")
    return found[0]


def environment(root):
    folders = [str(path) for path in root.glob("usr/lib/*-linux-gnu")]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(folders)}
