"""The bench of `godwit proxy`: throughput and latency under sysbench, rows streamed, logins, idle memory, allocations per statement.

Every contestant runs all the time, and they take turns of a few seconds in an order that rotates; an idle one costs nothing. A figure is the
median of its turns; a ratio or a difference is the median over the rounds, each of which compares neighbours in time.
"""
import contextlib
import pathlib
import re
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import contestants
from common import build, print_table, run_quietly, servers

TABLES = 4
SCRIPTS = ("oltp_point_select", "oltp_read_write")
ROW_BYTES = (200, 16_000)
PERCENTILES = (0.50, 0.95, 0.99)
HAPROXY = contestants.Haproxy.name
GODWIT = contestants.Godwit.name


# --- sysbench -----------------------------------------------------------------------------------------------------------------


def sysbench(port: int, rows: int, script: str, *more: str) -> "list[str]":
    """Rows at random, all alike: waits for the locks of a few hot ones would hide what a proxy costs."""
    return ["sysbench", script, "--mysql-host=127.0.0.1", f"--mysql-port={port}", "--mysql-user=bench", "--mysql-password=bench", "--mysql-db=sbtest",
            "--mysql-ssl=off", "--rand-type=uniform", f"--tables={TABLES}", f"--table-size={rows}", *more]


class Turn:
    """One run of sysbench: events per second, percentiles of their latency (ms), the contestant's CPU per statement (us)."""

    def __init__(self, text: str, cpu_s: float):
        self.rate = float(re.search(r"transactions: +\d+ +\(([\d.]+) per sec", text).group(1))
        self.latency_ms = percentiles(text)
        self.cpu_us = 1e6 * cpu_s / int(re.search(r"queries: +(\d+)", text).group(1))


def percentiles(text: str) -> "list[float]":
    """From sysbench's histogram, of which it prints the middle of each step, 1.8 % wide."""
    steps = [(float(value), int(count)) for value, count in re.findall(r"^ +([\d.]+) \|\** +(\d+)$", text, re.MULTILINE)]
    total = sum(count for _, count in steps)
    return [percentile(steps, share * total) for share in PERCENTILES]


def percentile(steps: "list[tuple[float, int]]", rank: float) -> float:
    below = 0
    for value, count in steps:
        if below + count >= rank:
            return value * (0.991 + 0.018 * (rank - below) / count)
        below += count
    raise ValueError("no histogram")


class Sysbench:
    def __init__(self, field, rows: int, seconds: int):
        self.field = field
        self.rows = rows
        self.seconds = seconds

    def turn(self, contestant, script: str, threads: int) -> Turn:
        before = contestant.cpu_s()
        done = subprocess.run(sysbench(contestant.port, self.rows, script, f"--threads={threads}", f"--time={self.seconds}", "--histogram=on", "--percentile=99", "run"),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            sys.exit(f"bench: sysbench through {contestant.name} failed:\n{done.stdout[-3000:]}\n{contestant.words()}")
        return Turn(done.stdout, contestant.cpu_s() - before)

    def race(self, script: str, threads: int, rounds: int) -> "dict[str, list[Turn]]":
        return in_turns(self.field, rounds, lambda contestant: self.turn(contestant, script, threads))


def in_turns(field, rounds: int, deed) -> dict:
    """deed(contestant) of each, `rounds` times; who begins moves on by one each time."""
    results = {contestant.name: [] for contestant in field}
    for round_number in range(rounds):
        first = round_number % len(field)
        for contestant in field[first:] + field[:first]:
            results[contestant.name].append(deed(contestant))
    return results


def over_rounds(results: dict, name: str, reference: str, compare) -> "list[float] | None":
    """compare(turn, the reference's turn of the same round), sorted; none without the reference."""
    if reference not in results:
        return None
    return sorted(compare(turn, other) for turn, other in zip(results[name], results[reference]))


def shown(values: "list[float] | None", form: str) -> str:
    return "-" if values is None else format(statistics.median(values), form)


def sysbench_row(results: dict, name: str) -> "list[str]":
    median_of = lambda measure: statistics.median(measure(turn) for turn in results[name])
    added = [over_rounds(results, name, "direct", lambda a, b, i=i: 1000 * (a.latency_ms[i] - b.latency_ms[i])) for i in (0, 2)]
    return [name, f"{median_of(lambda turn: turn.rate):,.0f}",
            shown(over_rounds(results, name, HAPROXY, lambda a, b: a.rate / b.rate), ".2f"),
            *[f"{median_of(lambda turn, i=i: turn.latency_ms[i]):.3f}" for i in range(3)],
            *[shown(values, "+,.0f") if name != "direct" else "-" for values in added],
            f"{median_of(lambda turn: turn.cpu_us):.1f}" if name != "direct" else "-"]


# --- rows, logins, idle sessions, allocations -----------------------------------------------------------------------------------


def client(contestant, deed: str, *more) -> str:
    words = [str(word) for word in (contestants.PROGRAMS / "client", deed, contestant.port, *more)]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"bench: {deed} through {contestant.name}: {done.stderr}\n{contestant.words()}")
    return done.stdout


