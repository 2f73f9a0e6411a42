#!/usr/bin/env python3
"""The checker of histories must see what it is there for."""

import unittest

from history import History, Read, Write


def history(reads=(), **writes):
    made = History()
    for event_id, (began, ended, offset) in writes.items():
        made.writes[event_id] = Write(began, ended, offset)
    made.reads = [Read(*read) for read in reads]
    return made


class Checker(unittest.TestCase):
    def check_finds(self, text, made, stored):
        self.assertTrue(any(text in line for line in made.violations(stored)), made.violations(stored))

    def test_what_is_allowed(self):
        made = history(a=(1, 2, 0), b=(1.5, 3, 1), c=(4, None, None), reads=[(2.5, 2.6, 1), (2.7, 5, 2), (6, 7, 3)])
        self.assertEqual(made.violations(["a", "b", "c"]), [])
        self.assertEqual(history(a=(1, None, None)).violations([]), [])

    def test_lost(self):
        self.check_finds("a was acknowledged at 0 and is at None", history(a=(1, 2, 0)), [])

    def test_moved(self):
        self.check_finds("b was acknowledged at 0", history(a=(1, None, None), b=(1, 2, 0)), ["a", "b"])

    def test_doubled(self):
        self.check_finds("stored twice", history(a=(1, 2, 0)), ["a", "a"])

    def test_made_up(self):
        self.check_finds("x was never sent", history(), ["x"])

    def test_writes_out_of_order(self):
        self.check_finds("a was sent after", history(a=(3, 4, 0), b=(1, 2, 1)), ["a", "b"])

    def test_a_stale_read(self):
        self.check_finds("saw 0 events when 1", history(a=(1, 2, 0), reads=[(3, 4, 0)]), ["a"])

    def test_reads_that_go_back(self):
        made = history(a=(1, 9, 0), reads=[(2, 3, 1), (4, 5, 0)])
        self.check_finds("saw 0 events when 1", made, ["a"])

    def test_a_read_of_the_future(self):
        self.check_finds("before the last of them was sent", history(a=(5, 6, 0), reads=[(1, 2, 1)]), ["a"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
