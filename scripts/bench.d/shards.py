"""scripts/bench shards: what more shards cost the source, and whether they cost throughput.

One copy, and one backlog replayed, into a plain target, into one shard that has everything, and into 2, 4 and 8 shards, each a server of its own. They take turns, and who
begins moves on; of each figure the median counts, beside one shard's. The source is to be read once, however many shards there are: as many CPU seconds, as
many rows, as many bytes sent, one reader of its binlog.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from common import GODWIT, Server, build, cpu_s_of, measure, print_table, run_quietly, servers

TABLES = 4
SHARDS = (1, 2, 4, 8)
PLAIN = 0  # --target, no shards
AT_MOST = 1.15  # of one shard's
AT_LEAST = 0.95  # of one shard's throughput: what the machine's noise takes is not a fall
PASSWORDS = {"GODWIT_SOURCE_PASSWORD": "godwit", "GODWIT_TARGET_PASSWORD": "godwit"}
COUNTERS = ("Bytes_sent", "Handler_read_first", "Handler_read_key", "Handler_read_next", "Handler_read_rnd_next", "Questions")


def title(shards: int) -> str:
    return "--target" if shards == PLAIN else f"{shards} shard{'s' if shards > 1 else ''}"


def ranges(count: int) -> "list[str]":
    bounds = ["", *(f"{256 * i // count:02x}" for i in range(1, count)), ""]
    return [f"{bounds[i]}-{bounds[i + 1]}" for i in range(count)]


class Turn:
    """What one contestant took, of one deed. Whoever counts asks the source too: that much of its own is taken off."""

    def __init__(self, source: Server, targets: "list[Server]", deed):
        before = self.counted(source)
        asking = self.counted(source)
        read, cpu_s = self.file_bytes(source), source.cpu_s()
        took = measure(deed, targets)
        self.source_cpu_s = source.cpu_s() - cpu_s
        self.file_mib = (self.file_bytes(source) - read) / 2**20
        after = self.counted(source)
        by = {name: after[name] - asking[name] - (asking[name] - before[name]) for name in COUNTERS}
        self.seconds, self.godwit_cpu_s, self.targets_cpu_s = took.seconds, took.own_cpu_s, took.server_cpu_s
        self.sent_mib = by["Bytes_sent"] / 2**20
        self.rows_read = sum(by[name] for name in COUNTERS if name.startswith("Handler_"))
        self.statements = by["Questions"]

    @property
    def total_cpu_s(self) -> float:
        return self.source_cpu_s + self.godwit_cpu_s + self.targets_cpu_s

    @staticmethod
    def counted(source: Server) -> "dict[str, int]":
        rows = (line.split("\t") for line in source.sql("SHOW GLOBAL STATUS").splitlines())
        return {name: int(value) for name, value in rows if name in COUNTERS}

    @staticmethod
    def file_bytes(source: Server) -> int:
        """Read by calls, from the cache of the system too: the binlog is; InnoDB's pages, where they are not in its pool."""
        lines = pathlib.Path(f"/proc/{source.pid}/io").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("rchar")).split()[1])


