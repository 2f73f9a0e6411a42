#!/usr/bin/env python3
"""Keeps the rules of the house that a compiler does not: who may include whom, how long, how named.

    tests/tidy.py [ROOT]        prints `path:line: [rule] what` for each offence; exit 1 if there is one
    tests/tidy.py --self-test   shows that every rule catches its offence and lets clean code pass

Python's standard library only. One rule is one function that yields (line, text); RULES names them all.
"""

import ast
import re
import sys
from pathlib import Path, PurePosixPath

SKIPPED_FOLDERS = {".git", "build", ".cache", "node_modules", "__pycache__"}
CPP = {".cpp", ".hpp", ".h"}
CODE = CPP | {".py", ".sh", ".js", ".fbs"}

# Arrows of DESIGN §2: a folder includes itself and what stands here. wire/ and storage/ never meet.
MAY_INCLUDE = {
    "raft": set(),
    "wire": {"raft"},
    "storage": {"raft"},
    "broker": {"raft", "wire", "storage"},
    "clients": set(),
    "bench": {"raft", "wire", "storage", "broker", "clients"},
    "tests": {"raft", "wire", "storage", "broker", "clients", "bench"},
}
# One binary holds server and client commands and the bench, so its main() knows them.
# The codecs of the binary messages and of a backup exist once: clients share those files with the broker.
INCLUDE_EXCEPTIONS = {
    ("broker/main.cpp", "clients/cli/cli.hpp"),
    ("broker/main.cpp", "bench/command.hpp"),
    ("clients/cpp/batch_publisher.cpp", "wire/client_message.hpp"),
    ("clients/cli/backup.cpp", "wire/backup_stream.hpp"),
}

# raft/ is pure: no clock, thread, lock, logger, socket, file, or order that differs between runs.
RAFT_HEADERS = set(
    """algorithm array bit bitset charconv cinttypes climits compare concepts cstddef cstdint cstring deque exception
    expected functional initializer_list iosfwd iterator limits list map memory new numeric optional ostream queue
    ranges set source_location span sstream stdexcept string string_view tuple type_traits utility variant
    vector""".split()
)
# A broken invariant prints its values and aborts; nothing else in raft/ may do either.
RAFT_CHECK_HEADERS = RAFT_HEADERS | {"cstdio", "cstdlib"}
IMPURE_CALLS = re.compile(
    r"\bstd::(chrono|this_thread|random_device|thread|mutex|atomic|cout|cerr)\b"
    r"|(?<![\w.>:])(rand|srand|time|clock|getenv|usleep|sleep|open|fopen)\("
)

# What decides is told apart from what touches threads, sockets and files: the simulator runs broker/core/ as it is.
SHELL_HEADERS = re.compile(r"boost/(asio|beast)|spdlog/|(thread|mutex|condition_variable|fstream|filesystem|iostream)$")

LINES_MAX_RAFT = 400
LINES_MAX = 500
LINES_MAX_TESTS = 800
FUNCTION_LINES_MAX = 70
FILE_BYTES_MAX = 512 * 1024

BANNED_NAMES = {"util", "utils", "helper", "helpers", "common", "misc", "manager"}
FREE_NAMES = {"CMakeLists.txt", "CMakePresets.json", "Dockerfile", "Makefile", "LICENSE"}
SNAKE_CASE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")

# The only places in tests/ that may pause: polls of a condition, with a bound.
BOUNDED_POLLS = {("tests/cluster/cluster.py", "wait_until")}


class Source:
    """One file, read once. `code` is C++ with comments and literals blanked out, of the same shape as `text`."""

    def __init__(self, path, data):
        self.path = PurePosixPath(path)
        self.data = data
        self.folder = self.path.parts[0] if len(self.path.parts) > 1 else ""
        self.suffix = self.path.suffix
        self.text = data.decode("utf-8", errors="replace")
        self.lines = self.text.split("\n")
        self.is_cpp = self.suffix in CPP
        self.code = blank(self.text) if self.is_cpp else self.text

    def python_tree(self):
        if self.suffix != ".py":
            return None
        try:
            return ast.parse(self.text)
        except SyntaxError:
            return None


TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"([^\s()\\]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'""",
    re.S,
)


def blank(text):
    """Comments and literals become spaces, include lines stay as they are; line numbers do not move."""

    def replace(match):
        token = match.group(0)
        line_start = text.rfind("\n", 0, match.start()) + 1
        if token[0] == '"' and re.match(r"\s*#\s*include", text[line_start : match.start()]):
            return token
        return re.sub(r"[^\n]", " ", token)

    return TOKEN.sub(replace, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def includes(source):
    if source.is_cpp:
        for match in INCLUDE.finditer(source.code):
            yield line_of(source.code, match.start(1)), match.group(1), match.group(2)


def include_direction(source):
    folder = source.folder
    if folder not in MAY_INCLUDE:
        return
    for line, quote, target in includes(source):
        other = target.split("/")[0]
        if other not in MAY_INCLUDE:
            if quote == '"':
                yield line, f'"{target}": paths start at the root, as in "raft/log.hpp"'
        elif other != folder and other not in MAY_INCLUDE[folder]:
            if (str(source.path), target) not in INCLUDE_EXCEPTIONS:
                yield line, f"{folder}/ may not include {target}"
        elif quote == "<":
            yield line, f'<{target}>: own headers are included with "…"'


def raft_is_pure(source):
    if source.folder != "raft" or not source.is_cpp:
        return
    allowed = RAFT_CHECK_HEADERS if source.path.stem == "check" else RAFT_HEADERS
    for line, quote, target in includes(source):
        if quote == "<" and target not in allowed:
            yield line, f"<{target}> in raft/: only what keeps it deterministic (RAFT_HEADERS in tests/tidy.py)"
    for match in IMPURE_CALLS.finditer(source.code):
        yield line_of(source.code, match.start()), f"{match.group(0)} in raft/: no clock, chance, thread or file"


def core_has_no_shell(source):
    if source.path.parts[:2] == ("broker", "core"):
        for line, _, target in includes(source):
            if SHELL_HEADERS.match(target):
                yield line, f"{target} in broker/core/: threads, sockets, files and logs belong to the shell around it"


def lmdb_has_one_includer(source):
    for line, _, target in includes(source):
        if target == "lmdb.h" and not (source.folder == "storage" and source.path.stem == "env"):
            yield line, "lmdb.h is included by storage/env.* alone"


def generated_headers_stay_in_wire(source):
    for line, _, target in includes(source):
        if target.endswith("_generated.h") and not (source.folder == "wire" and source.suffix == ".cpp"):
            yield line, f"{target} is included by wire/*.cpp alone: nobody else sees FlatBuffers' types"


def file_length(source):
    if source.suffix not in CODE:
        return
    limit = {"raft": LINES_MAX_RAFT, "tests": LINES_MAX_TESTS}.get(source.folder, LINES_MAX)
    count = source.text.count("\n")
    if count > limit:
        yield count, f"{count} lines, {limit} at most: split it by concept"


TYPE_OR_NAMESPACE = re.compile(r"^(inline\s+)?namespace\b|^extern\s*$|^(template\s*<.*>\s*)?(class|struct|union|enum)\b")
CONSTRUCTOR_LIST = re.compile(r"\)\s*(noexcept)?\s*:[^:]")


def cpp_functions(code):
    """(first line, last line) of each function body at namespace or class level. A brace matcher, not a parser: what
    follows the last `;`, `{` or `}` decides what a brace opens."""
    stack = []  # (kind, offset where its header starts)
    header_start = 0
    for match in re.finditer(r"[{};]|^[ \t]*#[^\n]*(?:\\\n[^\n]*)*|^[ \t]*(?:public|private|protected):", code, re.M):
        mark = match.group(0)
        inside = bool(stack) and stack[-1][0] in ("function", "block")
        if mark == "{":
            header = " ".join(code[header_start : match.start()].split())
            before = code[match.start() - 1 : match.start()]
            if inside:
                kind = "block"
            elif CONSTRUCTOR_LIST.search(header) and re.match(r"[\w>]", before):
                kind = "initializer"
            elif TYPE_OR_NAMESPACE.search(header) or not header:
                kind = "scope"
            else:
                kind = "function" if ")" in header else "initializer"
            stack.append((kind, header_start))
        elif mark == "}" and stack:
            kind, start = stack.pop()
            if kind == "function":
                first = start + len(code[start:]) - len(code[start:].lstrip())
                yield line_of(code, first), line_of(code, match.start())
            if kind == "initializer":
                continue
        if not inside or mark == "}":
            header_start = match.end()


def function_length(source):
    spans = []
    if source.is_cpp:
        spans = cpp_functions(source.code)
    elif tree := source.python_tree():
        spans = (
            (node.lineno, node.end_lineno)
            for node in ast.walk(tree)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        )
    for first, last in spans:
        if last - first + 1 > FUNCTION_LINES_MAX:
            yield first, f"a function of {last - first + 1} lines, {FUNCTION_LINES_MAX} at most"


def file_name(source):
    name = source.path.name
    words = set(re.split(r"[._]", "/".join(source.path.parts).replace("/", "_")))
    if source.suffix in CODE and name not in FREE_NAMES and not SNAKE_CASE.fullmatch(name):
        yield 1, f"{name}: file names are snake_case"
    for word in sorted(BANNED_NAMES & words):
        yield 1, f"'{word}' says nothing about what is inside"


def raft_words(source):
    if source.folder == "raft":
        for number, line in enumerate(source.lines, 1):
            if match := re.search(r"\b(epoch|ballot|master)s?\b", line, re.I):
                yield number, f"'{match.group(0)}' in raft/: use Figure 2's words"


def open_ends(source):
    if source.suffix in CODE or source.path.name == "CMakeLists.txt":
        for number, line in enumerate(source.lines, 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))", line):
                yield number, "an open end needs an issue: TODO(#12)"


