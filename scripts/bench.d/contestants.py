"""What stands between a client and the server in the bench of the proxy: each is started on a port of its own, in the clear on both legs."""
import os
import pathlib
import random
import socket
import subprocess
import sys
import time

from common import GODWIT, ROOT, Server, cpu_s_of

PROGRAMS = ROOT / "build/bench"
THREADS = os.cpu_count()
SESSIONS_MAX = 6000


def compile_programs() -> None:
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    folder = ROOT / "scripts/bench.d"
    library = subprocess.run(["pkg-config", "--cflags", "--libs", "libmariadb"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    for name, more in (("relay", []), ("client", library), ("count_allocations.so", ["-shared", "-fPIC"])):
        source = folder / (name.split(".")[0] + ".cpp")
        subprocess.run(["g++", "-O2", "-std=c++20", "-Wall", "-Wextra", "-pthread", str(source), "-o", str(PROGRAMS / name), *more], check=True)


def free_port() -> int:
    """Below those that the kernel gives to clients, of which a bench opens thousands."""
    while True:
        port = random.randrange(12000, 20000)
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) != 0:
                return port


def ask(port: int, statement: str) -> "subprocess.CompletedProcess":
    return subprocess.run(["mariadb", "--no-defaults", "--skip-ssl", "-h", "127.0.0.1", "-P", str(port), "-u", "bench", "-pbench", "-N", "-B", "-e", statement],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class Direct:
    """No contestant at all."""

    name = "direct"
    can_count_allocations = False

    def __init__(self, source: Server, target: Server, work: pathlib.Path):
        self.source = source
        self.target = target
        self.work = work
        self.port = int(source.port)

    def start(self, environment: "dict[str, str] | None" = None) -> None:
        pass

    def stop(self) -> None:
        pass

    def cpu_s(self) -> float:
        return 0.0

    def words(self) -> str:
        return ""


class Contestant(Direct):
    """A process; `with` starts and stops it."""

    can_count_allocations = True

    def command(self) -> "list[str]":
        raise NotImplementedError

    def start(self, environment: "dict[str, str] | None" = None) -> None:
        self.port = free_port()
        self.log = self.work / f"{self.name.replace(' ', '-')}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([str(word) for word in self.command()], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                            env={**os.environ, **self.secrets(), **(environment or {})})
        self.await_ready()

    def secrets(self) -> "dict[str, str]":
        return {}

    def await_ready(self) -> None:
        deadline = time.monotonic() + 20
        while True:
            answer = ask(self.port, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")
            if answer.returncode == 0:
                break
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                sys.exit(f"bench: {self.name} does not answer: {answer.stderr}\n{self.words()}")
            time.sleep(0.05)
        if answer.stdout.split() != ["Ssl_cipher"]:
            self.stop()
            sys.exit(f"bench: {self.name} encrypts its leg to the server, the others do not: {answer.stdout}")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            print(f"bench: {self.name} does not end at SIGTERM", file=sys.stderr)
            self.process.kill()
            self.process.wait()

    def cpu_s(self) -> float:
        return cpu_s_of(self.process.pid)

    def words(self) -> str:
        """The last that it wrote."""
        return self.log.read_text()[-3000:]

    def rss_kib(self) -> int:
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


class Haproxy(Contestant):
    name = "HAProxy, TCP"

    def command(self):
        config = self.work / "haproxy.cfg"
        config.write_text(f"""global
  nbthread {THREADS}
  maxconn {SESSIONS_MAX}
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
listen mysql
  bind 127.0.0.1:{self.port}
  server source 127.0.0.1:{self.source.port}
""")
        return ["/usr/sbin/haproxy", "-db", "-f", config]


class Router(Contestant):
    name = "MySQL Router 9.7"
    can_count_allocations = False  # it brings a C library, and an allocator, of its own

    def command(self):
        root = pathlib.Path(os.environ.get("GODWIT_CACHE", pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "godwit"))
        for name in ("run", "data"):
            (self.work / name).mkdir(exist_ok=True)
        config = self.work / "router.conf"
        config.write_text(f"""[DEFAULT]
logging_folder =
plugin_folder = {root}/servers/mysql-router/root/usr/lib/mysqlrouter/plugin
runtime_folder = {self.work}/run
data_folder = {self.work}/data
max_total_connections = {SESSIONS_MAX}
[logger]
level = WARNING
[io]
threads = {THREADS}
[routing:bench]
bind_address = 127.0.0.1
bind_port = {self.port}
destinations = 127.0.0.1:{self.source.port}
routing_strategy = first-available
protocol = classic
client_ssl_mode = PASSTHROUGH
server_ssl_mode = AS_CLIENT
max_connections = {SESSIONS_MAX}
max_connect_errors = 4294967295
""")
        return [ROOT / "scripts/servers", "router", "-c", config]


class Relay(Contestant):
    name = "bare relay"

    def command(self):
        return [PROGRAMS / "relay", self.port, self.source.port, THREADS]


class Godwit(Contestant):
    name = "godwit proxy"

    def command(self):
        dsn = "mysql://godwit@127.0.0.1:{}/sbtest?ssl-mode=disabled"
        return [GODWIT, "proxy", "bench", "--source", dsn.format(self.source.port), "--target", dsn.format(self.target.port),
                "--listen", f"127.0.0.1:{self.port}", "--threads", THREADS, "--clients-max", SESSIONS_MAX, "--state", self.work / "proxy.db"]

    def secrets(self):
        return {"GODWIT_SOURCE_PASSWORD": "godwit", "GODWIT_TARGET_PASSWORD": "godwit"}


ALL = {"direct": Direct, "haproxy": Haproxy, "router": Router, "relay": Relay, "godwit": Godwit}
