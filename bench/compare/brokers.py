"""What is compared: how each broker is started, found ready and driven. One class, one kind of broker."""

import json
import os
import socket
import urllib.request

from packages import environment, program
from processes import LOOPBACK, NotReady, free_ports

NODES = 3
STREAM = "BENCH"


class Broker:
    env = None  # of what drives it
    recognised = None  # duplicates, once they were tried
    tenth = "0.1"  # how --dup is told a tenth

    @property
    def setting_one(self):
        """With one event outstanding."""
        return self.setting


class Weir(Broker):
    """Brokers as `weir dev` starts them. Its own bench counts the processor time of all."""

    peer = "weir"
    name = "weir"
    on_disk = "yes: disks of a majority"
    dedup = "every id that is stored"
    tenth = "10%"

    def __init__(self, setting, binary, arguments, environment=None, nodes=NODES):
        self.nodes = nodes
        self.environment = environment or {}
        self.setting = setting
        self.binary = str(binary)
        self.arguments = arguments

    @property
    def setting_one(self):
        return self.setting.replace("batches of 100", "one event per message")

    def start(self, servers):
        env = {key: value for key, value in os.environ.items() if key != "WEIR_SERVER"}
        self.env = {**env, **self.environment, "XDG_RUNTIME_DIR": str(servers.folder), "TMPDIR": str(servers.folder)}
        command = [self.binary, "dev", "--nodes", str(self.nodes), "--port", "0", "--raft-port", "0"]
        servers.start("dev", command, self.env)
        log = servers.folder / "dev.log"
        servers.wait_for(self.name, lambda: "\nconsole " in "\n" + log.read_text())

    def command(self, _, in_flight):
        words = list(self.arguments)
        if in_flight == 1 and "--batch" in words:
            words[words.index("--batch") + 1] = "1"
        return [self.binary, "bench", "pub", "--json", "--in-flight", str(in_flight), *words]


class Peer(Broker):
    """Driven by weir_peers. `server` is the node that leads, once started."""

    def __init__(self, generator, root):
        self.generator = str(generator)
        self.root = root
        self.server = None

    def command(self, servers, in_flight):
        pids = ",".join(map(str, servers.pids))
        return [
            self.generator, "--peer", self.peer, "--server", self.server, "--pids", pids, "--topic", "bench",
            "--in-flight", str(in_flight),
        ]


class Nats(Peer):
    peer = "nats"
    name = "NATS JetStream"
    setting = "R3, file storage, default flushing"
    on_disk = "no: flushed by a timer (2 minutes)"
    dedup = "2 minutes"

    def start(self, servers):
        ports = free_ports(2 * NODES)
        clients, routes = ports[:NODES], ports[NODES:]
        for number, (client, route) in enumerate(zip(clients, routes)):
            config = {
                "listen": f"{LOOPBACK}:{client}",
                "server_name": f"n{number}",
                "jetstream": {"store_dir": str(servers.folder / f"n{number}")},
                "cluster": {
                    "name": "bench",
                    "listen": f"{LOOPBACK}:{route}",
                    "routes": [f"nats://{LOOPBACK}:{other}" for other in routes],
                },
            }
            path = servers.folder / f"n{number}.conf"
            path.write_text(json.dumps(config))
            servers.start(f"n{number}", [program(self.root, "nats-server"), "-c", path], environment(self.root))
        stream = {
            "name": STREAM, "subjects": ["bench"], "num_replicas": NODES, "storage": "file",
            "retention": "limits", "duplicate_window": 120 * 10**9,
        }
        servers.wait_for(self.name, lambda: jetstream(clients[0], f"STREAM.CREATE.{STREAM}", stream).get("config"))
        leader = servers.wait_for(self.name, lambda: nats_leader(clients[0]))
        self.server = f"{LOOPBACK}:{clients[int(leader[1:])]}"


