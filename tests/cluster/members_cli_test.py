#!/usr/bin/env python3
"""A cluster goes from three members to four and back by `weir cluster` alone, and what the members hold is compared on
the way: when it is asked for, and by themselves as the log grows.
"""

import os
import subprocess

from cluster import TIME_FACTOR, Cluster, binary, wait_until


def weir(broker, *words, code=0):
    """Runs a verb against `broker`; returns stdout."""
    environment = {**os.environ, "WEIR_SERVER": broker.http_address}
    ran = subprocess.run(
        [binary(), *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60 * TIME_FACTOR,
    )
    assert ran.returncode == code, f"weir {' '.join(words)}: exit {ran.returncode}, not {code}: {ran.stdout}{ran.stderr}"
    return ran.stdout + ran.stderr


def publish(broker, first, count):
    for number in range(first, first + count):
        weir(broker, "pub", "demo/members", f"event {number}", "--id", str(number))


def agreeing(text):
    return text.splitlines()[0].split(" agree at ")[0].split()


def main():
    with Cluster(3, start=False) as cluster:
        for broker in cluster:
            broker.extra = ["--digest-every-entries", "4"]
        cluster.start_all()
        leader = cluster.wait_for_leader()
        publish(leader, 0, 5)
        assert agreeing(weir(cluster.follower(), "cluster", "verify")) == ["n1", "n2", "n3"]

        added = cluster.new_broker("n4")
        late = weir(leader, "cluster", "add", "n4", "--timeout", "0.5", code=1)
        assert "has not been heard" in late, late
        added.extra = ["--digest-every-entries", "4"]
        added.start()
        wrong = weir(leader, "cluster", "add", "n4", "--raft", "127.0.0.1:1", code=1)
        assert "says it is reached at" in wrong, wrong
        said = weir(
            cluster.follower(), "cluster", "add", "n4", "--raft", added.raft_address, "--http", added.http_address
        )
        assert said == "n4 is a voter; 4 members\n", said
        cluster.brokers.append(added)
        publish(leader, 5, 5)
        assert agreeing(weir(leader, "cluster", "verify")) == ["n1", "n2", "n3", "n4"]
        wait_until(
            lambda: all(broker.status()["compared_index"] >= 8 for broker in cluster), 20, "the members are compared"
        )

        said = weir(leader, "cluster", "transfer", "n4")
        assert said.startswith("n4 leads in term "), said
        said = weir(leader, "cluster", "drain", "n4")
        assert "n4 is drained" in said, said
        successor = cluster.wait_for_leader()
        assert successor is not added
        assert added.client.get("/readyz").status == 503
        assert added.status()["phase"] == "draining"
        refused = added.client.publish("demo/members", b"refused")
        assert refused.status == 503, refused.status
        publish(added, 10, 1)  # the client goes on with another member
        weir(successor, "cluster", "drain", "n4", "--end")
        assert added.client.get("/readyz").status == 200

        said = weir(leader, "cluster", "remove", "n4")
        assert said == "n4 is removed\n", said
        added.terminate()
        cluster.brokers.remove(added)
        publish(cluster.wait_for_leader(), 11, 5)
        assert agreeing(weir(leader, "cluster", "verify")) == ["n1", "n2", "n3"]

        stopped = cluster.follower()
        stopped.kill()
        survivor = cluster.wait_for_leader()
        publish(survivor, 16, 1)  # as of which the one that was stopped has not said anything
        said = weir(survivor, "cluster", "verify")
        assert f"{stopped.name} could not be asked" in said, said
        assert len(agreeing(said)) == 2, said
        stopped.start()
        wait_until(
            lambda: "could not be asked" not in weir(survivor, "cluster", "verify"), 20, "the third answers again"
        )


if __name__ == "__main__":
    main()
