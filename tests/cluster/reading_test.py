#!/usr/bin/env python3
"""Every way of reading, on every node; cursors that go on elsewhere (FAULTS 66, 68, 69)."""

import threading
import unittest

from broker_client import BrokerClient, Stream, payload
from cluster import Cluster, wait_until
from websocket_client import WebSocket

EVENTS = 60


class Reading(unittest.TestCase):
    """One cluster for all: each test has topics of its own."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(3))

    def fill(self, topic, count=EVENTS, first=0):
        events = [{"id": f"{topic}-{n}", "data": {"n": n}} for n in range(first, first + count)]
        answer = self.cluster.follower().client.publish_lines(topic, events)
        self.assertEqual(answer.status, 201, repr(answer))
        self.cluster.wait_for_position(answer.json()["results"][-1]["position"])
        return answer.json()

    def numbers(self, events):
        return [event["data"]["n"] for event in events]

    def test_a_cursor_goes_on_at_another_node_over_another_transport(self):
        self.fill("cursor/a", 30)
        one, two, three = self.cluster
        with Stream(one.http_port, "/v1/events/cursor/*?from=earliest", sse=True) as stream:
            self.assertEqual(self.numbers(stream.take(10)), list(range(10)))
            cursor = stream.last_id
        with WebSocket(two.http_port) as ws:
            ws.send_json({"op": "sub", "sid": 4, "topic": "cursor/**", "from": f"after:{cursor}"})
            events = ws.events(10)
            self.assertEqual(self.numbers(events), list(range(10, 20)))
            self.assertEqual({event["sid"] for event in events}, {4})
            cursor = events[-1]["cursor"]
        page = three.client.pull("cursor/a", f"after:{cursor}", 5)
        self.assertEqual(self.numbers(page.lines()), list(range(20, 25)))
        cursor = page.headers["weir-cursor"]
        with Stream(one.http_port, f"/v1/events/cursor/a?from=after:{cursor}&follow=1") as stream:
            self.assertEqual(self.numbers(stream.take(5)), list(range(25, 30)))

    def test_last_event_id_is_the_same_as_after(self):
        self.fill("browser", 10)
        one, two, _ = self.cluster
        with Stream(one.http_port, "/v1/events/browser?from=earliest", sse=True) as stream:
            stream.take(4)
            cursor = stream.last_id
        with Stream(two.http_port, "/v1/events/browser?from=earliest", True, {"Last-Event-ID": cursor}) as stream:
            self.assertEqual(self.numbers(stream.take(6)), list(range(4, 10)))

    def test_a_cursor_of_another_life_is_refused(self):
        self.fill("life", 1)
        for broker in self.cluster:
            answer = broker.client.pull("life", "after:ezzzzzzzz.1")
            self.assertEqual((answer.status, answer.json()["type"]), (410, "urn:weir:problem:epoch-changed"))

    def test_long_poll_waits_for_the_next_event_on_every_node(self):
        self.fill("poll", 3)
        for number, broker in enumerate(self.cluster):
            answers = []
            client = BrokerClient(broker.http_port)
            thread = threading.Thread(
                target=lambda: answers.append(client.get(f"/v1/events/poll?from={3 + number}&wait=20s"))
            )
            thread.start()
            self.fill("poll", 1, 3 + number)
            thread.join(30)
            client.close()
            self.assertEqual((answers[0].status, self.numbers(answers[0].lines())), (200, [3 + number]))
        answer = self.cluster.brokers[0].client.get("/v1/events/poll?from=6&wait=100ms")
        self.assertEqual((answer.status, answer.body), (204, b""))

    def test_no_gap_and_no_double_at_the_seam_between_old_and_new(self):  # FAULTS 69
        self.fill("seam", 500)
        stop = threading.Event()
        leader = BrokerClient(self.cluster.wait_for_leader().http_port)
        published = [500]

        def publish():
            while not stop.is_set():
                assert leader.publish("seam", f'{{"n":{published[0]}}}', content_type="application/json").status == 201
                published[0] += 1

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            for broker in self.cluster:
                for round_number in range(3):
                    begin = published[0]
                    with Stream(broker.http_port, "/v1/events/seam?from=earliest", sse=True) as stream:
                        self.assertEqual(self.numbers(stream.take(begin + 20)), list(range(begin + 20)))
                    with WebSocket(broker.http_port, "/v1/events/seam?from=earliest") as ws:
                        self.assertEqual(self.numbers(ws.events(begin + 20)), list(range(begin + 20)))
        finally:
            stop.set()
            thread.join(30)
            leader.close()

    def test_every_node_streams_the_same_order_over_all_topics(self):
        for number in range(10):
            self.fill(f"order/{number % 3}", 5, number * 5)
        orders = []
        for broker in self.cluster:
            with Stream(broker.http_port, "/v1/events/order/**?from=earliest", sse=True) as stream:
                orders.append([(event["topic"], event["offset"], event["position"]) for event in stream.take(50)])
        self.assertEqual(orders[0], orders[1])
        self.assertEqual(orders[0], orders[2])
        positions = [position for _, _, position in orders[0]]
        self.assertEqual(positions, sorted(set(positions)))

    def test_where_reading_starts(self):  # FAULTS 68
        self.fill("from", 20)
        client = self.cluster.follower().client
        for start, expected in (
            ("earliest", list(range(20))),
            ("0", list(range(20))),
            ("7", list(range(7, 20))),
            ("19", [19]),
            ("-5", list(range(15, 20))),
            ("-100", list(range(20))),
            ("1h", list(range(20))),
            ("2020-01-01T00:00:00Z", list(range(20))),
        ):
            answer = client.pull("from", start)
            self.assertEqual((answer.status, self.numbers(answer.lines())), (200, expected), f"from={start}")
        for start in ("20", "1000", "latest", "2999-01-01T00:00:00Z"):
            answer = client.pull("from", start)
            self.assertEqual((answer.status, answer.body), (200, b""), f"from={start}")
        for start in ("-0x1", "x", "9007199254740993", "18446744073709551616", "1.5", "after:", "after:x", ""):
            answer = client.pull("from", start)
            self.assertEqual((answer.status, answer.json()["type"]), (400, "urn:weir:problem:bad-request"), start)
        self.assertEqual(client.pull("nowhere").status, 404)
        page = client.get("/v1/events/from?from=18&limit=1&", headers={"Accept": "application/json"}).json()
        self.assertEqual((self.numbers(page["events"]), page["next"], page["up_to_date"]), ([18], 19, False))

    def test_a_stream_waits_for_a_topic_that_is_not_there_yet(self):
        one, two, _ = self.cluster
        with Stream(one.http_port, "/v1/events/born/later?from=latest&follow=1") as stream:
            with WebSocket(two.http_port) as ws:
                ws.send_json({"op": "sub", "sid": 1, "topic": "born/+", "from": "latest"})
                self.assertEqual(ws.next_op("subscribed")["sid"], 1)
                self.fill("born/later", 3)
                self.assertEqual(self.numbers(ws.events(3)), [0, 1, 2])
            self.assertEqual(self.numbers(stream.take(3)), [0, 1, 2])

    def test_caught_up_is_said(self):
        self.fill("caught", 5)
        broker = self.cluster.follower()
        with Stream(broker.http_port, "/v1/events/caught?from=earliest", sse=True) as stream:
            self.assertEqual(self.numbers(stream.until_control("caught-up")), [0, 1, 2, 3, 4])
        with Stream(broker.http_port, "/v1/events/caught?from=earliest&follow=1") as stream:
            self.assertEqual(self.numbers(stream.until_control("caught-up")), [0, 1, 2, 3, 4])

    def test_read_your_own_write_on_another_node(self):
        for number in range(20):
            written = self.cluster.wait_for_leader().client.publish("own", f"{number}", f"own-{number}").json()
            for broker in self.cluster:
                page = broker.client.pull("own", "-1", min_position=written["position"], wait="5s")
                self.assertEqual([event["offset"] for event in page.lines()], [written["offset"]], broker.name)
                page = broker.client.pull("own", "-1", consistency="linear")
                self.assertEqual([event["offset"] for event in page.lines()], [written["offset"]], broker.name)

    def test_payloads_come_back_as_they_went_in(self):  # FAULTS 74 in part
        client = self.cluster.follower().client
        bodies = [b"", b"\x00\xff", "grüße".encode(), b'{"a": 1,\n "b": [ ]}', b"line\nline\r\n", bytes(range(256))]
        for number, body in enumerate(bodies):
            answer = client.publish("exact", body, f"x-{number}", content_type="application/octet-stream")
            self.assertEqual(answer.status, 201, repr(answer))
        self.cluster.wait_for_position(answer.json()["position"])
        for broker in self.cluster:
            self.assertEqual([payload(event) for event in broker.client.events("exact", data="base64")], bodies)
            for number, body in enumerate(bodies):
                exact = broker.client.get(
                    f"/v1/events/exact?from={number}&limit=1", headers={"Accept": "application/octet-stream"}
                )
                self.assertEqual((exact.status, exact.body), (200, body))

    def test_reading_prints_what_publishing_takes(self):
        self.fill("copy/from", 25)
        client = self.cluster.follower().client
        lines = client.read_all("copy/from")
        for expected in ((201, 25), (200, 0)):
            headers = {"Content-Type": "application/x-ndjson"}
            answer = client.request("POST", "/v1/events/copy/to", lines, headers)
            self.assertEqual((answer.status, answer.json()["stored"]), expected)
        self.assertEqual(self.numbers(client.events("copy/to")), list(range(25)))

    def test_websocket_publishes_subscribes_and_is_paced_by_credit(self):
        broker = self.cluster.follower()
        with WebSocket(broker.http_port) as ws:
            for rid in range(5):
                ws.send_json({"op": "pub", "rid": rid, "topic": "ws", "id": f"w-{rid}", "data": {"n": rid}})
            acks = sorted((ws.next_op("ack") for _ in range(5)), key=lambda ack: ack["rid"])
            self.assertEqual([ack["duplicate"] for ack in acks], [False] * 5)
            self.assertEqual(sorted(ack["offset"] for ack in acks), list(range(5)))
            ws.send_json({"op": "pub", "rid": 9, "topic": "ws", "id": "w-3", "data": {"n": 3}})
            again = ws.next_op("ack")
            self.assertEqual((again["rid"], again["duplicate"], again["offset"]), (9, True, acks[3]["offset"]))
            ws.send_json({"op": "sub", "sid": 2, "topic": "ws", "from": "earliest", "credit": 2})
            self.assertEqual(len(ws.events(2)), 2)
            ws.send_json({"op": "pub", "rid": 10, "topic": "elsewhere", "data": 1})
            self.assertEqual(ws.next_json()["op"], "ack", "without credit no event is sent")
            ws.send_json({"op": "credit", "sid": 2, "n": 3})
            self.assertEqual(len(ws.events(3)), 3)
            ws.send_json({"op": "unsub", "sid": 2})

    def test_the_raft_log_is_the_same_on_every_node(self):
        self.fill("log", 3)
        leader = self.cluster.wait_for_leader()
        commit = leader.status()["commit_index"]
        wait_until(
            lambda: all(broker.status()["commit_index"] >= commit for broker in self.cluster), 10, "one commit index"
        )
        outlines = [
            [(entry["index"], entry["term"], entry["command"]) for entry in self.log_entries(broker, commit)]
            for broker in self.cluster
        ]
        self.assertEqual([index for index, _, _ in outlines[0]], list(range(1, commit + 1)))
        self.assertEqual(outlines[0], outlines[1])
        self.assertEqual(outlines[0], outlines[2])
        self.assertEqual(outlines[0][0][2], "CONFIG")

    def log_entries(self, broker, last):
        entries = broker.client.get(f"/v1/raft/log?from=1&limit={last}").json()["entries"]
        return [entry for entry in entries if entry["index"] <= last]


if __name__ == "__main__":
    unittest.main(verbosity=2)
