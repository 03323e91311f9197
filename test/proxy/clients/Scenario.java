// The scenario of README.md by JDBC: MariaDB's Connector/J.
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.zip.CRC32;

public final class Scenario {
    interface Step { void run() throws Exception; }

    static final class Absent extends Exception {
        Absent(String why) { super(why); }
    }

    static final int BIG = 17 << 20;
    static final String STATE = "naïve 😀|42|2.5|1|12345|ANSI_QUOTES,STRICT_TRANS_TABLES|+03:00|READ-COMMITTED";
    static final String KINDS = "-128|255|-32768|-2147483648|-9223372036854775807|18446744073709551615|0.5|2.25|12345678901234.567891|naïve 😀|00FF80|"
        + "2024-02-29|2024-02-29 23:59:58.123456|-12:34:56.789012|2024|green|a,c|{\"a\": 1}";

    Connection c;
    PreparedStatement byId, sum, echo;

    static String env(String name) { return Objects.requireNonNullElse(System.getenv("CLIENT_" + name), ""); }
    static boolean asked(String flag) { return env("FLAGS").contains(flag); }

    static void same(Object got, Object wanted) {
        if (!Objects.equals(got, wanted)) throw new AssertionError("got " + cut(got) + " instead of " + cut(wanted));
    }
    static String cut(Object value) {
        String text = String.valueOf(value);
        return text.substring(0, Math.min(200, text.length()));
    }

    static Connection open() throws SQLException {
        String url = "jdbc:mariadb://" + env("HOST") + ":" + env("PORT") + "/" + env("DATABASE") + "?allowMultiQueries=true&allowLocalInfile=true"
            + "&useServerPrepStmts=true&connectionAttributes=scenario:every client&allowPublicKeyRetrieval=true&maxAllowedPacket=67108864"
            + (asked("tls") ? "&useSsl=true&serverSslCert=" + env("CA") : "") + (asked("zlib") ? "&useCompression=true" : "");
        return DriverManager.getConnection(url, env("USER"), env("PASSWORD"));
    }