DEAD_CODE = re.compile(
    r"^\s*//\s*(?:(?:return|break|continue|throw|delete|using|auto|const|if|for|while)\b(?:\s*\S+){0,6};"
    r"|[\w:<>&*]+(?:\s+[\w:<>&*]+)?\s=\s[^.]+;|[\w:>.\-]+\([^()]*\);|\}|#\s*include\s.*)\s*$"
)


def commented_out_code(source):
    if source.is_cpp:
        for number, line in enumerate(source.lines, 1):
            if DEAD_CODE.match(line):
                yield number, "commented-out code: git remembers it"


SLEEP = re.compile(r"\b(sleep_for|sleep_until|usleep|nanosleep)\b|\btime\.sleep\b|(?<![\w.])sleep\(|^\s*sleep \d")


def sleeping_tests(source):
    if source.folder != "tests" or source.suffix not in CODE:
        return
    allowed = set()
    if tree := source.python_tree():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and (str(source.path), node.name) in BOUNDED_POLLS:
                allowed.update(range(node.lineno, node.end_lineno + 1))
    for number, line in enumerate(source.code.split("\n"), 1):
        if SLEEP.search(line) and number not in allowed:
            yield number, "a test that sleeps is slow or flaky: wait for a condition, with a bound"


MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(work|root|home|farm|Users)/")


def machine_paths(source):
    for number, line in enumerate(source.lines, 1):
        if MACHINE_PATH.search(line):
            yield number, "a path of one machine"


def text_only(source):
    if len(source.data) > FILE_BYTES_MAX:
        yield 1, f"{len(source.data)} bytes, {FILE_BYTES_MAX} at most: generate it instead"
    try:
        source.data.decode("utf-8")
        binary = b"\0" in source.data
    except UnicodeDecodeError:
        binary = True
    if binary:
        yield 1, "not a text file"
    elif source.data and not source.data.endswith(b"\n"):
        yield len(source.lines), "no line end at the end of the file"


def header_opens_with_a_sentence(source):
    if source.suffix == ".hpp":
        if not source.text.startswith("//") and not source.text.startswith("#pragma once\n\n"):
            yield 1, "a header says what it is and who may call it, or is nothing but `#pragma once` and its types"
        if "#pragma once\n" not in source.text:
            yield 1, "no #pragma once"


