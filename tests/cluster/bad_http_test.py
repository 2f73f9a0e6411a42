#!/usr/bin/env python3
"""Requests that are wrong, cut short, too large or meant to confuse: a clear answer or a closed connection, nothing
stored, the process alive (FAULTS 74, 90, 91, 92, 94, 95, 100, 102, 115)."""

import json
import socket
import unittest

from broker_client import LOOPBACK, send_raw, status_of
from cluster import Cluster

MIB = 1 << 20
EVENT_MAX = MIB
EVENTS_IN_BATCH_MAX = 65_536
HOST = b"Host: localhost\r\n"
NDJSON = {"Content-Type": "application/x-ndjson"}


class BadHttp(unittest.TestCase):
    """One broker for all; tearDown looks whether it lives and what it holds."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(1))
        cls.broker = cls.cluster.brokers[0]
        cls.client = cls.broker.client
        cls.port = cls.broker.http_port
        cls.pid = cls.broker.process.pid

    def setUp(self):
        self.position = self.broker.status()["position"]
        self.stored = 0

    def tearDown(self):
        self.assertTrue(self.broker.running(), "the broker died")
        self.assertEqual(self.broker.process.pid, self.pid)
        self.assertEqual(self.broker.status()["position"], self.position + self.stored, "something was stored")

    def check_problem(self, answer, *statuses):
        self.assertIn(answer.status, statuses, repr(answer))
        self.assertEqual(answer.headers.get("content-type"), "application/problem+json", repr(answer))
        problem = answer.json()
        self.assertEqual(problem["status"], answer.status)
        self.assertTrue(problem["type"].startswith("urn:weir:problem:"), problem)
        self.assertTrue(problem["title"] and problem["detail"], problem)
        return problem

    def check_raw(self, data, *statuses):
        """One of these statuses, or hung up without a word; in any case closed."""
        answer, closed = send_raw(self.port, data)
        self.assertTrue(closed, f"{data[:80]!r}: still open after {answer[:200]!r}")
        if answer:
            self.assertIn(status_of(answer), statuses, f"{data[:80]!r}: {answer[:300]!r}")
            self.assertEqual(answer.count(b"HTTP/1.1 "), 1, f"{data[:80]!r}: a second answer: {answer!r}")
        return answer

    def test_unknown_routes_and_methods(self):
        for path in ("/nothing", "/v1", "/v1/", "/v2/events/a", "/v1/event/a", "/v1/events/../cluster", "/v1/cluster/x"):
            self.check_problem(self.client.get(path), 400, 404)
        for method, path in (("DELETE", "/v1/cluster"), ("PUT", "/v1/events/a"), ("PATCH", "/healthz")):
            answer = self.client.request(method, path, b"x")
            self.check_problem(answer, 405)
            self.assertIn("allow", answer.headers)

    def test_topic_names(self):  # FAULTS 94
        bad = ["..", ".", "a/..", "a/./b", "%2e%2e", "a%2f%2e%2e", "a%2fb%00", "%00", "a%0d%0aX-Evil:%201", "%ff", "%c0%af"]
        bad += ["a//b", "a/", "x" * 65, "a%", "a%2", "a%zz", "a%20b", "*", "a/**", "a/+", "a/%23", "a;b", "a\\b", "a:b"]
        bad += ["/".join("a" * 17), "/".join(["x" * 60] * 5), "y" * 3000, "$sys/x", "%24sys", "%c3%a9"]
        for name in bad:
            answer = self.client.request("POST", f"/v1/events/{name}", b"x", {"Content-Type": "text/plain"})
            self.check_problem(answer, 400, 403, 404, 414)
            self.assertNotIn("x-evil", answer.headers, name)
        self.check_problem(self.client.request("POST", "/v1/events/", b"x"), 400, 404)
        self.check_problem(self.client.request("POST", "/v1/events", b"x"), 400, 404, 405)
        good = ["a", "A.b_c~d-e", "/".join("a" * 16), "x" * 64, "/".join(["x" * 63] * 4)[:255], "%61%62"]
        for name in good:
            answer = self.client.publish(name, "x")
            self.assertEqual(answer.status, 201, f"{name}: {answer!r}")
            self.stored += 1

    def test_bodies_at_and_over_their_limits(self):  # FAULTS 74
        self.assertEqual(self.client.publish("limits", b"").status, 201)
        self.assertEqual(self.client.publish("limits", b"x" * EVENT_MAX).status, 201)
        self.stored = 2
        self.check_problem(self.client.publish("limits", b"x" * (EVENT_MAX + 1)), 413)
        lines = b'{"data":1}\n' * (EVENTS_IN_BATCH_MAX + 1)
        self.check_problem(self.client.request("POST", "/v1/events/limits", lines, NDJSON), 413)
        self.check_problem(self.client.publish("limits", "x", "i" * 257), 400)
        self.assertEqual(self.client.publish("limits", "x", "i" * 256).status, 201)
        self.stored = 3

    def test_huge_bodies_are_refused_before_they_are_sent(self):  # FAULTS 91
        for length in (100 * MIB, 10 << 30, (1 << 63) - 1):
            head = b"POST /v1/events/huge HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % length
            answer, closed = send_raw(self.port, head + b"x" * 1000)
            self.assertEqual(status_of(answer), 413, answer)
            self.assertTrue(closed)
        head = b"POST /v1/events/huge HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        answer, _ = send_raw(self.port, head % (100 * MIB))
        self.assertEqual(status_of(answer), 413, "refused without '100 Continue'")
        chunked = b"POST /v1/events/huge HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
        answer, closed = send_raw(self.port, chunked + b"100000\r\n%s\r\n" % (b"x" * MIB) * 12)
        self.assertTrue(closed)
        self.assertIn(status_of(answer), (None, 413))
        self.check_raw(chunked + b"5;" + b"e" * MIB + b"\r\nhello\r\n0\r\n\r\n", 400, 413)

    def test_half_a_request(self):
        whole = b"POST /v1/events/half HTTP/1.1\r\n" + HOST + b"Content-Type: text/plain\r\nContent-Length: 10\r\n\r\nhalf"
        for cut in range(1, len(whole) + 1, 7):
            answer, closed = send_raw(self.port, whole[:cut], half_close=True)
            self.assertTrue(closed, f"cut at {cut}: still open")
            self.assertIn(status_of(answer), (None, 400, 408), answer)
        with socket.create_connection((LOOPBACK, self.port)) as waiting:
            waiting.sendall(whole)
            self.assertEqual(self.client.get("/healthz").status, 200, "others are served meanwhile")

    def test_many_half_requests_do_not_stop_others(self):  # FAULTS 102
        waiting = []
        try:
            for _ in range(400):
                waiting.append(socket.create_connection((LOOPBACK, self.port)))
                waiting[-1].sendall(b"POST /v1/events/half HTTP/1.1\r\nHost: lo")
            self.assertEqual(self.client.get("/healthz").status, 200)
            self.assertEqual(self.client.publish("served", "x").status, 201)
            self.stored = 1
        finally:
            for connection in waiting:
                connection.close()

    def test_a_broken_line_stores_nothing_and_is_named(self):
        cases = {
            b'{"data":1}\n{"data":2}\n{"data":\n{"data":4}\n': "3",
            b'{"data":1}\n{"data":2}\n{"data":3} x\n': "3",
            b'{"data":1}\nnot json\n': "2",
            b"[1]\n": "1",
            b'{"data":1}\n{"id":5,"data":1}\n': "2",
            b'{"data":1}\n{"data_base64":"%%%"}\n': "2",
            b'{"data":1}\n{"data":1,"data":2}\n': "2",
            b'{"data":1}\n{"id":"%s","data":1}\n' % (b"i" * MIB): "2",
        }
        for body, line in cases.items():
            problem = self.check_problem(self.client.request("POST", "/v1/events/lines", body, NDJSON), 400)
            self.assertRegex(json.dumps(problem), rf"line\W+{line}\b", f"{body[:60]!r} does not name its line")
        self.check_problem(self.client.request("POST", "/v1/events/lines", b"", NDJSON), 400)

    def test_json_that_is_not(self):  # FAULTS 95
        json_type = {"Content-Type": "application/json"}
        bad = [b"[" * 200_000, b'{"a":' * 200_000, b'{"a":1', b"{}{}", b"NaN", b"{'a':1}", b'"\xff"', b'"\\ud800"', b"01"]
        bad += [b"[1,]", b'{"a":1,}', b'"\x00"', b"\xef\xbb\xbf{}", b"[" * 65 + b"]" * 65, b"", b" "]
        for body in bad:
            answer = self.client.request("POST", "/v1/events/json", body, json_type)
            self.check_problem(answer, 400)
        for body in (b"[" * 64 + b"]" * 64, b" null ", b'{"a":"\\ud83d\\ude00"}', b"1e400", b'{"a":1,\r\n"b":2}'):
            answer = self.client.request("POST", "/v1/events/json", body, json_type)
            self.assertEqual(answer.status, 201, f"{body[:40]!r}: {answer!r}")
            self.stored += 1

    def test_smuggling(self):  # FAULTS 90
        post = b"POST /v1/events/front HTTP/1.1\r\n"
        inner = b"POST /v1/events/smuggled HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n\r\nx"
        heads = [
            b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            b"Content-Length: 0\r\nContent-Length: 5\r\n",
            b"Content-Length: 0, 0\r\n",
            b"Content-Length: +0\r\n",
            b"Content-Length: -1\r\n",
            b"Content-Length: 0x0\r\n",
            b"Content-Length: 0 0\r\n",
            b"Content-Length: 99999999999999999999999\r\n",
            b"Content-Length : 0\r\n",
            b"Content-Length: 0\r\nX: 1\r\n folded: 2\r\n",
            b"Content-Length: 0\r\nX: a\x00b\r\n",
            b"Content-Length: 0\r\nX: a\rb\r\n",
            b"Content-Length: 0\r\nX\x0b: a\r\n",
            b"Content-Length: 0\r\n: empty\r\n",
            b"Content-Length: 0\r\nno colon\r\n",
            b"Transfer-Encoding: xchunked\r\n",
            b"Transfer-Encoding: chunked, identity\r\n",
            b"Transfer-Encoding: identity, chunked\r\n",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding:\x0bchunked\r\n",
            b"Transfer-Encoding: gzip\r\n",
        ]
        for head in heads:
            self.check_raw(post + HOST + head + b"\r\n" + inner, 400, 413, 501)
        chunks = post + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
        for body in (b"0x1\r\nx\r\n0\r\n\r\n", b"-1\r\nx\r\n0\r\n\r\n", b"1\nx\n0\n\n", b"1 \r\nxy\r\n0\r\n\r\n",
                     b"ffffffffffffffff1\r\nx", b"1\r\nxyz\r\n0\r\n\r\n", b"\r\nx"):  # fmt: skip
            self.check_raw(chunks + body + inner, 400, 413)
        for head in (b"", HOST + HOST, b"Host: a\r\nHost: b\r\n", b"Host: a b\r\n"):
            self.check_raw(b"GET /healthz HTTP/1.1\r\n" + head + b"\r\n" + inner, 400, 403, 421)

    def test_other_protocols_and_odd_request_lines(self):  # FAULTS 100
        lines = [b"TRACE / HTTP/1.1", b"CONNECT a:1 HTTP/1.1", b"GET /healthz HTTP/9.9", b"GET /healthz HTTP/1.1 x"]
        lines += [b"GET  /healthz HTTP/1.1", b"GET\t/healthz HTTP/1.1", b"GET healthz HTTP/1.1", b"G@T / HTTP/1.1", b"GET"]
        lines += [b"GET http://evil.example/healthz HTTP/1.1", b"GET /a b HTTP/1.1", b"GET /\xff HTTP/1.1"]
        for line in lines:
            answer, closed = send_raw(self.port, line + b"\r\n" + HOST + b"Connection: close\r\n\r\n")
            self.assertTrue(closed, line)
            self.assertIn(status_of(answer), (None, 400, 403, 404, 405, 421, 501, 505), f"{line!r}: {answer!r}")
        for hello in (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(512),
            b"\0" * 4096,
            b"\r\n" * 100_000,
        ):
            self.check_raw(hello, 400, 404, 431, 505)

    def test_heads_without_end(self):  # FAULTS 92
        get = b"GET /healthz HTTP/1.1\r\n" + HOST
        self.check_raw(get + b"X: " + b"x" * MIB + b"\r\n\r\n", 400, 431)
        self.check_raw(get + b"".join(b"X-%d: 1\r\n" % n for n in range(10_000)) + b"\r\n", 400, 431)
        self.check_raw(get + b"".join(b"X-%d: 1\r\n" % n for n in range(65)) + b"\r\n", 400, 431)
        self.check_raw(b"GET /" + b"x" * MIB + b" HTTP/1.1\r\n" + HOST + b"\r\n", 400, 414, 431)
        self.check_raw(b"x" * MIB, 400, 414, 431)

    def test_a_page_of_another_site_gets_nothing(self):  # FAULTS 115
        for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}):
            answer = self.client.request("POST", "/v1/events/origin", b"x", {"Content-Type": "text/plain", **headers})
            self.check_problem(answer, 403)
            self.check_problem(self.client.get("/v1/cluster", headers=headers), 403)
        # A name that a stranger's DNS points at loopback.
        self.check_problem(self.client.get("/v1/cluster", headers={"Host": "evil.example"}), 403, 421)
        own = {"Origin": f"http://127.0.0.1:{self.port}"}
        self.assertEqual(self.client.get("/v1/cluster", headers=own).status, 200)

    def test_header_values_do_not_come_back_as_headers(self):
        answer = self.client.publish("split", "x", "a\r\nX-Evil: 1")
        self.assertNotIn("x-evil", answer.headers)
        if answer.status == 201:
            self.stored = 1

    def test_unknown_media_types_and_formats(self):
        headers = {"Content-Type": "text/plain; charset=\xff"}
        answer = self.client.request("POST", "/v1/events/media", b"x", headers)
        self.assertIn(answer.status, (201, 400, 415))
        self.stored = 1 if answer.status == 201 else 0
        self.assertEqual(self.client.publish("media", "x").status, 201)
        self.stored += 1
        self.check_problem(self.client.get("/v1/events/media?from=earliest", headers={"Accept": "image/png"}), 406)


if __name__ == "__main__":
    unittest.main(verbosity=2)
