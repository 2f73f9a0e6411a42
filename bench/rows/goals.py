"""What weir is to reach, one row for each kind of work, and how a run of `weir bench --json` is judged by it. Numbers in,
text out; nothing is measured here."""

from dataclasses import dataclass, field
from statistics import median


RATE_RATIO = "rate, × the first"


@dataclass(frozen=True)
class Goal:
    figure: str
    must: float | None
    stretch: float | None = None

    def met(self, got):
        """Rates, and what they come to beside another, are to be reached, everything else is not to be exceeded."""
        if got is None or self.must is None:
            return "?"

        def within(bound):
            return got >= bound if self.figure.endswith(("/s", RATE_RATIO)) else got <= bound

        if not within(self.must):
            return "NO"
        return "yes, stretch too" if self.stretch is not None and within(self.stretch) else "yes"


@dataclass(frozen=True)
class Row:
    name: str
    arguments: str
    goals: tuple[Goal, ...]
    env: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """Two kinds of work in turn, the second judged beside the first of the same round. With `stored`, a topic has so many
    events before, and beside the second work they are read, again and again."""

    name: str
    first: str
    second: str
    goals: tuple[Goal, ...]
    stored: int = 0


@dataclass(frozen=True)
class Memory:
    """What brokers that do nothing take, and what each of so many subscribers adds that hear nothing."""

    name: str
    subscribers: int
    goals: tuple[Goal, ...]


ONE_FLUSH = {"WEIR_DURABILITY": "one-flush"}
ROWS = (
    # At most 64,000 may be under way: at this rate they alone would be a queue of more than 50 ms.
    Row("publish, bin × 100, 10,000 in flight", "pub --protocol bin --batch 100 --in-flight 10000",
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
BATCHES = "pub --protocol bin --batch 100 --in-flight 64000"
# Half of what is to be reached in a closed loop: far from where queues rule.
STEADY = "pub --protocol bin --batch 100 --clients 4 --in-flight 64000 --rate 100000"
OLD_EVENTS = 10_000_000
PAIRS = (
    Pair("ids, beside none", BATCHES + " --no-ids", BATCHES, (Goal("cpu s/M, added", 0.8, 0.4),)),
    Pair("10 % sent again, beside none", BATCHES, BATCHES + " --dup 10%", (Goal(RATE_RATIO, 0.95),)),
    Pair("a reader of 10 M old events beside, closed loop", BATCHES, BATCHES, (Goal(RATE_RATIO, 0.9),), OLD_EVENTS),
    Pair("a reader of 10 M old events beside, open loop", STEADY, STEADY,
         (Goal(RATE_RATIO, 0.9), Goal("p99, × the first", 1.1)), OLD_EVENTS),
)
MEMORY = (
    Memory("memory of three idle brokers, 1,000 idle subscribers", 1000,
           (Goal("an idle broker, MiB", 30, 15), Goal("an idle subscriber, KiB", 20, 8))),
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


def pair_figures(first, second):
    """Of one round; unknown processor time stays unknown."""
    one, two = figures(first), figures(second)
    known = one["cpu s/M"] is not None and two["cpu s/M"] is not None
    return {
        RATE_RATIO: two["events/s"] / one["events/s"] if one["events/s"] else None,
        "p99, × the first": two["p99 ms"] / one["p99 ms"] if one["p99 ms"] else None,
        "cpu s/M, added": two["cpu s/M"] - one["cpu s/M"] if known else None,
        **{f"first: {name}": value for name, value in one.items()},
        **{f"second: {name}": value for name, value in two.items()},
    }


HEAD = ["work", "figure", "must", "stretch", "got [min-max]", "met?"]


def lines_of(row, measured, told):
    """One line of the table for each goal, below it one for each figure of `told` that has none. `measured`: of each round
    every figure by its name."""
    lines = []
    for goal in row.goals:
        got = middle([one[goal.figure] for one in measured])
        stretch = "" if goal.stretch is None else shown(goal.stretch)
        lines.append([row.name, goal.figure, shown(goal.must), stretch, span(got), goal.met(got[0])])
    judged_figures = {goal.figure for goal in row.goals}
    for name in told:
        if name not in judged_figures:
            lines.append([row.name, name, "", "", span(middle([one[name] for one in measured])), ""])
    return lines


PAIR_TOLD = [RATE_RATIO, "p99, × the first", *(f"{which}: {name}" for which in ("first", "second")
                                               for name in ("events/s", "p50 ms", "p99 ms", "cpu s/M"))]


def judged(row, rounds):
    """What the runs of one row come to: figures without a goal tell what it cost."""
    if isinstance(row, Memory):
        return lines_of(row, rounds, [])
    if isinstance(row, Pair):
        told = [*PAIR_TOLD, "old events read/s"] if row.stored else PAIR_TOLD
        measured = [{**pair_figures(one["first"], one["second"]), "old events read/s": one["read_per_s"]} for one in rounds]
        return lines_of(row, measured, told)
    reads = rounds[0]["readers"] > 0
    told = ["deliveries/s"] if reads else ["events/s", "p50 ms", "p99 ms"]
    return lines_of(row, [figures(run) for run in rounds], [*told, "cpu s/M"])
