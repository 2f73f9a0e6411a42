"""Events that a topic has already, and a reader that goes through all of them, again and again, beside other work."""

import subprocess
import threading
import time

from processes import NotReady

TOPIC = "rows/stored"
FILL_BOUND_S = 900
PASSES_MAX = 1000
STOP_BOUND_S = 10
# What filling leaves to be done: seals, checkpoints, pages the kernel writes.
SETTLE_S = 10


class Reading:
    """One thread that owns the process under its hand. A pass reads all `count` events from the beginning."""

    def __init__(self, command, env, count):
        self.command = command
        self.env = env
        self.count = count
        self.stopped = threading.Event()
        self.passes = []  # seconds of each that was whole
        self.failure = ""
        self.thread = threading.Thread(target=self.read)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stopped.set()
        self.thread.join()
        if self.failure and kind is None:
            raise NotReady(f"reading old events: {self.failure}")

    def read(self):
        for _ in range(PASSES_MAX):
            began = time.monotonic()
            process = subprocess.Popen(
                self.command, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                text=True,
            )
            while process.poll() is None and not self.stopped.wait(0.02):
                pass
            if self.stopped.is_set():
                process.terminate()
                try:
                    process.communicate(timeout=STOP_BOUND_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
                return
            _, words = process.communicate()
            if process.returncode != 0:
                self.failure = words
                return
            self.passes.append(time.monotonic() - began)

    def events_per_s(self):
        """Of whole passes; None if there was none."""
        return self.count * len(self.passes) / sum(self.passes) if self.passes else None


class StoredEvents:
    """Fills the topic when it is made."""

    def __init__(self, servers, weir, count):
        self.count = count
        self.weir = weir
        command = [weir.binary, "bench", "pub", "--json", "--protocol", "bin", "--batch", 1000, "--clients", 2]
        command += ["--in-flight", 64_000, "--topic", TOPIC, "--events", count, "--warm-up", 0, "--seconds", FILL_BOUND_S]
        run = servers.json_of("storing old events", command, weir.env, FILL_BOUND_S + 60)
        if run["totals"]["stored"] != count:
            raise NotReady(f"storing old events: {run['totals']}")
        time.sleep(SETTLE_S)

    def being_read(self):
        command = [self.weir.binary, "bench", "sub", "--protocol", "bin", "--stored", "--topic", TOPIC]
        command += ["--events", str(self.count), "--seconds", "3600"]
        return Reading(command, self.weir.env, self.count)
