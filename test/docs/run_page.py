#!/usr/bin/python3
"""Runs what a page of the documentation tells its reader to type, in its order, on real servers (the tests `docs.PAGE`).

  scripts/servers run old=mariadb-10.11 new=mysql-9.7 -- test/docs/run_page.py docs/howto/mariadb-to-mysql.md

$GODWIT_BIN is the godwit. Each command must end with 0, or with what the comment behind it says: "# exit status 4". Placeholders become the test's servers, ports and
passwords (`Placeholders`). A command that goes on until it is stopped (replicate, proxy, copy --follow) goes on in another terminal, as it would with the reader, until
the same is started again or the page ends; the next command waits until it is at work. The first server has the sample shop, the last one is the target; both have the
accounts of docs/privileges.md.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import pages
from shell import CommandFailed, Shell

PASSWORD = "choose-one"
SECONDS_TO_BEGIN_MAX = 300


def free_port():
    import socket
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


class Servers:
    """Those that scripts/servers has started; in the order in which the page names them."""

    def __init__(self, spec):
        self.folder = pathlib.Path(os.environ.get("GODWIT_SERVERS_DIR", "/nonexistent"))
        self.names = [word.split("=")[0] for word in spec.split()] if spec != "none" else []

    def port(self, name):
        return (self.folder / name / "port").read_text().strip()

    def flavour(self, name):
        return "MySQL" if (self.folder / name / "flavour").read_text().startswith("mysql") else "MariaDB"

    def run_sql(self, name, text, schema=""):
        command = ["mariadb", f"--defaults-file={self.folder / name / 'client.cnf'}", *([schema] if schema else [])]
        done = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise CommandFailed(f"on {name}: {done.stdout.decode()}")


class Placeholders:
    """What stands in the text for something of the reader's own, and what it is here."""

    def __init__(self, servers, folder):
        self.servers, self.folder = servers, folder
        self.ports = {port: free_port() for port in ("6033", "6034", "9306", "9307")}

    def dsn(self, name, user):
        return f"mysql://{user}@127.0.0.1:{self.servers.port(name)}/shop"

    def filled(self, command):
        for name in self.servers.names:
            port = self.servers.port(name)
            command = re.sub(rf"@{name}(:3306)?/", f"@127.0.0.1:{port}/", command)
            command = re.sub(rf"-h {name}\b", f"-h 127.0.0.1 -P {port} -u godwit", command)
            command = re.sub(rf"--(other-)?host {name} --(other-)?port 3306", rf"--\1host 127.0.0.1 --\2port {port}", command)
        if self.servers.names:
            command = command.replace("--source …", f"--source {self.dsn(self.servers.names[0], 'godwit_source')}")
            command = command.replace("--target …", f"--target {self.dsn(self.servers.names[-1], 'godwit_target')}")
        command = re.sub(r"\b(6033|6034|9306|9307)\b", lambda port: self.ports[port[0]], command).replace("0.0.0.0:", "127.0.0.1:")
        command = re.sub(r"(_PASSWORD)=…", rf"\1={PASSWORD}", command).replace("'choose one'", f"'{PASSWORD}'")
        # Two servers, godwit and other tests share this machine: how long a pause may be is another test's business.
        command = re.sub(r"^(godwit (?:switch|reverse) (?!.*--pause-max))", r"\1--pause-max 10s --lag-max 10s ", command)
        # Nobody sits here to be asked.
        command = re.sub(r"^(godwit (?:switch|reverse|complete) (?!.*(?:--yes|--dry-run)))", r"\1--yes ", command)
        command = re.sub(r"\b((?:mysql|mariadb) [^|;]*?)-p ", rf"MYSQL_PWD={PASSWORD} \1", command)
        return command.replace("/tmp/godwit-tutorial", str(self.folder / "tutorial"))


def statements_under(heading):
    page = (pages.ROOT / "docs/privileges.md").read_text(encoding="utf-8")
    found = re.search(rf"(?ms)^##+ {re.escape(heading)}\n.*?```sql\n(.*?)```", page)
    return found[1].replace("choose one", PASSWORD)


