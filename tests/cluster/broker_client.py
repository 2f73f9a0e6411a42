"""What tests say to a broker over HTTP: requests, reading a topic to its end, streams, and raw bytes."""

import base64
import http.client
import json
import socket
from urllib.parse import quote, urlencode

LOOPBACK = "127.0.0.1"


class Unreachable(Exception):
    """No answer: refused, reset, cut short or too late. What was asked may or may not have happened."""


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    def json(self):
        return json.loads(self.body)

    def lines(self):
        return [json.loads(line) for line in self.body.splitlines() if line.strip()]

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class BrokerClient:
    """One keep-alive connection, opened again when it breaks. Not for use by two threads."""

    def __init__(self, port):
        self.port = port
        self.connection = None

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def request(self, method, path, body=None, headers=None, timeout=30):
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=timeout)
                self.connection.connect()
                self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connection.sock.settimeout(timeout)
            self.connection.request(method, path, body, headers or {})
            response = self.connection.getresponse()
            answer = Answer(response.status, response.getheaders(), response.read())
            if response.will_close:
                self.close()
            return answer
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(f"{method} {path}: {error!r}") from error

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def publish(self, topic, body, event_id=None, content_type="text/plain", patience_s=30, **query):
        headers = {"Content-Type": content_type}
        if event_id is not None:
            query["id"] = event_id
        path = f"/v1/events/{topic}" + (f"?{urlencode(query)}" if query else "")
        return self.request("POST", path, body, headers, patience_s)

    def publish_lines(self, topic, events, timeout=60):
        """One ndjson batch."""
        body = "".join(json.dumps(event) + "\n" for event in events)
        return self.request(
            "POST", f"/v1/events/{topic}", body.encode(), {"Content-Type": "application/x-ndjson"}, timeout
        )

    def pull(self, topic, start="earliest", limit=1000, **query):
        """One page."""
        query = {"from": start, "limit": limit, **query}
        return self.get(f"/v1/events/{topic}?{urlencode(query)}")

    def read_all(self, topic, start="earliest", **query):
        """Every event line of one topic, page by page, as the bytes that were served."""
        pages = []
        while True:
            answer = self.pull(topic, start, **query)
            assert answer.status == 200, f"reading {topic} from {start}: {answer!r}"
            if not answer.body.strip():
                return b"".join(pages)
            pages.append(answer.body)
            start = answer.headers["weir-next"]

    def events(self, topic, start="earliest", **query):
        return [json.loads(line) for line in self.read_all(topic, start, **query).splitlines()]

    def find_id(self, topic, event_id):
        return self.get(f"/v1/ids/{topic}?id={quote(event_id)}")


def payload(event):
    """The exact bytes of a read event whose payload is text or base64."""
    if "data_base64" in event:
        return base64.b64decode(event["data_base64"])
    data = event["data"]
    return data.encode() if isinstance(data, str) else json.dumps(data).encode()


class Stream:
    """An endless answer, read line by line: SSE (`sse=True`) or followed ndjson."""

    def __init__(self, port, path, sse=False, headers=None, timeout=30):
        self.sse = sse
        self.connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout)
        accept = {"Accept": "text/event-stream"} if sse else {}
        try:
            self.connection.request("GET", path, headers={**accept, **(headers or {})})
            self.response = self.connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(repr(error)) from error
        self.status = self.response.status
        self.last_id = None
        self.controls = []  # (name, parsed data), in order of arrival

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.response.close()
        self.connection.close()

    def line(self):
        try:
            line = self.response.readline()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(repr(error)) from error
        if not line:
            raise Unreachable("the stream ended")
        return line.rstrip(b"\r\n")

    def next_message(self):
        """(name, data): name is None for an event, the control's name otherwise."""
        return self.next_sse() if self.sse else self.next_ndjson()

    def next_ndjson(self):
        while not (line := self.line()):
            pass
        event = json.loads(line)
        return event.get("control"), event

    def next_sse(self):
        name, event_id, data = None, None, []
        while True:
            line = self.line()
            if not line:
                if data:
                    self.last_id = event_id or self.last_id
                    return name, json.loads(b"\n".join(data))
                name = event_id = None
                continue
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"data":
                data.append(value)
            elif field == b"event":
                name = value.decode()
            elif field == b"id":
                event_id = value.decode()

    def next_event(self):
        while True:
            name, data = self.next_message()
            if name is None:
                return data
            self.controls.append((name, data))

    def take(self, count):
        return [self.next_event() for _ in range(count)]

    def until_control(self, wanted):
        """Events up to the control message `wanted`."""
        events = []
        while True:
            name, data = self.next_message()
            if name == wanted:
                return events
            if name is None:
                events.append(data)


def send_raw(port, data, timeout=10, half_close=False):
    """Sends bytes on a new connection and returns all that comes back until the other side closes or falls silent.
    (bytes, closed): closed tells which."""
    received = b""
    with socket.create_connection((LOOPBACK, port), timeout=timeout) as connection:
        try:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                received += chunk
            return received, True
        except TimeoutError:
            return received, False
        except OSError:  # reset while we were still sending: closed, as far as we are concerned
            return received, True


def status_of(raw_answer):
    """The status code of a raw HTTP answer, or None if there is none."""
    head = raw_answer.split(b"\r\n", 1)[0].split(b" ")
    return int(head[1]) if len(head) > 1 and head[0].startswith(b"HTTP/1.") else None
