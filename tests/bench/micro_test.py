"""That every micro benchmark runs and counts what it handled. What it takes is no test: a machine may be slow."""

import json
import os
import subprocess
import unittest

MICRO_BOUND_S = 540


def micro(*arguments):
    done = subprocess.run(
        [os.environ["WEIR_MICRO"], *arguments], capture_output=True, text=True, timeout=MICRO_BOUND_S, check=False
    )
    if done.returncode != 0:
        raise AssertionError(f"weir_micro ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


class Micro(unittest.TestCase):
    def test_every_benchmark_runs_and_has_figures(self):
        listed = micro("--benchmark_list_tests=true").split()
        ran = json.loads(micro("--benchmark_min_time=0.001", "--benchmark_format=json"))["benchmarks"]
        self.assertEqual([one["name"] for one in ran], listed)
        for one in ran:
            self.assertNotIn("error_occurred", one, one)
            self.assertGreater(one["items_per_second"], 0, one)

    def test_each_path_has_some(self):
        names = micro("--benchmark_list_tests=true")
        for part in ("encode_request", "decode_peer_frame", "decode_bin_batch", "parse_json", "merge_requests",
                     "append_group", "apply_entries/ids", "apply_entries/no_ids", "find_ids/miss/10000000",
                     "encode_stream", "encode_ws_bin"):  # fmt: skip
            self.assertIn(part, names)


if __name__ == "__main__":
    unittest.main()
