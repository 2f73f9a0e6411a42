#!/usr/bin/env python3
"""The peer port against everybody who is no peer (FAULTS 86, 87, 88 in part, 89, 98, 109).

A real Hello is learned by posing as the peer of a broker that dials us; then it is cut, bent and sent again, with the
checksum put right, so that what is behind the checksum is reached."""

import ctypes
import ctypes.util
import os
import random
import socket
import struct
import unittest

from broker_client import LOOPBACK, send_raw
from cluster import TIME_FACTOR, Broker, Cluster, free_ports, wait_until

HEADER = struct.Struct("<IBBHIQ")  # length, version, type, flags, group, checksum
FRAME_BYTES_MAX = 16 << 20
HELLO, WELCOME, FOUND, RAFT, FORWARD, FORWARD_REPLY = range(1, 7)


def xxh3(data):
    library = ctypes.CDLL(ctypes.util.find_library("xxhash"))
    library.XXH3_64bits.restype = ctypes.c_uint64
    library.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    return library.XXH3_64bits(data, len(data))


def frame(kind, payload, version=1, flags=0, group=0, length=None, checksum=None):
    length = len(payload) if length is None else length
    start = HEADER.pack(length, version, kind, flags, group, 0)[:12]
    return start + struct.pack("<Q", xxh3(start + payload) if checksum is None else checksum) + payload


def receive_exactly(connection, count):
    data = b""
    while len(data) < count:
        chunk = connection.recv(count - len(data))
        if not chunk:
            raise AssertionError(f"the dialling broker closed after {len(data)} of {count} bytes")
        data += chunk
    return data


def learn_hello(cluster, name):
    """What the member `name` says first, from a fresh broker started under that name with ourselves as its peers."""
    port, *nobody = free_ports(len(cluster.brokers))
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen()
        listener.settimeout(20 * TIME_FACTOR)
        double = Broker(name, cluster.folder / "double")
        double.data.parent.mkdir(exist_ok=True)
        others = [b.name for b in cluster if b.name != name]
        addresses = {other: f"{LOOPBACK}:{at}" for other, at in zip(others, [port, *nobody])}
        addresses[name] = double.raft_address
        double.peers = ",".join(f"{node}={address}" for node, address in addresses.items())
        double.start()
        try:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(20 * TIME_FACTOR)
                header = receive_exactly(connection, HEADER.size)
                length, version, kind, _, _, checksum = HEADER.unpack(header)
                payload = receive_exactly(connection, length)
        finally:
            double.kill()
    assert (version, kind, checksum) == (1, HELLO, xxh3(header[:12] + payload)), "the frame's format has changed"
    return payload


class BadPeer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(3))
        cls.target = cls.cluster.follower()
        cls.hello = learn_hello(cls.cluster, "n1" if cls.target.name != "n1" else "n2")
        cls.pids = [broker.process.pid for broker in cls.cluster]

    def setUp(self):
        self.cluster.wait_for_leader()
        self.before = self.state()

    def tearDown(self):
        for broker, pid in zip(self.cluster, self.pids):
            self.assertTrue(broker.running() and broker.process.pid == pid, f"{broker.name} died")
        # A busy machine may cost an election of its own, which is worth one term and one NOOP.
        term, position, commit_index = self.state()
        self.assertEqual(position, self.before[1], "something was stored")
        self.assertLess(term - self.before[0], 10, "a stranger's term was adopted")
        self.assertLessEqual(commit_index - self.before[2], term - self.before[0], "something was stored")

    def state(self):
        status = self.target.status()
        return status["term"], status["position"], status["commit_index"]

    def check_closed(self, data, what):
        _, closed = send_raw(self.target.raft_port, data, timeout=15 * TIME_FACTOR)
        self.assertTrue(closed, f"{what}: the connection stays open")

    def test_random_bytes(self):
        dice = random.Random(42)
        for size in (1, 19, 20, 21, 64, 1000, 100_000):
            for _ in range(5):
                send_raw(self.target.raft_port, dice.randbytes(size), timeout=5, half_close=True)
        self.check_closed(dice.randbytes(4096), "random bytes")

    def test_announced_lengths(self):  # FAULTS 86, 98
        before = self.memory_kib()
        for length in (FRAME_BYTES_MAX + 1, 1 << 31, (1 << 32) - 1, 65 << 10):
            self.check_closed(frame(HELLO, b"x" * 32, length=length), f"a hello of {length} bytes")
        self.check_closed(frame(HELLO, b""), "an empty hello")
        self.assertLess(self.memory_kib() - before, 64 << 10, "memory follows what strangers announce")

    def memory_kib(self):
        with open(f"/proc/{self.target.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))

    def test_headers_that_are_wrong(self):
        for what, data in {
            "version 0": frame(HELLO, self.hello, version=0),
            "version 99": frame(HELLO, self.hello, version=99),
            "unknown type": frame(99, self.hello),
            "wrong checksum": frame(HELLO, self.hello, checksum=1),
            "another port's protocol": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        }.items():
            self.check_closed(data, what)

    def test_nothing_but_a_hello_is_read_first(self):  # FAULTS 89
        for kind in (WELCOME, FOUND, RAFT, FORWARD, FORWARD_REPLY):
            self.check_closed(frame(kind, self.hello), f"frame type {kind} before the handshake")
            self.check_closed(frame(kind, b"\0" * 64), f"frame type {kind} before the handshake")

    def test_a_member_of_another_life_is_refused(self):  # FAULTS 24
        """The Hello is real in every byte, but its incarnation is not the one the cluster knows."""
        self.check_closed(frame(HELLO, self.hello) + frame(RAFT, b"\0" * 64), "a stranger under a member's name")

    def test_a_hello_cut_at_every_byte(self):  # FAULTS 87
        for cut in range(len(self.hello)):
            send_raw(self.target.raft_port, frame(HELLO, self.hello[:cut]), timeout=5, half_close=True)

    def test_a_hello_with_every_byte_bent(self):  # FAULTS 87
        for place in range(len(self.hello)):
            for value in (0x00, 0x7F, 0x80, 0xFF):
                bent = self.hello[:place] + bytes([value]) + self.hello[place + 1 :]
                send_raw(self.target.raft_port, frame(HELLO, bent), timeout=5, half_close=True)

    def test_flatbuffers_that_lie(self):  # FAULTS 87
        dice = random.Random(7)
        for _ in range(200):
            bent = bytearray(self.hello)
            for _ in range(dice.randint(1, 8)):
                place = dice.randrange(len(bent) - 4)
                bent[place : place + 4] = struct.pack("<I", dice.choice((0, 1, 4, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)))
            send_raw(self.target.raft_port, frame(HELLO, bytes(bent)), timeout=5, half_close=True)

    def test_a_silent_connection_is_closed(self):  # FAULTS 93 in part
        with socket.create_connection((LOOPBACK, self.target.raft_port), timeout=20 * TIME_FACTOR) as silent:
            self.assertEqual(silent.recv(1), b"", "a stranger who says nothing is hung up on")

    def test_many_strangers_leave_the_members_connected(self):
        strangers = [socket.create_connection((LOOPBACK, self.target.raft_port)) for _ in range(200)]
        try:
            answer = self.target.client.publish("strangers", "x", os.urandom(8).hex())
            self.assertIn(answer.status, (200, 201), repr(answer))  # 200: its first try had been stored
        finally:
            for stranger in strangers:
                stranger.close()
        wait_until(lambda: self.state()[1] == self.before[1] + 1, 10, "the publish is applied here too")
        self.before = self.state()


if __name__ == "__main__":
    unittest.main(verbosity=2)