class ShardsBench:
    def __init__(self, source: Server, shards: "list[Server]", rows: int):
        self.source = source
        self.shards = shards
        self.rows = rows
        self.work = pathlib.Path(tempfile.mkdtemp(dir=source.home.parent))

    def sysbench(self, script: str, *command: str) -> "list[str]":
        return ["sysbench", script, f"--mysql-socket={self.source.socket}", "--mysql-user=godwit", "--mysql-password=godwit", "--mysql-db=sbtest", f"--tables={TABLES}",
                f"--table-size={self.rows}", *command]

    def prepare(self) -> None:
        self.source.sql("CREATE DATABASE sbtest")
        run_quietly(self.sysbench("oltp_write_only", "--threads=2", "prepare"))

    # Each contestant has schemas of its own, so that all of them stand at one position when the backlog is written.
    def schema(self, shards: int) -> str:
        return f"sbtest_{shards}"

    def targets(self, shards: int) -> "list[Server]":
        return self.shards[:max(shards, 1)]

    def godwit(self, command: str, shards: int, *more: str) -> None:
        words = [GODWIT, command, f"bench{shards}", "--source", self.source.dsn("sbtest"), "--state", self.work / f"{shards}.db", "--json", *more]
        if shards == PLAIN:
            words += ["--target", self.shards[0].dsn(self.schema(shards))]
        else:
            for shard, of in zip(self.targets(shards), ranges(shards)):
                words += ["--shard", f"{of}={shard.dsn(self.schema(shards))}"]
            for table in range(1, TABLES + 1):
                words += ["--vindex", f"sbtest{table}.id=hash"]
        run_quietly(words, env={**os.environ, **PASSWORDS})

    def copy(self, shards: int) -> None:
        self.godwit("copy", shards)

    def replicate(self, shards: int) -> None:
        self.godwit("replicate", shards, "--until-current", "--no-heartbeat")

    def clean(self) -> None:
        for shard in self.shards:
            shard.sql("DROP DATABASE IF EXISTS _godwit; " + "; ".join(f"DROP DATABASE IF EXISTS {self.schema(n)}" for n in (PLAIN, *SHARDS)))
        for file in self.work.glob("*.db*"):
            file.unlink()

    def backlog(self, seconds: int) -> int:
        done = subprocess.run(self.sysbench("oltp_write_only", "--threads=4", f"--time={seconds}", "run"), stdout=subprocess.PIPE, text=True, check=True)
        return int(next(line for line in done.stdout.splitlines() if "transactions:" in line).split()[1])

    def settle(self) -> None:
        """Until no server has anything to do: purge and flushing of what was before belong to no contestant."""
        for _ in range(30):
            before = [cpu_s_of(server.pid) for server in (self.source, *self.shards)]
            time.sleep(1)
            if sum(cpu_s_of(server.pid) - b for server, b in zip((self.source, *self.shards), before)) < 0.2:
                return

    def compare(self, shards: int) -> None:
        """Whatever was fast must also be right: the shards' rows together are the source's."""
        for i in range(1, TABLES + 1):
            of = "SELECT COUNT(*), COALESCE(BIT_XOR(CAST(CONV(LEFT(SHA2(CONCAT_WS('|', id, k, c, pad), 256), 16), 16, 10) AS UNSIGNED)), 0) FROM {}.sbtest%d" % i
            count, xor = 0, 0
            for shard in self.targets(shards):
                its = shard.sql(of.format(self.schema(shards))).split()
                count, xor = count + int(its[0]), xor ^ int(its[1])
            if [count, xor] != [int(word) for word in self.source.sql(of.format("sbtest")).split()]:
                sys.exit(f"bench: sbtest{i} differs, {title(shards)}")

    def turns(self, number: int, deed) -> "dict[int, Turn]":
        field = [PLAIN, *SHARDS]
        first = number % len(field)
        result = {}
        for shards in field[first:] + field[:first]:
            self.settle()
            result[shards] = Turn(self.source, self.targets(shards), lambda: deed(shards))
        return result



