"""What clients did and heard, with times, and whether one topic could have behaved so one step at a time.

A topic is a list that only grows: publishing appends, a linear read tells its length. Such a history is linearizable
exactly if the offsets agree with real time, which needs no search.
"""

import threading
import time
from dataclasses import dataclass, field

from broker_client import BrokerClient, Unreachable
from cluster import TIME_FACTOR


@dataclass
class Write:
    began: float
    ended: float | None = None  # None: never acknowledged, so it may have happened at any time after `began`
    offset: int | None = None


@dataclass
class Read:
    began: float
    ended: float
    length: int


@dataclass
class History:
    writes: dict = field(default_factory=dict)  # id -> Write
    reads: list = field(default_factory=list)

    def violations(self, stored):
        """`stored`: the ids of the topic's events in order of offset, as they are in the end."""
        found = []
        place = {event_id: offset for offset, event_id in enumerate(stored)}
        if len(place) != len(stored):
            found.append("an event is stored twice")
        for event_id in stored:
            if event_id not in self.writes:
                found.append(f"{event_id} was never sent")
        for event_id, write in self.writes.items():
            if write.ended is not None and place.get(event_id) != write.offset:
                found.append(f"{event_id} was acknowledged at {write.offset} and is at {place.get(event_id)}")
        return found + self.order_of_writes(stored) + self.place_of_reads(stored)

    def order_of_writes(self, stored):
        """No event stands before one that was acknowledged before it was sent."""
        found = []
        earliest_end = float("inf")  # of the events after this one
        for event_id in reversed(stored):
            write = self.writes.get(event_id, Write(0))
            if write.began > earliest_end:
                found.append(f"{event_id} was sent after a later event had been acknowledged")
            earliest_end = min(earliest_end, write.ended or float("inf"))
        return found

    def place_of_reads(self, stored):
        """A read sees every write acknowledged before it began, none sent after it ended, and no less than a read
        that ended before it began."""
        began = [self.writes.get(event_id, Write(0)).began for event_id in stored]
        ends = sorted((write.ended, write.offset) for write in self.writes.values() if write.ended is not None)
        found = []
        done = least = 0
        finished = sorted(self.reads, key=lambda read: read.ended)
        next_finished = 0
        latest_began = [0.0]
        for moment in began:
            latest_began.append(max(latest_began[-1], moment))
        for read in sorted(self.reads, key=lambda read: read.began):
            while done < len(ends) and ends[done][0] < read.began:
                least = max(least, ends[done][1] + 1)
                done += 1
            while next_finished < len(finished) and finished[next_finished].ended < read.began:
                least = max(least, finished[next_finished].length)
                next_finished += 1
            if read.length < least:
                found.append(f"a linear read saw {read.length} events when {least} were known")
            if read.length > len(stored) or latest_began[read.length] > read.ended:
                found.append(f"a linear read saw {read.length} events before the last of them was sent")
        return found


class Client(threading.Thread):
    """Does one thing after the other, at the next node when one says no, until it is told to stop."""

    def __init__(self, ports, history, pace_s):
        super().__init__(daemon=True)
        self.ports = ports  # shared: members come and go
        self.history = history
        self.pace_s = pace_s
        self.clients = {}
        self.at = 0
        self.surprises = []
        self.stopping = threading.Event()

    def run(self):
        try:
            while not self.stopping.wait(self.pace_s):
                self.act()
        except Exception as error:  # shown by stop(): a thread's exception is lost otherwise
            self.surprises.append(repr(error))

    def ask(self, what):
        """The first answer that is neither 503 nor 504, or None when told to stop."""
        while not self.stopping.is_set():
            ports = list(self.ports)
            port = ports[self.at % len(ports)]
            client = self.clients.setdefault(port, BrokerClient(port))
            try:
                answer = what(client)
            except Unreachable:
                answer = None
            if answer is not None and answer.status not in (503, 504):
                return answer
            self.at += 1
            self.stopping.wait(0.01)
        return None

    def stop(self):
        self.stopping.set()
        self.join(30 * TIME_FACTOR)
        assert not self.is_alive(), "a client does not come to an end"
        assert not self.surprises, self.surprises
        for client in self.clients.values():
            client.close()


class Writer(Client):
    """Publishes with ids and repeats each until it is acknowledged."""

    def __init__(self, ports, history, topic, prefix, pace_s=0.01):
        super().__init__(ports, history, pace_s)
        self.topic = topic
        self.prefix = prefix
        self.count = 0
        self.duplicates = 0
        self.ack_times = []

    def act(self):
        event_id = f"{self.prefix}-{self.count}"
        self.count += 1
        write = self.history.writes.setdefault(event_id, Write(time.monotonic()))
        answer = self.ask(
            lambda client: client.publish(self.topic, f"body of {event_id}", event_id, patience_s=3 * TIME_FACTOR)
        )
        if answer is None:
            return
        assert answer.status in (200, 201), repr(answer)
        result = answer.json()
        self.duplicates += result["duplicate"]
        write.offset = result["offset"]
        write.ended = time.monotonic()
        self.ack_times.append(write.ended)


class Reader(Client):
    """Asks, linearly, how long the topic is."""

    def __init__(self, ports, history, topic, pace_s=0.02):
        super().__init__(ports, history, pace_s)
        self.path = f"/v1/events/{topic}?consistency=linear&timeout=2s"

    def act(self):
        began = None

        def look(client):
            nonlocal began
            began = time.monotonic()
            return client.request("HEAD", self.path, timeout=3 * TIME_FACTOR)

        answer = self.ask(look)
        if answer is None or answer.status == 404:
            return
        assert answer.status == 200, repr(answer)
        length = int(answer.headers["weir-next"])
        self.history.reads.append(Read(began, time.monotonic(), length))
