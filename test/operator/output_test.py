#!/usr/bin/python3
"""What every command prints, into a pipe and onto a terminal of 80 columns, through one whole migration between two real servers.

Into a pipe: results only on standard output, log lines only on standard error, no colour, nothing painted over. On a terminal: lines of its width, colours unless NO_COLOR.
No password anywhere. On the way the metrics are read: the dashboard and docs/metrics.md name those that there are.
"""

import fcntl
import json
import os
import pathlib
import pty
import re
import select
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import urllib.request

import pymysql

from commands import BINARY, Tally, children, help_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASSWORD = "pw-Of-Mover-77"
ADMIN_PASSWORD = "pw-Of-Admin-88"
COLUMNS = 80
OF_SHARDS = {"godwit_stream_parked_rows"}  # of metrics: without shards they are absent
ESCAPE = "\x1b"
LOG_LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [DIWE] ")

BINLOG_LINE = re.compile(r"^[\w.-]+:\d+  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ")


class Place:
    """The servers, and what every call of godwit is given."""

    def __init__(self, folder):
        servers = pathlib.Path(os.environ["GODWIT_SERVERS_DIR"])
        self.sockets = [str(servers / name / "socket") for name in ("a", "b")]
        self.ports = [int((servers / name / "port").read_text()) for name in ("a", "b")]
        self.folder = folder
        self.admin_port = free_port()
        self.environment = {**os.environ, "GODWIT_STATE": str(folder / "state.db"), "GODWIT_SOURCE_PASSWORD": PASSWORD, "GODWIT_TARGET_PASSWORD": PASSWORD,
                            "GODWIT_ADMIN_PASSWORD": ADMIN_PASSWORD, "TERM": "xterm", "NO_COLOR": ""}

    def dsn(self, side, schema):
        return f"mysql://mover@127.0.0.1:{self.ports[side]}/{schema}"

    def execute(self, side, *statements):
        connection = pymysql.connect(host="127.0.0.1", port=self.ports[side], user="godwit", password="godwit", autocommit=True)
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Output:
    def __init__(self, words, status, out, err):
        self.name = "godwit " + " ".join(words)
        self.status, self.out, self.err = status, out, err


def read_all(descriptors):
    """What comes from each of them, until all have ended."""
    texts = {descriptor: b"" for descriptor in descriptors}
    while descriptors:
        for descriptor in select.select(descriptors, [], [])[0]:
            try:
                read = os.read(descriptor, 65536)
            except OSError:  # a terminal whose other end is closed
                read = b""
            texts[descriptor] += read
            if not read:
                descriptors = [other for other in descriptors if other != descriptor]
    return [text.decode("utf-8") for text in texts.values()]


def terminal():
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    return ours, theirs


def run(place, words, on_terminal, **environment):
    """Runs godwit with both of its outputs on a terminal of their own, or in pipes."""
    ends = [terminal() if on_terminal else os.pipe() for _ in range(2)]
    process = subprocess.Popen([BINARY, *words], stdin=subprocess.DEVNULL, stdout=ends[0][1], stderr=ends[1][1], env={**place.environment, **environment})
    for _, theirs in ends:
        os.close(theirs)
    out, err = read_all([ours for ours, _ in ends])
    for ours, _ in ends:
        os.close(ours)
    return Output(words, process.wait(), out, err)


def check_secrets(tally, output):
    for text in (output.out, output.err):
        tally.expect(PASSWORD not in text and ADMIN_PASSWORD not in text, f"{output.name} shows a password: {text}")


def check_pipe(tally, output, is_json):
    for text, what in ((output.out, "standard output"), (output.err, "standard error")):
        tally.expect(ESCAPE not in text and "\r" not in text, f"{output.name} paints into a pipe, on {what}: {text!r}")
    for line in output.out.splitlines():
        tally.expect(not LOG_LINE.match(line), f"{output.name} logs on standard output: {line}")
        if is_json:
            tally.expect(json.loads(line).get("format") == "godwit/1", f"{output.name}: {line}")
    if is_json:
        tally.expect(len(output.out.splitlines()) == 1, f"{output.name} prints more than one document, or none: {output.out}")
    for line in output.err.splitlines():
        tally.expect(LOG_LINE.match(line), f"{output.name}: no line of the log: {line!r}")


def is_too_wide(line):
    """A word alone may be wider, and what is to be copied or read by programs: a statement, a JSON document, a line of the log or of a binlog."""
    is_record = line.startswith("{") or LOG_LINE.match(line) or BINLOG_LINE.match(line)
    return len(line) > COLUMNS and " " in line.strip() and not line.endswith(";") and not is_record


