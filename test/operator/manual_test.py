#!/usr/bin/python3
"""The manual pages: groff and man set every one without a complaint, and they say what --help says. That they are those of this binary, scripts/docs --check knows."""

import os
import pathlib
import re
import subprocess

from commands import Tally, all_commands

PAGES = pathlib.Path(__file__).resolve().parents[2] / "docs/man"


def set_by_groff(page):
    return subprocess.run(["groff", "-ww", "-man", "-Tutf8", "-rLL=78n", str(page)], capture_output=True, text=True, check=False)


def shown_by_man(page):
    environment = {**os.environ, "MANWIDTH": "80", "MANPAGER": "cat", "LC_ALL": "C.UTF-8", "MANROFFOPT": "-ww"}
    return subprocess.run(["man", "--warnings", "-l", str(page)], capture_output=True, text=True, check=False, env=environment)


def main():
    tally = Tally()
    commands = dict(all_commands())
    for path, help_text in commands.items():
        page = PAGES / ("-".join(("godwit", *path)) + ".1")
        name = page.name
        tally.expect(page.exists(), f"{name} is missing")
        if not page.exists():
            continue
        tally.expect(page.read_text(encoding="utf-8").isascii(), f"{name} is not in ASCII: not every device has more")
        groff, man = set_by_groff(page), shown_by_man(page)
        tally.expect(groff.returncode == 0 and not groff.stderr, f"{name}: {groff.stderr}")
        tally.expect(man.returncode == 0 and not man.stderr, f"{name}: {man.stderr}")
        text = man.stdout
        for section in ("NAME", "SYNOPSIS", "EXAMPLES"):
            tally.expect(re.search(rf"(?m)^{section}$", text), f"{name} has no {section}")
        for option in re.findall(r"(?m)^  (?:-\w, )?(--[\w-]+)", help_text):
            tally.expect(option in text, f"{name} lacks {option}")
        tally.expect("``" not in text and "\\" not in text, f"{name} shows what is meant for roff")
    root = shown_by_man(PAGES / "godwit.1").stdout
    for word in ("EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO", "GODWIT_SOURCE_PASSWORD", "NO_COLOR", "130"):
        tally.expect(word in root, f"godwit(1) lacks {word}")
    tally.end(200)


main()
