#!/usr/bin/python3
"""The .deb: made of this build, installed, run and removed in a Debian 12 that has nothing else; and the image of examples/docker, step by step in the same.

  package_test.py BUILD      the build folder; $GODWIT_CACHE keeps the Debian, made by mmdebstrap once

The machine's own packages are not touched: what is installed goes into a folder under /tmp, by chroot, and is removed.
"""

import glob
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

from commands import Tally

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "examples/docker/Dockerfile"
SUITE = "bookworm"
KEPT_S = 30 * 86400
# What apt and dpkg write down themselves.
NOTES = re.compile(r"^(var/(lib/(dpkg|apt|systemd)|cache|log)|etc/ld\.so\.cache|tmp|dev|proc|sys|run|etc/resolv\.conf)(/|$)")


def call(*words, **more):
    ran = subprocess.run(words, capture_output=True, text=True, check=False, **more)
    if ran.returncode != 0:
        sys.exit(f"{shlex.join(map(str, words))} ends with {ran.returncode}:\n{ran.stdout[-3000:]}{ran.stderr[-3000:]}")
    return ran.stdout


def mirror():
    """That of this machine's own apt."""
    for file in ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*")]:
        if os.path.exists(file):
            found = re.search(r"(?m)^(?:URIs:|deb)\s+(?:\[[^]]*\]\s+)?(\S+/debian)/?(?:\s|$)", pathlib.Path(file).read_text())
            if found:
                return found.group(1)
    sys.exit("apt's own configuration names no Debian mirror")


def cache():
    return pathlib.Path(os.environ.get("GODWIT_CACHE") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "godwit") / "debian"


def debian():
    """An archive of the smallest Debian 12 with apt."""
    archive = cache() / f"{SUITE}.tar"
    if not archive.exists() or time.time() - archive.stat().st_mtime > KEPT_S:
        archive.parent.mkdir(parents=True, exist_ok=True)
        made = archive.with_suffix(f".{os.getpid()}.tar")
        call("mmdebstrap", "--variant=minbase", SUITE, made, mirror())
        made.rename(archive)
    return archive