def check_terminal(tally, output, may_colour):
    out = output.out.replace("\r\n", "\n")
    tally.expect("\r" not in out, f"{output.name} paints over its results: {out!r}")
    tally.expect(may_colour or ESCAPE not in out, f"{output.name} colours although it must not: {out!r}")
    is_inside_statement = False
    for line in re.sub(r"\x1b\[\d*m", "", out).splitlines():
        tally.expect(is_inside_statement or not is_too_wide(line), f"{output.name}: wider than {COLUMNS} columns: {line}")
        is_inside_statement = line.startswith("CREATE ") and not line.endswith(";") or is_inside_statement and not line.endswith(";")
    for painted in re.split(r"\r\x1b\[K|\r?\n", output.err):
        tally.expect(LOG_LINE.match(painted) or len(painted) < COLUMNS, f"{output.name}: a progress line that cannot be erased: {painted!r}")


def check_both(tally, place, words, statuses=(0,)):
    for on_terminal in (False, True):
        output = run(place, words, on_terminal)
        look_at(tally, output, statuses, on_terminal, "--json" in words)
    return output


def look_at(tally, output, statuses, on_terminal, is_json):
    tally.expect(output.status in statuses, f"{output.name} ends with {output.status}: {output.out}{output.err}")
    check_secrets(tally, output)
    if on_terminal:
        check_terminal(tally, output, may_colour=True)
    else:
        check_pipe(tally, output, is_json)


class Running:
    """A command that goes on, with its output in files."""

    def __init__(self, place, words, until):
        self.words = words
        self.log = place.folder / f"{words[0]}.log"
        self.out = place.folder / f"{words[0]}.out"
        with open(self.log, "wb") as err, open(self.out, "wb") as out:
            self.process = subprocess.Popen([BINARY, *words], stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=place.environment)
        deadline = time.monotonic() + 60
        while until not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"godwit {' '.join(words)}: {self.log.read_text()}")
            time.sleep(0.05)

    def metrics(self):
        address = re.search(r"metrics at (http://\S+)", self.log.read_text()).group(1)
        with urllib.request.urlopen(address, timeout=10) as answer:
            return set(re.findall(r"(?m)^(godwit_\w+)", answer.read().decode()))

    def end(self):
        self.process.terminate()
        status = self.process.wait(60)
        return Output(self.words, status, self.out.read_text(), self.log.read_text())


def make_shop(place, schema):
    place.execute(0, f"CREATE DATABASE {schema}", f"USE {schema}", f"CREATE TABLE {schema}.customers (id INT PRIMARY KEY, name VARCHAR(100), KEY by_name (name))",
                  f"CREATE TABLE {schema}.orders_of_all_the_customers (id INT PRIMARY KEY, customer INT, FOREIGN KEY (customer) REFERENCES {schema}.customers (id))",
                  f"INSERT INTO {schema}.customers SELECT seq, CONCAT('customer ', seq) FROM seq_1_to_5000",
                  f"INSERT INTO {schema}.orders_of_all_the_customers SELECT seq, seq FROM seq_1_to_5000")


def lists(tally, place):
    for name in children(help_of(("inspect",))):
        if name not in ("binlog", "man", "shard"):
            check_both(tally, place, ["inspect", name])
            check_both(tally, place, ["inspect", name, "--json"])
    check_both(tally, place, ["inspect", "binlog", str(ROOT / "test/data/mariadb-10.11.binlog"), "--limit", "20"])
    for words in (["--version"], ["--version", "--json"], ["--help"], ["copy", "--help"], ["status"], ["status", "--json"]):
        check_both(tally, place, words)
    check_both(tally, place, ["status", "nobody", "--json"], (2,))
    check_both(tally, place, ["copy", "--no-such"], (2,))


