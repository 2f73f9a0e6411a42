"""The arithmetic of bench/compare, its table and its charts, on runs that never ran; and that what it starts, ends."""

import os
import sys
import tempfile
import unittest
import xml.dom.minidom
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "bench" / "compare"))

import brokers
import chart
import figures
import packages
from processes import Servers, free_ports, is_in_memory

TOTALS = {"refused": 0, "unanswered": 0}


def run(rate, cpu_s=1.0):
    return {
        "events_per_s": rate, "acknowledged": int(rate * 2), "duplicates": 0, "totals": dict(TOTALS),
        "publish_us": {"p50": 900.0, "p99": 12_345.0}, "nodes": [{"cpu_s": cpu_s}, {"cpu_s": cpu_s}],
    }


def row(name, on_disk, runs, weir_runs):
    return {
        "name": name, "setting": "R3 <default>", "setting_one": "R3 alone", "on_disk": on_disk, "dedup": "2 minutes",
        "recognised": 999, "modes": {"ids": figures.summary(runs, weir_runs)},
    }


def result():
    weir, peer = [run(400_000), run(200_000), run(300_000)], [run(40_000), run(50_000), run(10_000)]
    return {
        "machine": "2 × x", "load_average": {"before": "0.1", "after": "2.0"}, "rounds": 3, "seconds": 5.0, "warm_up": 1,
        "payload": 128, "in_flight": 1000, "sent_again": 1000,
        "brokers": [row("weir", "yes: all", weir, weir), row("peer", "no: later", peer, weir)],
    }


class Figures(unittest.TestCase):
    def test_ratios_are_taken_within_a_round(self):
        peer = result()["brokers"][1]["modes"]["ids"]
        self.assertEqual(peer["events_per_s"], {"median": 40_000, "min": 10_000, "max": 50_000})
        self.assertEqual(peer["weir_is_times"], 10)  # of 10, 4 and 30; of the medians it would be 7.5

    def test_processor_time_is_that_of_all_processes(self):
        self.assertEqual(figures.cpu_per_million(run(500_000, cpu_s=1.5)), 3.0)
        unknown = run(1)
        unknown["nodes"] = [{"cpu_s": 1.0}, {}]
        self.assertIsNone(figures.cpu_per_million(unknown))

    def test_a_run_with_events_that_were_not_stored_is_no_figure(self):
        figures.check(run(1000))
        for broken in ({"totals": {**TOTALS, "refused": 1}}, {"totals": {**TOTALS, "unanswered": 1}},
                       {"acknowledged": 0}, {"duplicates": 1}):
            with self.assertRaises(figures.Unsound, msg=broken):
                figures.check({**run(1000), **broken})

    def test_the_table_names_durability_and_range(self):
        text = figures.text(result())
        self.assertIn("| peer, R3 <default> | no: later ", text)
        self.assertIn("| 40,000 [10,000-50,000]    | 10.0 ×  | 0.90 / 12    | 25 ", text)
        self.assertIn("load average 0.1 before, 2.0 after; 3 rounds of 5 s", text)
        self.assertIn("2 minutes; recognised 999 of 1,000 sent again", text)


    def test_who_knows_no_ids_takes_no_part_in_what_is_measured_with_them(self):
        without = result()
        without["brokers"][1]["modes"] = {"no-ids": without["brokers"][1]["modes"]["ids"]}
        tables = figures.text(without).split("without ids:")
        self.assertRegex(tables[0], r"\| peer, R3 <default> +\| no: later +\| takes no part +\| - +\| - +\| - +\|")
        self.assertIn("| 40,000 [10,000-50,000] ", tables[1])
        self.assertEqual([mode for mode in figures.MODES if figures.takes_part(False, mode)], ["no-ids", "one"])
        self.assertTrue(all(figures.takes_part(True, mode) for mode in figures.MODES))
        self.assertNotIn("peer", chart.svg(without, "ids", ""))


class Rabbit(unittest.TestCase):
    def test_has_joined_when_it_is_up_and_the_first_says_so(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "n0.log").write_text("Server startup complete\nnode rabbit2@localhost up\n")
            (folder / "n1.log").write_text("Server startup complete\n")
            (folder / "n2.log").write_text("")
            self.assertEqual([brokers.rabbit_joined(folder, n) for n in range(3)], [True, False, False])
            (folder / "n0.log").write_text("rabbit on node rabbit2@localhost up\nrabbit on node rabbit3@localhost up\n")
            self.assertEqual([brokers.rabbit_joined(folder, n) for n in range(3)], [False, True, False])

    def test_says_where_ids_are_left_out(self):
        rabbit = brokers.Rabbit("weir_peers", None)
        self.assertIn("without ids", rabbit.setting_one)
        self.assertNotIn("without ids", rabbit.setting)


class Chart(unittest.TestCase):
    def test_bars_are_as_long_as_the_rates_and_coloured_by_durability(self):
        document = xml.dom.minidom.parseString(chart.svg(result(), "ids", "a < b"))
        bars = [one for one in document.getElementsByTagName("rect") if float(one.getAttribute("height")) == chart.BAR]
        widths = [float(one.getAttribute("width")) for one in bars]
        self.assertAlmostEqual(widths[0] / widths[1], 300_000 / 40_000, places=1)
        self.assertEqual([one.getAttribute("fill") for one in bars], [chart.ON_DISK, chart.NOT_ON_DISK])


class Packages(unittest.TestCase):
    def test_only_the_group_is_read(self):
        self.assertEqual(packages.names("# x\n[build]\na\n[compare]\nb\n\n# c\nd\n[check]\ne\n"), ["b", "d"])

    def test_the_list_has_the_peers(self):
        listed = packages.names((packages.ROOT / ".ci" / "packages.txt").read_text())
        self.assertLessEqual({"nats-server", "redis-server", "etcd-server", "rabbitmq-server"}, set(listed))


    def test_a_path_with_a_version_is_found_if_there_is_one(self):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            with self.assertRaises(packages.Missing):
                packages.only(root, "erts-*")
            (root / "erts-1").mkdir()
            self.assertEqual(packages.only(root, "erts-*"), root / "erts-1")
            (root / "erts-2").mkdir()
            with self.assertRaises(packages.Missing):
                packages.only(root, "erts-*")


class Processes(unittest.TestCase):
    def test_what_was_started_ends_whatever_happens(self):
        with self.assertRaises(KeyError):
            with Servers("test") as servers:
                servers.start("one", ["sh", "-c", "echo up; exec cat /dev/zero > /dev/null"])
                servers.wait_for("one", lambda: (servers.folder / "one.log").read_text())
                pid, folder = servers.pids[0], servers.folder
                raise KeyError
        self.assertFalse(folder.exists())
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, 0)

    def test_ports_differ(self):
        self.assertEqual(len(set(free_ports(6))), 6)

    def test_memory_is_told_from_a_disk_by_the_nearest_mount(self):
        mounts = "d / ext4 rw 0 0\nt /tmp tmpfs rw 0 0\nd /tmp/disk ext4 rw 0 0\n"
        cases = {"/var/x": False, "/tmp/x": True, "/tmp/disk/x": False, "/tmpx": False}
        self.assertEqual({path: is_in_memory(path, mounts) for path in cases}, cases)


if __name__ == "__main__":
    unittest.main()
