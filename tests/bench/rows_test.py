"""How bench/rows judges runs by their goals, on runs that never ran."""

import sys
import unittest
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent.parent / "bench"
sys.path[:0] = [str(BENCH / "rows"), str(BENCH / "compare")]

import goals

LATENCY = {"p50": 900.0, "p99": 12_345.0}


def run(rate, cpu_s=1.0, readers=0):
    return {
        "events_per_s": rate, "deliveries_per_s": rate * readers, "acknowledged": int(rate * 2), "readers": readers,
        "delivered": int(rate * 2 * readers), "publish_us": LATENCY, "delivery_us": LATENCY,
        "nodes": [{"cpu_s": cpu_s}, {"cpu_s": cpu_s}],
    }


class Goals(unittest.TestCase):
    def test_rates_are_to_be_reached_and_the_rest_is_not_to_be_exceeded(self):
        self.assertEqual(goals.Goal("events/s", 100, 200).met(99), "NO")
        self.assertEqual(goals.Goal("events/s", 100, 200).met(100), "yes")
        self.assertEqual(goals.Goal("events/s", 100, 200).met(200), "yes, stretch too")
        self.assertEqual(goals.Goal("p99 ms", 50).met(50.1), "NO")
        self.assertEqual(goals.Goal("p99 ms", 50).met(50), "yes")
        self.assertEqual(goals.Goal("cpu s/M", 4).met(None), "?")

    def test_a_line_has_the_median_of_the_runs(self):
        row = goals.Row("work", "pub", (goals.Goal("events/s", 250, 400),))
        lines = goals.judged(row, [run(100), run(300), run(200)])
        self.assertEqual(lines[0], ["work", "events/s", "250", "400", "200 [100-300]", "NO"])
        self.assertEqual([line[1] for line in lines[1:]], ["p50 ms", "p99 ms", "cpu s/M"])
        self.assertTrue(all(line[2] == line[5] == "" for line in lines[1:]), "told, not judged")

    def test_processor_time_is_by_what_was_delivered_where_there_are_readers(self):
        self.assertAlmostEqual(goals.figures(run(1000))["cpu s/M"], 1000.0)
        self.assertAlmostEqual(goals.figures(run(1000, readers=100))["cpu s/M"], 10.0)

    def test_nodes_that_did_not_say_leave_it_open(self):
        silent = run(1000)
        silent["nodes"][0]["cpu_s"] = None
        self.assertIsNone(goals.figures(silent)["cpu s/M"])

    def test_of_a_pair_the_second_is_judged_beside_the_first_of_its_round(self):
        pair = goals.Pair("pair", "pub", "pub", (goals.Goal(goals.RATE_RATIO, 0.9), goals.Goal("cpu s/M, added", 600)))
        rounds = [
            {"first": run(first), "second": run(second), "read_per_s": None}
            for first, second in ((1000, 900), (2000, 1000), (1000, 950))
        ]
        lines = goals.judged(pair, rounds)
        self.assertEqual(lines[0], ["pair", goals.RATE_RATIO, "0.90", "", "0.90 [0.50-0.95]", "yes"])
        self.assertEqual(lines[1][5], "yes", "of the differences 53, 111 and 500 the middle one")
        self.assertIn(["pair", "second: events/s", "", "", "950 [900-1,000]", ""], lines)
        self.assertNotIn("old events read/s", [line[1] for line in lines])
        silent = [{**rounds[0], "first": run(1000, cpu_s=None)}]
        self.assertEqual(goals.judged(pair, silent)[1][5], "?")

    def test_what_was_read_beside_is_told(self):
        pair = goals.Pair("pair", "pub", "pub", (), stored=5)
        lines = goals.judged(pair, [{"first": run(10), "second": run(10), "read_per_s": 4000.0}])
        self.assertEqual(lines[-1][1:5:3], ["old events read/s", "4,000 [4,000-4,000]"])

    def test_memory_is_judged_as_it_was_measured(self):
        row = goals.Memory("memory", 2, (goals.Goal("an idle broker, MiB", 30, 15),))
        (line,) = goals.judged(row, [{"an idle broker, MiB": 20.0, "an idle subscriber, KiB": 1.0}])
        self.assertEqual(line[4:], ["20.0 [20.0-20.0]", "yes"])

    def test_every_goal_is_of_a_figure_that_there_is(self):
        pair = {**goals.pair_figures(run(10), run(10)), "old events read/s": 1}
        for row in (*goals.ROWS, *goals.PAIRS):
            known = pair if isinstance(row, goals.Pair) else goals.figures(run(10))
            self.assertLessEqual({goal.figure for goal in row.goals}, set(known), row.name)


if __name__ == "__main__":
    unittest.main()
