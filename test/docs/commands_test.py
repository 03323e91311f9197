#!/usr/bin/python3
"""That `commands.py` finds what it is there to find (the test `docs.commands.finds`):  commands_test.py GODWIT"""
import pathlib
import sys
import tempfile
import unittest

import commands
import pages

GODWIT = sys.argv.pop(1)


class Finds(unittest.TestCase):
    def problems(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".md", dir=pages.ROOT, delete=False) as file:
            file.write(text)
        try:
            return list(commands.problems_on(GODWIT, pages.read(pathlib.Path(file.name))))
        finally:
            pathlib.Path(file.name).unlink()

    def assert_found(self, text, problem):
        self.assertTrue(any(problem in found for found in self.problems(text)), self.problems(text))

    def test_a_subcommand_that_is_none_in_a_block_that_is_not_run(self):
        self.assert_found("# A\n\n<!-- not run: why -->\n\n    godwit cpoy shop\n", "no subcommand cpoy")

    def test_an_option_of_another_subcommand(self):
        self.assert_found("# A\n\n<!-- not run: why -->\n```sh\ngodwit check shop --follow\n```\n", "godwit check has no option --follow")

    def test_a_command_behind_another(self):
        self.assert_found("# A\n\n<!-- not run: why -->\n```sh\nexport A=1 && godwit vdiff shop --quick | cat\n```\n", "no option --quick")

    def test_a_line_that_goes_on(self):
        self.assert_found("# A\n\n<!-- not run: why -->\n```sh\ngodwit copy shop \\\n  --sourc x\n```\n", "no option --sourc")

    def test_code_within_a_sentence(self):
        self.assert_found("# A\n\nUse `godwit switch NAME --now`.\n", "no option --now")
        self.assert_found("# A\n\nUse `switch --now`.\n", "no option --now")
        self.assert_found("# A\n\nUse `--nowhere`.\n", "has an option --nowhere")

    def test_a_block_that_nothing_runs(self):
        self.assert_found("# A\n\n    godwit status\n", "nothing runs this block")
        self.assert_found("# A\n\n```sql\nSELECT 1;\n```\n", "nothing runs these statements")

    def test_nothing_where_all_is_right(self):
        page = "<!-- servers: old=mariadb-10.11 -->\n# A\n\n    godwit status shop --history   # and --more in a comment\n\nSee `copy --follow`, `--pause-max 3s`.\n"
        self.assertEqual([], self.problems(page))
        self.assertEqual([], self.problems("# A\n\n```text\n$ godwit nonsense --at-all, as output\n```\n\n    table  rows\n"))


if __name__ == "__main__":
    unittest.main()
