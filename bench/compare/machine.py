"""What every command here asks of the machine before it measures, and says of it afterwards."""

import os
import platform
import signal
import sys
import tempfile
from pathlib import Path

from processes import is_in_memory


def load():
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def description():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} × {model}, {platform.system()} {platform.release()}"


def prepare(command, folder, programs):
    """Ends the command when `folder` (None: where temporary files go) is in memory or a program is missing. SIGTERM then
    ends it as Ctrl-C does: through every `with`, which stops what was started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = folder or Path(tempfile.gettempdir())
    if is_in_memory(folder.resolve()):
        sys.exit(f"{command}: {folder} is in memory, where a flush costs nothing; choose a disk with --dir")
    for program in programs:
        if not program.exists():
            sys.exit(f"{command}: {program} is missing; build it: cmake --build --preset release --target {program.name}")
