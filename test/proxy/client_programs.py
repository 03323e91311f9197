"""The programs of clients/: how each is built and started, and in which forms its library can connect."""

import concurrent.futures
import dataclasses
import os
import pathlib
import subprocess

import support

CLIENTS = pathlib.Path(__file__).parent / "clients"
SCRIPTS = pathlib.Path(__file__).parents[2] / "scripts"


@dataclasses.dataclass
class Program:
    name: str
    forms: tuple
    servers: tuple = ("mariadb", "mysql")
    command: list = dataclasses.field(default_factory=list)
    make: object = None  # called with the folder for what is built; gives the command

    def speaks_to(self, server, form):
        if form == "cold" and not server.is_mysql:
            return False
        return ("mysql" if server.is_mysql else "mariadb") in self.servers


def checked(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise support.Failure(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def location(what):
    """Where scripts/clients keeps something that is no package of this suite of Debian."""
    return pathlib.Path(checked([SCRIPTS / "clients", what]))


def make_c_mariadb(folder):
    flags = checked(["pkg-config", "--cflags", "--libs", "libmariadb"]).split()
    checked(["g++", "-std=c++17", CLIENTS / "client.cpp", "-o", folder / "c_mariadb", *flags])
    return [str(folder / "c_mariadb")]


def make_c_mysql(folder):
    """Built with this machine's compiler, started by the loader of the suite that the library is from."""
    root = location("mysql-library")
    libraries = root / "usr/lib/x86_64-linux-gnu"
    checked(["g++", "-std=c++17", "-DGODWIT_LIBMYSQL", f"-I{root}/usr/include/mysql", f"-idirafter{root}/usr/include", CLIENTS / "client.cpp", "-o", folder / "c_mysql",
             libraries / "libmysqlclient.so", "-Wl,--allow-shlib-undefined"])
    return [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries), str(folder / "c_mysql")]


def make_java(folder):
    jar = "/usr/share/java/mariadb-java-client.jar"
    checked(["javac", "-d", folder / "java", "-cp", jar, CLIENTS / "Scenario.java"])
    return ["java", "-XX:TieredStopAtLevel=1", "-Xmx512m", "-cp", f"{jar}:{folder / 'java'}", "Scenario"]


def make_go(folder):
    offline = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "", "GOPROXY": "off"}
    checked(["go", "build", "-o", folder / "go_client", CLIENTS / "client.go"], env=os.environ | offline)
    return [str(folder / "go_client")]


def make_node(library):
    return lambda _folder: ["node", str(CLIENTS / "scenario.js"), str(location("node-modules")), library]


PROGRAMS = [
    Program("c-mariadb", ("plain", "cold", "tls", "zlib", "tls+zlib"), make=make_c_mariadb),
    # Since 9.0 it has no mysql_native_password, which is how accounts of MariaDB 10.11 log in.
    Program("c-mysql", ("plain", "cold", "tls", "zlib", "zstd", "tls+zstd"), ("mysql",), make=make_c_mysql),
    Program("python-pymysql", ("plain", "cold", "tls"), command=["/usr/bin/python3", str(CLIENTS / "dbapi.py"), "pymysql"]),
    Program("python-mysqldb", ("plain", "cold", "tls", "zlib"), command=["/usr/bin/python3", str(CLIENTS / "dbapi.py"), "mysqldb"]),
    Program("perl-dbd-mysql", ("plain", "cold", "tls", "zlib"), command=["perl", str(CLIENTS / "scenario.pl"), "mysql"]),
    Program("perl-dbd-mariadb", ("plain", "cold", "tls", "zlib"), command=["perl", str(CLIENTS / "scenario.pl"), "MariaDB"]),
    Program("php-mysqli", ("plain", "cold", "tls", "zlib"), command=["php", "-d", "mysqli.allow_local_infile=On", str(CLIENTS / "scenario.php"), "mysqli"]),
    Program("php-pdo", ("plain", "cold", "tls", "zlib"), command=["php", str(CLIENTS / "scenario.php"), "pdo"]),
    Program("java-mariadb", ("plain", "cold", "tls", "zlib"), make=make_java),
    Program("node-mysql2", ("plain", "cold", "tls", "zlib"), make=make_node("mysql2")),
    Program("node-mariadb", ("plain", "cold", "tls", "zlib"), make=make_node("mariadb")),
    Program("go-mysql", ("plain", "cold", "tls"), make=make_go),
]


def build(programs, folder):
    def make(program):
        if program.make:
            program.command = program.make(folder)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(make, programs))
