#!/usr/bin/python3
"""Of ctest's log, what failed and how: of each test that did not pass, the lines around its failures, or its last ones.

  failures.py LOG        LOG is build/dev/Testing/Temporary/LastTest.log
"""

import re
import sys

LINES_EACH = 60  # of a test
LINES_BEFORE = 6  # of a failure: the test case's name and place
LINES_AFTER = 24
WIDTH = 400
FAILURE = re.compile(r"FAILED:|^FAIL")  # Catch's word, and scripts' own


def tests_of(log):
    """Name, output and verdict of each test, in the order of the log."""
    for block in re.split(r"^\d+/\d+ Testing: ", log, flags=re.M)[1:]:
        name = block.split("\n", 1)[0]
        output, _, verdict = block.partition("\nOutput:\n")[2].rpartition("\n<end of output>")
        yield name, output, "\nTest Pass" in verdict  # "Test Passed." or "Test Pass Reason:"


def digest(output):
    lines = [line[:WIDTH] for line in output.split("\n")]
    marks = [number for number, line in enumerate(lines) if FAILURE.search(line)]
    if not marks:
        return lines[-LINES_AFTER:]
    kept = sorted({number for mark in marks for number in range(max(0, mark - LINES_BEFORE), min(len(lines), mark + LINES_AFTER))})
    return [lines[number] for number in kept[:LINES_EACH]]


def report(log):
    for name, output, has_passed in tests_of(log):
        if not has_passed:
            yield f"\n== {name} failed:"
            yield from digest(output)


def main():
    with open(sys.argv[1], encoding="utf-8", errors="replace") as file:
        print("\n".join(report(file.read())))


if __name__ == "__main__":
    main()
