"""How bench/start judges starts and answers, on starts that never were."""

import sys
import unittest
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent.parent / "bench"
sys.path[:0] = [str(BENCH / "start"), str(BENCH / "rows"), str(BENCH / "compare")]

import starts

METRICS = {
    "weir_ids": 1000.0, "weir_ids_bytes": 16_000.0, "weir_id_runs_ids": 3000.0, "weir_id_runs_bytes": 48_000.0,
    "weir_id_runs_memory_bytes": 9_000.0,
}


def result(events, seconds, rss_anon_of_id=10):
    costs = starts.id_costs(METRICS, 63 * events, events)
    one = {**costs, "ids": events, "seconds": seconds, "applied_seconds": seconds + 1, "cpu_seconds": 1.0, "rss_anon": rss_anon_of_id * events,
           "ended_by_itself": True}
    return {
        "machine": "2 × x", "load_average": ["0.1", "2.0"], "events": events, "payload": 16, "durability": "os",
        "fill_events_per_s": 1e6, "unsealed": 0, "starts": [{**one, "cold": True}, {**one, "cold": False}], "again": None,
    }


class Starts(unittest.TestCase):
    def test_more_events_may_take_longer(self):
        bounds = [starts.start_goal(events) for events in (1, 10_000_000, 10_000_001, 100_000_000, 10**9)]
        self.assertEqual(bounds, [3, 3, 15, 15, 15])

    def test_an_id_costs_what_table_and_runs_take(self):
        costs = starts.id_costs(METRICS, 126, 2)
        self.assertEqual(costs["ids"], 4000)
        self.assertEqual(costs["memory B/id"], 25_000 / 4000)
        self.assertEqual(costs["ids on disk B/id"], 16)
        self.assertEqual(costs["folder B/event"], 63)

    def test_the_table_says_what_was_not_reached(self):
        lines = starts.text(result(10_000_000, 2.5)).splitlines()
        verdict = {line.split("|")[1].strip(): line.split("|")[5].strip() for line in lines if line.startswith("| ")}
        self.assertEqual(verdict["cold page cache: until /readyz is 200, s"], "yes")
        self.assertEqual(verdict["until everything stored is applied, s"], "NO")
        self.assertEqual(verdict["memory then, B an id"], "", "judged from 100 million on")

    def test_a_node_that_had_to_be_killed_is_told(self):
        killed = result(1000, 1)
        self.assertNotIn("killed", starts.text(killed))
        killed["starts"][1]["ended_by_itself"] = False
        self.assertIn("1 of these starts are behind a node that did not end", starts.text(killed))

    def test_memory_is_judged_where_ids_are_all_there_is(self):
        self.assertRegex(starts.text(result(100_000_000, 2.5)), r"memory then, B an id +\| 12.0 \| 3.00 +\| 10.0 .*\| yes +\|")
        self.assertRegex(starts.text(result(100_000_000, 2.5, 13)), r"memory then, B an id .*\| NO +\|")

    def test_originals_are_named_and_new_events_follow(self):
        sent = [None, 7, None, 3]
        right = [
            {"offset": 100, "duplicate": False}, {"offset": 7, "duplicate": True},
            {"offset": 101, "duplicate": False}, {"offset": 3, "duplicate": True},
        ]  # fmt: skip
        self.assertEqual(starts.wrong_answers(sent, right, 100), (0, 102))
        for number, wrong in enumerate(({"offset": 101}, {"duplicate": False}, {"duplicate": True}, {"offset": 4})):
            answers = [dict(one) for one in right]
            answers[number].update(wrong)
            self.assertEqual(starts.wrong_answers(sent, answers, 100)[0], 1, wrong)
        self.assertEqual(starts.wrong_answers(sent, right[:3], 100)[0], 1, "one is not answered")


if __name__ == "__main__":
    unittest.main()
