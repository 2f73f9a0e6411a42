#!/usr/bin/env python3
"""A short slice of `make soak`, with a seed of its own each time; a failure repeats with WEIR_SEED."""

import os
import random
import unittest

from soak import Soak

SECONDS = 10
KILLS = 4


class ShortSoak(unittest.TestCase):
    def test_a_cluster_that_is_hurt_keeps_its_promises(self):
        seed = int(os.environ.get("WEIR_SEED") or random.SystemRandom().randrange(1 << 32))
        print(f"WEIR_SEED={seed}", flush=True)
        soak = Soak(seed)
        found, stored = soak.run(SECONDS, KILLS)
        self.assertEqual(found, [])
        self.assertGreater(stored, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
