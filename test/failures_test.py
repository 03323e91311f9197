#!/usr/bin/python3
"""That `failures.py` finds what failed in a log of ctest's (the test `failures.finds`)."""
import unittest

import failures


def entry(number, name, output, verdict):
    return f"{number}/3 Testing: {name}\n{number}/3 Test: {name}\nCommand: \"it\"\nOutput:\n-----\n{output}\n<end of output>\nTest time =   1.00 sec\n-----\n{verdict}.\n\"{name}\" end time: now\n"


def report(*entries):
    return list(failures.report("".join(entries)))


class Finds(unittest.TestCase):
    def test_nothing_where_all_has_passed(self):
        self.assertEqual(report(entry(1, "unit", "a line that says FAILED: and means nothing", "Test Passed"), entry(2, "installed", "0.1", "Test Pass Reason:\nRequired regular expression found")), [])

    def test_a_failure_with_its_place_far_from_the_end(self):
        output = "\n".join(["before"] * 100 + ["copy: a sentence", "-----", "copy_test.cpp:7", "", "copy_test.cpp:9: FAILED:", "  CHECK( a == b )", "with expansion:", "  1 == 2"] + ["after"] * 100)
        lines = report(entry(1, "live.copy", output, "Test Failed"), entry(2, "unit", "fine", "Test Passed"))
        self.assertEqual(lines[0], "\n== live.copy failed:")
        self.assertIn("copy: a sentence", lines)
        self.assertIn("  1 == 2", lines)
        self.assertLessEqual(len(lines), failures.LINES_EACH + 1)

    def test_the_last_lines_where_no_word_says_what_failed(self):
        lines = report(entry(1, "docs", "\n".join(["before", "Test Passed."] * 100 + ["AssertionError: this"]), "Test Failed"), entry(2, "demo", "it hung", "Test Timeout"))
        self.assertIn("AssertionError: this", lines)
        self.assertLessEqual(lines.count("before"), failures.LINES_AFTER)
        self.assertIn("it hung", lines)


unittest.main()
