"""What weir is to reach, one row for each kind of work, and how a run of `weir bench --json` is judged by it. Numbers in,
text out; nothing is measured here."""

from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Goal:
    figure: str
    must: float | None
    stretch: float | None = None

    def met(self, got):
        """Rates are to be reached, everything else is not to be exceeded."""
        if got is None or self.must is None:
            return "?"

        def within(bound):
            return got >= bound if self.figure.endswith("/s") else got <= bound

        if not within(self.must):
            return "NO"
        return "yes, stretch too" if self.stretch is not None and within(self.stretch) else "yes"


@dataclass(frozen=True)
class Row:
    name: str
    arguments: str
    goals: tuple[Goal, ...]
    env: dict = field(default_factory=dict)


ONE_FLUSH = {"WEIR_DURABILITY": "one-flush"}
ROWS = (
    Row("publish, bin × 100, 64,000 in flight", "pub --protocol bin --batch 100 --in-flight 64000",
        (Goal("events/s", 400_000, 1_000_000), Goal("p99 ms", 50), Goal("cpu s/M", 4, 2))),
    Row("publish, bin × 100, 1,000 in flight", "pub --protocol bin --batch 100 --in-flight 1000",
        (Goal("events/s", 200_000, 400_000),)),
    Row("publish, bin × 100, 1 KiB", "pub --protocol bin --batch 100 --in-flight 16000 --payload 1024",
        (Goal("events/s", 100_000, 250_000),)),
    Row("publish, http, 64 clients", "pub --protocol http --clients 64", (Goal("events/s", 30_000, 60_000),)),
    Row("publish, ws, 1,000 in flight", "pub --protocol ws --in-flight 1000", (Goal("events/s", 60_000, 120_000),)),
    Row("publish, ndjson × 100", "pub --protocol ndjson --batch 100 --clients 10",
        (Goal("events/s", 200_000, 400_000),)),
    Row("one outstanding, two flushes", "pub --protocol ws --in-flight 1", ()),
    Row("one outstanding, one flush", "pub --protocol ws --in-flight 1",
        (Goal("p50 ms", 0.6, 0.35), Goal("p99 ms", 2)), ONE_FLUSH),
    Row("catch-up, bin", "sub --protocol bin --events 2000000",
        (Goal("deliveries/s", 2_000_000), Goal("cpu s/M", 0.5))),
    Row("catch-up, ndjson", "sub --protocol ndjson --events 500000", (Goal("deliveries/s", 300_000),)),
    Row("fan-out, 1,000/s to 100 ws readers", "fanout --protocol ws --rate 1000 --readers 100",
        (Goal("delivery p50 ms", 2), Goal("delivery p99 ms", 15), Goal("cpu s/M", 9))),
    Row("fan-out, 1,000/s to 1,000 ws readers", "fanout --protocol ws --rate 1000 --readers 1000",
        (Goal("delivery p99 ms", 50), Goal("cpu s/M", 3))),
)


def figures(run):
    """What a row may be judged by. Readers' work is counted by what was delivered, as `weir bench` itself does."""
    reads = run["readers"] > 0
    count = run["delivered"] if reads else run["acknowledged"]
    used = [node.get("cpu_s") for node in run["nodes"]]
    known = bool(used) and None not in used and count > 0
    return {
        "events/s": run["events_per_s"],
        "deliveries/s": run["deliveries_per_s"],
        "p50 ms": run["publish_us"]["p50"] / 1000,
        "p99 ms": run["publish_us"]["p99"] / 1000,
        "delivery p50 ms": run["delivery_us"]["p50"] / 1000,
        "delivery p99 ms": run["delivery_us"]["p99"] / 1000,
        "cpu s/M": sum(used) * 1e6 / count if known else None,
    }


def shown(value):
    if value is None:
        return "?"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def middle(values):
    known = [value for value in values if value is not None]
    return (median(known), min(known), max(known)) if known else (None, None, None)


def span(got):
    return f"{shown(got[0])} [{shown(got[1])}-{shown(got[2])}]"


HEAD = ["work", "figure", "must", "stretch", "got [min-max]", "met?"]


def judged(row, runs):
    """One line of the table for each goal; figures without a goal that tell what it cost stand below."""
    measured = [figures(run) for run in runs]
    rate = "deliveries/s" if runs[0]["readers"] > 0 else "events/s"
    told = {goal.figure for goal in row.goals}
    latencies = ["p50 ms", "p99 ms"] if runs[0]["readers"] == 0 else []
    lines = []
    for goal in row.goals:
        got = middle([one[goal.figure] for one in measured])
        stretch = "" if goal.stretch is None else shown(goal.stretch)
        lines.append([row.name, goal.figure, shown(goal.must), stretch, span(got), goal.met(got[0])])
    for name in (rate, *latencies, "cpu s/M"):
        if name not in told:
            lines.append([row.name, name, "", "", span(middle([one[name] for one in measured])), ""])
    return lines
