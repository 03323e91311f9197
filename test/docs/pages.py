"""The pages of the documentation, and the code blocks in them. Shared by `commands` (every word is right) and `run_page` (every command runs).

A block is fenced, or indented by four spaces. What cannot run here says so, with its reason, in a comment before it, or before the first heading for the
whole page:

    <!-- not run: needs an account at a cloud -->

A page that is run names the servers it needs in its first line, as a live test does, and what is there when it begins:

    <!-- servers: old=mariadb-10.11 new=mysql-9.7, begins: copied -->

A block of SQL says on which of them it is run:

    <!-- on: old -->
"""
import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# Made from the program, by scripts/docs.
MADE = {ROOT / "docs/errors.md", ROOT / "docs/checks.md"}
SHELL = {"sh", "bash"}
# Words that begin a line of shell in a block without a language: what else is indented is output, a picture or a table.
STARTERS = {"godwit", "cmake", "ctest", "export", "mysql", "mariadb", "sqlite3", "curl", "jq", "systemctl", "cd", "cp", "mkdir", "until", "kill", "wait"}


@dataclasses.dataclass
class Block:
    page: pathlib.Path
    line: int  # of its first line of code
    language: str
    text: str
    why_not_run: str = ""
    server: str = ""  # of a block of SQL

    @property
    def place(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_shell(self):
        if self.language:
            return self.language in SHELL
        lines = [line for line in self.text.splitlines() if line.strip()]
        first = (lines[0].split() or [""])[0] if lines else ""
        return first in STARTERS or re.match(r"(\./|scripts/|docs/model/|test/|examples/|[A-Z_]+=)", first) is not None

    @property
    def commands(self):
        """(line number, command): lines that go on are joined."""
        joined, begin = "", self.line
        for number, line in enumerate(self.text.splitlines(), self.line):
            begin = begin if joined else number
            joined += line
            if joined.endswith("\\"):
                joined = joined[:-1]
                continue
            if joined.strip():
                yield begin, joined.strip()
            joined = ""


@dataclasses.dataclass
class Page:
    path: pathlib.Path
    blocks: list
    spans: list  # (line, text) of code within sentences
    servers: str = ""
    begins: str = "loaded"
    why_not_run: str = ""


def all_paths():
    paths = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/*.md")]
    return sorted(path for path in paths if path.parent != ROOT / "docs/cli" and path not in MADE)


class Parser:
    def __init__(self, path):
        self.page = Page(path, [], [])
        self.lines = path.read_text(encoding="utf-8").splitlines()
        self.reason = ""  # of the comment that the next block belongs to
        self.server = ""  # likewise
        self.at = 0

    def parse(self):
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if fence := re.match(r"```(\w*)\s*$", line):
                self.fenced(fence[1])
            elif line.startswith("    ") and (self.at == 0 or not self.lines[self.at - 1].strip()):
                self.indented()
            else:
                self.sentence(line)
                self.at += 1
        for block in self.page.blocks:
            block.why_not_run = block.why_not_run or self.page.why_not_run
        return self.page

    def add(self, first, language, lines):
        while lines and not lines[-1].strip():
            lines.pop()
        self.page.blocks.append(Block(self.page.path, first + 1, language, "\n".join(lines), self.reason, self.server))
        self.reason = self.server = ""

    def fenced(self, language):
        first, self.at = self.at + 1, self.at + 1
        while self.at < len(self.lines) and self.lines[self.at].strip() != "```":
            self.at += 1
        self.add(first, language, self.lines[first:self.at])
        self.at += 1

    def indented(self):
        first, lines = self.at, []
        while self.at < len(self.lines) and (self.lines[self.at].startswith("    ") or not self.lines[self.at].strip()):
            lines.append(self.lines[self.at][4:])
            self.at += 1
        self.add(first, "", lines)

    def sentence(self, line):
        if servers := re.match(r"<!-- servers: ([^,]*?)(?:, begins: (\w+))? -->$", line):
            self.page.servers, self.page.begins = servers[1], servers[2] or "loaded"
        elif server := re.match(r"<!-- on: (\w+) -->$", line):
            self.server = server[1]
        elif mark := re.match(r"<!-- not run: (.+) -->$", line):
            if any(before.startswith("#") for before in self.lines[:self.at]):
                self.reason = mark[1]
            else:
                self.page.why_not_run = mark[1]
        elif line.strip():
            self.reason = self.server = ""
            self.page.spans += [(self.at + 1, span) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", line)]


def read(path):
    return Parser(path).parse()