def colours(tally, place, words):
    plain = [run(place, words, True, **environment) for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"})]
    for output in plain:
        tally.expect(ESCAPE not in output.out, f"{output.name}: colours although NO_COLOR is set, or the terminal has none")
    tally.expect(ESCAPE in run(place, words, True).out, "check does not colour its verdicts on a terminal")


def before_switch(tally, place):
    endpoints = ["--source", place.dsn(0, "shop"), "--target", place.dsn(1, "shop")]
    check_both(tally, place, ["check", "shop", *endpoints])
    check_both(tally, place, ["check", "shop", *endpoints, "--json"])
    colours(tally, place, ["check", "shop", *endpoints])
    check_both(tally, place, ["copy", "shop", *endpoints, "--dry-run"])
    check_both(tally, place, ["copy", "shop", *endpoints])
    check_both(tally, place, ["copy", "shop", "--json"])
    check_both(tally, place, ["replicate", "shop", "--until-current"])


def switches(tally, place):
    proxy = ["--proxy", f"127.0.0.1:{place.admin_port}", "--admin-user", "keeper", "--drain-timeout", "30s", "--pause-max", "20s", "--lag-max", "20s", "--yes"]
    check_both(tally, place, ["switch", "shop", *proxy, "--dry-run"])
    for i, (command, *more) in enumerate((["switch"], ["reverse", "--json"], ["switch", "--json"], ["reverse"])):
        output = run(place, [command, "shop", *proxy, *more], i % 2 == 1)
        look_at(tally, output, (0,), i % 2 == 1, bool(more))
        check_both(tally, place, ["status", "shop", "--history"])
    tally.expect(run(place, ["switch", "shop", *proxy], False).status == 0, "the last switch fails")


def refusals(tally, place):
    """Errors that need a server: each with its code, in both outputs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        endpoints = ["--source", place.dsn(0, "shop"), "--target", place.dsn(1, "shop")]
        refused = [("GW1002", 3, ["proxy", "shop", *endpoints, "--listen", f"127.0.0.1:{taken.getsockname()[1]}", "--json"])]
        place.execute(1, "UPDATE _godwit.meta SET version = version + 900")
        refused.append(("GW0408", 3, ["replicate", "shop", "--until-current", "--json"]))
        for code, status, words in refused:
            output = check_both(tally, place, words, (status,))
            tally.expect(json.loads(output.out)["error"]["code"] == code, f"{output.name}: not {code}: {output.out}")
        place.execute(1, "UPDATE _godwit.meta SET version = version - 900")


def while_running(tally, place):
    replicate = Running(place, ["replicate", "shop", "--metrics", "127.0.0.1:0"], "metrics at")
    proxy = Running(place, ["proxy", "shop", "--listen", f"127.0.0.1:{place.admin_port}", "--admin-user", "keeper", "--metrics", "127.0.0.1:0"], "listening")
    try:
        check_both(tally, place, ["vdiff", "shop"])
        check_both(tally, place, ["vdiff", "shop", "--json"])
        check_both(tally, place, ["status", "shop"])
        check_both(tally, place, ["status", "shop", "--history", "--json"])
        check_metrics(tally, replicate, proxy)
        switches(tally, place)
    finally:
        ends = [replicate.end(), proxy.end()]
    for output, status in zip(ends, (130, 0)):
        look_at(tally, output, (status,), False, False)


def check_metrics(tally, replicate, proxy):
    wanted = names_in(ROOT / "docs/metrics.md")
    deadline = time.monotonic() + 60
    while (there := replicate.metrics() | proxy.metrics()) != wanted - OF_SHARDS and time.monotonic() < deadline:
        time.sleep(0.5)
    tally.expect(there == wanted - OF_SHARDS, f"docs/metrics.md and the metrics differ by {there ^ (wanted - OF_SHARDS)}")
    dashboard = names_in(ROOT / "examples/grafana/godwit.json")
    tally.expect(dashboard <= wanted, f"the dashboard is about metrics that are not there: {dashboard - wanted}")
    tally.expect(wanted <= dashboard, f"the dashboard leaves metrics out: {wanted - dashboard}")


def names_in(file):
    return set(re.findall(r"\bgodwit_(?:stream|proxy)_\w+", file.read_text()))


def ends(tally, place):
    make_shop(place, "other")
    endpoints = ["--source", place.dsn(0, "other"), "--target", place.dsn(1, "other")]
    tally.expect(run(place, ["copy", "other", *endpoints], False).status == 0, "the second copy fails")
    output = run(place, ["copy", "other", *endpoints, "--readers", "1"], False)
    check_secrets(tally, output)
    look_at(tally, run(place, ["cancel", "other"], True), (0,), True, False)
    check_both(tally, place, ["cancel", "other", *endpoints, "--schema", "create", "--json"])
    look_at(tally, run(place, ["complete", "shop", "--yes"], False), (0,), False, False)
    check_both(tally, place, ["complete", "shop", "--yes"])


def main():
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="godwit-output-") as name:
        place = Place(pathlib.Path(name))
        for side in (0, 1):
            place.execute(side, "DROP DATABASE IF EXISTS shop", "DROP DATABASE IF EXISTS other", f"CREATE OR REPLACE USER mover@'%' IDENTIFIED BY '{PASSWORD}'",
                          "GRANT ALL ON *.* TO mover@'%' WITH GRANT OPTION")
        make_shop(place, "shop")
        lists(tally, place)
        before_switch(tally, place)
        refusals(tally, place)
        while_running(tally, place)
        ends(tally, place)
        for file in place.folder.iterdir():
            tally.expect(PASSWORD.encode() not in file.read_bytes() and ADMIN_PASSWORD.encode() not in file.read_bytes(), f"{file.name} holds a password")
    tally.end(500)


main()