def make_accounts(servers, replicas):
    """Those of docs/privileges.md, for a whole migration; and one of an application's, where the source is. Replicas get them as replicas do."""
    for name in servers.names[:-1]:
        if name in replicas:
            continue
        flavour = servers.flavour(name)
        parts = [f"{flavour}, source", "Source, heartbeat", f"{flavour}, source, switch", f"{flavour}, source, definers"]
        servers.run_sql(name, "".join(statements_under(part) for part in parts))
        servers.run_sql(name, "CREATE USER 'report'@'10.%' IDENTIFIED BY 'report'; GRANT SELECT ON shop.* TO 'report'@'10.%';")
    target, flavour = servers.names[-1], servers.flavour(servers.names[-1])
    parts = [f"{flavour}, target", f"{flavour}, target, definers", "On the target, for `--accounts`", f"{flavour}, target, switch"]
    servers.run_sql(target, "".join(statements_under(part) for part in parts))


def set_passwords(servers, replicas):
    """The one password that stands for all of the reader's."""
    for name in servers.names:
        if name not in replicas:
            servers.run_sql(name, "".join(f"ALTER USER '{account}'@'%' IDENTIFIED BY '{PASSWORD}';" for account in ("app", "godwit")))
        cnf = servers.folder / name / "client.cnf"
        cnf.write_text(cnf.read_text().replace("password=godwit", f"password={PASSWORD}"))
    for name in replicas:
        await_login(servers, name)


def await_login(servers, name):
    """Until a replica has what its primary has: the last thing was the password."""
    deadline = time.monotonic() + SECONDS_TO_BEGIN_MAX
    while True:
        try:
            return servers.run_sql(name, "SELECT 1")
        except CommandFailed:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def load_shop(servers):
    first, shop = servers.names[0], pages.ROOT / "examples/sample-shop"
    servers.run_sql(first, "CREATE DATABASE shop")
    # A mode that both flavours have.
    servers.run_sql(first, "SET sql_mode = 'STRICT_TRANS_TABLES';\n" + (shop / "schema.sql").read_text(encoding="utf-8"), "shop")
    servers.run_sql(first, subprocess.run([shop / "generate", "--orders", "300"], capture_output=True, check=True, text=True).stdout, "shop")


def replicate_to(servers, primary, replica):
    """The second server becomes a replica of the first."""
    port = servers.port(primary)
    servers.run_sql(primary, f"CREATE USER 'replica'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT REPLICATION SLAVE ON *.* TO 'replica'@'%';")
    options = f"MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='replica', MASTER_PASSWORD='{PASSWORD}'"
    servers.run_sql(replica, f"CHANGE MASTER TO {options}, MASTER_USE_GTID=slave_pos; START SLAVE; SET GLOBAL read_only = ON;")