class Rows:
    """A result of about so many bytes, whose rows cost the server next to nothing."""

    def __init__(self, row_bytes: int, total_bytes: int):
        thousands = total_bytes // row_bytes // 1000
        b, c = (1000, thousands // 1000) if thousands >= 1000 else (thousands, 1)
        self.sql = f"SELECT REPEAT('x', {row_bytes}) FROM thousand a, thousand b, thousand c WHERE b.id <= {b} AND c.id <= {c}"
        self.bytes_min = 1000 * b * c * row_bytes

    def rate(self, contestant) -> float:
        received, seconds = client(contestant, "stream", self.sql).split()
        if int(received) < self.bytes_min:
            sys.exit(f"bench: through {contestant.name} came {received} bytes of {self.bytes_min}")
        return int(received) / float(seconds) / 1e6


def login_rate(contestant, seconds: int) -> float:
    return float(client(contestant, "logins", seconds, 8))


class Held:
    """Sessions that do nothing, for as long as the scope lasts."""

    def __init__(self, contestant, sessions: int):
        self.contestant = contestant
        self.words = [str(contestants.PROGRAMS / "client"), "hold", str(contestant.port), str(sessions)]

    def __enter__(self):
        self.process = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "held\n":
            sys.exit(f"bench: {self.contestant.name} does not take so many idle sessions\n{self.contestant.words()}")

    def __exit__(self, *_):
        self.process.communicate("")
        if self.process.returncode != 0:
            sys.exit(f"bench: {self.contestant.name} lost an idle session\n{self.contestant.words()}")


def idle_kib(contestant, sessions: int) -> float:
    """Resident memory that each of many idle sessions adds to a process that has just been started."""
    contestant.start()
    try:
        login_rate(contestant, 1)
        before = contestant.rss_kib()
        with Held(contestant, sessions):
            time.sleep(3)
            connected = contestant.source.status("Threads_connected")
            if connected < sessions:
                sys.exit(f"bench: the server has {connected} sessions, not {sessions}")
            return (contestant.rss_kib() - before) / sessions
    finally:
        contestant.stop()


class Allocations:
    """Of a process that is started anew with a counter in it: per statement, under sysbench that has been running for a while."""

    THREADS = 16

    def __init__(self, contestant, rows: int, seconds: int):
        self.contestant = contestant
        self.rows = rows
        self.seconds = seconds
        self.counter = contestant.work / "allocations"

    def total(self) -> int:
        return struct.unpack("Q", self.counter.read_bytes())[0]

    def per_statement(self, script: str) -> float:
        self.counter.write_bytes(bytes(8))
        self.contestant.start({"LD_PRELOAD": str(contestants.PROGRAMS / "count_allocations.so"), "COUNT_ALLOCATIONS": str(self.counter)})
        load = None
        try:
            if self.total() == 0:
                sys.exit(f"bench: allocations of {self.contestant.name} are not counted")
            load = subprocess.Popen(sysbench(self.contestant.port, self.rows, script, f"--threads={self.THREADS}", "--time=600", "run"), stdout=subprocess.DEVNULL)
            time.sleep(2)
            allocations, statements = self.total(), self.contestant.source.status("Questions")
            time.sleep(self.seconds)
            allocations, statements = self.total() - allocations, self.contestant.source.status("Questions") - statements
            if load.poll() is not None or statements < 1000:
                sys.exit(f"bench: sysbench through {self.contestant.name} did not go on\n{self.contestant.words()}")
            return allocations / statements
        finally:
            if load:
                load.kill()
                load.wait()
            self.contestant.stop()


# --- the bench ------------------------------------------------------------------------------------------------------------------


def prepare(source, target, rows: int) -> None:
    for server in (source, target):
        server.sql("CREATE DATABASE sbtest; CREATE USER 'bench'@'%' IDENTIFIED BY 'bench'; GRANT ALL PRIVILEGES ON sbtest.* TO 'bench'@'%'")
        # Over TLS: a server with caching_sha2_password then knows the account, and the legs in the clear can log in.
        subprocess.run(["mariadb", f"--defaults-file={server.home}/client.cnf", "-u", "bench", "-pbench", "-e", "SELECT 1"], check=True, stdout=subprocess.DEVNULL)
    source.sql("CREATE TABLE thousand (id INT PRIMARY KEY); "
               "INSERT INTO thousand WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 1000) SELECT id FROM n; ANALYZE TABLE thousand", "sbtest")
    run_quietly(sysbench(source.port, rows, "oltp_read_write", "--threads=2", "prepare"))


@contextlib.contextmanager
def started(field):
    with contextlib.ExitStack() as stack:
        for contestant in field:
            contestant.start()
            stack.callback(contestant.stop)
        yield


class Report:
    """Prints tables as they come, and judges godwit at the end."""

    def __init__(self):
        self.goals = []

    def sysbench(self, script: str, threads: int, results: dict) -> None:
        title = f"{script}, {threads} thread{'s' if threads > 1 else ''}"
        print(f"\n{title}")
        print_table(["", "transactions/s", "of HAProxy's", "p50 ms", "p95 ms", "p99 ms", "added p50 us", "added p99 us", "own CPU us/statement"],
                    [sysbench_row(results, name) for name in results])
        sys.stdout.flush()
        if GODWIT not in results or HAPROXY not in results:
            return
        self.at_least(f"{title}: throughput of HAProxy's", 1, over_rounds(results, GODWIT, HAPROXY, lambda a, b: a.rate / b.rate))
        for i, percentile_name in ((0, "p50"), (2, "p99")):
            more_us = over_rounds(results, GODWIT, HAPROXY, lambda a, b: 1000 * (a.latency_ms[i] - b.latency_ms[i]))
            self.at_most(f"{title}: {percentile_name} (us) more than HAProxy's", 0, more_us)

    def rates(self, title: str, unit: str, results: dict, goal: "float | None" = None) -> None:
        print(f"\n{title}")
        quotient = lambda a, b: a / b
        print_table(["", unit, "of HAProxy's"], [[name, f"{statistics.median(turns):,.0f}", shown(over_rounds(results, name, HAPROXY, quotient), ".2f")]
                                                 for name, turns in results.items()])
        sys.stdout.flush()
        if goal and GODWIT in results and HAPROXY in results:
            self.at_least(f"{title}: rate of HAProxy's", goal, over_rounds(results, GODWIT, HAPROXY, quotient))

    def per_process(self, idle: "dict[str, float]", allocations: "dict[str, list[float]]", sessions: int) -> None:
        print(f"\nmemory of {sessions:,} idle sessions, each of which has run a statement; allocations in steady state, {Allocations.THREADS} threads")
        print_table(["", "KiB RSS per session", *[f"allocations per statement, {script}" for script in SCRIPTS]],
                    [[name, f"{kib:.1f}", *([f"{value:.4f}" for value in allocations[name]] if name in allocations else ["-"] * len(SCRIPTS))] for name, kib in idle.items()])
        if GODWIT in idle:
            self.at_most(f"KiB for each of {sessions:,} idle sessions", 20, [idle[GODWIT]])
            self.at_most("allocations per statement", 0.01, sorted(allocations[GODWIT]))

    def at_least(self, what: str, goal: float, values: "list[float]") -> None:
        self.goal(what, f"at least {goal:g}", values, statistics.median(values) >= goal, values[-1] < goal)

    def at_most(self, what: str, goal: float, values: "list[float]") -> None:
        self.goal(what, f"at most {goal:g}", values, statistics.median(values) <= goal, values[0] > goal)

    def goal(self, what: str, goal: str, values: "list[float]", is_met: bool, never_met: bool) -> None:
        """Missed is what no round met: where they disagree with the median against it, the machine is too noisy to tell."""
        verdict = "met" if is_met else "MISSED" if never_met else "open"
        self.goals.append([what, goal, *[f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}" for value in (statistics.median(values), values[0], values[-1])], verdict])

    def end(self) -> None:
        """With exit status 1, where a goal was missed."""
        if self.goals:
            print("\ngodwit proxy against its goals (open: some rounds met it, the median did not)")
            print_table(["", "goal", "median", "least", "most", ""], self.goals)
        if any(goal[-1] == "MISSED" for goal in self.goals):
            sys.exit(1)


def raise_file_limit(sessions: int) -> None:
    """A proxy has two sockets for each session."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < 2 * sessions + 1000:
        sys.exit(f"bench: {sessions} idle sessions need {2 * sessions + 1000} open files in a process; the limit (ulimit -Hn) is {most}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def contest(arguments, field, report: Report) -> None:
    load = Sysbench(field, arguments.rows, arguments.seconds)
    for script in SCRIPTS:
        for threads in arguments.threads:
            report.sysbench(script, threads, load.race(script, threads, arguments.rounds))
    for row_bytes in ROW_BYTES:
        rows = Rows(row_bytes, int(1e6 * arguments.megabytes))
        report.rates(f"{arguments.megabytes:,} MB of result rows, {row_bytes:,} bytes each, one session", "MB/s",
                     in_turns(field, arguments.rounds, rows.rate), goal=0.9)
    report.rates("logging in and out, 8 at a time", "logins/s", in_turns(field, arguments.rounds, lambda contestant: login_rate(contestant, 2)))


def bench_proxy(arguments) -> None:
    if arguments.quick:
        arguments.rounds, arguments.seconds, arguments.megabytes, arguments.sessions = 2, 2, 200, 1000
    raise_file_limit(arguments.sessions)
    if "godwit" in arguments.contestants:
        build()
    else:
        run_quietly([contestants.ROOT / "scripts/setup", "--bench"])
    contestants.compile_programs()
    options = f":--max-connections={contestants.SESSIONS_MAX}:--max-connect-errors=1000000"
    with servers(*[f"{name}={arguments.server}{options}" for name in ("source", "target")]) as (source, target):
        work = pathlib.Path(tempfile.mkdtemp(dir=source.home.parent))
        prepare(source, target, arguments.rows)
        field = [contestants.ALL[name](source, target, work) for name in arguments.contestants]
        report = Report()
        print(f"proxy: {arguments.server}, {contestants.THREADS} threads of each contestant, {contestants.THREADS} cores for all; "
              f"sysbench {TABLES} x {arguments.rows:,} rows, {arguments.rounds} turns of {arguments.seconds} s each; nothing encrypted", flush=True)
        with started(field):
            contest(arguments, field, report)
        processes = [contestant for contestant in field if contestant.name != "direct"]
        idle = {contestant.name: idle_kib(contestant, arguments.sessions) for contestant in processes}
        allocations = {contestant.name: [Allocations(contestant, arguments.rows, arguments.seconds).per_statement(script) for script in SCRIPTS]
                       for contestant in processes if contestant.can_count_allocations}
        if processes:
            report.per_process(idle, allocations, arguments.sessions)
        report.end()


def add_command(commands) -> None:
    proxy = commands.add_parser("proxy", help="what a proxy costs: throughput, latency, memory")
    proxy.add_argument("--quick", action="store_true", help="a first look: 2 rounds of 2 s, 200 MB of rows, 1,000 idle sessions")
    proxy.add_argument("--server", default="mariadb-10.11", help="a flavour of scripts/servers")
    proxy.add_argument("--rounds", type=int, default=5)
    proxy.add_argument("--seconds", type=int, default=4, help="of sysbench, each turn")
    proxy.add_argument("--rows", type=int, default=100_000, help=f"rows of each of the {TABLES} tables")
    proxy.add_argument("--threads", type=int, nargs="+", default=[1, 16, 256], help="of sysbench")
    proxy.add_argument("--megabytes", type=int, default=1000, help="of result rows")
    proxy.add_argument("--sessions", type=int, default=5000, help="idle ones")
    proxy.add_argument("--contestants", nargs="+", choices=contestants.ALL, default=list(contestants.ALL))
    proxy.set_defaults(run=bench_proxy)
