#!/usr/bin/env python3
"""`make run`'s example log: shows what it says, serves until Ctrl-C, leaves nothing behind."""

import os
import re
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("WEIR_BINARY", str(ROOT / "build/release/weir"))
STEPS = [
    r"sensors/temp 0 stored t-1 ",
    r"users/login 0 stored u-1 ",
    r'"id":"12345"',
    r"orders/new 0 stored o-1 ",
    r"alerts/cpu 0 stored a-1 ",
    r"sensors/temp 0 duplicate of \d\d:\d\d:\d\d t-1",
    r"exit code 1: refused",
    r"What the subscriber saw",
    r"sensors/temp.*\n.*users/login.*\n.*orders/new.*\n.*alerts/cpu",
    r"0 missed",  # the subscriber was at the leader that was killed
    r"The Raft log",
    r"CONFIG.*\n(.*\n)*.*SET .*sensors/temp.*\n(.*\n)*.*SET .*users/login.*\n(.*\n)*.*DEDUP.*12345.*\n(.*\n)*.*NOOP.*\n"
    r"(.*\n)*.*SET .*orders/new.*\n(.*\n)*.*SET .*alerts/cpu",
    r"Ctrl-C ends it",
]


def processes_of_session(session):
    """What still runs in a session that we started."""
    left = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            left.append((entry / "cmdline").read_text(errors="replace").replace("\0", " "))
    return left


class ExampleLog(unittest.TestCase):
    def test_it_shows_every_step_and_ctrl_c_leaves_nothing_behind(self):
        with tempfile.TemporaryDirectory(prefix="weir-test-") as folder:
            runtime, temporary = Path(folder, "runtime"), Path(folder, "tmp")
            runtime.mkdir(mode=0o700)
            temporary.mkdir()
            environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "TMPDIR": str(temporary)}
            environment.pop("WEIR_SERVER", None)
            process = subprocess.Popen(
                [ROOT / "docs/example_log.sh", BINARY, "--port", "0"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=environment,
                start_new_session=True,
            )
            output = ""
            try:
                for line in process.stdout:
                    output += line
                    if line.startswith("Ctrl-C ends it"):
                        break
                # What a terminal does: the signal goes to the whole foreground group.
                os.killpg(process.pid, signal.SIGINT)
                output += process.communicate(timeout=30)[0]
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.communicate()
            self.check_steps(output)
            self.assertIn(process.returncode, (0, 130), output)
            self.assertEqual(processes_of_session(process.pid), [], "left running")
            self.assertEqual([p.name for p in temporary.iterdir()], [], "left in the temporary folder")
            self.assertEqual([str(p) for p in runtime.rglob("*") if p.is_file()], [], "left in the runtime folder")

    def check_steps(self, output):
        place = 0
        for step in STEPS:
            match = re.compile(step).search(output, place)
            self.assertIsNotNone(match, f"/{step}/ is not in (or not after what came before it in):\n{output}")
            place = match.start()


if __name__ == "__main__":
    unittest.main(verbosity=2)