class Machine:
    """A Debian in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.user = "root"
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root", "LC_ALL": "C.UTF-8"}
        call("tar", "-xf", debian(), "-C", folder)
        shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
        (folder / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
        (folder / "usr/sbin/policy-rc.d").chmod(0o755)
        (folder / "etc/dpkg/dpkg.cfg.d/fast").write_text("force-unsafe-io\n")
        self.archives = folder / "var/cache/apt/archives"
        for package in cache().glob("*.deb"):
            shutil.copy(package, self.archives)

    def keep_packages(self):
        for package in self.archives.glob("*.deb"):
            if not package.name.startswith("godwit"):
                shutil.copy(package, cache())

    def run(self, *words):
        return subprocess.run(["chroot", f"--userspec={self.user}", self.folder, *words], env=self.environment, cwd="/", capture_output=True, text=True, check=False)

    def must(self, *words):
        ran = self.run(*words)
        if ran.returncode != 0:
            sys.exit(f"in the clean Debian, {shlex.join(words)} ends with {ran.returncode}:\n{ran.stdout[-3000:]}{ran.stderr[-3000:]}")
        return ran.stdout

    def files(self):
        found = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}
        return {path for path in found if not NOTES.match(path)}


def make_package(build):
    packages = build / "packages"
    shutil.rmtree(packages, ignore_errors=True)
    call("cpack", "-G", "DEB", cwd=build)
    made = list(packages.glob("*.deb"))
    if len(made) != 1:
        sys.exit(f"cpack made {made}")
    return made[0]


def check_contents(tally, machine):
    files = set(machine.must("dpkg", "-L", "godwit").split())
    pages = {path.name for path in (ROOT / "docs/man").glob("*.1")}
    tally.expect(len(pages) > 15 and {f"/usr/share/man/man1/{page}" for page in pages} <= files, "manual pages are missing")
    for wanted in ("/usr/bin/godwit", "/usr/share/bash-completion/completions/godwit", "/usr/share/zsh/vendor-completions/_godwit", "/usr/share/fish/vendor_completions.d/godwit.fish",
                   "/usr/lib/systemd/system/godwit-replicate@.service", "/usr/lib/systemd/system/godwit-proxy@.service", "/usr/share/doc/godwit/README.md", "/usr/share/doc/godwit/LICENSE",
                   "/usr/share/doc/godwit/docs/runbook.md", "/usr/share/doc/godwit/examples/grafana/godwit.json", "/usr/share/doc/godwit/examples/sample-shop/schema.sql"):
        tally.expect(wanted in files, f"the package has no {wanted}")
    for file in files:
        tally.expect("__pycache__" not in file and "/usr/local" not in file, f"the package has {file}")


def check_runs(tally, machine):
    version = machine.must("godwit", "--version")
    tally.expect(re.match(r"godwit \d+\.\d+\.\d+\nbuild +\S+\ncompiler +GNU", version), f"godwit --version: {version}")
    missing = [line for line in machine.must("ldd", "/usr/bin/godwit").splitlines() if "not found" in line]
    tally.expect(not missing, f"the package does not depend on {missing}")
    depends = machine.must("dpkg-query", "-W", "-f", "${Depends}", "godwit")
    tally.expect("libmariadb3" in depends and "libssl3" in depends and "libc6 (>=" in depends, f"it depends on: {depends}")
    said = machine.run("godwit", "check", "shop", "--source", "mysql://app@127.0.0.1:1/shop", "--target", "mysql://app@127.0.0.1:1/shop", "--json")
    tally.expect("GW0101" in said.stdout, f"godwit check where no server is: {said}")
    completion = machine.must("bash", "-c", ". /usr/share/bash-completion/completions/godwit; complete -p godwit")
    tally.expect("_godwit" in completion, f"bash completion: {completion}")


def try_package(tally, machine, package):
    before = machine.files()
    shutil.copy(package, machine.folder / "tmp")
    machine.must("apt-get", "update", "-qq")
    machine.must("apt-get", "install", "-y", "-qq", "--no-install-recommends", f"/tmp/{package.name}")
    machine.keep_packages()
    check_contents(tally, machine)
    check_runs(tally, machine)
    shutil.rmtree(machine.folder / "root/.local", ignore_errors=True)  # the state file of the check
    machine.must("apt-get", "purge", "-y", "-qq", "--auto-remove", "godwit")
    left = machine.files() - before
    tally.expect(not {path for path in left if "godwit" in path}, f"removed, it leaves {sorted(left)}")
    tally.expect(before <= machine.files(), f"removed, it takes {sorted(before - machine.files())} along")
    tally.expect(len(left) < 20, f"with what it depends on, it leaves {sorted(left)}")


def instructions():
    text = re.sub(r"(?m)^#.*\n", "", DOCKERFILE.read_text()).replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip():
            yield line.split(None, 1)


def try_image(tally, machine, package):
    """What `docker build` would do, and then `docker run`."""
    entry, arguments = [], []
    for keyword, rest in instructions():
        if keyword == "FROM":
            tally.expect(re.fullmatch(r"debian:12(-slim)?", rest), f"the image is made of {rest}, and not of what the package is made for")
        elif keyword == "COPY":
            pattern, folder = rest.split()
            for file in package.parent.glob(pattern):
                shutil.copy(file, machine.folder / folder.lstrip("/"))
        elif keyword == "RUN":
            machine.must("sh", "-c", rest)
        elif keyword == "USER":
            machine.user = rest
        elif keyword == "ENV":
            machine.environment.update([rest.split("=", 1)])
        elif keyword == "ENTRYPOINT":
            entry = json.loads(rest)
        elif keyword == "CMD":
            arguments = json.loads(rest)
        elif keyword not in ("VOLUME", "EXPOSE"):
            sys.exit(f"this test does not know the instruction {keyword} of {DOCKERFILE}")
    tally.expect("Usage: godwit" in machine.must(*entry, *arguments), "the image does not run godwit")
    tally.expect("no workflow is recorded" in machine.must(*entry, "status"), "the image's account cannot keep a state file")
    tally.expect((machine.folder / "var/lib/godwit/godwit.db").exists(), "the state file is not in the volume")
    tally.expect(machine.run("id", "-u").stdout.strip() != "0", "the image runs as root")


def main():
    if os.geteuid() != 0:
        os.execvp("sudo", ["sudo", "-E", sys.executable, *sys.argv])
    build = pathlib.Path(sys.argv[1]).resolve()
    tally = Tally()
    package = make_package(build)
    with tempfile.TemporaryDirectory(prefix="godwit-debian-") as name:
        machine = Machine(pathlib.Path(name))
        try_package(tally, machine, package)
        try_image(tally, machine, package)
    tally.end(60)


main()
