// The scenario of README.md in Go: database/sql with go-sql-driver/mysql.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	big     = 17 << 20
	state   = "naïve 😀|42|2.5|1|12345|ANSI_QUOTES,STRICT_TRANS_TABLES|+03:00|READ-COMMITTED"
	kinds   = "-128|255|-32768|-2147483648|-9223372036854775807|18446744073709551615|0.5|2.25|12345678901234.567891|naïve 😀|00FF80|2024-02-29|2024-02-29 23:59:58.123456|-12:34:56.789012|2024|green|a,c|{\"a\": 1}"
	columns = "i8,u8,i16,i32,i64,u64,f,d,n,s,HEX(b),dt,ts,tm,y,e,st,js"
)

var (
	ctx  = context.Background()
	c    *sql.Conn
	pool *sql.DB
	held []*sql.Stmt
)

type absent struct{ why string }

func env(name string) string  { return os.Getenv("CLIENT_" + name) }
func asked(flag string) bool  { return strings.Contains(env("FLAGS"), flag) }
func must(err error) {
	if err != nil {
		panic(err)
	}
}
func same(got, wanted interface{}) {
	if got != wanted {
		panic(fmt.Errorf("got %.200v instead of %.200v", got, wanted))
	}
}

func open() *sql.DB {
	config := mysql.NewConfig()
	config.User, config.Passwd, config.Net, config.DBName = env("USER"), env("PASSWORD"), "tcp", env("DATABASE")
	config.Addr = env("HOST") + ":" + env("PORT")
	config.MultiStatements, config.MaxAllowedPacket = true, 64<<20
	if asked("tls") {
		pem, err := os.ReadFile(env("CA"))
		must(err)
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		must(mysql.RegisterTLSConfig("ours", &tls.Config{RootCAs: roots, ServerName: "localhost"}))
		config.TLSConfig = "ours"
	}
	db, err := sql.Open("mysql", config.FormatDSN())
	must(err)
	return db
}

func deed(text string, values ...interface{}) sql.Result {
	result, err := c.ExecContext(ctx, text, values...)
	must(err)
	return result
}
func one(text string, values ...interface{}) string {
	var value sql.NullString
	must(c.QueryRowContext(ctx, text, values...).Scan(&value))
	if !value.Valid {
		return "NULL"
	}
	return value.String
}
func first(s *sql.Stmt, values ...interface{}) string {
	var value sql.NullString
	must(s.QueryRow(values...).Scan(&value))
	if !value.Valid {
		return "NULL"
	}
	return value.String
}
func count(rows *sql.Rows) (n int) {
	for rows.Next() {
		n++
	}
	must(rows.Err())
	return n
}
func fails(code uint16, err error) {
	failure, is := err.(*mysql.MySQLError)
	if !is {
		panic(fmt.Errorf("error %d does not come, but %v", code, err))
	}
	same(failure.Number, code)
	same(one("SELECT 'on'"), "on")
}
func stateNow() string {
	level := "@@tx_isolation)"
	if env("SERVER") == "mysql" {
		level = "@@transaction_isolation)"
	}
	return one("SELECT CONCAT_WS('|', @word, @number, @ratio, @nothing IS NULL, @@group_concat_max_len, @@sql_mode, @@time_zone, " + level)
}
func useHeld(turn int) {
	same(first(held[0], turn), fmt.Sprint("row ", turn))
	same(first(held[1], turn), fmt.Sprint(40+turn))
	if turn%2 == 1 {
		same(first(held[2], nil), "NULL")
	} else {
		same(first(held[2], "naïve 😀"), "naïve 😀")
	}
}