class Report:
    """Tables, and at the end each figure that must hold."""

    def __init__(self):
        self.goals = []

    def of(self, name: str, rounds: "list[dict[int, Turn]]", rate_of, unit: str) -> None:
        median = lambda shards, figure: statistics.median(figure(turns[shards]) for turns in rounds)
        ratio = lambda shards, figure: statistics.median(figure(turns[shards]) / max(figure(turns[1]), 1e-9) for turns in rounds)
        figures = {"source CPU s": lambda turn: turn.source_cpu_s, "MiB sent": lambda turn: turn.sent_mib, "rows read": lambda turn: turn.rows_read, "MiB from files": lambda turn: turn.file_mib}
        rows = []
        for shards in (PLAIN, *SHARDS):
            rate = [rate_of(number, turns[shards]) for number, turns in enumerate(rounds)]
            of_one = statistics.median(rate_of(number, turns[shards]) / rate_of(number, turns[1]) for number, turns in enumerate(rounds))
            row = [title(shards), f"{median(shards, lambda turn: turn.seconds):.2f}", f"{statistics.median(rate):,.0f}", f"{of_one:.2f}"]
            for figure in figures.values():
                row += [f"{median(shards, figure):,.2f}", f"{ratio(shards, figure):.2f}"]
            row += [f"{median(shards, lambda turn: turn.statements):,.0f}", f"{median(shards, lambda turn: turn.targets_cpu_s):.1f}", f"{median(shards, lambda turn: turn.godwit_cpu_s):.2f}",
                    f"{ratio(shards, lambda turn: turn.total_cpu_s):.2f}"]
            rows.append(row)
            if shards > 1:
                for what, figure in figures.items():
                    # Of next to nothing any ratio may come out: the binlog is sent and read from files, tables are read by rows.
                    if what in self.judged(name):
                        self.goals.append((f"{name}, {title(shards)}: {what}, of 1 shard's", ratio(shards, figure), AT_MOST, True))
                self.goals.append((f"{name}, {title(shards)}: throughput, of 1 shard's", of_one, AT_LEAST, False))
        head = ["", "s", unit, "x"]
        for what in figures:
            head += [what, "x"]
        print_table([*head, "statements", "targets' CPU s", "godwit's CPU s", "total CPU x"], rows)
        sys.stdout.flush()

    @staticmethod
    def judged(name: str) -> "tuple[str, ...]":
        return ("source CPU s", "MiB sent", "rows read") if name == "copy" else ("source CPU s", "MiB sent", "MiB from files")

    def verdict(self) -> bool:
        print("\nmust hold")
        holds = [(value <= bound if is_most else value >= bound) for _, value, bound, is_most in self.goals]
        print_table(["", "measured", "bound", ""], [[what, f"{value:.2f}", f"{'<=' if is_most else '>='} {bound}", "" if held else "MISSED"]
                                                  for (what, value, bound, is_most), held in zip(self.goals, holds)])
        return all(holds)


def bench_shards(arguments) -> None:
    build()
    small = "mariadb-10.11:--innodb-buffer-pool-size=256M"
    with servers("source=mariadb-10.11", *[f"shard{i}={small}" for i in range(max(SHARDS))]) as (source, *shards):
        bench = ShardsBench(source, shards, arguments.rows)
        bench.prepare()
        copies, replays, transactions = [], [], []
        for number in range(arguments.runs):
            bench.clean()
            copies.append(bench.turns(number, bench.copy))
            transactions.append(bench.backlog(arguments.seconds))
            replays.append(bench.turns(number, bench.replicate))
            if number == 0:
                for count in (PLAIN, *SHARDS):
                    bench.compare(count)
        report = Report()
        print(f"copy: {TABLES} x {arguments.rows:,} sysbench rows, MariaDB 10.11 everywhere, median of {arguments.runs}; ratios are to 1 shard")
        report.of("copy", copies, lambda _, turn: TABLES * arguments.rows / turn.seconds, "rows/s")
        print(f"\nreplicate: a backlog of {statistics.median(transactions):,.0f} transactions ({arguments.seconds} s of sysbench oltp_write_only, 4 threads)")
        report.of("replicate", replays, lambda number, turn: transactions[number] / turn.seconds, "transactions/s")
        if not report.verdict():
            sys.exit(1)


def add_command(commands) -> None:
    shards = commands.add_parser("shards", help="what 2, 4 and 8 shards cost the source, and throughput, beside one")
    shards.add_argument("--runs", type=int, default=3)
    shards.add_argument("--rows", type=int, default=400_000, help=f"rows of each of the {TABLES} tables")
    shards.add_argument("--seconds", type=int, default=20, help="of sysbench, for the backlog")
    shards.set_defaults(run=bench_shards)
