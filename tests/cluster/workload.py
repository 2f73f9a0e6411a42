"""A publisher and a subscriber that never give up, as threads, and what must hold of what they saw."""

import threading
import time

from broker_client import BrokerClient, Stream, Unreachable
from cluster import TIME_FACTOR


class Publisher(threading.Thread):
    """Publishes numbered events with ids, one outstanding, and repeats each on the next node until one says yes:
    the client of promise 6. `acked` maps id to (offset, position)."""

    def __init__(self, ports, topic, prefix="e"):
        super().__init__(daemon=True)
        self.clients = [BrokerClient(port) for port in ports]
        self.topic = topic
        self.prefix = prefix
        self.acked = {}
        self.ack_times = []
        self.surprises = []
        self.stopping = threading.Event()

    def run(self):
        number = node = 0
        while not self.stopping.is_set():
            event_id = f"{self.prefix}-{number}"
            try:
                client = self.clients[node % len(self.clients)]
                answer = client.publish(self.topic, f"body of {event_id}", event_id, patience_s=3 * TIME_FACTOR)
            except Unreachable:
                node += 1
                continue
            if answer.status in (200, 201):
                result = answer.json()
                self.acked[event_id] = (result["offset"], result["position"])
                self.ack_times.append(time.monotonic())
                number += 1
            elif answer.status in (503, 504):
                node += 1
            else:
                self.surprises.append(repr(answer))
                return

    def stop(self):
        self.stopping.set()
        self.join(30 * TIME_FACTOR)
        assert not self.is_alive(), "the publisher does not come to an end"
        assert not self.surprises, self.surprises
        for client in self.clients:
            client.close()

    def longest_gap_ms(self, since, until):
        times = [moment for moment in self.ack_times if since - 1 <= moment <= until]
        return max((b - a for a, b in zip(times, times[1:])), default=0) * 1000


class Subscriber(threading.Thread):
    """Follows a topic by SSE; when its node dies it goes on at the next with the last cursor it saw."""

    def __init__(self, ports, topic):
        super().__init__(daemon=True)
        self.ports = ports
        self.path = f"/v1/events/{topic}"
        self.events = []
        self.resumes = 0
        self.surprises = []
        self.stopping = threading.Event()
        self.stream = None

    def run(self):
        node, cursor = 0, None
        while not self.stopping.is_set():
            start = f"after:{cursor}" if cursor else "earliest"
            try:
                port = self.ports[node % len(self.ports)]
                with Stream(port, f"{self.path}?from={start}", sse=True, timeout=1 * TIME_FACTOR) as self.stream:
                    if self.stream.status != 200:
                        raise Unreachable(f"status {self.stream.status}")
                    self.resumes += 1
                    while not self.stopping.is_set():
                        self.events.append(self.stream.next_event())
                        cursor = self.stream.last_id
            except Unreachable:
                node += 1
            for name, data in self.stream.controls if self.stream else []:
                if name == "gap":
                    self.surprises.append(f"gap: {data}")

    def stop(self):
        self.stopping.set()
        self.join(10 * TIME_FACTOR)
        assert not self.is_alive(), "the subscriber does not come to an end"
        assert not self.surprises, self.surprises


def check_stored_once(case, cluster, topic, publisher):
    """No acknowledged event lost, none doubled; all nodes serve identical bytes. Returns the events."""
    last = max(position for _, position in publisher.acked.values())
    cluster.wait_for_position(last)
    served = {broker.name: broker.client.read_all(topic) for broker in cluster}
    case.assertEqual(len(set(served.values())), 1, "the nodes do not serve identical bytes")
    events = cluster.brokers[0].client.events(topic)
    ids = [event["id"] for event in events]
    case.assertEqual(len(ids), len(set(ids)), "an event is stored twice")
    case.assertEqual([event["offset"] for event in events], list(range(len(events))), "offsets have holes")
    stored = {event["id"]: (event["offset"], event["position"]) for event in events}
    for event_id, place in publisher.acked.items():
        case.assertEqual(stored.get(event_id), place, f"{event_id} was acknowledged at {place}")
    return events


def publish_numbered(broker, topic, body, first, batches, batch):
    """Events id-`first` and on, in `batches` of `batch`; each must be stored as a new one. Returns the next number."""
    for _ in range(batches):
        events = [{"id": f"id-{first + n}", "data": body} for n in range(batch)]
        answer = broker.client.publish_lines(topic, events)
        assert (answer.status, answer.json()["stored"]) == (201, batch), repr(answer)
        first += batch
    return first
