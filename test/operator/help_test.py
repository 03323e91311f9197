#!/usr/bin/python3
"""Every command's --help: it fits 80 columns, explains every option, and has examples that the command line takes."""

import re
import shlex

from commands import Tally, all_commands, examples, help_of, children, part, run

BOGUS = "--is-no-option"


def is_taken(words):
    """Whether godwit would take these words, found out without running them: with one more that it cannot take, that one is all it complains about."""
    ran = run(*words, BOGUS)
    return ran.returncode == 2 and f"The following argument was not expected: {BOGUS}" in ran.stderr, ran.stderr


def commands_in(line):
    """The calls of godwit in a line of shell."""
    for call in re.findall(r"(?<![\w/.])godwit [^)>|;]+", line):
        yield shlex.split(call)[1:]


def check_layout(tally, name, text):
    for line in text.splitlines():
        tally.expect(len(line) <= 80, f"{name} --help: wider than 80 columns: {line}")
        tally.expect(line == line.rstrip(), f"{name} --help: blanks at the end of a line: {line!r}")
    tally.expect("TEXT" not in text and "UINT" not in text, f"{name} --help names a value by its type only")
    for line in text.splitlines():
        heads = re.match(r"  (-\S.*?)(  |$)", line)
        if heads and not heads.group(2).strip() and line.strip() == heads.group(1):
            continue  # its explanation is in the next line
    tally.expect(text.startswith(text.splitlines()[0]) and len(text.splitlines()[0]) > 10, f"{name} --help does not begin with what it is")


def check_explained(tally, name, text):
    lines = text.splitlines()
    for i, line in enumerate(lines):
        if not re.match(r"  -", line):
            continue
        is_beside = len(line) > 28 and line[26:28].strip() == ""
        is_below = i + 1 < len(lines) and re.match(r" {28}\S", lines[i + 1])
        tally.expect(is_beside or is_below, f"{name} --help does not explain {line.strip()}")


def check_examples(tally, name, path, text):
    lines = examples(text)
    tally.expect(lines, f"{name} --help has no example")
    own = 0
    for line in lines:
        for words in commands_in(line):
            taken, said = is_taken(words)
            tally.expect(taken, f"{name} --help: godwit does not take its example {line!r}: {said}")
            own += tuple(words[: len(path)]) == path
    tally.expect(own > 0, f"{name} --help: none of its examples is of that command: {lines}")


def main():
    tally = Tally()
    tally.expect(not is_taken(["copy", "shop", "--also-unknown"])[0], "this test takes whatever it is given")
    for path, text in all_commands():
        name = "godwit " + " ".join(path)
        check_layout(tally, name, text)
        check_explained(tally, name, text)
        check_examples(tally, name, path, text)
    inspect = help_of(("inspect",))
    tally.expect({"binlog", "failpoints", "codes", "steps", "checks", "man"} <= set(children(inspect)), f"inspect lists {children(inspect)}")
    tally.expect(part(help_of(("copy",)), "Servers"), "copy --help has no part about servers")
    tally.end(600)


main()
