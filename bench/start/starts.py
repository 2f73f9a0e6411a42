"""What is made of starts: the table, and how duplicates' answers are judged. Numbers in, text out; nothing is measured
here."""

import figures
import goals

MIB = 1 << 20
# At most so many events: seconds until a node serves. Between the two and above, the larger one's.
START_MUST = ((10_000_000, 3), (100_000_000, 15))
MANY_IDS = 100_000_000
HEAD = ["figure", "must", "stretch", "got [min-max]", "met?"]


def start_goal(events):
    return next((must for most, must in START_MUST if events <= most), START_MUST[-1][1])


def memory_goal(events):
    """What else a node has in memory weighs nothing beside so many ids."""
    bounds = (12, 3) if events >= MANY_IDS else (None, None)
    return goals.Goal("memory then, B an id", *bounds)


def id_costs(metrics, folder_bytes, events):
    """Bytes of memory and of disk for each id, in the table and in runs; and of the whole folder for each event."""
    ids = metrics["weir_ids"] + metrics["weir_id_runs_ids"]
    return {
        "ids": ids,
        "memory B/id": (metrics["weir_ids_bytes"] + metrics["weir_id_runs_memory_bytes"]) / max(1, ids),
        "ids on disk B/id": metrics["weir_id_runs_bytes"] / max(1, metrics["weir_id_runs_ids"]),
        "folder B/event": folder_bytes / events,
    }


def line(goal, values):
    got = goals.middle(values)
    bounds = ["" if bound is None else goals.shown(bound) for bound in (goal.must, goal.stretch)]
    return [goal.figure, *bounds, goals.span(got), "" if goal.must is None else goal.met(got[0])]


def table(result):
    """`result` is what the JSON file holds."""
    starts = result["starts"]
    must = start_goal(result["events"])
    cold = [one for one in starts if one["cold"]]
    warm = [one for one in starts if not one["cold"]]
    lines = [
        line(goals.Goal("cold page cache: until /readyz is 200, s", must), [one["seconds"] for one in cold]),
        line(goals.Goal("until everything stored is applied, s", must), [one["applied_seconds"] for one in cold]),
        line(goals.Goal("warm page cache: until /readyz is 200, s", must), [one["seconds"] for one in warm]),
        line(goals.Goal("until everything stored is applied, s", must), [one["applied_seconds"] for one in warm]),
        line(goals.Goal("processor seconds until then", None), [one["cpu_seconds"] for one in starts]),
        line(goals.Goal("memory then (RssAnon), MiB", None), [one["rss_anon"] / MIB for one in starts]),
        line(memory_goal(result["events"]), [one["rss_anon"] / one["ids"] for one in starts]),
        line(goals.Goal("of it ids: table and filters, B an id", None), [one["memory B/id"] for one in starts]),
        line(goals.Goal("ids on disk, B an id", None), [one["ids on disk B/id"] for one in starts]),
        line(goals.Goal("data folder, B an event", None), [one["folder B/event"] for one in starts]),
    ]
    return figures.markdown(HEAD, lines)


def text(result):
    loads = result["load_average"]
    parts = [
        f"{result['machine']}; load average {loads[0]} before, {loads[1]} after; {result['events']:,} events of "
        f"{result['payload']} B with ids, one node, durability {result['durability']}, filled at "
        f"{result['fill_events_per_s']:,.0f}/s; files of the log without a seal at the stop: {result['unsealed']}",
        table(result),
    ]
    if killed := sum(not one["ended_by_itself"] for one in result["starts"]):
        parts.append(f"{killed} of these starts are behind a node that did not end in time and was killed")
    if again := result.get("again"):
        parts.append(
            f"{again['events']:,} events behind it, {again['duplicates']:,} of them sent before: {again['wrong']:,} answered "
            f"wrong; {again['events_per_s']:,.0f}/s in batches of {again['batch']:,}, p50 {again['p50_ms']:.1f} ms, "
            f"p99 {again['p99_ms']:.1f} ms; seed {again['seed']}"
        )
    return "\n\n".join(parts) + "\n"


def wrong_answers(sent, results, next_offset):
    """`sent`: of each event its original's offset, None if it is new. Every original is to be named, every new event to get
    the next offset. (count, the next offset behind them)."""
    wrong = abs(len(sent) - len(results))
    for original, result in zip(sent, results):
        expected = (True, original) if original is not None else (False, next_offset)
        wrong += (result["duplicate"], result["offset"]) != expected
        next_offset += original is None
    return wrong, next_offset
