"""retention_bench at a small size: the disk use of a log that drops is bounded, with a slow reader and without, and that of
one that drops nothing is not. Its times are no test."""

import os
import re
import subprocess
import tempfile
import unittest

BOUND_S = 100
SIZES = ["--total", "80MiB", "--retained", "16MiB", "--entry", "64KiB", "--segment", "4MiB", "--durability", "os"]
ROW = re.compile(r"^(?P<log>[a-z, ]+?) +(?:\d+ +\d+\.\d\d +){3}(?P<disk_mib>\d+\.\d)$", re.M)


def run(*arguments):
    with tempfile.TemporaryDirectory(prefix="weir-retention-") as folder:
        command = [os.environ["WEIR_RETENTION_BENCH"], os.path.join(folder, "logs"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=BOUND_S, check=False)


class Retention(unittest.TestCase):
    def test_disk_use_is_bounded_where_something_is_dropped(self):
        done = run(*SIZES)
        self.assertEqual(done.returncode, 0, done.stderr)
        disk = {row["log"]: float(row["disk_mib"]) for row in ROW.finditer(done.stdout)}
        self.assertEqual(set(disk), {"nothing dropped", "retained", "retained, slow reader"}, done.stdout)
        bound = re.search(
            r"disk use at most ([\d.]+) MiB: retained met; with the ([\d.]+) MiB that the slow reader holds: met", done.stdout
        )
        self.assertIsNotNone(bound, done.stdout)
        self.assertGreater(disk["nothing dropped"], float(bound[1]), done.stdout)
        self.assertGreater(disk["retained, slow reader"], disk["retained"], "the reader held nothing")
        self.assertGreater(float(bound[2]), 8)

    def test_a_total_that_shows_nothing_is_refused(self):
        done = run("--total", "8MiB", "--retained", "8MiB")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("at least twice", done.stderr)


if __name__ == "__main__":
    unittest.main()
