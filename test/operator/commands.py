"""The command tree as godwit's own help shows it, for the tests of what an operator sees."""

import os
import re
import subprocess
import sys

BINARY = os.environ.get("GODWIT_BIN") or sys.exit("GODWIT_BIN is not set")


def run(*words, **more):
    return subprocess.run([BINARY, *words], capture_output=True, text=True, encoding="utf-8", timeout=120, stdin=subprocess.DEVNULL, check=False, **more)


def help_of(path):
    ran = run(*path, "--help")
    if ran.returncode != 0 or ran.stderr:
        raise AssertionError(f"godwit {' '.join(path)} --help ends with {ran.returncode}: {ran.stderr}")
    return ran.stdout


def part(text, title):
    """The lines of a help text below a title that stands at the beginning of a line."""
    found = re.search(rf"(?ms)^{title}:\n(.*?)(?=^\S|\Z)", text)
    return found.group(1).splitlines() if found else []


def children(text):
    return [line.split()[0] for line in part(text, "Subcommands") if re.match(r"  \S", line)]


def examples(text):
    return [line.strip() for line in part(text, "Examples?") if line.strip()]


def all_commands(path=()):
    text = help_of(path)
    yield path, text
    for child in children(text):
        yield from all_commands((*path, child))


class Tally:
    """Collects what is wrong, so that one run shows all of it."""

    def __init__(self):
        self.problems = []
        self.checked = 0

    def expect(self, holds, problem):
        self.checked += 1
        if not holds:
            self.problems.append(problem)

    def end(self, least):
        for problem in self.problems:
            print(problem, file=sys.stderr)
        if self.checked < least:
            sys.exit(f"only {self.checked} things were looked at, and there should be {least} at least")
        sys.exit(1 if self.problems else 0)
