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


if __name__ == "__main__":
    unittest.main()
