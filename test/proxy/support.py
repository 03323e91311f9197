"""What the conformance runs share: the test servers of scripts/servers, and a godwit proxy in front of one of them.

Both sides of the proxy are the same server under two addresses: a session that was moved finds the same data there.
"""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pymysql

MODES = ("direct", "proxy", "moves")
CLIENT_PLUGINS = "/usr/lib/x86_64-linux-gnu/libmariadb3/plugin"


# Told to end, a run ends its proxies too.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


class Failure(Exception):
    """What ends a run: said to the user as one line."""


class Server:
    """A server that scripts/servers has started, by its name in $GODWIT_SERVERS_DIR."""

    def __init__(self, name):
        folder = os.environ.get("GODWIT_SERVERS_DIR") or die("GODWIT_SERVERS_DIR is not set: start me by scripts/servers run")
        self.home = pathlib.Path(folder) / name
        self.tls = pathlib.Path(folder) / "tls"
        self.flavour = (self.home / "flavour").read_text().strip()
        self.port = int((self.home / "port").read_text())

    @property
    def is_mysql(self):
        return self.flavour.startswith("mysql")

    def execute(self, *statements):
        connection = login(self.port, self.tls)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()


class Proxy:
    """`godwit proxy` in front of one server, until the end of the `with`. With `moves`, each session changes sides at each safe point."""

    start_s = 20
    stop_s = 40  # it lets sessions come to a safe point for 30 s

    def __init__(self, server, folder, moves, accounts=()):
        self.server = server
        self.moves = moves
        self.accounts = [("godwit", "godwit"), ("app", "app"), *accounts]
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "proxy.log"
        self.port = free_port()
        self.process = None

    def command(self):
        tls = self.server.tls
        command = [binary(), "proxy", "conformance", "--source", f"mysql://godwit@127.0.0.1:{self.server.port}",
                   "--target", f"mysql://godwit@127.0.0.1:{self.server.port}", "--listen", f"127.0.0.1:{self.port}", "--threads", "2",
                   "--state", str(self.folder / "state.db"), "--tls-cert", str(tls / "server-cert.pem"),
                   "--tls-key", str(tls / "server-key.pem")]
        return command + (["--move-always", "--accounts", str(self.secrets())] if self.moves else [])

    def secrets(self):
        """Of a login of MySQL's that is not over TLS the proxy learns nothing by which it could log in elsewhere."""
        path = self.folder / "accounts"
        path.touch(0o600)
        path.write_text("".join(f"{user}:{password}\n" for user, password in self.accounts))
        return path

    def __enter__(self):
        secrets = {"GODWIT_SOURCE_PASSWORD": "godwit", "GODWIT_TARGET_PASSWORD": "godwit"}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | secrets)
        try:
            self.await_listening()
            if self.moves:
                self.check_moves()
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(self.stop_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = f"no end within {self.stop_s} s of SIGTERM"
        if status != 0 and kind is None:
            raise Failure(f"the proxy ended with {status}\n{self.last_words()}")

    def await_listening(self):
        deadline = time.monotonic() + self.start_s
        while "listening" not in self.log.read_text(errors="replace"):
            if self.process.poll() is not None:
                raise Failure(f"the proxy ended with {self.process.returncode}\n{self.last_words()}")
            if time.monotonic() > deadline:
                raise Failure(f"the proxy does not listen after {self.start_s} s\n{self.last_words()}")
            time.sleep(0.02)

    def check_moves(self):
        """A run "with moves" in which little moves would prove little: the server's number of the session must go on changing."""
        for tls in (self.server.tls, None):
            connection = login(self.port, tls)
            try:
                with connection.cursor() as cursor:
                    numbers = set()
                    for _ in range(20):
                        cursor.execute("SELECT CONNECTION_ID()")
                        numbers.add(cursor.fetchone()[0])
            finally:
                connection.close()
            if len(numbers) < 18:
                kind = "over TLS" if tls else "plain"
                raise Failure(f"--move-always moves too little: {len(numbers)} sessions of the server for 20 statements, {kind}\n{self.last_words()}")

    def is_alive(self):
        return self.process.poll() is None

    def last_words(self, lines=15):
        return "\n".join("    " + line for line in self.log.read_text(errors="replace").splitlines()[-lines:])


def die(text):
    raise Failure(text)


def binary():
    return os.environ.get("GODWIT_BIN") or die("GODWIT_BIN is not set: the godwit to test")


def login(port, tls, user="godwit", password="godwit"):
    return pymysql.connect(host="127.0.0.1", port=port, user=user, password=password, autocommit=True, connect_timeout=10,
                           ssl={"ca": str(tls / "ca.pem")} if tls else None)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def chosen_modes(text):
    modes = text.split(",")
    for mode in modes:
        if mode not in MODES:
            die(f"no mode {mode!r}: one or more of {','.join(MODES)}")
    return modes