class Run:
    def __init__(self, page):
        self.page = page
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="godwit-page-"))
        self.servers = Servers(page.servers)
        self.placeholders = Placeholders(self.servers, self.folder)
        self.background = {}  # kind → (pid, log)
        binaries = self.folder / "bin"
        binaries.mkdir()
        (binaries / "godwit").symlink_to(pathlib.Path(os.environ["GODWIT_BIN"]).resolve())
        for name in ("scripts", "examples", "docs"):
            (self.folder / name).symlink_to(pages.ROOT / name)
        environment = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "HOME": str(self.folder), "GODWIT_CACHE": str(self.cache())}
        for name in ("XDG_STATE_HOME", "GODWIT_STATE", "GODWIT_SOURCE_PASSWORD", "GODWIT_TARGET_PASSWORD", *(["GODWIT_SERVERS_DIR"] if page.servers == "none" else [])):
            environment.pop(name, None)
        self.shell = Shell(self.folder, environment)

    @staticmethod
    def cache():
        """Where scripts/servers keeps its binaries: the shell's own HOME is another."""
        default = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "godwit"
        return os.environ.get("GODWIT_CACHE", default)

    def prepare(self):
        begins, names = self.page.begins, self.servers.names
        if not names:
            return
        replicas = names[1:2] if begins == "replica" else []
        for name in replicas:
            replicate_to(self.servers, names[0], name)
        if begins != "nothing":
            load_shop(self.servers)
            make_accounts(self.servers, replicas)
        set_passwords(self.servers, replicas)
        if begins in ("nothing", "loaded", "replica"):
            return
        self.command("export GODWIT_SOURCE_PASSWORD=… GODWIT_TARGET_PASSWORD=… GODWIT_ADMIN_PASSWORD=…")
        self.command("godwit copy shop --source … --target …")
        if begins == "replicating":
            self.command("godwit replicate shop")

    def command(self, text):
        """Runs one; raises where it does not end as it should."""
        text, _, comment = re.match(r"(.*?)(\s+#\s(.*))?$", text, re.S).groups()
        filled = self.placeholders.filled(text)
        kind = self.kind_of(filled)
        if filled.startswith("godwit cancel"):
            kind = "stream"  # nobody follows what is taken away
        if kind in self.background:
            self.stop(kind)
        if kind in ("stream", "proxy") and not re.search(r"--until|&$|^godwit cancel", filled):
            return self.go_on(kind, filled)
        wanted = re.search(r"exit status (\d+)", comment or "")
        status, output = self.shell.run(filled)
        if status != int(wanted[1] if wanted else 0):
            raise CommandFailed(f"{filled}\nended with {status}:\n{output}")
        print(f"$ {filled}\n{output.rstrip()}"[:3000], flush=True)

    @staticmethod
    def kind_of(command):
        if re.match(r"godwit proxy ", command):
            return "proxy"
        if re.match(r"godwit replicate ", command) or (re.match(r"godwit copy .*--follow", command) and "--dry-run" not in command):
            return "stream"
        return ""

    def go_on(self, kind, command):
        log = self.folder / f"{kind}.log"
        began_us = time.time() * 1e6
        pid = self.shell.start(command, log)
        self.background[kind] = (pid, log)
        deadline = time.monotonic() + SECONDS_TO_BEGIN_MAX
        name = command.split()[2]
        while not (("listening on" in log.read_text() if log.exists() else False) if kind == "proxy" else self.follows(name, began_us)):
            if not self.shell.is_alive(pid) or time.monotonic() > deadline:
                raise CommandFailed(f"{command}\nis not at work:\n{log.read_text()}")
            time.sleep(0.2)
        print(f"$ {command}    (goes on)", flush=True)

    def follows(self, name, began_us):
        status, output = self.shell.run(f"godwit status {name} --json 2>/dev/null")
        workflows = json.loads(output)["workflows"] if status == 0 else []
        progress = workflows[0].get("replicate", {}) if workflows else {}
        return progress.get("is_caught_up", False) and progress.get("at_us", 0) > began_us

    def stop(self, kind):
        pid, log = self.background.pop(kind)
        status = self.shell.stop(pid)
        if status not in (0, 130):
            raise CommandFailed(f"the {kind} ended with {status}:\n{log.read_text()}")

    def block(self, block):
        if block.language == "sql" and block.server:
            return self.servers.run_sql(block.server, block.text.replace("choose one", PASSWORD))
        pending = ""
        for line, text in block.commands if block.is_shell else ():
            pending += text + "\n"
            if subprocess.run(["bash", "-n", "-c", pending], capture_output=True).returncode != 0:
                continue  # a loop goes on in the next line
            try:
                self.command(pending.strip())
            except CommandFailed as failure:
                raise CommandFailed(f"{self.page.path.relative_to(pages.ROOT)}:{line}: {failure}") from None
            pending = ""

    def all(self):
        self.prepare()
        for block in self.page.blocks:
            if not block.why_not_run:
                self.block(block)
        for kind in list(self.background):
            self.stop(kind)

    def close(self):
        self.shell.close()
        if (self.folder / "tutorial").exists():
            subprocess.run([pages.ROOT / "scripts/servers", "destroy"], env={**os.environ, "GODWIT_SERVERS_DIR": str(self.folder / "tutorial/servers")}, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    page = pages.read(pathlib.Path(sys.argv[1]).resolve())
    if not page.servers:
        sys.exit(f"{sys.argv[1]}: its first line names no servers")
    run = Run(page)
    try:
        run.all()
    except CommandFailed as failure:
        logs = "".join(f"\n--- {log.name}\n{log.read_text()[-3000:]}" for _, log in run.background.values() if log.exists())
        sys.exit(f"{failure}{logs}")
    finally:
        run.close()
    print(f"{sys.argv[1]}: every command did what it says")


if __name__ == "__main__":
    main()
