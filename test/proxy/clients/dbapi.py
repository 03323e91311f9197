"""The scenario of README.md in Python's DB-API: `dbapi.py pymysql` or `dbapi.py mysqldb`."""

import os
import sys
import threading
import time
import traceback

LIBRARY = sys.argv[1]
ENV = {name: os.environ["CLIENT_" + name] for name in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE", "SERVER", "FLAGS", "CA", "INFILE")}
FLAGS = ENV["FLAGS"].split(",")
BIG = 17 << 20

if LIBRARY == "pymysql":
    import pymysql as library

    def connect():
        return library.connect(host=ENV["HOST"], port=int(ENV["PORT"]), user=ENV["USER"], password=ENV["PASSWORD"], database=ENV["DATABASE"],
                               charset="utf8mb4", local_infile=True, autocommit=True, max_allowed_packet=64 << 20, program_name="every client",
                               client_flag=library.constants.CLIENT.MULTI_STATEMENTS, ssl={"ca": ENV["CA"]} if "tls" in FLAGS else None)
else:
    import MySQLdb as library

    def connect():
        options = {"ssl": {"ca": ENV["CA"]}} if "tls" in FLAGS else {}
        if "zlib" in FLAGS:  # False asks for it too
            options["compress"] = True
        connection = library.connect(host=ENV["HOST"], port=int(ENV["PORT"]), user=ENV["USER"], password=ENV["PASSWORD"], database=ENV["DATABASE"],
                                     charset="utf8mb4", local_infile=1, autocommit=True, client_flag=1 << 16, **options)
        return connection

STATE = "naïve 😀|42|2.5|1|12345|ANSI_QUOTES,STRICT_TRANS_TABLES|+03:00|READ-COMMITTED"
KINDS = ("-128|255|-32768|-2147483648|-9223372036854775807|18446744073709551615|0.5|2.25|12345678901234.567891|naïve 😀|00FF80|"
         '2024-02-29|2024-02-29 23:59:58.123456|-12:34:56.789012|2024|green|a,c|{"a": 1}')


def expect_same(got, wanted):
    if got != wanted:
        raise AssertionError(f"got {str(got)[:200]!r} instead of {str(wanted)[:200]!r}")


class Absent(Exception):
    """The library has no such thing."""


class Scenario:
    def __init__(self):
        self.c = None

    def query(self, sql, parameters=None):
        with self.c.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall()

    def one(self, sql, parameters=None):
        return self.query(sql, parameters)[0][0]

    def fails(self, code, sql, parameters=None):
        try:
            self.query(sql, parameters)
        except library.MySQLError as error:
            expect_same(error.args[0], code)
        else:
            raise AssertionError(f"does not fail: {sql}")
        expect_same(self.one("SELECT 'on'"), "on")

    def state_now(self):
        level = "@@transaction_isolation" if ENV["SERVER"] == "mysql" else "@@tx_isolation"
        return self.one("SELECT CONCAT_WS('|', @word, @number, @ratio, @nothing IS NULL, @@group_concat_max_len, @@sql_mode, @@time_zone, " + level + ")")

    def connect(self):
        self.c = connect()
        expect_same(self.one("SELECT DATABASE()"), ENV["DATABASE"])
        if LIBRARY == "pymysql":
            expect_same(hasattr(self.c._sock, "cipher"), "tls" in FLAGS)
        self.c.ping()

    def state(self):
        self.query("SET @word='naïve 😀', @number=42, @ratio=2.5e0, @nothing=NULL, "
                   "SESSION sql_mode='ANSI_QUOTES,STRICT_TRANS_TABLES', SESSION time_zone='+03:00'")
        self.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        self.query("SET @@group_concat_max_len=12345")  # in this form no server tells of the change
        expect_same(self.state_now(), STATE)

    def text(self):
        expect_same(self.query("SELECT 1+1, '😀', NULL"), ((2, "😀", None),))
        expect_same(len(self.query("SELECT id, v FROM many ORDER BY id")), 1000)
        expect_same(self.query("SELECT id FROM many WHERE id < 0"), ())
        unbuffered = (library.cursors.SSCursor)(self.c)
        unbuffered.execute("SELECT id FROM many ORDER BY id")
        expect_same(sum(row[0] for row in unbuffered), 500500)
        unbuffered.close()

    def types(self):
        values = [1, -128, 255, -32768, -2147483648, -9223372036854775807, 18446744073709551615, 0.5, 2.25, "12345678901234.567891", "naïve 😀",
                  b"\0\xff\x80", "2024-02-29", "2024-02-29 23:59:58.123456", "-12:34:56.789012", 2024, "green", "a,c", '{"a": 1}']
        marks = ",".join(["%s"] * len(values))
        self.query(f"INSERT INTO kinds VALUES ({marks})", values)
        self.query(f"INSERT INTO kinds VALUES ({marks})", [2] + [None] * 18)
        expect_same(self.one("SELECT CONCAT_WS('|',i8,u8,i16,i32,i64,u64,f,d,n,s,HEX(b),dt,ts,tm,y,e,st,js) FROM kinds WHERE id=1"), KINDS)
        row = self.query("SELECT i64, u64, d, b, s FROM kinds WHERE id=1")[0]
        expect_same(row, (-9223372036854775807, 18446744073709551615, 2.25, b"\0\xff\x80", "naïve 😀"))
        expect_same(set(self.query("SELECT * FROM kinds WHERE id=2")[0][1:]), {None})

    def use_held(self, turn):
        self.query("SET @a=%s, @b=%s", (turn, None if turn % 2 else "naïve 😀"))
        expect_same(self.one("EXECUTE by_id USING @a"), f"row {turn}")
        expect_same(self.one("EXECUTE total USING @a, @a"), 2 * turn)
        expect_same(self.one("EXECUTE echo USING @b"), None if turn % 2 else "naïve 😀")

    def prepared(self):
        for name, sql in (("by_id", "SELECT v FROM many WHERE id=?"), ("total", "SELECT ? + ?"), ("echo", "SELECT ?")):
            self.query(f"PREPARE {name} FROM '{sql}'")
        for turn in range(1, 6):
            self.use_held(turn)

    def long_data(self):
        raise Absent("no binary protocol")

    cursor = long_data

    def big(self):
        body = ("abcdefghijklmnopqrstuvwxyz" * (BIG // 26 + 1))[:BIG]
        expect_same(self.one(f"SELECT LENGTH('{body}')"), BIG)
        expect_same(self.one("SELECT REPEAT('x', %s)", (BIG,)), "x" * BIG)
        echoed = self.one("SELECT %s", (body,))
        expect_same(echoed == body, True)
        expect_same(self.one("SELECT 'after'"), "after")

    def transaction(self):
        self.query("DELETE FROM money")
        self.c.autocommit(False)
        self.query("INSERT INTO money VALUES (1, 10)")
        self.c.commit()
        self.query("INSERT INTO money VALUES (2, 20)")
        self.c.rollback()
        self.query("INSERT INTO money VALUES (3, 30)")
        self.query("SAVEPOINT here")
        self.query("INSERT INTO money VALUES (4, 40)")
        self.query("ROLLBACK TO SAVEPOINT here")
        self.c.commit()
        self.c.autocommit(True)
        expect_same(self.query("SELECT id FROM money ORDER BY id"), ((1,), (3,)))

    def multi(self):
        with self.c.cursor() as cursor:
            cursor.execute("SELECT 1; SELECT id FROM many WHERE id <= 3; UPDATE money SET amount = 11 WHERE id = 1; SELECT amount FROM money WHERE id = 1")
            results = [cursor.fetchall()]
            while cursor.nextset():
                results.append(cursor.fetchall())
        expect_same([len(result) for result in results], [1, 3, 0, 1])
        expect_same(results[3], ((11,),))

    def procedure(self):
        with self.c.cursor() as cursor:
            cursor.callproc("two_results", (3,))
            first = cursor.fetchall()
            cursor.nextset()
            expect_same((first, len(cursor.fetchall())), (((3,),), 3))
            while cursor.nextset():
                pass
        self.query("SET @out=NULL, @both='so'")
        self.query("CALL doubled(21, @out, @both)")
        expect_same(self.query("SELECT @out, @both"), ((42, "so!"),))

    def infile(self):
        self.query("DELETE FROM loaded")
        self.query(f"LOAD DATA LOCAL INFILE '{ENV['INFILE']}' INTO TABLE loaded FIELDS TERMINATED BY ','")
        expect_same(self.one("SELECT CONCAT(COUNT(*), ' ', SUM(id), ' ', MAX(v)) FROM loaded"), "1000 500500 zz 😀")
        try:
            self.query("LOAD DATA LOCAL INFILE '/no/such/file' INTO TABLE loaded")
        except library.MySQLError:
            pass
        else:
            raise AssertionError("a file that is not there was loaded")
        expect_same(self.one("SELECT COUNT(*) FROM loaded"), 1000)

    def errors(self):
        self.query("DELETE FROM counted")
        self.query("INSERT INTO counted (v) VALUES ('once')")
        self.fails(1062, "INSERT INTO counted (v) VALUES (%s)", ("once",))
        self.fails(1064, "NO SUCH STATEMENT")
        self.fails(1146, "PREPARE missing FROM 'SELECT * FROM missing'")
        expect_same(self.one("SELECT COUNT(*) FROM counted"), 1)

    def insert_id(self):
        with self.c.cursor() as cursor:
            cursor.execute("INSERT INTO counted (v) VALUES ('of this session')")
            last = cursor.lastrowid
        assert last, "no insert id"
        self.query("SELECT id FROM many")
        self.query("UPDATE money SET amount = amount + 1")
        expect_same(self.one("SELECT LAST_INSERT_ID()"), last)

    def attributes(self):
        name, wanted = ("program_name", "every client") if LIBRARY == "pymysql" else ("_client_name", "libmariadb")
        expect_same(self.one("SELECT ATTR_VALUE FROM performance_schema.session_connect_attrs WHERE PROCESSLIST_ID=CONNECTION_ID() AND ATTR_NAME=%s",
                             (name,)), wanted)

    def kill(self):
        number = self.c.thread_id()

        def kill():
            time.sleep(0.2)
            other = connect()
            other.cursor().execute(f"KILL QUERY {number}")
            other.close()

        killer = threading.Thread(target=kill)
        killer.start()
        began = time.monotonic()
        try:
            self.query("SELECT SLEEP(8)")
        except library.MySQLError as error:
            expect_same(error.args[0], 1317)
        killer.join()
        assert time.monotonic() - began < 6, "the statement was not killed"
        expect_same(self.one("SELECT 'alive'"), "alive")

    def kept(self):
        expect_same(self.state_now(), STATE)
        for turn in range(1, 6):
            self.use_held(turn)

    def reset(self):
        raise Absent("no reset of a connection")

    def change_user(self):
        if LIBRARY == "pymysql":
            raise Absent("no change of user")
        self.query("SET @word='before'")
        self.c.change_user("app", "app", "information_schema")
        expect_same(self.one("SELECT CONCAT(SUBSTRING_INDEX(CURRENT_USER(), '@', 1), IF(@word IS NULL, ' with nothing', ' with a word'))"), "app with nothing")
        self.c.change_user(ENV["USER"], ENV["PASSWORD"], ENV["DATABASE"])
        expect_same(self.one("SELECT COUNT(*) FROM many"), 1000)


STEPS = ("connect state text types prepared long_data cursor big transaction multi procedure infile errors insert_id attributes kill kept reset "
         "change_user").split()

scenario = Scenario()
for step in STEPS:
    try:
        getattr(scenario, step)()
    except Absent as absent:
        print(f"none {step}: {absent}", flush=True)
    except Exception as error:
        traceback.print_exc()
        sys.exit(print(f"failed {step}: {type(error).__name__} {error}", flush=True) or 1)
    else:
        print(f"ok {step}", flush=True)
