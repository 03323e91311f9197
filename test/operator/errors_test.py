#!/usr/bin/python3
"""Errors that need no server: each is provoked, has its code, an object, a cause and a remedy, and no password, however the command line is mistyped."""

import json
import os
import pathlib
import pty
import signal
import socket
import sqlite3
import subprocess
import tempfile

from commands import BINARY, Tally

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECRET = "Zq9-secret"
NOWHERE = "mysql://app@127.0.0.1:1"
HIDDEN = f"mysql://app:{SECRET}@127.0.0.1:1/shop"
TO = ["--target", f"{NOWHERE}/other"]
ENDPOINTS = ["--source", f"{NOWHERE}/shop", *TO]


class Folder:
    """What the command lines name."""

    def __init__(self, path):
        self.path = path
        self.environment = {**os.environ, "GODWIT_STATE": str(path / "state.db"), "GODWIT_SOURCE_PASSWORD": SECRET, "GODWIT_TARGET_PASSWORD": SECRET, "GODWIT_ADMIN_PASSWORD": SECRET}

    def write(self, name, content):
        file = self.path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        file.chmod(0o600)
        return str(file)

    def database(self, name, *statements):
        with sqlite3.connect(self.path / name) as made:
            for statement in statements:
                made.execute(statement)
        made.close()
        return str(self.path / name)

    def run(self, *words):
        return subprocess.run([BINARY, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=self.environment, timeout=120, check=False)


def broken_binlogs(folder):
    whole = (ROOT / "test/data/mariadb-10.11.binlog").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    return {"flipped": folder.write("flipped", bytes(flipped)), "short": folder.write("short", whole[: len(whole) - 7]), "other": folder.write("other", b"this is no binlog at all")}


def provoked(folder):
    """Code, and the words that lead to it."""
    binlogs = broken_binlogs(folder)
    newer = folder.database("newer.db", "PRAGMA user_version = 999")
    hollow = folder.database("hollow.db", "PRAGMA user_version = 2")
    garbage = folder.write("garbage.db", "no database " * 100)
    return [
        ("GW0002", ["copy", "--no-such-option"]),
        ("GW0002", ["check", *ENDPOINTS]),
        ("GW0002", ["switch", "shop", *ENDPOINTS, "--no-proxy", "--proxy", "127.0.0.1:1"]),
        ("GW0002", ["copy", "shop", *ENDPOINTS, "--chunk-size", "many"]),
        ("GW0002", ["inspect", "man", "no", "such", "command"]),
        ("GW0101", ["check", "shop", *ENDPOINTS]),
        ("GW0209", ["check", "shop", *ENDPOINTS, "--map", "a.b=c"]),
        ("GW0401", ["status", "--state", garbage]),
        ("GW0402", ["status", "--state", newer]),
        ("GW0404", ["status", "nobody"]),
        ("GW0404", ["vdiff", "nobody"]),
        ("GW0409", ["status", "--state", hollow]),
        ("GW0701", ["inspect", "binlog", str(ROOT / "test/data/mariadb-10.11.binlog"), "--from", "no position"]),
        ("GW0703", ["inspect", "binlog", binlogs["short"]]),
        ("GW0704", ["inspect", "binlog", binlogs["flipped"]]),
        ("GW0707", ["inspect", "binlog", binlogs["other"]]),
        ("GW1022", ["proxy", "shop", *ENDPOINTS, "--listen", "127.0.0.1:0", "--accounts", folder.write("accounts", f"app {SECRET}\n")]),
        ("GW1201", ["check", "shop", "--source", f"{NOWHERE}/shop", "--shard", f"zz={HIDDEN}"]),
    ]


SHARDS = [f"-80={NOWHERE}/a", f"80-={NOWHERE}/b"]


def record(folder, name, **options):
    """A workflow, as a copy has recorded it."""
    folder.run("status")
    with sqlite3.connect(folder.path / "state.db") as state:
        state.execute("INSERT INTO workflow (name, phase) VALUES (?, 'copied')", (name,))
        every = {"source": f"{NOWHERE}/shop", "target": f"{NOWHERE}/other", "schema": "create"} | {option: value if isinstance(value, str) else json.dumps(value) for option, value in options.items()}
        state.executemany("INSERT INTO workflow_option (workflow, name, value) VALUES (?, ?, ?)", [(name, option, value) for option, value in every.items()])
    state.close()


def said(folder):
    """Words of an error, and the line that leads to it."""
    record(folder, "whole")
    for name in ("split", "split too"):
        record(folder, name, target=f"{NOWHERE}/a", shard=SHARDS, vindex=["orders.id=hash"])
    split = ["--source", f"{NOWHERE}/shop", "--shard", SHARDS[0], "--shard", SHARDS[1], "--vindex", "orders.id=hash"]
    binlog = str(ROOT / "test/data/mariadb-10.11.binlog")
    flag = folder.write("flag.json", json.dumps({"readers": True}))
    listen = ["--listen", "127.0.0.1:0"]
    return [
        ("--source]: it is not given", ["copy", "new", *TO]),
        ("--target]: it is not given", ["copy", "new", "--source", f"{NOWHERE}/shop"]),
        ("--shard is given too", ["copy", "new", *split, *TO]),
        ("it is no duration", ["copy", "new", *ENDPOINTS, "--snapshot-age", "soon"]),
        ("this option is no flag", ["copy", "new", *ENDPOINTS, "--config", flag]),
        ("files do not grow under it", ["inspect", "binlog", binlog, "--follow"]),
        ("a server and other inputs are named", ["inspect", "binlog", NOWHERE, binlog]),
        ("the recorded ranges are others: -80 80-", ["replicate", "split", "--shard", f"-40={NOWHERE}/a", "--shard", f"40-={NOWHERE}/b"]),
        ("another one is recorded: orders.id=hash", ["replicate", "split", "--vindex", "orders.id=xxhash"]),
        ("its target is shards", ["replicate", "split", *TO]),
        ("less than 3 s is no sign of a loss", ["replicate", "whole", "--stream-deadline", "2s"]),
        ("--until-current is given too", ["replicate", "whole", "--until-current", "--until", "0-1-1"]),
        ("--resume is given too", ["vdiff", "whole", "--restart", "--resume"]),
        ("no client can be served by them", ["proxy", "split", *listen]),
        ("no certificate of the proxy is named", ["proxy", "whole", *listen, "--tls-key", "key.pem"]),
        ("--tls-cert is given too", ["proxy", "whole", *listen, "--no-tls", "--tls-cert", "cert.pem", "--tls-key", "key.pem"]),
        ("nothing needs a head", ["shard", "ddl", "whole", "--engine", "spider"]),
        ("of the server that is to be the head", ["shard", "ddl", "split", "--engine", "spider", "--apply"]),
        ("its target is no shards", ["inspect", "shard", "orders", "1", "--workflow", "whole"]),
        ("leave it out: the scans run on the shards", ["vdiff", "split", "--target-replica", NOWHERE]),
        ("would have more than 64 characters", ["rehearse", "n" * 50, *ENDPOINTS]),
        ("part of a folder's", ["rehearse", "a/b", *ENDPOINTS]),
        ("no workflow with shards is recorded", ["inspect", "shard", "orders", "1", "--state", str(folder.path / "no.db")]),
        ("several have shards: split, split too", ["inspect", "shard", "orders", "1"]),
        ("servers are not asked that often", ["status", "--interval", "1ms"]),
        ("admin account is not named, or has no password", ["switch", "whole", "--proxy", "127.0.0.1:1"]),
        ("there is no terminal to ask on", ["switch", "whole", "--no-proxy"]),
    ]


PROXY = ["proxy", "whole", "--listen"]


def said_of_the_proxy():
    """The same, before it asks a server."""
    return [
        ("GW0002 bad_usage [--listen nowhere]: it is no address and port => --listen 127.0.0.1:6033", [*PROXY, "nowhere"]),
        ("GW0002 bad_usage [--listen 127.0.0.1:70000]: it is no address and port", [*PROXY, "127.0.0.1:70000"]),
        ("GW0002 bad_usage [--metrics :9306]: it is no address and port => an address of this host", [*PROXY, "127.0.0.1:6033", "--metrics", ":9306"]),
        ("GW0002 bad_usage [--proxy-protocol-from 10.0.0.0/99]: it is no address and no network => --proxy-protocol-from 10.0.0.0/8", [*PROXY, "127.0.0.1:6033", "--proxy-protocol-from", "10.0.0.0/99"]),
    ]


def mistyped(folder):
    """Ways to get a password into what godwit complains about."""
    config = {"good": json.dumps({"source": HIDDEN, "target": HIDDEN}), "cut": f'{{"source": "{HIDDEN}\\q"}}', "unknown": json.dumps({"sourze": HIDDEN}), "kind": json.dumps({"json": HIDDEN}),
              "number": json.dumps({"readers": HIDDEN})}
    files = {name: folder.write(f"{name}.json", text) for name, text in config.items()}
    lines = [["check", "shop", "--config", file] for file in files.values()]
    lines += [["copy" if name == "number" else "check", "shop", "--config", file] for name, file in files.items()]
    for dsn in (HIDDEN, HIDDEN.replace("Zq9", "Zq9%zz"), HIDDEN.replace(":1/", ":x/"), HIDDEN.replace("mysql", "mysqll"), HIDDEN.replace("Zq9", "Zq9@"), HIDDEN.replace(SECRET, f"a b@{SECRET}")):
        lines += [["check", "shop", "--source", dsn, *TO], ["check", "shop", dsn], ["check", dsn, dsn], ["check", f"--sourze={dsn}"], [dsn], ["inspect", "binlog", dsn], ["inspect", "man", dsn],
                  ["copy", "shop", *ENDPOINTS, "--throttle-replica", dsn], ["copy", "shop", "--source", dsn, "--shard", f"-80={dsn}", "--shard", f"80={dsn}"], ["copy", "shop", *ENDPOINTS, "--readers", dsn],
                  ["switch", "shop", *ENDPOINTS, "--proxy", dsn, "--admin-user", "keeper", "--yes"], ["switch", "shop", "--fence", dsn]]
    lines.append(["check", "shop", *ENDPOINTS, "--source-defaults-file", folder.write("no.cnf", f"[client]\nuser=app\npassword {SECRET}\n")])
    return lines


def check_error(tally, line, ran, code):
    name = "godwit " + " ".join(line)
    error = json.loads(ran.stdout)["error"] if ran.stdout else {}
    tally.expect(error.get("code") == code, f"{name}: not {code}, but {ran.stdout}{ran.stderr}")
    tally.expect(error.get("object") and error.get("cause") and error.get("remedy"), f"{name}: it lacks object, cause or remedy: {ran.stdout}")
    tally.expect(f"{code} {error.get('name')} [" in ran.stderr, f"{name}: the log does not say it: {ran.stderr}")
    tally.expect(ran.returncode == json.loads(ran.stdout)["code"] != 0, f"{name}: status {ran.returncode}")


def check_busy(tally, folder):
    """Another program holds a new state file for longer than godwit waits."""
    with sqlite3.connect(folder.path / "busy.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        line = ["status", "--state", str(folder.path / "busy.db"), "--json"]
        ran = folder.run(*line)
        other.execute("ROLLBACK")
    other.close()
    check_error(tally, line, ran, "GW0403")


def check_answer(tally, folder):
    """On a terminal, where somebody says no."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([BINARY, "switch", "whole", "--no-proxy"], stdin=theirs, stderr=subprocess.PIPE, text=True, env=folder.environment) as asked:
        os.write(ours, b"no\n")
        _, log = asked.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    tally.expect("the answer was no; nothing was changed" in log and asked.returncode == 130, f"switch, told no, ends with {asked.returncode}: {log}")


def check_silence(tally, folder):
    """A server that accepts a connection and says nothing does not keep replicate from stopping."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        record(folder, "silent", source=f"mysql://app@127.0.0.1:{port}/shop", target=f"mysql://app@127.0.0.1:{port}/other")
        with subprocess.Popen([BINARY, "replicate", "silent"], stderr=subprocess.PIPE, text=True, env=folder.environment) as stopped:
            silent.settimeout(60)
            with silent.accept()[0]:
                stopped.send_signal(signal.SIGINT)
                _, log = stopped.communicate(timeout=60)
    tally.expect("a stop was requested, and a server does not answer" in log and stopped.returncode == 130, f"replicate of a silent server ends with {stopped.returncode}: {log}")


def main():
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="godwit-errors-") as name:
        folder = Folder(pathlib.Path(name))
        for code, line in provoked(folder):
            ran = folder.run(*line, "--json") if line[:2] != ["inspect", "man"] else folder.run(*line)
            tally.expect(SECRET not in ran.stdout + ran.stderr, f"godwit {line} shows a password: {ran.stderr}")
            if line[:2] == ["inspect", "man"]:
                tally.expect(code in ran.stderr and ran.returncode == 2, f"godwit {line}: {ran}")
            elif line[:2] == ["inspect", "binlog"]:
                check_error(tally, line, subprocess.CompletedProcess(ran.args, ran.returncode, (ran.stdout.splitlines() or [""])[-1], ran.stderr), code)
            else:
                check_error(tally, line, ran, code)
        for words, line in said(folder) + said_of_the_proxy():
            ran = folder.run(*line)
            tally.expect(words in ran.stderr and ran.returncode == 2, f"godwit {line} ends with {ran.returncode}, and says: {ran.stderr}")
        for line in mistyped(folder):
            ran = folder.run(*line)
            tally.expect(ran.returncode != 0, f"godwit {line} is taken")
            tally.expect(SECRET not in ran.stdout + ran.stderr, f"godwit {line} shows a password: {ran.stdout}{ran.stderr}")
        without = {name: value for name, value in folder.environment.items() if name != "GODWIT_ADMIN_PASSWORD"}
        ran = subprocess.run([BINARY, "proxy", "whole", "--listen", "127.0.0.1:0", "--admin-user", "keeper"], capture_output=True, text=True, env=without, timeout=60, check=False)
        tally.expect("it has no password => set GODWIT_ADMIN_PASSWORD" in ran.stderr and ran.returncode == 2, f"proxy without an admin's password: {ran}")
        check_busy(tally, folder)
        check_answer(tally, folder)
        check_silence(tally, folder)
        for file in folder.path.glob("state.db*"):
            tally.expect(SECRET.encode() not in file.read_bytes(), f"{file.name} holds a password")
    tally.end(150)


main()
