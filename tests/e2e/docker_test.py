#!/usr/bin/env python3
"""Keeps docker/ true where there is no container engine: what it copies exists, what it runs parses, the flags it gives
are flags of `weir serve`, and the libraries it installs are exactly those the binary needs."""

import json
import os
import re
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
COMPOSE = ROOT / "docker" / "compose.yaml"
BINARY = os.environ.get("WEIR_BINARY", str(ROOT / "build/release/weir"))
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def instructions():
    """(stage, INSTRUCTION, arguments) of the Dockerfile, continued lines joined, comments dropped."""
    stage = -1
    text = "\n".join(line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            stage += word == "FROM"
            yield stage, word, rest.strip()


def of_kind(kind, stage=None):
    return [rest for at, word, rest in instructions() if word == kind and stage in (None, at)]


def serve_flags():
    done = subprocess.run([BINARY, "serve", "--help"], capture_output=True, text=True, timeout=20, check=True)
    return set(FLAG.findall(done.stdout + done.stderr))


def packages_of_libraries():
    """The Debian packages that own what ldd names."""
    lines = subprocess.run(["ldd", BINARY], capture_output=True, text=True, timeout=20, check=True).stdout
    packages = set()
    for path in re.findall(r"=> (/\S+)|^\s+(/\S+) \(", lines, re.M):
        path = next(filter(None, path))
        found = ""
        for name in {path, os.path.realpath(path), path.removeprefix("/usr"), "/usr" + path}:
            done = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True, timeout=20, check=False)
            found = found or done.stdout.split(":")[0]
        packages.add(found or f"(no package owns {path})")
    return packages


class Docker(unittest.TestCase):
    def test_there_are_two_stages_and_the_last_is_not_root(self):
        self.assertEqual(of_kind("FROM"), ["debian:12 AS build", "debian:12-slim"])
        self.assertEqual(of_kind("USER", 1), ["weir"])

    def test_every_copied_source_exists(self):
        for arguments in of_kind("COPY", 0):
            *sources, _ = arguments.split()
            for source in sources:
                self.assertTrue((ROOT / source).exists(), f"COPY {source}: not in the repository")
        self.assertEqual(of_kind("COPY", 1), ["--from=build /src/build/release/weir /usr/local/bin/weir"])

    def test_every_folder_the_build_needs_is_copied(self):
        copied = " ".join(of_kind("COPY", 0)).split()
        # What CMake takes, if it is there, but for the tests.
        folders = re.search(r"^foreach\(folder (.+)\)$", (ROOT / "CMakeLists.txt").read_text(), re.M)[1].split()
        self.assertIn("broker", folders)
        self.assertEqual(set(folders) - set(copied), {"tests"})

    def test_every_run_step_parses_and_names_what_exists(self):
        steps = of_kind("RUN")
        for step in steps:
            done = subprocess.run(["sh", "-n", "-c", step], capture_output=True, text=True, timeout=20, check=False)
            self.assertEqual(done.returncode, 0, f"RUN {step}: {done.stderr}")
        self.assertTrue(os.access(ROOT / ".ci/install", os.X_OK))
        presets = json.loads((ROOT / "CMakePresets.json").read_text())["buildPresets"]
        for name in re.findall(r"--preset (\S+)", " ".join(steps)):
            self.assertIn(name, [preset["name"] for preset in presets])

    def test_the_health_check_is_a_command_that_finds_nobody_here(self):
        (check,) = of_kind("HEALTHCHECK")
        command = json.loads(check[check.index("[") :])
        self.assertEqual(command[:2], ["bash", "-c"])
        done = subprocess.run(["bash", "-n", "-c", command[2]], capture_output=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("/healthz", command[2])

    def test_flags_are_flags_of_serve(self):
        known = serve_flags()
        command = json.loads(of_kind("CMD")[0])
        used = {word for word in command if word.startswith("--")}
        services = re.findall(r"command: >-\n((?: {6}.*\n)+)", COMPOSE.read_text())
        self.assertEqual(len(services), 3)
        for service in services:
            self.assertTrue(service.split()[0] == "serve", service)
            used |= set(FLAG.findall(service))
        self.assertGreater(len(used), 5)
        self.assertEqual(sorted(used - known), [], "flags that `weir serve` does not have")

    def test_installed_libraries_are_those_of_the_binary(self):
        install = next(step for step in of_kind("RUN", 1) if "apt-get install" in step)
        listed = set(re.findall(r"\blib[a-z0-9+.-]+", install.split("&&")[1]))
        needed = {package for package in packages_of_libraries()}
        sanitizers = {package for package in needed if re.fullmatch(r"lib(asan|ubsan|tsan)\d+", package)}
        if sanitizers:
            # With them code is kept that nobody calls, and what that would need.
            self.assertEqual(listed - needed, set())
        else:
            self.assertEqual(listed, needed)

    def test_compose_publishes_on_loopback_alone(self):
        ports = re.findall(r'ports: \["([^"]+)"\]', COMPOSE.read_text())
        self.assertEqual(len(ports), 3)
        for port in ports:
            self.assertTrue(port.startswith("127.0.0.1:"), port)


if __name__ == "__main__":
    unittest.main(verbosity=2)
