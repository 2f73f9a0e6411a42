#!/usr/bin/env python3
"""The scripts that take figures (bench/start, bench/rows, bench/curves), at sizes that show that they work and no more: what
they print is there, and what they started has ended. The figures themselves are no test."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from cluster import TIME_FACTOR, binary

BENCH = Path(__file__).resolve().parent.parent.parent / "bench"
BOUND_S = 120


def running_from(folder):
    """Processes whose working folder is below `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            place = os.readlink(entry / "cwd") if entry.name.isdigit() else ""
        except OSError:
            continue  # gone, or another user's
        if place.startswith(str(folder)):
            found.append(int(entry.name))
    return found


class Figures(unittest.TestCase):
    def setUp(self):
        # Beside the binary: a temporary folder may be in memory, where the scripts refuse to measure.
        temporary = tempfile.TemporaryDirectory(prefix="weir-figures-", dir=os.path.dirname(binary()))
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name).resolve()

    def take(self, script, *arguments):
        out = self.folder / "out"
        (self.folder / "data").mkdir(exist_ok=True)
        command = [sys.executable, str(BENCH / script / "run"), "--weir", binary(), "--dir", str(self.folder / "data")]
        command += ["--out", str(out), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=BOUND_S * TIME_FACTOR, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(running_from(self.folder), [], done.stderr)
        self.assertEqual(list((self.folder / "data").iterdir()), [], f"data was left behind: {done.stderr}")
        return done.stdout, out

    def test_a_start(self):
        printed, out = self.take("start", "--events", "20000", "--rounds", "1", "--again", "5000")
        result = json.loads((out / "start_20000.json").read_text())
        self.assertEqual([one["cold"] for one in result["starts"]], [True, False])
        for one in result["starts"]:
            self.assertGreaterEqual(one["ids"], 20_000)
            self.assertTrue(one["ended_by_itself"])
            self.assertGreaterEqual(one["applied_seconds"], one["seconds"])
        self.assertEqual((result["again"]["duplicates"], result["again"]["wrong"]), (500, 0))
        self.assertIn("500 of them sent before: 0 answered wrong", printed)

    def test_rows_of_memory(self):
        _, out = self.take("rows", "--quick", "--rows", "memory")
        ((one,),) = [rows for runs in json.loads((out / "rows.json").read_text())["runs"].values() for rows in runs.values()]
        self.assertGreater(one["an idle broker, MiB"], 0.5)
        self.assertGreater(one["an idle subscriber, KiB"], 0.1)

    def test_rows_of_publishing_and_of_reading(self):
        for row, figure in (("one outstanding, one flush", "p50 ms"), ("catch-up, ndjson", "deliveries/s")):
            printed, _ = self.take("rows", "--rounds", "1", "--seconds", "0.5", "--warm-up", "0", "--rows", row)
            self.assertIn(f"| {figure} ", printed)

    def test_a_pair_with_old_events_read_beside(self):
        printed, out = self.take(
            "rows", "--rounds", "1", "--seconds", "2", "--warm-up", "0", "--rows", "closed loop", "--old-events", "20000"
        )
        ((one,),) = [rows for runs in json.loads((out / "rows.json").read_text())["runs"].values() for rows in runs.values()]
        self.assertGreater(one["read_per_s"], 0)
        self.assertIn("old events read/s", printed)

    def test_curves(self):
        _, out = self.take(
            "curves", "--rounds", "1", "--seconds", "0.3", "--warm-up", "0", "--curves", "replicas,stored", "--stored", "50000"
        )
        result = json.loads((out / "curves.json").read_text())
        self.assertEqual(set(result["runs"]), {"replicas", "stored"})
        self.assertEqual([len(run["nodes"]) for (run,) in result["runs"]["replicas"]], [1, 3, 5])
        for point, (run,) in zip(result["points"]["stored"], result["runs"]["stored"]):
            self.assertGreaterEqual(run["stored_before"], point)
        self.assertIn("</svg>", (out / "curve_stored.svg").read_text())


if __name__ == "__main__":
    unittest.main()
