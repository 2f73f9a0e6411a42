"""Servers of one run: started in a temporary folder on free loopback ports, ended by their process ids whatever happens."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

LOOPBACK = "127.0.0.1"
READY_BOUND_S = 30
STOP_BOUND_S = 10
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class NotReady(Exception):
    pass


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_ports(count):
    """Held all at once, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Servers:
    def __init__(self, name, parent=None):
        self.folder = Path(tempfile.mkdtemp(prefix=f"weir-compare-{name}-", dir=parent))
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self, name, command, env=None):
        with open(self.folder / f"{name}.log", "wb") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent,
            )
        self.processes.append(process)

    @property
    def pids(self):
        return [process.pid for process in self.processes]

    def wait_for(self, what, ready, bound_s=READY_BOUND_S):
        """The first true value of `ready`, which may fail with OSError while the servers come up."""
        end = time.monotonic() + bound_s
        while time.monotonic() < end:
            if any(process.poll() is not None for process in self.processes):
                break
            try:
                if found := ready():
                    return found
            except (OSError, ValueError):
                pass  # not up yet; the bound decides
            time.sleep(0.05)
        raise NotReady(f"{what}: not ready\n{self.logs()}")

    def logs(self):
        return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-600:]}" for path in self.folder.glob("*.log"))

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        end = time.monotonic() + STOP_BOUND_S
        for process in self.processes:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []
        shutil.rmtree(self.folder, ignore_errors=True)


def is_in_memory(folder, mounts=None):
    """Whether `folder` is on a file system for which a flush means nothing."""
    text = mounts if mounts is not None else Path("/proc/mounts").read_text()
    best = ("", "")
    for line in text.splitlines():
        _, place, kind = line.split()[:3]
        inside = os.path.commonpath([place, str(folder)]) == place
        if inside and len(place) >= len(best[0]):
            best = (place, kind)
    return best[1] in ("tmpfs", "ramfs")