def jetstream(port, call, body):
    """One call of the JetStream API; what it answers, empty when nobody does."""
    payload = json.dumps(body) if body else ""
    with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
        connection.settimeout(5)
        text = f"CONNECT {{\"verbose\":false}}\r\nSUB _INBOX.c 1\r\nPUB $JS.API.{call} _INBOX.c {len(payload)}\r\n{payload}\r\n"
        connection.sendall(text.encode())
        stream = connection.makefile("rb")
        while line := stream.readline():
            if line.startswith(b"MSG "):
                return json.loads(stream.read(int(line.split()[-1])))
            if line.startswith(b"-ERR"):
                raise ValueError(line.decode())
    return {}


def nats_leader(port):
    cluster = jetstream(port, f"STREAM.INFO.{STREAM}", None).get("cluster", {})
    replicas = cluster.get("replicas", [])
    ready = len(replicas) == NODES - 1 and all(one.get("current") for one in replicas)
    return cluster.get("leader") if ready else None


class Redis(Peer):
    peer = "redis"

    def __init__(self, generator, root, appendfsync):
        super().__init__(generator, root)
        self.appendfsync = appendfsync
        self.name = "Redis Streams, one node"
        self.setting = f"appendfsync {appendfsync}"
        self.on_disk = "yes: the one disk" if appendfsync == "always" else "no: flushed every second"
        self.dedup = "2 minutes (Lua: SET NX EX, XADD)"

    def start(self, servers):
        (port,) = free_ports(1)
        command = [
            program(self.root, "redis-server"), "--bind", LOOPBACK, "--port", str(port), "--dir", str(servers.folder),
            "--appendonly", "yes", "--appendfsync", self.appendfsync, "--save", "", "--daemonize", "no",
        ]
        servers.start("redis", command, environment(self.root))
        servers.wait_for(self.name, lambda: redis_answers(port))
        self.server = f"{LOOPBACK}:{port}"


def redis_answers(port):
    with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith(b"+PONG")


class Etcd(Peer):
    peer = "etcd"
    name = "etcd"
    setting = "3 members, one key per event"
    on_disk = "yes: disks of a majority"
    dedup = "every id that is stored (create-if-absent)"

    def start(self, servers):
        ports = free_ports(2 * NODES)
        clients = [f"http://{LOOPBACK}:{port}" for port in ports[:NODES]]
        members = [f"http://{LOOPBACK}:{port}" for port in ports[NODES:]]
        cluster = ",".join(f"n{number}={url}" for number, url in enumerate(members))
        for number, (client, member) in enumerate(zip(clients, members)):
            command = [
                program(self.root, "etcd"), "--name", f"n{number}", "--data-dir", str(servers.folder / f"n{number}"),
                "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", member,
                "--initial-advertise-peer-urls", member, "--initial-cluster", cluster,
                "--initial-cluster-state", "new", "--log-level", "error",
            ]
            servers.start(f"n{number}", command, environment(self.root))
        self.server = servers.wait_for(self.name, lambda: etcd_leader(clients)).removeprefix("http://")


def etcd_leader(clients):
    """The leader's address once all members agree on it."""
    asked = [urllib.request.Request(f"{url}/v3/maintenance/status", data=b"{}") for url in clients]
    states = []
    for request in asked:
        with urllib.request.urlopen(request, timeout=5) as answer:
            states.append(json.load(answer))
    leaders = {state.get("leader") for state in states}
    if len(leaders) != 1 or None in leaders:
        return None
    return next(url for url, state in zip(clients, states) if state["header"]["member_id"] == state["leader"])


def brokers(peers, weir, generator, root):
    """weir twice: as its clients are meant to publish, and with one event per message as the peers."""
    rows = [
        Weir("3 nodes, batches of 100 (weir.bin.v1)", weir, ["--protocol", "bin", "--batch", "100"]),
        Weir("3 nodes, one event per message (weir.json.v1)", weir, ["--protocol", "ws"]),
    ]
    known = {
        "nats": lambda: [Nats(generator, root)],
        "redis": lambda: [Redis(generator, root, "always"), Redis(generator, root, "everysec")],
        "etcd": lambda: [Etcd(generator, root)],
    }
    for peer in peers:
        if peer not in known:
            raise NotReady(f"unknown peer '{peer}'; there are {', '.join(known)}")
        rows += known[peer]()
    return rows
