"""What is varied, one curve for each quantity, and what is made of its runs. Numbers in, text out; nothing is measured
here."""

from dataclasses import dataclass

import chart
import figures
import goals

BATCH = 100
IN_FLIGHT = 64_000
# Of bodies under way, where events are large: a fourth of what a broker takes before it says that it is overloaded.
IN_FLIGHT_BYTES = 16 << 20
BATCH_BYTES = 1 << 20
PAYLOAD = 128


@dataclass(frozen=True)
class Point:
    x: int
    payload: int = PAYLOAD
    clients: int = 1
    topics: int = 1
    nodes: int = 3
    stored: int | None = None  # events in the cluster before; None: a new cluster

    def arguments(self):
        batch = max(1, min(BATCH, BATCH_BYTES // self.payload))
        in_flight = max(batch * self.clients, min(IN_FLIGHT, IN_FLIGHT_BYTES // self.payload))
        return [
            "--protocol", "bin", "--batch", batch, "--in-flight", in_flight, "--payload", self.payload, "--clients",
            self.clients, "--topics", self.topics,
        ]  # fmt: skip


@dataclass(frozen=True)
class Curve:
    name: str
    x_name: str
    points: tuple[Point, ...]


def all_curves(stored_most):
    """`stored_most`: where the last one ends."""
    shares = (0, 0.02, 0.1, 0.2, 0.5, 1)
    stored = [int(stored_most * share) for share in shares]
    return (
        Curve("topics", "topics", tuple(Point(x, topics=x) for x in (1, 10, 100, 1_000, 10_000))),
        Curve("clients", "publishing connections", tuple(Point(x, clients=x) for x in (1, 4, 16, 64, 256))),
        Curve("payload", "bytes of an event", tuple(Point(x, payload=x) for x in (64, 256, 1_024, 4_096, 16_384, 65_536))),
        Curve("replicas", "replicas, on one machine", tuple(Point(x, nodes=x) for x in (1, 3, 5))),
        Curve("stored", "events stored before", tuple(Point(x, stored=x) for x in stored)),
    )


FIGURES = ("events/s", "cpu s/M")


def measured(runs):
    """Of one point: each figure's (median, least, most) over the rounds; None where no run knows it."""
    values = [goals.figures(run) for run in runs]
    spans = {name: goals.middle([one[name] for one in values]) for name in (*FIGURES, "p99 ms")}
    return {name: span if span[0] is not None else None for name, span in spans.items()}


def times(value, first):
    return "?" if value is None or not first or not first[0] else f"{value[0] / first[0]:.2f} ×"


def table(curve, runs):
    """`runs`: those of each point, in order. "×": what the first point has."""
    points = [measured(one) for one in runs]
    head = [curve.x_name, "events/s [min-max]", "×", "cpu s/M [min-max]", "×", "p99 ms", "MB/s"]
    lines = []
    for point, got, of_point in zip(curve.points, points, runs):
        cells = [f"{point.x:,}"]
        for name in FIGURES:
            cells += [goals.span(got[name] or (None,) * 3), times(got[name], points[0][name])]
        megabytes = goals.middle([run["mb_per_s"] for run in of_point])[0]
        lines.append([*cells, goals.shown(got["p99 ms"][0]), goals.shown(megabytes)])
    return figures.markdown(head, lines)


def svg(curve, runs):
    points = [measured(one) for one in runs]
    values = {name: [point[name] for point in points] for name in FIGURES}
    return chart.curve(f"Publishing, by {curve.x_name}", curve.x_name, [f"{point.x:,}" for point in curve.points], values, goals.shown)
