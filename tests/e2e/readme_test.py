#!/usr/bin/env python3
"""Runs the console blocks of README.md's first five minutes and compares what is stable in their output."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
SECTION = "## The first five minutes"
BINARY = Path(os.environ.get("WEIR_BINARY", ROOT / "build/release/weir")).resolve()
# What differs from run to run, on both sides of the comparison.
UNSTABLE = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<time>"),
    (r"\b\d\d:\d\d:\d\d\b", "<clock>"),
    (r"\b\d+(\.\d+)? ms\b", "<ms>"),
    (r"\be[a-z2-7]{8}\.\d+\b", "<cursor>"),
    (r" +", " "),
]


def console_commands():
    """(command, expected lines) of each console block of the section, in order."""
    section = README.read_text().split(SECTION)[1].split("\n## ")[0]
    for block in re.findall(r"```console\n(.*?)```", section, re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, *expected = part.rstrip("\n").split("\n")
            yield re.sub(r"\s+# .*", "", command), expected


def stable(line):
    for pattern, word in UNSTABLE:
        line = re.sub(pattern, word, line)
    return line.strip()


def matches(expected, actual):
    """Line by line; `…` in a line stands for anything, a line `…` for any lines."""
    pattern = ""
    for number, line in enumerate(expected):
        if line.strip() == "…":
            pattern += r"(?:\n[\s\S]*)?" if number else r"[\s\S]*"
        else:
            pattern += (r"\n" if number else "") + re.escape(stable(line)).replace("…", ".*")
    return re.fullmatch(pattern, "\n".join(stable(line) for line in actual.strip().split("\n"))) is not None


def ready():
    try:
        with urllib.request.urlopen("http://127.0.0.1:7400/readyz", timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def subscribed():
    with urllib.request.urlopen("http://127.0.0.1:7400/metrics", timeout=5) as answer:
        return re.search(r"^weir_websocket_subscriptions [1-9]", answer.read().decode(), re.M) is not None


class Readme(unittest.TestCase):
    def setUp(self):
        self.assertFalse(ready(), "a broker answers on port 7400 already: stop it to run this test")
        self.folder = Path(tempfile.mkdtemp(prefix="weir-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        for name in ("runtime", "tmp", "tree/build"):
            (self.folder / name).mkdir(mode=0o700, parents=True)
        # The README's own path, wherever the binary under test lies.
        (self.folder / "tree/build/release").symlink_to(BINARY.parent)
        self.environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(self.folder / "runtime"),
            "TMPDIR": str(self.folder / "tmp"),
            "PATH": f"{self.folder / 'tree/build/release'}:{os.environ['PATH']}",
        }
        self.environment.pop("WEIR_SERVER", None)
        self.background = []

    def test_the_first_five_minutes_work_as_written(self):
        try:
            outputs = [(command, expected, self.run_one(command)) for command, expected in console_commands()]
            self.assertGreaterEqual(len(outputs), 8)
            subscriber = (self.folder / "background-1").read_text()
        finally:
            for process in self.background:
                os.killpg(process.pid, signal.SIGINT)
            for process in self.background:
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
        for command, expected, output in outputs:
            if expected:
                self.assertTrue(matches(expected, output), f"$ {command}\n{output}\nREADME says:\n" + "\n".join(expected))
        self.assertIn("demo/hello", subscriber, "the subscriber saw the event")
        self.assertEqual(list((self.folder / "tmp").iterdir()), [], "weir dev left something behind")

    def run_one(self, command):
        serves = command.startswith("weir dev --nodes")
        if serves or command.endswith("&"):
            log = self.folder / f"background-{len(self.background)}"
            with open(log, "wb") as out:
                self.background.append(
                    subprocess.Popen(
                        ["bash", "-c", "exec " + command.rstrip("& ")],
                        stdin=subprocess.DEVNULL,
                        stdout=out,
                        stderr=subprocess.STDOUT,
                        env=self.environment,
                        cwd=self.folder / "tree",
                        start_new_session=True,
                    )
                )
            if serves:
                self.wait_until(ready, lambda: f"weir dev is ready:\n{log.read_text()}")
            else:  # typed by hand, the next command comes later
                self.wait_until(subscribed, lambda: "the subscriber has subscribed")
            return ""
        done = subprocess.run(
            ["bash", "-c", command],
            capture_output=True,
            text=True,
            timeout=60,
            env=self.environment,
            cwd=self.folder / "tree",
            check=False,
        )
        self.assertEqual(done.returncode, 0, f"$ {command}\n{done.stdout}{done.stderr}")
        return done.stdout + ("" if done.stdout else done.stderr)

    def wait_until(self, condition, what):
        end = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), end, f"not within 30 s: {what()}")


class Matching(unittest.TestCase):
    def test_a_changed_word_is_noticed_and_a_changed_time_is_not(self):
        expected = ["demo/hello 0 stored first 1.2 ms"]
        self.assertTrue(matches(expected, "demo/hello 0 stored first 17 ms\n"))
        self.assertFalse(matches(expected, "demo/hello 1 stored first 1.2 ms\n"))
        self.assertFalse(matches(expected, "demo/hello 0 stored first 1.2 ms\nmore\n"))
        self.assertTrue(matches(['{"a":1,…"b":2}'], '{"a":1,"x":0,"b":2}'))
        self.assertTrue(matches(["…", "last"], "one\ntwo\nlast"))

    def test_the_readme_has_commands_with_expected_output(self):
        commands = list(console_commands())
        self.assertTrue(any("weir pub" in command and expected for command, expected in commands))


if __name__ == "__main__":
    unittest.main(verbosity=2)
