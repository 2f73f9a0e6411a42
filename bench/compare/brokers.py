"""What is compared: how each broker is started, found ready and driven. One class, one kind of broker."""

import json
import os
import secrets
import socket
import urllib.request

from packages import environment, only, program
from processes import LOOPBACK, NotReady, free_ports

NODES = 3
STREAM = "BENCH"
RABBIT_READY_BOUND_S = 120  # of one node: much is loaded and set up in it


class Broker:
    env = None  # of what drives it
    recognised = None  # duplicates, once they were tried
    has_ids = True  # False: it knows no duplicates, and takes no part in what is measured with ids
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

    def pids(self, servers):
        """Of the processes whose processor time is counted."""
        return servers.pids

    def command(self, servers, in_flight):
        pids = ",".join(map(str, self.pids(servers)))
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


class Rabbit(Peer):
    """Erlang runs from where it was unpacked: with what the shell scripts `rabbitmq-server` and `erl` would set, which
    know only the paths of an installed one."""

    peer = "rabbitmq"
    name = "RabbitMQ, 3 nodes"
    setting = "quorum queue, confirms"
    on_disk = "yes: disks of a majority"
    dedup = "never: it knows no duplicates"
    has_ids = False

    @property
    def setting_one(self):
        return f"{self.setting}; without ids"

    def pids(self, servers):
        return servers.pids[1:]  # the first only tells the others their ports

    def start(self, servers):
        epmd, *ports = free_ports(1 + 2 * NODES)
        env = self.erlang(servers.folder, epmd)
        cookie = servers.folder / ".erlang.cookie"
        cookie.touch(mode=0o600)
        cookie.write_text(secrets.token_hex())
        servers.start("epmd", [self.erts / "epmd", "-address", LOOPBACK, "-port", str(epmd)], env)
        servers.wait_for(self.name, lambda: accepts(epmd))
        for number, (client, distribution) in enumerate(zip(ports[:NODES], ports[NODES:])):
            self.start_node(servers, env, number, client, distribution)
            # One after the other: the first forms the cluster, and it is where the queue is declared and led.
            servers.wait_for(self.name, lambda: rabbit_joined(servers.folder, number), RABBIT_READY_BOUND_S)
        self.server = f"{LOOPBACK}:{ports[0]}"

    @property
    def erts(self):
        return only(self.root, "usr/lib/erlang/erts-*/bin")

    def erlang(self, folder, epmd):
        """The environment of `erl`. HOME is where the cookie is."""
        return {
            **environment(self.root), "HOME": str(folder), "ROOTDIR": str(self.root / "usr/lib/erlang"),
            "BINDIR": str(self.erts), "EMU": "beam", "PROGNAME": "erl", "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_EPMD_PORT": str(epmd), "ERL_MAX_ETS_TABLES": "50000", "ERL_MAX_PORTS": "65536",
        }

    def start_node(self, servers, env, number, client, distribution):
        folder = servers.folder / f"n{number}"
        folder.mkdir()
        nodes = "".join(f"cluster_formation.classic_config.nodes.{n} = {rabbit_node(n)}\n" for n in range(NODES))
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = {LOOPBACK}:{client}\n"
            f"cluster_formation.peer_discovery_backend = classic_config\n{nodes}"
        )
        plugins = only(self.root, "usr/lib/rabbitmq/lib/rabbitmq_server-*/plugins")
        command = [
            self.erts / "erlexec", "-noinput", "-s", "rabbit", "boot", "-boot", "start_sasl", *RABBIT_ARGUMENTS,
            "-start_epmd", "false", "-kernel", "inet_dist_use_interface", "{127,0,0,1}",
        ]
        # Files that are not there ("none"): those of an installed RabbitMQ are not read.
        servers.start(f"n{number}", command, {
            **env, "ERL_LIBS": str(plugins), "RABBITMQ_NODENAME": rabbit_node(number), "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"), "RABBITMQ_CONFIG_FILES": str(folder / "none" / "*.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "none.config"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none.sh"), "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_PLUGINS_DIR": str(plugins), "RABBITMQ_MNESIA_BASE": str(folder), "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "config"), "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_LOGS": "-",
        })


# What Debian's `rabbitmq-server` gives `erl`.
RABBIT_ARGUMENTS = (
    "+W w +MBas ageffcbf +MHas ageffcbf +MBlmbcs 512 +MHlmbcs 512 +MMmcs 30 +P 1048576 +t 5000000 +stbt db +zdbbl 128000 "
    "+B i +sbwt none +sbwtdcpu none +sbwtdio none -syslog logger [] -syslog syslog_error_logger false "
    "-kernel prevent_overlapping_partitions false"
).split()


def rabbit_node(number):
    return f"rabbit{number + 1}@localhost"


def rabbit_joined(folder, number):
    """Whether the node is up, and the first knows it."""
    up = "Server startup complete" in (folder / f"n{number}.log").read_text(errors="replace")
    return up and (number == 0 or f"rabbit on node {rabbit_node(number)} up" in (folder / "n0.log").read_text(errors="replace"))


def accepts(port):
    with socket.create_connection((LOOPBACK, port), timeout=5):
        return True


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
        "rabbitmq": lambda: [Rabbit(generator, root)],
    }
    for peer in peers:
        if peer not in known:
            raise NotReady(f"unknown peer '{peer}'; there are {', '.join(known)}")
        rows += known[peer]()
    return rows
