"""The arithmetic of bench/curves, its tables and its charts, on runs that never ran."""

import sys
import unittest
import xml.dom.minidom
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent.parent / "bench"
sys.path[:0] = [str(BENCH / "curves"), str(BENCH / "rows"), str(BENCH / "compare")]

import chart
import curves


def run(rate, cpu_s=1.0):
    return {
        "events_per_s": rate, "deliveries_per_s": 0, "acknowledged": int(rate), "readers": 0, "delivered": 0,
        "mb_per_s": rate * 128 / 1e6, "publish_us": {"p50": 900.0, "p99": 12_345.0}, "delivery_us": {"p50": 0, "p99": 0},
        "nodes": [{"cpu_s": cpu_s}, {"cpu_s": cpu_s}],
    }


CURVE = curves.Curve("topics", "topics < all", (curves.Point(1), curves.Point(1000, topics=1000)))
RUNS = [[run(400_000), run(200_000), run(300_000)], [run(150_000), run(150_000), run(75_000)]]


class Curves(unittest.TestCase):
    def test_what_is_varied_goes_as_far_as_it_should(self):
        ends = {one.name: (one.points[0].x, one.points[-1].x) for one in curves.all_curves(50_000_000)}
        self.assertEqual(ends, {
            "topics": (1, 10_000), "clients": (1, 256), "payload": (64, 65_536), "replicas": (1, 5), "stored": (0, 50_000_000),
        })  # fmt: skip

    def test_large_events_fit_into_a_request_and_into_what_may_be_under_way(self):
        for curve in curves.all_curves(1000):
            for point in curve.points:
                words = point.arguments()
                options = dict(zip(words[::2], words[1::2]))
                self.assertLessEqual(options["--batch"] * point.payload, 8 << 20, point)
                self.assertLessEqual(options["--in-flight"] * point.payload, 64 << 20, point)
                self.assertGreaterEqual(options["--in-flight"], options["--batch"] * point.clients, point)

    def test_a_table_compares_with_the_first_point(self):
        lines = curves.table(CURVE, RUNS).splitlines()
        cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
        self.assertEqual(cells[0][:3], ["1", "300,000 [200,000-400,000]", "1.00 ×"])
        self.assertEqual(cells[1][:3], ["1,000", "150,000 [75,000-150,000]", "0.50 ×"])
        self.assertEqual(cells[1][4], "2.00 ×", "processor time for each event has doubled")

    def test_what_no_node_says_is_left_open(self):
        silent = [RUNS[0], [run(1, cpu_s=None)]]
        self.assertIn("| ?", curves.table(CURVE, silent))
        xml.dom.minidom.parseString(curves.svg(CURVE, silent))

    def test_the_chart_has_each_point_at_its_height(self):
        document = xml.dom.minidom.parseString(curves.svg(CURVE, RUNS))
        circles = document.getElementsByTagName("circle")
        self.assertEqual(len(circles), 4, "two figures at two places")
        base = chart.TOP + 24 + chart.PANEL
        heights = [base - float(one.getAttribute("cy")) for one in circles[:2]]
        self.assertAlmostEqual(heights[0], chart.PANEL * 300_000 / 400_000, places=0)
        self.assertAlmostEqual(heights[1], chart.PANEL * 150_000 / 400_000, places=0)
        self.assertLess(float(circles[0].getAttribute("cx")), float(circles[1].getAttribute("cx")))


if __name__ == "__main__":
    unittest.main()
