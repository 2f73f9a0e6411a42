"""One broker alone, `weir serve`, which can be ended and started again on the same data; and what it says of itself."""

import http.client
import os
import time

from processes import LOOPBACK, free_ports

POLL_S = 0.005


def rss_anon_bytes(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("RssAnon:"))


def cpu_seconds(pid):
    """User and system, of all its threads so far."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def get(address, path, timeout_s=10):
    """(status, body) of one GET on a connection of its own."""
    connection = http.client.HTTPConnection(*address.split(":"), timeout=timeout_s)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"{path}: {error!r}") from error
    finally:
        connection.close()


def metrics(address):
    """Of /metrics, those without labels."""
    status, body = get(address, "/metrics")
    if status != 200:
        raise OSError(f"/metrics answers {status}")
    lines = [line.split() for line in body.decode().splitlines() if not line.startswith("#")]
    return {line[0]: float(line[1]) for line in lines if len(line) == 2}


class Node:
    def __init__(self, servers, binary, environment=None):
        self.servers = servers
        self.binary = str(binary)
        env = {key: value for key, value in os.environ.items() if key != "WEIR_SERVER"}
        http_port, raft_port = free_ports(2)
        self.address = f"{LOOPBACK}:{http_port}"
        self.raft_address = f"{LOOPBACK}:{raft_port}"
        self.env = {**env, **(environment or {}), "WEIR_SERVER": self.address}
        self.data = servers.folder / "data"
        self.process = None

    def start(self, bound_s=60):
        """Returns when /readyz is 200: after so many seconds."""
        command = [self.binary, "serve", "--data", str(self.data), "--http", self.address, "--raft", self.raft_address]
        began = time.monotonic()
        self.process = self.servers.start("serve", command, self.env)
        self.servers.wait_for("weir serve", lambda: get(self.address, "/readyz")[0] == 200, bound_s, POLL_S)
        return time.monotonic() - began

    def end(self):
        """True: it ended when it was told to, in order; else it had to be killed."""
        process, self.process = self.process, None
        self.servers.end([process])
        return process.returncode == 0

    def rss_anon_bytes(self):
        return rss_anon_bytes(self.process.pid)

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def metrics(self):
        return metrics(self.address)