func connect() {
	pool = open()
	var err error
	c, err = pool.Conn(ctx)
	must(err)
	same(one("SELECT DATABASE()"), env("DATABASE"))
	must(c.PingContext(ctx))
	if asked("tls") {
		var name, cipher string
		must(c.QueryRowContext(ctx, "SHOW SESSION STATUS LIKE 'Ssl_cipher'").Scan(&name, &cipher))
		same(cipher != "", true)
	}
}
func setState() {
	deed("SET @word='naïve 😀', @number=42, @ratio=2.5e0, @nothing=NULL, " +
		"SESSION sql_mode='ANSI_QUOTES,STRICT_TRANS_TABLES', SESSION time_zone='+03:00'")
	deed("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
	deed("SET @@group_concat_max_len=12345") // in this form no server tells of the change
	same(stateNow(), state)
}
func text() {
	same(one("SELECT 1+1"), "2")
	same(one("SELECT '😀'"), "😀")
	same(one("SELECT NULL"), "NULL")
	rows, err := c.QueryContext(ctx, "SELECT id, v FROM many ORDER BY id")
	must(err)
	same(count(rows), 1000)
	rows, err = c.QueryContext(ctx, "SELECT id FROM many WHERE id < 0")
	must(err)
	same(count(rows), 0)
}
func types() {
	insert, err := c.PrepareContext(ctx, "INSERT INTO kinds VALUES (?"+strings.Repeat(",?", 18)+")")
	must(err)
	_, err = insert.Exec(1, -128, 255, -32768, -2147483648, int64(-9223372036854775807), uint64(18446744073709551615), 0.5, 2.25, "12345678901234.567891",
		"naïve 😀", []byte{0, 255, 128}, "2024-02-29", "2024-02-29 23:59:58.123456", "-12:34:56.789012", 2024, "green", "a,c", `{"a": 1}`)
	must(err)
	nothing := make([]interface{}, 19)
	nothing[0] = 2
	_, err = insert.Exec(nothing...)
	must(err)
	must(insert.Close())
	same(one("SELECT CONCAT_WS('|',"+columns+") FROM kinds WHERE id=1"), kinds)
	for id, wanted := range map[int]string{1: kinds, 2: strings.Repeat("|NULL", 18)[1:]} {
		values := make([]sql.NullString, 18)
		into := make([]interface{}, 18)
		for i := range values {
			into[i] = &values[i]
		}
		// With a parameter the driver prepares it, and the row comes in the binary protocol.
		must(c.QueryRowContext(ctx, "SELECT "+columns+" FROM kinds WHERE id=?", id).Scan(into...))
		parts := []string{}
		for _, value := range values {
			if !value.Valid {
				value.String = "NULL"
			}
			parts = append(parts, value.String)
		}
		same(strings.Join(parts, "|"), wanted)
	}
}
func prepared() {
	for _, text := range []string{"SELECT v FROM many WHERE id=?", "SELECT 40 + ?", "SELECT ?"} {
		statement, err := c.PrepareContext(ctx, text)
		must(err)
		held = append(held, statement)
	}
	for turn := 1; turn <= 5; turn++ {
		useHeld(turn)
	}
}

// The driver sends parameters ahead when together they would not fit into a packet.
func longData() {
	body := strings.Repeat("0123456789", 7<<20/10)
	same(one("SELECT CRC32(CONCAT(?, ?, ?, ?, ?, ?, ?, ?, ?))", body, body, body, body, body, body, body, body, "end"),
		fmt.Sprint(crc32.ChecksumIEEE([]byte(strings.Repeat(body, 8)+"end"))))
}
func bigRows() {
	body := strings.Repeat("abcdefghijklmnopqrstuvwxyz", big/26+1)[:big]
	same(one("SELECT LENGTH('"+body+"')"), fmt.Sprint(big))
	same(one(fmt.Sprintf("SELECT REPEAT('x', %d)", big)) == strings.Repeat("x", big), true)
	var back, size string
	must(c.QueryRowContext(ctx, "SELECT ?, LENGTH(?)", body, body).Scan(&back, &size))
	same(back == body, true)
	same(size, fmt.Sprint(big))
	same(one("SELECT 'after'"), "after")
}
func transaction() {
	deed("DELETE FROM money")
	for _, part := range []struct {
		id   int
		keep bool
	}{{1, true}, {2, false}} {
		tx, err := c.BeginTx(ctx, nil)
		must(err)
		_, err = tx.Exec("INSERT INTO money VALUES (?, ?)", part.id, 10*part.id)
		must(err)
		if part.keep {
			must(tx.Commit())
		} else {
			must(tx.Rollback())
		}
	}
	for _, text := range []string{"BEGIN", "INSERT INTO money VALUES (3, 30)", "SAVEPOINT here", "INSERT INTO money VALUES (4, 40)",
		"ROLLBACK TO SAVEPOINT here", "COMMIT"} {
		deed(text)
	}
	same(one("SELECT GROUP_CONCAT(id ORDER BY id) FROM money"), "1,3")
}
func multi() {
	rows, err := c.QueryContext(ctx, "SELECT 1; SELECT id FROM many WHERE id <= 3; SELECT amount FROM money WHERE id = 1")
	must(err)
	sizes := []int{count(rows)}
	for rows.NextResultSet() {
		sizes = append(sizes, count(rows))
	}
	same(fmt.Sprint(sizes), "[1 3 1]")
	must(rows.Close())
}
func procedure() {
	rows, err := c.QueryContext(ctx, "CALL two_results(?)", 3)
	must(err)
	same(count(rows), 1)
	same(rows.NextResultSet(), true)
	same(count(rows), 3)
	must(rows.Close())
	deed("SET @out=NULL, @both='so'")
	deed("CALL doubled(21, @out, @both)")
	same(one("SELECT CONCAT(@out, @both)"), "42so!")
}
func infile() {
	mysql.RegisterLocalFile(env("INFILE"))
	deed("DELETE FROM loaded")
	deed("LOAD DATA LOCAL INFILE '" + env("INFILE") + "' INTO TABLE loaded FIELDS TERMINATED BY ','")
	same(one("SELECT CONCAT(COUNT(*), ' ', SUM(id), ' ', MAX(v)) FROM loaded"), "1000 500500 zz 😀")
	_, err := c.ExecContext(ctx, "LOAD DATA LOCAL INFILE '/not/registered' INTO TABLE loaded")
	same(err != nil, true)
	same(one("SELECT COUNT(*) FROM loaded"), "1000")
}
func failures() {
	deed("DELETE FROM counted")
	deed("INSERT INTO counted (v) VALUES ('once')")
	_, err := c.ExecContext(ctx, "INSERT INTO counted (v) VALUES (?)", "once")
	fails(1062, err)
	_, err = c.ExecContext(ctx, "NO SUCH STATEMENT")
	fails(1064, err)
	_, err = c.PrepareContext(ctx, "SELECT * FROM missing")
	fails(1146, err)
	same(one("SELECT COUNT(*) FROM counted"), "1")
}
func insertID() {
	last, err := deed("INSERT INTO counted (v) VALUES ('of this session')").LastInsertId()
	must(err)
	same(last > 0, true)
	one("SELECT COUNT(*) FROM many")
	deed("UPDATE money SET amount = amount + 1")
	same(one("SELECT LAST_INSERT_ID()"), fmt.Sprint(last))
}
func kept() {
	same(stateNow(), state)
	for turn := 1; turn <= 5; turn++ {
		useHeld(turn)
	}
	for _, statement := range held {
		must(statement.Close())
	}
}

// A statement that is given up: the driver closes its connection, and the next one is another.
func killed() {
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	other, err := pool.Conn(ctx)
	must(err)
	_, err = other.ExecContext(short, "DO SLEEP(8)")
	same(err != nil && time.Since(began) < 6*time.Second, true)
	other.Close()
	same(one("SELECT 'alive'"), "alive")
}

func run(name string, step func()) {
	defer func() {
		switch problem := recover().(type) {
		case nil:
			fmt.Println("ok", name)
		case absent:
			fmt.Printf("none %s: %s\n", name, problem.why)
		default:
			fmt.Printf("failed %s: %v\n", name, problem)
			os.Exit(1)
		}
	}()
	step()
}

func main() {
	none := func(why string) func() { return func() { panic(absent{why}) } }
	run("connect", connect)
	run("state", setState)
	run("text", text)
	run("types", types)
	run("prepared", prepared)
	run("long_data", longData)
	run("cursor", none("no cursors of the server"))
	run("big", bigRows)
	run("transaction", transaction)
	run("multi", multi)
	run("procedure", procedure)
	run("infile", infile)
	run("errors", failures)
	run("insert_id", insertID)
	run("attributes", none("no connection attributes"))
	run("kill", killed)
	run("kept", kept)
	run("reset", none("no reset of a connection"))
	run("change_user", none("no change of user"))
}
