#!/usr/bin/env python3
"""A follower falls far behind, the others drop what it has not got, and it comes back by a snapshot while clients go on
publishing (FAULTS 26). It is killed half-way and comes once more.

    far_behind.py [--mib 1024]    how much is retained, and sent; the disk takes about six times as much

Printed: how long it took, and how long a publisher waited at most before, and while, the snapshot was sent.
"""

import argparse
import os
import sys
import time
import unittest

from broker_client import Unreachable
from cluster import Cluster, wait_until
from snapshot_test import bytes_on_disk
from workload import Publisher

BULK = "bulk/archive"
LIVE = "orders/new"
BODY = "x" * (60 << 10)
BATCH = 64
STALL_BOUND_MS = 1000
BACK_S = 300


class FarBehind:
    def __init__(self, cluster, mib):
        self.cluster = cluster
        self.batches = (mib << 20) // (len(BODY) * BATCH)
        self.case = unittest.TestCase()

    def publish_bulk(self, broker, batches):
        for _ in range(batches):
            answer = broker.client.publish_lines(BULK, [{"data": BODY}] * BATCH)
            self.case.assertEqual(answer.status, 201, repr(answer))

    def run(self):
        away = self.cluster.follower()
        present = self.cluster.others(away)
        self.publish_bulk(present[0], 1)
        last = away.metric("weir_raft_last_index")
        away.kill()
        began = time.monotonic()
        self.publish_bulk(self.cluster.wait_for_leader(present), self.batches)
        print(f"stored while {away.name} was away: {self.batches * BATCH * len(BODY) >> 20} MiB, "
              f"{time.monotonic() - began:.0f} s", flush=True)

        def dropped():
            self.publish_bulk(self.cluster.wait_for_leader(present), 8)
            return all(broker.metric("weir_raft_first_index") > last for broker in present)

        wait_until(dropped, BACK_S, "the others have dropped what it has not got")
        publisher = Publisher([broker.http_port for broker in present], LIVE)
        publisher.start()
        wait_until(lambda: len(publisher.acked) >= 1000, 60, "a thousand events are acknowledged")
        calm_ms = publisher.longest_gap_ms(time.monotonic() - 3, time.monotonic())
        since = time.monotonic()
        self.come_back(away, present)
        until = time.monotonic()
        publisher.stop()
        busy_ms = publisher.longest_gap_ms(since, until)
        self.cluster.wait_for_position(present[0].status()["position"], bound_s=60)
        self.case.assertEqual(away.metric("weir_snapshots_installed_total"), 1)
        print(f"longest wait of a publisher: {calm_ms:.0f} ms before, {busy_ms:.0f} ms meanwhile", flush=True)
        return busy_ms

    def come_back(self, away, present):
        size = min(bytes_on_disk(broker.data) for broker in present)
        away.start()
        wait_until(lambda: received_bytes(away) > size // 3, BACK_S, "a third of the snapshot has come")
        print(f"{away.name} killed with {received_bytes(away) >> 20} MiB of it", flush=True)
        away.kill()
        began = time.monotonic()
        away.start()
        wait_until(lambda: installed(away), BACK_S, "the snapshot is installed")
        print(f"installed {time.monotonic() - began:.1f} s after its start; {bytes_on_disk(away.data) >> 20} MiB are on "
              "its disk", flush=True)


def received_bytes(broker):
    """In the generation that is not in use yet."""
    with open(os.path.join(broker.data, "CURRENT"), encoding="ascii") as file:
        current = file.read().strip()
    others = [entry.path for entry in os.scandir(broker.data) if entry.is_dir() and entry.name != current]
    return sum(bytes_on_disk(path) for path in others)


def installed(broker):
    try:
        return broker.metric("weir_snapshots_installed_total") > 0
    except Unreachable:
        return False


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--mib", type=int, default=1024)
    mib = options.parse_args().mib
    cluster = Cluster(3, start=False)
    for broker in cluster:
        broker.extra = ["--retention-bytes", str(mib << 20)]
    with cluster:
        cluster.start_all()
        cluster.wait_for_leader()
        busy_ms = FarBehind(cluster, mib).run()
    return 0 if busy_ms < STALL_BOUND_MS else 1


if __name__ == "__main__":
    sys.exit(main())
