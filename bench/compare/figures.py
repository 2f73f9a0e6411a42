"""What is made of the runs: medians, ratios, the table, the JSON object. Numbers in, text out; nothing is measured here.

A run is one object of `weir bench pub --json` or weir_peers. Rounds of one broker stand in order, so that ratios are taken
within a round: what disturbs the machine for a minute disturbs both sides."""

from statistics import median

MODES = {
    "ids": "{n:,} events in flight, with ids",
    "no-ids": "{n:,} events in flight, without ids",
    "one": "one event outstanding, with ids",
}


class Unsound(Exception):
    pass


def check(run):
    """A run with events that were refused or not answered has no rate that means anything."""
    totals = run["totals"]
    if totals["refused"] or totals["unanswered"]:
        raise Unsound(f"refused {totals['refused']}, unanswered {totals['unanswered']}: {run.get('problems')}")
    if not run["acknowledged"]:
        raise Unsound("nothing was acknowledged while it was measured")
    if run["duplicates"]:
        raise Unsound(f"{run['duplicates']} duplicates of events that were sent once")


def cpu_per_million(run):
    used = [node.get("cpu_s") for node in run["nodes"]]
    if not used or None in used:
        return None
    return sum(used) * 1e6 / run["acknowledged"]


def middle(values):
    known = [value for value in values if value is not None]
    return median(known) if known else None


def summary(runs, weir_runs):
    """Of one broker in one mode; `weir_runs` are the rounds it is compared with."""
    rates = [run["events_per_s"] for run in runs]
    ratios = [theirs["events_per_s"] / run["events_per_s"] for run, theirs in zip(runs, weir_runs)]
    return {
        "rounds": len(runs),
        "events_per_s": {"median": median(rates), "min": min(rates), "max": max(rates)},
        "weir_is_times": middle(ratios),
        "p50_us": middle([run["publish_us"]["p50"] for run in runs]),
        "p99_us": middle([run["publish_us"]["p99"] for run in runs]),
        "cpu_s_per_million": middle([cpu_per_million(run) for run in runs]),
    }


def milliseconds(us):
    return f"{us / 1000:.2f}" if us < 10_000 else f"{us / 1000:.0f}"


def significant(value):
    if value is None:
        return "?"
    return f"{value:,.0f}" if value >= 20 else f"{value:.1f}" if value >= 2 else f"{value:.2f}"


def takes_part(has_ids, mode):
    """A broker that knows no ids is measured without them."""
    return has_ids or mode != "ids"


def cells(row, mode):
    first = [f"{row['name']}, {row['setting_one'] if mode == 'one' else row['setting']}", row["on_disk"]]
    if mode not in row["modes"]:
        return [*first, "takes no part", "-", "-", "-"]
    figures = row["modes"][mode]
    rate = figures["events_per_s"]
    return [
        *first,
        f"{rate['median']:,.0f} [{rate['min']:,.0f}-{rate['max']:,.0f}]",
        significant(figures["weir_is_times"]) + " ×",
        f"{milliseconds(figures['p50_us'])} / {milliseconds(figures['p99_us'])}",
        significant(figures["cpu_s_per_million"]),
    ]


HEAD = ["broker", "on disk before the ack?", "events/s", "weir is", "p50 / p99 ms", "server cpu s per million"]


def markdown(head, rows):
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines)


def text(result):
    """Every mode one table. `result` is what the JSON file holds."""
    parts = [conditions(result)]
    for mode, title in MODES.items():
        if any(mode in row["modes"] for row in result["brokers"]):
            rows = [cells(row, mode) for row in result["brokers"]]
            heading = title.format(n=result["in_flight"])
            parts.append(f"{result['payload']} B, {heading}:\n\n{markdown(HEAD, rows)}")
    dedup = "\n".join(dedup_line(row, result["sent_again"]) for row in result["brokers"])
    parts.append("\"weir is\": the rate of weir's first row as a multiple of this one's, median of the rounds' ratios.")
    parts.append(f"Ids are remembered:\n{dedup}")
    return "\n\n".join(parts) + "\n"


def dedup_line(row, sent_again):
    seen = row["recognised"]
    proof = "" if seen is None else f"; recognised {seen:,} of {sent_again:,} sent again"
    return f"- {row['name']}, {row['setting']}: {row['dedup']}{proof}"


def conditions(result):
    loads = result["load_average"]
    return (
        f"{result['machine']}; load average {loads['before']} before, {loads['after']} after; "
        f"{result['rounds']} rounds of {result['seconds']:g} s after {result['warm_up']:g} s; medians [min-max]"
    )
