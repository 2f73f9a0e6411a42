#!/usr/bin/env python3
"""WebSocket frames against RFC 6455 and messages against the contract (FAULTS 96, 99, 115)."""

import unittest

from broker_client import send_raw, status_of
from cluster import Cluster
from websocket_client import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Closed, WebSocket, frame

PUBLISH = b'{"op":"pub","rid":1,"topic":"never","data":1}'


class BadWebSocket(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(1))
        cls.broker = cls.cluster.brokers[0]
        cls.port = cls.broker.http_port

    def tearDown(self):
        self.assertTrue(self.broker.running(), "the broker died")
        self.assertEqual(self.broker.status()["position"], 0, "something was stored")

    def check_closed(self, data, *codes):
        """The server ends the connection, with one of these codes if it says one."""
        with WebSocket(self.port) as ws:
            self.assertEqual(ws.status, 101, ws.head)
            try:
                ws.send_bytes(data)
            except ConnectionError:
                pass
            self.assertIn(ws.close_code(), (None, *codes), f"{data[:40]!r}")

    def test_frames_that_break_the_protocol(self):
        for data in (
            frame(TEXT, PUBLISH, mask=False),
            frame(PING, b"", mask=False),
            *(frame(TEXT, PUBLISH, rsv=rsv) for rsv in (1, 2, 4, 7)),
            *(frame(opcode, PUBLISH) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
            frame(PING, b"x", fin=False),
            frame(CLOSE, b"\x03\xe8", fin=False),
            frame(PING, b"x" * 126),
            frame(CONTINUATION, PUBLISH),
            frame(TEXT, PUBLISH[:9], fin=False) + frame(TEXT, PUBLISH[9:]),
            frame(CLOSE, b"\x03"),
            *(frame(CLOSE, code.to_bytes(2, "big")) for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535)),
        ):
            self.check_closed(data, 1002)

    def test_text_that_is_not_utf8(self):
        for text in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b'{"op":"\xc3"}'):
            self.check_closed(frame(TEXT, text), 1007)
        self.check_closed(frame(CLOSE, b"\x03\xe8\xff\xff"), 1002, 1007)

    def test_lengths_beyond_every_limit(self):
        for length in (1 << 63, (1 << 64) - 1, (1 << 63) - 1, 1 << 40, 100 << 20):
            self.check_closed(frame(TEXT, b"x", length=length), 1002, 1009)

    def test_a_message_of_endless_fragments(self):
        data = frame(TEXT, b"x" * 65535, fin=False) + frame(CONTINUATION, b"x" * 65535, fin=False) * 200
        self.check_closed(data, 1009)

    def test_binary_on_a_text_protocol(self):
        self.check_closed(frame(BINARY, b"\0\1\2"), 1002, 1003, 1007, 1008)

    def test_control_frames_between_fragments_are_fine(self):
        with WebSocket(self.port) as ws:
            ws.send_bytes(frame(TEXT, b'{"op":"sub","sid":1,', fin=False) + frame(PING, b"are you there"))
            self.assertEqual(ws.next_frame(), (PONG, b"are you there"))
            ws.send_bytes(frame(CONTINUATION, b'"topic":"later","from":"latest"}'))
            self.assertEqual(ws.next_op("subscribed")["sid"], 1)
            ws.send_bytes(frame(CLOSE, b"\x03\xe8bye"))
            self.assertEqual(ws.close_code(), 1000)

    def test_a_flood_of_pings_from_one_who_never_reads(self):  # FAULTS 99
        with WebSocket(self.port, timeout=2) as ws:
            try:
                for _ in range(200):
                    ws.send_bytes(frame(PING, b"p" * 125) * 500)
            except (TimeoutError, ConnectionError):
                pass
        self.assertEqual(self.broker.client.get("/healthz").status, 200)

    def test_messages_against_the_contract_are_answered_by_an_error(self):
        bad = [
            {"op": "nothing"},
            {"rid": 1},
            {"op": 5},
            {"op": "pub", "rid": 1, "topic": "../x", "data": 1},
            {"op": "pub", "rid": 1, "topic": "a/**", "data": 1},
            {"op": "pub", "rid": 1, "data": 1},
            {"op": "pub", "rid": 1, "topic": "never", "id": "i" * 257, "data": 1},
            {"op": "pub", "rid": "x" * 100_000, "topic": "never", "data": 1},
            {"op": "sub", "sid": 1, "topic": "a//b"},
            {"op": "sub", "sid": 1, "topic": "a", "from": "nonsense"},
            {"op": "sub", "sid": 1, "topic": "a", "credit": -1},
            {"op": "credit", "sid": 77, "n": 1},
            {"op": "unsub", "sid": 77},
        ]
        for message in bad:
            with WebSocket(self.port) as ws:
                ws.send_json(message)
                self.check_error_or_close(ws, message)
        for text in (b"", b"{", b"[]", b"null", b"[" * 100_000, b'{"op":"pub"}{"op":"pub"}', b"\0"):
            with WebSocket(self.port) as ws:
                ws.send_bytes(frame(TEXT, text))
                self.check_error_or_close(ws, text)

    def check_error_or_close(self, ws, message):
        try:
            answer = ws.next_json()
        except Closed as closed:
            self.assertIn(closed.code, (None, 1002, 1003, 1007, 1008, 1009), f"{message!r:.100}")
            return
        self.assertEqual(answer["op"], "error", f"{message!r:.100}: {answer}")
        self.assertIn("urn:weir:problem:", answer["problem"]["type"])

    def test_more_subscriptions_than_a_connection_may_have(self):
        with WebSocket(self.port) as ws:
            for sid in range(65):
                ws.send_json({"op": "sub", "sid": sid, "topic": f"many/{sid}", "from": "latest"})
            ops = []  # answers may overtake each other
            while ops.count("subscribed") + ops.count("error") < 65:
                ops.append(ws.next_json()["op"])
            self.assertEqual((ops.count("subscribed"), ops.count("error")), (64, 1))

    def test_handshakes_that_are_not(self):
        for headers in (
            {"Sec-WebSocket-Key": None},
            {"Sec-WebSocket-Key": "short"},
            {"Sec-WebSocket-Key": "!" * 24},
            {"Sec-WebSocket-Version": "12"},
            {"Sec-WebSocket-Version": None},
            {"Upgrade": "h2c"},
            {"Origin": "http://evil.example"},
            {"Host": "evil.example"},
            {"Host": None},
        ):
            with WebSocket(self.port, headers=headers) as ws:
                self.assertIn(ws.status, (None, 400, 403, 404, 405, 421, 426), f"{headers}: {ws.head}")
        with WebSocket(self.port, "/v1/events/a//b") as ws:
            if ws.status == 101:  # a browser cannot read why a handshake failed
                self.check_error_or_close(ws, "a bad topic in the URL")
            else:
                self.assertEqual(ws.status, 400)
        answer, _ = send_raw(self.port, b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        self.assertIn(status_of(answer), (400, 426))

    def test_half_a_handshake_and_half_a_frame(self):
        send_raw(self.port, b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n", half_close=True)
        whole = frame(TEXT, PUBLISH)
        for cut in range(1, len(whole)):
            with WebSocket(self.port) as ws:
                ws.send_bytes(whole[:cut])


if __name__ == "__main__":
    unittest.main(verbosity=2)
