"""Servers of one run: started in a temporary folder on free loopback ports, ended by their process ids whatever happens."""

import ctypes
import json
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
# `weir dev` gives its nodes 10 s and then kills them: whoever kills it before leaves that to chance.
STOP_BOUND_S = 20
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
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent,
            )
        self.processes.append(process)
        return process

    @property
    def pids(self):
        return [process.pid for process in self.processes]

    def wait_for(self, what, ready, bound_s=READY_BOUND_S, every_s=0.05):
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
            time.sleep(every_s)
        raise NotReady(f"{what}: not ready\n{self.logs()}")

    def json_of(self, what, command, env, bound_s):
        """What `command`, run to its end beside the servers, prints."""
        words = [str(word) for word in command]
        try:
            done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=bound_s, check=False)
        except subprocess.TimeoutExpired as error:
            raise NotReady(f"{what}: no end within {bound_s:g} s\n{self.logs()}") from error
        if done.returncode != 0:
            raise NotReady(f"{what}: {done.stderr}\n{self.logs()}")
        return json.loads(done.stdout)

    def logs(self):
        return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-600:]}" for path in self.folder.glob("*.log"))

    def end(self, processes):
        """By SIGTERM, and by SIGKILL who does not hear it."""
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        end = time.monotonic() + STOP_BOUND_S
        for process in processes:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = [process for process in self.processes if process not in processes]

    def stop(self):
        self.end(self.processes)
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
