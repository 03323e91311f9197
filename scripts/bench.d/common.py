"""What every bench uses: the servers, godwit's build, measuring, tables."""
import contextlib
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GODWIT = pathlib.Path(os.environ.get("GODWIT_BIN", ROOT / "build/release/bin/godwit"))
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


# --- servers ----------------------------------------------------------------------------------------------------------


def cpu_s_of(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


class Server:
    """One server that scripts/servers started."""

    def __init__(self, folder: pathlib.Path, name: str):
        self.home = folder / name
        self.port = (self.home / "port").read_text().strip()
        self.socket = (self.home / "socket").read_text().strip()
        self.pid = int((self.home / "pid").read_text())

    def sql(self, statement: str, schema: str = "") -> str:
        command = ["mariadb", f"--defaults-file={self.home}/client.cnf", "-N", "-B", "-e", statement]
        return subprocess.run(command + ([schema] if schema else []), check=True, stdout=subprocess.PIPE, text=True).stdout

    def status(self, name: str) -> int:
        return int(self.sql(f"SHOW GLOBAL STATUS LIKE '{name}'").split()[1])

    def cpu_s(self) -> float:
        return cpu_s_of(self.pid)

    def dsn(self, schema: str) -> str:
        return f"mysql://godwit@localhost/{schema}?socket={self.socket}"


@contextlib.contextmanager
def servers(*specs: str):
    folder = pathlib.Path(tempfile.mkdtemp())
    environment = {**os.environ, "GODWIT_SERVERS_DIR": str(folder)}
    script = str(ROOT / "scripts/servers")
    try:
        subprocess.run([script, "start", "--dir", str(folder), *specs], check=True, stdout=subprocess.DEVNULL)
        yield [Server(folder, spec.split("=")[0]) for spec in specs]
    finally:
        subprocess.run([script, "destroy"], env=environment, check=False)


def build() -> None:
    subprocess.run([str(ROOT / "scripts/setup"), "--bench"], check=True)
    if "GODWIT_BIN" in os.environ:
        return
    for command in (["cmake", "--preset", "release"], ["cmake", "--build", "--preset", "release", "--target", "godwit"]):
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


# --- measuring --------------------------------------------------------------------------------------------------------


class Measured:
    """Time of a contestant, CPU of its own processes and of the servers, peak memory of its largest process."""

    def __init__(self, seconds: float, own_cpu_s: float, server_cpu_s: float, rss_kib: int):
        self.seconds = seconds
        self.own_cpu_s = own_cpu_s
        self.server_cpu_s = server_cpu_s
        self.rss_kib = rss_kib

    @property
    def own_share(self) -> float:
        return self.own_cpu_s / max(self.own_cpu_s + self.server_cpu_s, 0.001)


def own_usage() -> "tuple[float, int]":
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def measure(deed, watched: "list[Server]") -> Measured:
    """Runs deed() in a child, so that only its processes are counted."""
    servers_before = sum(server.cpu_s() for server in watched)
    reader, writer = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            deed()
            os.write(writer, json.dumps(own_usage()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - began
    if status != 0:
        sys.exit("bench: a contestant failed; its own words are above")
    cpu_s, rss_kib = json.loads(text)
    return Measured(seconds, cpu_s, sum(server.cpu_s() for server in watched) - servers_before, rss_kib)


def median(measured: "list[Measured]") -> Measured:
    return sorted(measured, key=lambda m: m.seconds)[len(measured) // 2]


def run_quietly(command: "list[str]", **more) -> None:
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode != 0:
        print(done.stdout[-4000:], file=sys.stderr)
        raise SystemExit(1)


def in_parallel(deeds, width: int) -> None:
    waiting = list(deeds)
    failures = []
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                if not waiting:
                    return
                deed = waiting.pop(0)
            try:
                deed()
            except BaseException as failure:  # reported below, by the thread that waits
                failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(width)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def print_table(head: "list[str]", rows: "list[list[str]]") -> None:
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
    for row in [head] + rows:
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))))