def python_parses(source):
    if source.suffix == ".py" and source.python_tree() is None:
        yield 1, "Python cannot read this file"


RULES = [
    include_direction,
    raft_is_pure,
    core_has_no_shell,
    lmdb_has_one_includer,
    generated_headers_stay_in_wire,
    file_length,
    function_length,
    file_name,
    raft_words,
    open_ends,
    commented_out_code,
    sleeping_tests,
    machine_paths,
    text_only,
    header_opens_with_a_sentence,
    python_parses,
]
# This file quotes the offences it looks for.
QUOTES_OFFENCES = {"tests/tidy.py", "tests/tidy_cases.py"}
NOT_ON_QUOTES = {open_ends, machine_paths, sleeping_tests}


def offences(source):
    for rule in RULES:
        if str(source.path) in QUOTES_OFFENCES and rule in NOT_ON_QUOTES:
            continue
        for line, text in rule(source):
            yield line, rule.__name__, text


def sources(root):
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if not SKIPPED_FOLDERS.intersection(relative.parts) and path.is_file() and not path.is_symlink():
            yield Source(relative.as_posix(), path.read_bytes())


def fault_table(table, text_of):
    """Rows of tests/README.md whose test does not exist or does not name the fault. `text_of` gives a test's text, or
    None; a row says `open` or `folder/name_test` (a source or a transcript), comma separated, with remarks in ()."""
    for number, line in enumerate(table.split("\n"), 1):
        row = re.match(r"\| (\d+) \| [ABC] \|.*\| ([^|]*) \|$", line)
        for test in re.findall(r"[\w/]+/\w+", re.sub(r"\(.*?\)", "", row.group(2))) if row else ():
            text = text_of(test)
            named = re.findall(r"(?:FAULTS |FAULTS|Fault)((?:\d+(?:, | and |/|-)?)+)", text or "")
            if text is None:
                yield number, f"fault {row.group(1)}: there is no tests/{test}"
            elif int(row.group(1)) not in map(int, re.findall(r"\d+", " ".join(named))):
                yield number, f"fault {row.group(1)}: tests/{test} does not name it"


def test_text(root, test):
    for suffix in (".py", ".cpp", ".txt"):
        path = (root / "tests" / test).with_suffix(suffix)
        if path.is_file():
            return path.read_text(errors="replace")
    return None


def check(root):
    count = files = 0
    for source in sources(root):
        files += 1
        for line, rule, text in offences(source):
            count += 1
            print(f"{source.path}:{line}: [{rule}] {text}")
    table = root / "tests" / "README.md"
    for line, text in fault_table(table.read_text(), lambda test: test_text(root, test)) if table.is_file() else ():
        count += 1
        print(f"tests/README.md:{line}: [fault_table] {text}")
    if not files:
        print(f"tidy: nothing to read under {root}")
        return 1
    print(f"tidy: {files} files, {len(RULES)} rules, {count} offences")
    return 1 if count else 0


def self_test():
    from tidy_cases import BAD, CLEAN, FAULT_TABLES

    failures = []
    for rule_name, path, text in BAD:
        found = {rule for _, rule, _ in offences(Source(path, text if isinstance(text, bytes) else text.encode()))}
        if rule_name not in found:
            failures.append(f"{rule_name} did not see its offence in {path}: found {sorted(found)}")
    for path, text in CLEAN:
        for line, rule, what in offences(Source(path, text.encode())):
            failures.append(f"clean {path}:{line} was accused: [{rule}] {what}")
    for row, texts, wanted in FAULT_TABLES:
        if (found := len(list(fault_table(row, texts.get)))) != wanted:
            failures.append(f"fault_table found {found} offences, not {wanted}, in {row}")
    for rule in RULES:
        if rule.__name__ not in {name for name, _, _ in BAD}:
            failures.append(f"rule {rule.__name__} has no case that breaks it")
    for failure in failures:
        print(failure)
    print(f"tidy: self-test, {len(BAD)} bad and {len(CLEAN)} clean snippets, {len(failures)} failures")
    return 1 if failures else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        print(__doc__)
        return 2
    return check(Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
