#!/usr/bin/python3
"""Every client library that Debian and npm offer does one scenario: direct, through the proxy, and with moves forced at each safe point.

    scripts/servers run mariadb=mariadb-10.11:--performance-schema=ON mysql=mysql-9.7 -- test/proxy/client_matrix.py [OPTIONS]

The scenario is described in clients/README.md. Prints a table of client x server x mode; each line is a client in one form: plain, over
TLS, compressed, or cold (of MySQL, with an account whose password the server has not cached). Needs $GODWIT_BIN, and what scripts/setup and scripts/clients install.
"""

import argparse
import concurrent.futures
import contextlib
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import support
from client_programs import PROGRAMS, build

HERE = pathlib.Path(__file__).parent
RUN_S = 60
AT_ONCE = 3


class Run:
    """One program, in one form, against one server in one mode."""

    def __init__(self, program, form, server, mode, port):
        self.program, self.form, self.server, self.mode, self.port = program, form, server, mode, port
        self.database = database_of(program, form, mode)
        # An account of its own, which the server has not cached yet, makes caching_sha2_password go the whole way.
        self.user = cold_user(self.database) if form == "cold" else "godwit"
        self.said = None
        self.took_s = 0.0

    @property
    def is_good(self):
        return self.said == "ok"

    def environment(self, infile):
        return os.environ | {
            "CLIENT_HOST": "127.0.0.1", "CLIENT_PORT": str(self.port), "CLIENT_USER": self.user, "CLIENT_PASSWORD": "godwit",
            "CLIENT_DATABASE": self.database, "CLIENT_SERVER": "mysql" if self.server.is_mysql else "mariadb", "CLIENT_INFILE": str(infile),
            "CLIENT_FLAGS": "" if self.form in ("plain", "cold") else self.form.replace("+", ","), "CLIENT_CA": str(self.server.tls / "ca.pem"),
        }

    def go(self, infile):
        began = time.monotonic()
        lay_out(self.server, self.database)
        if self.user != "godwit":
            self.server.execute(f"CREATE USER `{self.user}` IDENTIFIED BY 'godwit'", f"GRANT ALL ON *.* TO `{self.user}`")
        try:
            done = subprocess.run(self.program.command, capture_output=True, text=True, errors="replace", timeout=RUN_S, check=False,
                                  env=self.environment(infile), stdin=subprocess.DEVNULL)
            self.said = verdict(done, self.program)
        except subprocess.TimeoutExpired as late:
            out = (late.stdout or b"").decode(errors="replace")
            self.said = f"no end within {RUN_S} s, after {last_line(out)!r}"
        self.server.execute(f"DROP DATABASE `{self.database}`", *([] if self.user == "godwit" else [f"DROP USER `{self.user}`"]))
        self.took_s = time.monotonic() - began
        return self


def database_of(program, form, mode):
    return f"{program.name}_{form}_{mode}".replace("-", "_").replace("+", "_")


def cold_user(database):
    return database[:30]


def verdict(done, program):
    """`ok`, or what went wrong: a program has to name every step, in order, as done or as something its library has not."""
    lines = [line for line in done.stdout.splitlines() if line.split(" ", 1)[0] in ("ok", "none", "failed")]
    failed = [line for line in lines if line.startswith("failed ")]
    if failed:
        return failed[0]
    if done.returncode != 0:
        return f"status {done.returncode} after {last_line(done.stdout)!r}: {last_line(done.stderr)}"
    named = [line.split()[1].rstrip(":") for line in lines]
    if named != STEPS:
        return f"{program.name} did {' '.join(named)}, not the steps of README.md"
    return "ok"


def steps_of_readme():
    rows = (HERE / "clients" / "README.md").read_text().splitlines()
    table = [row.split("|")[1].strip() for row in rows if row.startswith("| ")]
    return table[1:]


STEPS = steps_of_readme()


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else ""


def lay_out(server, database):
    statements = [line.rstrip().removesuffix(";") for line in (HERE / "clients" / "schema.sql").read_text().splitlines() if line.strip()]
    server.execute(f"DROP DATABASE IF EXISTS `{database}`", f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4", f"USE `{database}`", *statements)


def write_infile(folder):
    path = folder / "lines.csv"
    path.write_text("".join(f"{i},{'zz 😀' if i == 500 else f'line {i}'}\n" for i in range(1, 1001)))
    return path


def run_all(programs, forms, modes, folder):
    infile = write_infile(folder)
    servers = [support.Server(name) for name in ("mariadb", "mysql")]
    with contextlib.ExitStack() as stack:
        runs, proxies = [], []
        for server, mode in itertools.product(servers, modes):
            port = server.port
            if mode != "direct":
                accounts = [(cold_user(database_of(program, "cold", mode)), "godwit") for program in programs]
                proxy = support.Proxy(server, folder / f"{server.home.name}-{mode}", moves=mode == "moves", accounts=accounts)
                proxies.append(stack.enter_context(proxy))
                port = proxies[-1].port
            runs += [Run(program, form, server, mode, port) for program in programs for form in program.forms
                     if (not forms or form in forms) and program.speaks_to(server, form)]
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda run: run.go(infile), runs))
        for proxy in proxies:
            if not proxy.is_alive():
                raise support.Failure(f"the proxy died\n{proxy.last_words(60)}")
    return runs


def show(runs, modes):
    flavours = sorted({run.server.flavour for run in runs})
    print(f"{'':30}" + "".join(f"{flavour:27}" for flavour in flavours))
    print(f"{'client':30}" + "".join(f"{mode:9}" for _ in flavours for mode in modes))
    cells = {(run.program.name, run.form, run.server.flavour, run.mode): run for run in runs}
    for name, form in dict.fromkeys((run.program.name, run.form) for run in runs):
        line = f"{name + ' ' + form:30}"
        for flavour, mode in itertools.product(flavours, modes):
            run = cells.get((name, form, flavour, mode))
            line += f"{'-' if run is None else 'ok' if run.is_good else 'FAILED':9}"
        print(line)
    for run in runs:
        if not run.is_good:
            print(f"{run.program.name} {run.form}, {run.server.flavour} {run.mode}: {run.said}")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--mode", default=",".join(support.MODES), help="which, with commas (default: %(default)s)")
    options.add_argument("--only", nargs="+", metavar="NAME", help=f"these clients: {' '.join(program.name for program in PROGRAMS)}")
    options.add_argument("--form", nargs="+", default=[], help="these forms: plain cold tls zlib zstd")
    options.add_argument("--times", action="store_true", help="how long each run took")
    chosen = options.parse_args()
    modes = support.chosen_modes(chosen.mode)
    programs = [program for program in PROGRAMS if not chosen.only or program.name in chosen.only]
    if chosen.only and len(programs) != len(set(chosen.only)):
        support.die(f"not a client among {' '.join(chosen.only)}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        build(programs, pathlib.Path(folder))
        built_s = time.monotonic() - began
        runs = run_all(programs, chosen.form, modes, pathlib.Path(folder))
    show(runs, modes)
    if chosen.times:
        for run in sorted(runs, key=lambda run: -run.took_s)[:40]:
            print(f"{run.took_s:5.1f} s  {run.program.name} {run.form} {run.server.flavour} {run.mode}")
    good = sum(run.is_good for run in runs)
    print(f"{good} of {len(runs)} runs are good, {time.monotonic() - began:.1f} s, {built_s:.1f} s of it building")
    return 0 if runs and good == len(runs) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except support.Failure as failure:
        sys.exit(f"{pathlib.Path(__file__).name}: {failure}")