    void deed(String sql) throws SQLException {
        try (Statement s = c.createStatement()) { s.execute(sql); }
    }
    String one(String sql) throws SQLException {
        try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
            r.next();
            return r.getString(1);
        }
    }
    String one(PreparedStatement s, Object... values) throws SQLException {
        for (int i = 0; i < values.length; ++i) s.setObject(i + 1, values[i]);
        try (ResultSet r = s.executeQuery()) {
            r.next();
            return r.getString(1);
        }
    }
    static int rows(ResultSet r) throws SQLException {
        int count = 0;
        while (r.next()) ++count;
        return count;
    }
    void fails(int code, Step deed) throws Exception {
        try {
            deed.run();
        } catch (SQLException error) {
            same(error.getErrorCode(), code);
            same(one("SELECT 'on'"), "on");
            return;
        }
        throw new AssertionError("error " + code + " does not come");
    }
    String stateNow() throws SQLException {
        return one("SELECT CONCAT_WS('|', @word, @number, @ratio, @nothing IS NULL, @@group_concat_max_len, @@sql_mode, @@time_zone, "
            + (env("SERVER").equals("mysql") ? "@@transaction_isolation)" : "@@tx_isolation)"));
    }
    void useHeld(int turn) throws SQLException {
        same(one(byId, turn), "row " + turn);
        same(Double.valueOf(one(sum, 40, turn)), 40.0 + turn);
        String value = turn % 2 == 1 ? null : "naïve 😀";
        same(one(echo, value), value);
    }

    void connect() throws Exception {
        c = open();
        same(one("SELECT DATABASE()"), env("DATABASE"));
        same(c.isValid(5), true);
        if (asked("tls")) {
            try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("SHOW SESSION STATUS LIKE 'Ssl_cipher'")) {
                r.next();
                same(r.getString(2).isEmpty(), false);
            }
        }
    }
    void state() throws Exception {
        deed("SET @word='naïve 😀', @number=42, @ratio=2.5e0, @nothing=NULL, "
            + "SESSION sql_mode='ANSI_QUOTES,STRICT_TRANS_TABLES', SESSION time_zone='+03:00'");
        c.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        deed("SET @@group_concat_max_len=12345"); // in this form no server tells of the change
        same(stateNow(), STATE);
    }
    void text() throws Exception {
        same(one("SELECT 1+1"), "2");
        same(one("SELECT '😀'"), "😀");
        same(one("SELECT NULL"), null);
        try (Statement s = c.createStatement()) {
            same(rows(s.executeQuery("SELECT id, v FROM many ORDER BY id")), 1000);
            same(rows(s.executeQuery("SELECT id FROM many WHERE id < 0")), 0);
            s.setFetchSize(7);
            same(rows(s.executeQuery("SELECT id, v FROM many ORDER BY id")), 1000);
        }
    }
    void types() throws Exception {
        try (PreparedStatement s = c.prepareStatement("INSERT INTO kinds VALUES (?" + ",?".repeat(18) + ")")) {
            Object[] values = {1, (byte) -128, 255, (short) -32768, -2147483648, -9223372036854775807L, new java.math.BigInteger("18446744073709551615"), 0.5f, 2.25,
                new java.math.BigDecimal("12345678901234.567891"), "naïve 😀", new byte[] {0, (byte) 255, (byte) 128}, "2024-02-29",
                "2024-02-29 23:59:58.123456", "-12:34:56.789012", 2024, "green", "a,c", "{\"a\": 1}"};
            for (int i = 0; i < values.length; ++i) s.setObject(i + 1, values[i]);
            s.executeUpdate();
            s.setInt(1, 2);
            for (int i = 2; i <= 19; ++i) s.setNull(i, Types.VARCHAR);
            s.executeUpdate();
        }
        same(one("SELECT CONCAT_WS('|',i8,u8,i16,i32,i64,u64,f,d,n,s,HEX(b),dt,ts,tm,y,e,st,js) FROM kinds WHERE id=1"), KINDS);
        try (PreparedStatement s = c.prepareStatement("SELECT i8,u8,i16,i32,i64,u64,f,d,n,s,HEX(b),dt FROM kinds WHERE id=?")) {
            s.setInt(1, 1);
            StringBuilder joined = new StringBuilder();
            try (ResultSet r = s.executeQuery()) {
                r.next();
                for (int i = 1; i <= 12; ++i) joined.append(i == 1 ? "" : "|").append(r.getString(i));
            }
            same(joined.toString(), KINDS.substring(0, joined.length()));
            s.setInt(1, 2);
            try (ResultSet r = s.executeQuery()) {
                r.next();
                for (int i = 1; i <= 12; ++i) same(r.getString(i), null);
            }
        }
        try (PreparedStatement s = c.prepareStatement("INSERT INTO loaded VALUES (?, ?)")) {
            for (int i = 1; i <= 3; ++i) {
                s.setInt(1, i);
                s.setString(2, i == 2 ? null : "batch 😀");
                s.addBatch();
            }
            same(s.executeBatch().length, 3);
        }
        same(one("SELECT CONCAT(COUNT(*), COUNT(v)) FROM loaded"), "32");
    }
    void prepared() throws Exception {
        byId = c.prepareStatement("SELECT v FROM many WHERE id=?");
        sum = c.prepareStatement("SELECT ? + ?");
        echo = c.prepareStatement("SELECT ?");
        for (int turn = 1; turn <= 5; ++turn) useHeld(turn);
    }
    void longData() throws Exception {
        byte[] bytes = "one two three".getBytes(StandardCharsets.UTF_8);
        CRC32 crc = new CRC32();
        crc.update(bytes);
        try (PreparedStatement s = c.prepareStatement("SELECT CRC32(?)")) {
            s.setBinaryStream(1, new java.io.ByteArrayInputStream(bytes));
            same(Long.valueOf(one(s)), crc.getValue());
        }
    }
    void big() throws Exception {
        String body = "abcdefghijklmnopqrstuvwxyz".repeat(BIG / 26 + 1).substring(0, BIG);
        same(one("SELECT LENGTH('" + body + "')"), String.valueOf(BIG));
        same(one("SELECT REPEAT('x', " + BIG + ")").equals("x".repeat(BIG)), true);
        try (PreparedStatement s = c.prepareStatement("SELECT ?, LENGTH(?)")) {
            s.setString(1, body);
            s.setString(2, body);
            try (ResultSet r = s.executeQuery()) {
                r.next();
                same(r.getString(1).equals(body), true);
                same(r.getInt(2), BIG);
            }
        }
        same(one("SELECT 'after'"), "after");
    }
    void transaction() throws Exception {
        deed("DELETE FROM money");
        c.setAutoCommit(false);
        deed("INSERT INTO money VALUES (1, 10)");
        c.commit();
        deed("INSERT INTO money VALUES (2, 20)");
        c.rollback();
        deed("INSERT INTO money VALUES (3, 30)");
        Savepoint here = c.setSavepoint("here");
        deed("INSERT INTO money VALUES (4, 40)");
        c.rollback(here);
        c.commit();
        c.setAutoCommit(true);
        same(one("SELECT GROUP_CONCAT(id ORDER BY id) FROM money"), "1,3");
    }
    void multi() throws Exception {
        try (Statement s = c.createStatement()) {
            s.execute("SELECT 1; SELECT id FROM many WHERE id <= 3; UPDATE money SET amount = 11 WHERE id = 1; SELECT amount FROM money WHERE id = 1");
            same(rows(s.getResultSet()), 1);
            same(s.getMoreResults(), true);
            same(rows(s.getResultSet()), 3);
            same(s.getMoreResults(), false);
            same(s.getUpdateCount(), 1);
            same(s.getMoreResults(), true);
            s.getResultSet().next();
            same(s.getResultSet().getInt(1), 11);
        }
        fails(1064, () -> {
            try (Statement s = c.createStatement()) {
                s.execute("SELECT 1; NO SUCH STATEMENT");
                s.getMoreResults();
            }
        });
    }
    void procedure() throws Exception {
        try (CallableStatement s = c.prepareCall("{call two_results(?)}")) {
            s.setInt(1, 3);
            s.execute();
            same(rows(s.getResultSet()), 1);
            same(s.getMoreResults(), true);
            same(rows(s.getResultSet()), 3);
        }
        try (CallableStatement s = c.prepareCall("{call doubled(?, ?, ?)}")) {
            for (int turn = 1; turn <= 3; ++turn) {
                s.setInt(1, turn);
                s.registerOutParameter(2, Types.INTEGER);
                s.setString(3, "so");
                s.registerOutParameter(3, Types.VARCHAR);
                s.execute();
                same(s.getInt(2) + s.getString(3), 2 * turn + "so!");
            }
        }
    }
    void infile() throws Exception {
        deed("DELETE FROM loaded");
        deed("LOAD DATA LOCAL INFILE '" + new File(env("INFILE")) + "' INTO TABLE loaded FIELDS TERMINATED BY ','");
        same(one("SELECT CONCAT(COUNT(*), ' ', SUM(id), ' ', MAX(v)) FROM loaded"), "1000 500500 zz 😀");
        try {
            deed("LOAD DATA LOCAL INFILE '/no/such/file' INTO TABLE loaded");
        } catch (SQLException expected) {
            same(one("SELECT COUNT(*) FROM loaded"), "1000");
            return;
        }
        throw new AssertionError("a file that is not there was loaded");
    }
    void errors() throws Exception {
        deed("DELETE FROM counted");
        deed("INSERT INTO counted (v) VALUES ('once')");
        try (PreparedStatement insert = c.prepareStatement("INSERT INTO counted (v) VALUES (?)")) {
            insert.setString(1, "once");
            fails(1062, insert::executeUpdate);
            insert.setString(1, "twice");
            same(insert.executeUpdate(), 1);
        }
        fails(1064, () -> deed("NO SUCH STATEMENT"));
        fails(1146, () -> c.prepareStatement("SELECT * FROM missing").executeQuery());
        same(one("SELECT COUNT(*) FROM counted"), "2");
    }
    void insertId() throws Exception {
        String last;
        try (Statement s = c.createStatement()) {
            s.executeUpdate("INSERT INTO counted (v) VALUES ('of this session')", Statement.RETURN_GENERATED_KEYS);
            ResultSet keys = s.getGeneratedKeys();
            keys.next();
            last = keys.getString(1);
        }
        one("SELECT id FROM many");
        deed("UPDATE money SET amount = amount + 1");
        same(one("SELECT LAST_INSERT_ID()"), last);
    }
    void attributes() throws Exception {
        same(one("SELECT ATTR_VALUE FROM performance_schema.session_connect_attrs WHERE PROCESSLIST_ID=CONNECTION_ID() AND ATTR_NAME='scenario'"),
            "every client");
    }
    // The driver kills the statement from a second connection, by the number in the greeting.
    void kill() throws Exception {
        long began = System.nanoTime();
        try (Statement s = c.createStatement()) {
            Thread killer = new Thread(() -> {
                try {
                    Thread.sleep(200);
                    s.cancel();
                } catch (Exception error) {
                    System.err.println(error);
                }
            });
            killer.start();
            try {
                s.executeQuery("SELECT SLEEP(8)");
            } catch (SQLException error) {
                same(error.getErrorCode(), 1317);
            }
            killer.join();
        }
        if (System.nanoTime() - began > 6_000_000_000L) throw new AssertionError("the statement was not killed");
        same(one("SELECT 'alive'"), "alive");
    }
    void kept() throws Exception {
        same(stateNow(), STATE);
        for (int turn = 1; turn <= 5; ++turn) useHeld(turn);
        for (PreparedStatement s : new PreparedStatement[] {byId, sum, echo}) s.close();
        c.close();
    }

    Map<String, Step> steps() {
        Map<String, Step> steps = new LinkedHashMap<>();
        steps.put("connect", this::connect);
        steps.put("state", this::state);
        steps.put("text", this::text);
        steps.put("types", this::types);
        steps.put("prepared", this::prepared);
        steps.put("long_data", this::longData);
        steps.put("cursor", () -> { throw new Absent("no cursors of the server"); });
        steps.put("big", this::big);
        steps.put("transaction", this::transaction);
        steps.put("multi", this::multi);
        steps.put("procedure", this::procedure);
        steps.put("infile", this::infile);
        steps.put("errors", this::errors);
        steps.put("insert_id", this::insertId);
        steps.put("attributes", this::attributes);
        steps.put("kill", this::kill);
        steps.put("kept", this::kept);
        steps.put("reset", () -> { throw new Absent("no reset of a connection"); });
        steps.put("change_user", () -> { throw new Absent("no change of user"); });
        return steps;
    }

    public static void main(String[] arguments) {
        System.setOut(new java.io.PrintStream(System.out, true, StandardCharsets.UTF_8));
        for (Map.Entry<String, Step> step : new Scenario().steps().entrySet()) {
            try {
                step.getValue().run();
                System.out.println("ok " + step.getKey());
            } catch (Absent absent) {
                System.out.println("none " + step.getKey() + ": " + absent.getMessage());
            } catch (Throwable error) {
                System.out.println("failed " + step.getKey() + ": " + error);
                error.printStackTrace();
                System.exit(1);
            }
        }
        System.exit(0);
    }
}
