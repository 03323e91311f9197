#!/usr/bin/python3
"""Completion in real bash, zsh and fish, each on a terminal of its own: a line is typed, TAB is pressed, and the shell says which words it has then."""

import os
import pathlib
import pty
import re
import select
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

from commands import BINARY, Tally, children, help_of, run

PATIENCE_S = 60
SETTLE_S = 0.3

# What is typed before TAB, and the last word afterwards.
LINES = [
    ("godwit sw", "switch"),
    ("godwit inspect fail", "failpoints"),
    ("godwit inspect man repl", "replicate"),
    ("godwit completion z", "zsh"),
    ("godwit copy wareh", "warehouse"),
    ("godwit status --state other.db else", "elsewhere"),
    ("godwit status --state=other.db else", "elsewhere"),
    ("godwit switch warehouse --hook", "--hook-dir"),
    ("godwit switch --fence tri", "triggers"),
    ("godwit switch --fence=tri", "--fence=triggers"),
    ("godwit switch warehouse --proxy 127.0.0.1:6033 --admin-u", "--admin-user"),
    ("godwit check --skip source_comm", "source_commit_order"),
    ("godwit proxy --tls-cert certif", "certificate.pem"),
    ("godwit proxy --tls-cert=certif", "--tls-cert=certificate.pem"),
    ("godwit switch --hook-dir ho", "hooks"),
    ("godwit inspect binlog certif", "certificate.pem"),
]


class Shell:
    """An interactive shell on a terminal."""

    def __init__(self, words, setup, folder):
        environment = {"PATH": f"{pathlib.Path(BINARY).parent}:{os.environ['PATH']}", "HOME": str(folder), "TERM": "xterm", "LANG": "C.UTF-8",
                       "GODWIT_STATE": str(folder / "state.db"), "PS1": "", "GODWIT_FAILPOINTS": ""}
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(words[0], words, environment)
        self.seen = ""
        for line in setup:
            self.type(line + "\n")
        self.type("echo re''ady\n")
        self.wait_for("ready")

    def type(self, text):
        os.write(self.terminal, text.encode())

    def wait_for(self, pattern):
        until = time.monotonic() + PATIENCE_S
        while not re.search(pattern, self.seen):
            if time.monotonic() > until:
                raise AssertionError(f"the shell does not say {pattern}: {self.seen!r}")
            self.read(1)

    def read(self, seconds):
        if select.select([self.terminal], [], [], seconds)[0]:
            self.seen += os.read(self.terminal, 65536).decode("utf-8", "replace")
            return True
        return False

    def completed(self, line):
        """The words of the line after TAB."""
        self.seen = ""
        self.type(line + "\t")
        while self.read(SETTLE_S + PATIENCE_S * (self.seen == "")):
            pass
        self.type("\001printf '<%s>' \005 ;echo e''nd\n")
        self.wait_for("(?m)end\r?$")
        return re.findall(r"<([^<>%]*)>", self.seen)

    def close(self):
        os.close(self.terminal)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


def shells(folder):
    return {
        "bash": (["bash", "--norc", "--noprofile", "-i"], ["bind 'set enable-bracketed-paste off'", f"source {folder}/completion.bash"]),
        "zsh": (["zsh", "-f", "-i"], ["unsetopt zle_bracketed_paste; unset zle_bracketed_paste; PROMPT=''; bindkey -e",
                                      f"autoload -U compinit; compinit -u -d {folder}/zcompdump; source {folder}/completion.zsh"]),
        "fish": (["fish", "--no-config", "-i"], ["function fish_prompt; end", f"source {folder}/completion.fish"]),
    }


def make_state(path, name):
    if run("status", "--state", str(path)).returncode != 0:
        raise AssertionError("godwit status makes no state file")
    with sqlite3.connect(path) as state:
        state.execute("INSERT INTO workflow (name, phase) VALUES (?, 'copied')", (name,))
    state.close()


def prepare(folder):
    make_state(folder / "state.db", "warehouse")
    make_state(folder / "other.db", "elsewhere")
    (folder / "certificate.pem").touch()
    (folder / "hooks").mkdir()
    (folder / "hoard").touch()  # no folder
    for shell in ("bash", "zsh", "fish"):
        (folder / f"completion.{shell}").write_text(run("completion", shell).stdout)


def check_shell(tally, name, folder):
    if shutil.which(name) is None:
        sys.exit(f"there is no {name} here: scripts/setup installs it")
    shell = Shell(*shells(folder)[name], folder)
    try:
        for line, wanted in LINES:
            words = shell.completed(line)
            tally.expect(words and words[-1].rstrip("/") == wanted, f"{name}: {line!r} becomes {words}, and not {wanted!r}: {shell.seen!r}")
    finally:
        shell.close()


def check_lists(tally, folder):
    """What is offered where much fits, as fish tells it."""
    def offered(line):
        told = subprocess.run(["fish", "--no-config", "-c", f"source {folder}/completion.fish; complete -C '{line}'"], capture_output=True, text=True, check=True, cwd=folder,
                              env={**os.environ, "PATH": f"{pathlib.Path(BINARY).parent}:{os.environ['PATH']}", "GODWIT_STATE": str(folder / "state.db"), "HOME": str(folder)})
        return dict(line.split("\t", 1) if "\t" in line else (line, "") for line in told.stdout.splitlines())

    for path in ((), ("inspect",)):
        line = " ".join(("godwit", *path)) + " "
        tally.expect(list(sorted(offered(line))) == sorted(children(help_of(path))), f"{line!r} offers {offered(line)}")
    options = offered("godwit copy warehouse --")
    in_help = set(re.findall(r"(?m)^  (?:-\w, )?(--[\w-]+)", help_of(("copy",))))
    tally.expect(set(options) == in_help and all(options.values()), f"copy offers {set(options) ^ in_help} more or less than its help has")
    tally.expect("--json" not in offered("godwit copy --json --j"), "an option that was given is offered again")
    tally.expect(set(offered("godwit switch --fence ")) == {"auto", "read_only", "triggers", "none"}, "--fence offers other values than it takes")


def check_is_harmless(tally, folder):
    absent = folder / "absent" / "state.db"
    told = run("__complete", "status", "--state", str(absent), "")
    tally.expect(told.returncode == 0 and ":none" in told.stdout and not told.stderr, f"without a state file: {told}")
    tally.expect(not absent.parent.exists(), "completion has made a state file")
    tally.expect(run("__complete").returncode == 0 and run("__complete", "nonsense", "--x=", "").returncode == 0, "completion of nonsense fails")


def main():
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="godwit-completion-") as name:
        folder = pathlib.Path(name)
        prepare(folder)
        for shell in ("bash", "zsh", "fish"):
            check_shell(tally, shell, folder)
        check_lists(tally, folder)
        check_is_harmless(tally, folder)
    tally.end(3 * len(LINES) + 5)


main()
