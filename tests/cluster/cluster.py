"""Real brokers for tests: starts `weir serve` processes on free loopback ports, hurts them, and waits for what should
follow. The binary comes from $WEIR_BINARY. Everything lives in one temporary folder and ends with the `with` block.
"""

import ctypes
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from broker_client import BrokerClient, Unreachable

# Sanitizer builds are slower; CMake says by how much. Bounds are for failing tests: a passing one never waits for them.
TIME_FACTOR = float(os.environ.get("WEIR_TIME_FACTOR", "1"))
LEADER_BOUND_S = 15
# Below Linux's range for outgoing connections, so that no client socket can sit on a port between two starts.
PORTS = range(20_000, 32_000)
LOOPBACK = "127.0.0.1"
BROKEN = re.compile(r"AddressSanitizer|ThreadSanitizer|LeakSanitizer|runtime error:|WEIR_CHECK|terminate called")


def binary():
    path = os.environ.get("WEIR_BINARY", "")
    if not os.access(path, os.X_OK):
        sys.exit("set WEIR_BINARY to the weir binary, e.g. WEIR_BINARY=build/release/weir")
    return os.path.abspath(path)


def wait_until(condition, bound_s, what, every_s=0.005):
    """Polls until `condition()` is truthy and returns that value; fails after bound_s, naming `what`, or what it gives."""
    end = time.monotonic() + bound_s * TIME_FACTOR
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {bound_s * TIME_FACTOR:g} s: {what() if callable(what) else what}")
        time.sleep(every_s)


def free_ports(count, taken=set()):
    """Ports nobody listens on, and none twice in one process."""
    found = []
    while len(found) < count:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        if port not in taken:
            taken.add(port)
            found.append(port)
    return found


def die_with_parent():
    """A test that is itself killed must not leave brokers behind (PR_SET_PDEATHSIG = 1)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Broker:
    """One member: its ports, its data folder, and its process when it runs."""

    def __init__(self, name, folder, peers=""):
        self.name = name
        self.http_port, self.raft_port = free_ports(2)
        self.data = folder / name
        self.log = folder / f"{name}.log"
        self.peers = peers
        self.extra = []
        self.prefix = []  # a command that starts another, and becomes it
        self.process = None
        self.stopped_by_us = True
        self.client = BrokerClient(self.http_port)

    @property
    def raft_address(self):
        return f"{LOOPBACK}:{self.raft_port}"

    @property
    def http_address(self):
        return f"{LOOPBACK}:{self.http_port}"

    def command(self):
        line = [*self.prefix, binary(), "serve", "--data", str(self.data), "--node", self.name]
        line += ["--http", self.http_address, "--raft", self.raft_address, "--peers", self.peers]
        return line + self.extra

    def start(self):
        assert not self.running(), f"{self.name} runs already"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
            )
        self.stopped_by_us = False
        return self

    def running(self):
        return self.process is not None and self.process.poll() is None

    def fell_over(self):
        return not self.stopped_by_us and not self.running()

    def strike(self):
        """kill -9; returns at once."""
        self.stopped_by_us = True
        self.process.kill()

    def kill(self):
        """kill -9, and gone when this returns."""
        self.strike()
        self.process.wait()
        self.client.close()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def terminate(self, bound_s=10):
        """SIGTERM; returns the exit code."""
        self.stopped_by_us = True
        self.process.terminate()
        code = self.process.wait(bound_s * TIME_FACTOR)
        self.client.close()
        return code

    def restart(self):
        if self.running():
            self.kill()
        return self.start()

    def wipe(self):
        shutil.rmtree(self.data)

    def status(self):
        """GET /v1/cluster, or None while it does not answer."""
        try:
            answer = self.client.get("/v1/cluster", timeout=2 * TIME_FACTOR)
        except Unreachable:
            return None
        return answer.json() if answer.status == 200 else None

    def metric(self, name):
        """Of /metrics, without labels."""
        for line in self.client.get("/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return int(float(line.split()[1]))
        raise AssertionError(f"{self.name} shows no {name}")

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Cluster:
    """`with Cluster(3) as cluster:` starts three brokers and waits for a leader."""

    def __init__(self, count=3, start=True):
        self.folder = Path(tempfile.mkdtemp(prefix="weir-test-"))
        self.brokers = [Broker(f"n{number}", self.folder) for number in range(1, count + 1)]
        peers = ",".join(f"{broker.name}={broker.raft_address}" for broker in self.brokers)
        for broker in self.brokers:
            broker.peers = peers
        self.start_now = start

    def __enter__(self):
        if self.start_now:
            try:
                self.start_all()
                self.wait_for_leader()
            except BaseException:
                self.__exit__(*sys.exc_info())
                raise
        return self

    def __exit__(self, kind, value, trace):
        for broker in self.brokers:
            if broker.process is not None:
                broker.thaw() if broker.running() else None
                broker.kill()
        logs = {broker.name: broker.log_text() for broker in self.brokers}
        shutil.rmtree(self.folder, ignore_errors=True)
        broken = [name for name, text in logs.items() if BROKEN.search(text)]
        if kind is not None or broken:
            for name, text in logs.items():
                print(f"--- log of {name}, last lines", *text.splitlines()[-60:], sep="\n", file=sys.stderr)
        if broken and kind is None:
            raise AssertionError(f"the log of {', '.join(broken)} reports a broken invariant")

    def __iter__(self):
        return iter(self.brokers)

    def __getitem__(self, name):
        return next(broker for broker in self.brokers if broker.name == name)

    def new_broker(self, name):
        """One more, not started, that knows the others; it joins `brokers` when the caller says so."""
        broker = Broker(name, self.folder)
        broker.peers = ",".join(f"{known.name}={known.raft_address}" for known in (*self.brokers, broker))
        return broker

    def start_all(self):
        for broker in self.brokers:
            if not broker.running():
                broker.start()

    def running(self):
        return [broker for broker in self.brokers if broker.running()]

    def others(self, *brokers):
        return [broker for broker in self.brokers if broker not in brokers]

    def check_nobody_fell_over(self):
        for broker in self.brokers:
            assert not broker.fell_over(), f"{broker.name} ended by itself with {broker.process.returncode}"

    def agreed_leader(self, among=None):
        """The leader that all of `among` name in one term, if it is one of them and says so itself."""
        among = among or self.running()
        self.check_nobody_fell_over()
        states = [broker.status() for broker in among]
        if not all(states) or len({(state["term"], state["leader"]) for state in states}) != 1:
            return None
        leads = [broker for broker, state in zip(among, states) if state["role"] == "leader"]
        return leads[0] if len(leads) == 1 and leads[0].name == states[0]["leader"] else None

    def wait_for_leader(self, among=None, bound_s=LEADER_BOUND_S):
        return wait_until(lambda: self.agreed_leader(among), bound_s, "one leader that all know")

    def wait_for_position(self, position, among=None, bound_s=60):
        """All of `among` have applied `position`."""

        def reached():
            self.check_nobody_fell_over()
            states = [broker.status() for broker in among or self.running()]
            return all(state and state["position"] >= position for state in states)

        wait_until(reached, bound_s, f"position {position} on every node")

    def follower(self):
        leader = self.wait_for_leader()
        return next(broker for broker in self.running() if broker is not leader)
