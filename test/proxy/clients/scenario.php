<?php
// The scenario of README.md in PHP: `scenario.php mysqli` or `scenario.php pdo`, both by mysqlnd.
declare(strict_types=1);

const BIG = 17 << 20;
const STATE = 'naïve 😀|42|2.5|1|12345|ANSI_QUOTES,STRICT_TRANS_TABLES|+03:00|READ-COMMITTED';
const KINDS = '-128|255|-32768|-2147483648|-9223372036854775807|18446744073709551615|0.5|2.25|12345678901234.567891|naïve 😀|00FF80|'
    . '2024-02-29|2024-02-29 23:59:58.123456|-12:34:56.789012|2024|green|a,c|{"a": 1}';
const VALUES = [1, -128, 255, -32768, -2147483648, '-9223372036854775807', '18446744073709551615', 0.5, 2.25, '12345678901234.567891', 'naïve 😀',
    "\0\xff\x80", '2024-02-29', '2024-02-29 23:59:58.123456', '-12:34:56.789012', 2024, 'green', 'a,c', '{"a": 1}'];

final class Absent extends Exception {}

function env(string $name): string { return (string) getenv("CLIENT_$name"); }
function asked(string $flag): bool { return in_array($flag, explode(',', env('FLAGS')), true); }
function same(mixed $got, mixed $wanted): void
{
    if ($got !== $wanted) {
        throw new Exception('got ' . substr(var_export($got, true), 0, 200) . ' instead of ' . substr(var_export($wanted, true), 0, 200));
    }
}

/** What the two libraries do in different ways. Rows are lists; numbers of the text protocol come as text. */
interface Library
{
    public function number(): int;
    /** @return list<list<mixed>> */
    public function query(string $sql): array;
    /** @return list<list<list<mixed>>> */
    public function results(string $sql): array;
    public function prepare(string $sql): object;
    /** @return list<list<mixed>> */
    public function execute(object $statement, array $values): array;
    public function code(Throwable $error): int;
    public function begin(): void;
    public function commit(): void;
    public function rollback(): void;
    public function insertId(): int;
    public function cursor(): void;
    public function longData(): void;
    public function changeUser(string $user, string $password, string $database): void;
}

final class Mysqli_ implements Library
{
    private mysqli $c;

    public function __construct()
    {
        mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
        $this->c = mysqli_init();
        $this->c->options(MYSQLI_OPT_LOCAL_INFILE, 1);
        $flags = asked('zlib') ? MYSQLI_CLIENT_COMPRESS : 0;
        if (asked('tls')) {
            $this->c->ssl_set(null, null, env('CA'), null, null);
            $flags |= MYSQLI_CLIENT_SSL;
        }
        $this->c->real_connect(env('HOST'), env('USER'), env('PASSWORD'), env('DATABASE'), (int) env('PORT'), null, $flags);
        $this->c->set_charset('utf8mb4');
    }
    public function number(): int { return $this->c->thread_id; }
    public function query(string $sql): array
    {
        $result = $this->c->query($sql);
        return $result === true ? [] : $result->fetch_all();
    }
    public function results(string $sql): array
    {
        $results = [];
        $this->c->multi_query($sql);
        do {
            $result = $this->c->store_result();
            $results[] = $result ? $result->fetch_all() : [];
        } while ($this->c->more_results() && $this->c->next_result());
        return $results;
    }
    public function prepare(string $sql): object { return $this->c->prepare($sql); }
    public function execute(object $statement, array $values): array
    {
        $types = implode('', array_map(fn($v) => is_int($v) ? 'i' : (is_float($v) ? 'd' : 's'), $values));
        if ($values) {
            $statement->bind_param($types, ...$values);
        }
        $statement->execute();
        $result = $statement->get_result();
        $rows = $result ? $result->fetch_all() : [];
        while ($statement->more_results() && $statement->next_result()) {
            $statement->get_result();
        }
        return $rows;
    }
    public function code(Throwable $error): int { return $error->getCode(); }
    public function begin(): void { $this->c->begin_transaction(); }
    public function commit(): void { $this->c->commit(); }
    public function rollback(): void { $this->c->rollback(); }
    public function insertId(): int { return (int) $this->c->insert_id; }
    public function cursor(): void
    {
        $statement = $this->c->prepare('SELECT id, v FROM many ORDER BY id');
        $statement->attr_set(MYSQLI_STMT_ATTR_CURSOR_TYPE, MYSQLI_CURSOR_TYPE_READ_ONLY);
        $statement->execute();
        $statement->bind_result($id, $v);
        for ($rows = 0; $statement->fetch(); ++$rows) {
            if ($rows === 100) {
                same($this->query("SELECT 'between'"), [['between']]);
            }
        }
        same([$rows, $v], [1000, 'row 1000']);
    }
    public function longData(): void
    {
        $statement = $this->c->prepare('SELECT CRC32(?)');
        $nothing = null;
        $statement->bind_param('b', $nothing);
        foreach (['one ', 'two ', 'three'] as $part) {
            $statement->send_long_data(0, $part);
        }
        $statement->execute();
        same((int) $statement->get_result()->fetch_row()[0], crc32('one two three'));
    }
    public function changeUser(string $user, string $password, string $database): void { $this->c->change_user($user, $password, $database); }
}

final class Pdo_ implements Library
{
    private PDO $c;

    public function __construct()
    {
        $options = [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_EMULATE_PREPARES => false, PDO::MYSQL_ATTR_LOCAL_INFILE => true,
            PDO::MYSQL_ATTR_COMPRESS => asked('zlib'), PDO::ATTR_STRINGIFY_FETCHES => true];
        if (asked('tls')) {
            $options[PDO::MYSQL_ATTR_SSL_CA] = env('CA');
        }
        $this->c = new PDO(sprintf('mysql:host=%s;port=%s;dbname=%s;charset=utf8mb4', env('HOST'), env('PORT'), env('DATABASE')), env('USER'), env('PASSWORD'), $options);
    }
    public function number(): int { return (int) $this->query('SELECT CONNECTION_ID()')[0][0]; }
    public function query(string $sql): array
    {
        if (!preg_match('/^(SELECT|SHOW|CALL)/', $sql)) {
            $this->c->exec($sql);
            return [];
        }
        return $this->c->query($sql)->fetchAll(PDO::FETCH_NUM);
    }
    public function results(string $sql): array
    {
        // Several statements only go by text.
        $this->c->setAttribute(PDO::ATTR_EMULATE_PREPARES, true);
        try {
            $statement = $this->c->query($sql);
            $results = [];
            do {
                $results[] = $statement->columnCount() ? $statement->fetchAll(PDO::FETCH_NUM) : [];
            } while ($statement->nextRowset());
        } finally {
            $this->c->setAttribute(PDO::ATTR_EMULATE_PREPARES, false);
        }
        return $results;
    }
    public function prepare(string $sql): object { return $this->c->prepare($sql); }
    public function execute(object $statement, array $values): array
    {
        foreach ($values as $i => $value) {
            $statement->bindValue($i + 1, $value, $value === null ? PDO::PARAM_NULL : (is_int($value) ? PDO::PARAM_INT : PDO::PARAM_STR));
        }
        $statement->execute();
        $rows = $statement->columnCount() ? $statement->fetchAll(PDO::FETCH_NUM) : [];
        $statement->closeCursor();
        return $rows;
    }
    public function code(Throwable $error): int { return (int) $error->errorInfo[1]; }
    public function begin(): void { $this->c->beginTransaction(); }
    public function commit(): void { $this->c->commit(); }
    public function rollback(): void { $this->c->rollBack(); }
    public function insertId(): int { return (int) $this->c->lastInsertId(); }
    public function cursor(): void { throw new Absent('no cursors of the server'); }
    public function longData(): void { throw new Absent('parameters go with the execution'); }
    public function changeUser(string $user, string $password, string $database): void { throw new Absent('no change of user'); }
}

final class Scenario
{
    public const STEPS = ['connect', 'state', 'text', 'types', 'prepared', 'long_data', 'cursor', 'big', 'transaction', 'multi', 'procedure', 'infile',
        'errors', 'insert_id', 'attributes', 'kill', 'kept', 'reset', 'change_user'];
    private Library $c;
    /** @var array<string, object> */
    private array $held = [];

    public function __construct(private string $library) {}

    private function open(): Library { return $this->library === 'mysqli' ? new Mysqli_() : new Pdo_(); }
    private function one(string $sql): string { return (string) $this->c->query($sql)[0][0]; }
    private function stateNow(): string
    {
        return $this->one('SELECT CONCAT_WS(\'|\', @word, @number, @ratio, @nothing IS NULL, @@group_concat_max_len, @@sql_mode, @@time_zone, '
            . (env('SERVER') === 'mysql' ? '@@transaction_isolation)' : '@@tx_isolation)'));
    }
    private function fails(int $code, callable $deed): void
    {
        try {
            $deed();
        } catch (Exception $error) {
            same($this->c->code($error), $code);
            same($this->one("SELECT 'on'"), 'on');
            return;
        }
        throw new Exception("error $code does not come");
    }
    private function useHeld(int $turn): void
    {
        same($this->c->execute($this->held['by_id'], [$turn]), [["row $turn"]]);
        same((int) $this->c->execute($this->held['sum'], [40, $turn])[0][0], 40 + $turn);
        same($this->c->execute($this->held['echo'], [$turn % 2 ? null : 'naïve 😀']), [[$turn % 2 ? null : 'naïve 😀']]);
    }

    public function connect(): void
    {
        $this->c = $this->open();
        same($this->one('SELECT DATABASE()'), env('DATABASE'));
        if (asked('tls')) {
            same($this->c->query("SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1] !== '', true);
        }
    }
    public function state(): void
    {
        $this->c->query("SET @word='naïve 😀', @number=42, @ratio=2.5e0, @nothing=NULL, "
            . "SESSION sql_mode='ANSI_QUOTES,STRICT_TRANS_TABLES', SESSION time_zone='+03:00'");
        $this->c->query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
        $this->c->query('SET @@group_concat_max_len=12345'); // in this form no server tells of the change
        same($this->stateNow(), STATE);
    }
    public function text(): void
    {
        same($this->c->query("SELECT '1', '😀', NULL"), [['1', '😀', null]]);
        same(count($this->c->query('SELECT id, v FROM many ORDER BY id')), 1000);
        same($this->c->query('SELECT id FROM many WHERE id < 0'), []);
    }
    public function types(): void
    {
        $insert = $this->c->prepare('INSERT INTO kinds VALUES (' . implode(',', array_fill(0, 19, '?')) . ')');
        $this->c->execute($insert, VALUES);
        $this->c->execute($insert, [2, ...array_fill(0, 18, null)]);
        same($this->one("SELECT CONCAT_WS('|',i8,u8,i16,i32,i64,u64,f,d,n,s,HEX(b),dt,ts,tm,y,e,st,js) FROM kinds WHERE id=1"), KINDS);
        $select = $this->c->prepare('SELECT i8,u8,i16,i32,i64,u64,f,d,n,s,HEX(b),dt,ts,tm,y,e,st,js FROM kinds WHERE id=?');
        same(implode('|', $this->c->execute($select, [1])[0]), KINDS);
        same(array_unique($this->c->execute($select, [2])[0]), [null]);
    }
    public function prepared(): void
    {
        foreach (['by_id' => 'SELECT v FROM many WHERE id=?', 'sum' => 'SELECT ? + ?', 'echo' => 'SELECT ?'] as $name => $sql) {
            $this->held[$name] = $this->c->prepare($sql);
        }
        for ($turn = 1; $turn <= 5; ++$turn) {
            $this->useHeld($turn);
        }
    }
    public function long_data(): void { $this->c->longData(); }
    public function cursor(): void { $this->c->cursor(); }
    public function big(): void
    {
        $body = substr(str_repeat('abcdefghijklmnopqrstuvwxyz', intdiv(BIG, 26) + 1), 0, BIG);
        same($this->one("SELECT LENGTH('$body')"), (string) BIG);
        same($this->one("SELECT REPEAT('x', " . BIG . ')') === str_repeat('x', BIG), true);
        $row = $this->c->execute($this->c->prepare('SELECT ?, LENGTH(?)'), [$body, $body])[0];
        same($row[0] === $body, true);
        same((int) $row[1], BIG);
        same($this->one("SELECT 'after'"), 'after');
    }
    public function transaction(): void
    {
        $this->c->query('DELETE FROM money');
        $this->c->begin();
        $this->c->query('INSERT INTO money VALUES (1, 10)');
        $this->c->commit();
        $this->c->begin();
        $this->c->query('INSERT INTO money VALUES (2, 20)');
        $this->c->rollback();
        $this->c->begin();
        foreach (['INSERT INTO money VALUES (3, 30)', 'SAVEPOINT here', 'INSERT INTO money VALUES (4, 40)', 'ROLLBACK TO SAVEPOINT here'] as $sql) {
            $this->c->query($sql);
        }
        $this->c->commit();
        same($this->one('SELECT GROUP_CONCAT(id ORDER BY id) FROM money'), '1,3');
    }
    public function multi(): void
    {
        $results = $this->c->results('SELECT 1; SELECT id FROM many WHERE id <= 3; UPDATE money SET amount = 11 WHERE id = 1; SELECT amount FROM money WHERE id = 1');
        same(array_map('count', $results), [1, 3, 0, 1]);
        same($results[3], [['11']]);
    }
    public function procedure(): void
    {
        same(array_slice(array_map('count', $this->c->results('CALL two_results(3)')), 0, 2), [1, 3]);
        same($this->c->execute($this->c->prepare('CALL two_results(?)'), [2])[0][0] == 2, true);
        $this->c->query("SET @out=NULL, @both='so'");
        $this->c->query('CALL doubled(21, @out, @both)');
        same($this->one('SELECT CONCAT(@out, @both)'), '42so!');
    }
    public function infile(): void
    {
        $this->c->query('DELETE FROM loaded');
        $this->c->query("LOAD DATA LOCAL INFILE '" . env('INFILE') . "' INTO TABLE loaded FIELDS TERMINATED BY ','");
        same($this->one("SELECT CONCAT(COUNT(*), ' ', SUM(id), ' ', MAX(v)) FROM loaded"), '1000 500500 zz 😀');
        try {
            @$this->c->query("LOAD DATA LOCAL INFILE '/no/such/file' INTO TABLE loaded");
        } catch (Exception) {
            same($this->one('SELECT COUNT(*) FROM loaded'), '1000');
            return;
        }
        throw new Exception('a file that is not there was loaded');
    }
    public function errors(): void
    {
        $this->c->query('DELETE FROM counted');
        $this->c->query("INSERT INTO counted (v) VALUES ('once')");
        $insert = $this->c->prepare('INSERT INTO counted (v) VALUES (?)');
        $this->fails(1062, fn() => $this->c->execute($insert, ['once']));
        $this->c->execute($insert, ['twice']);
        $this->fails(1064, fn() => $this->c->query('NO SUCH STATEMENT'));
        $this->fails(1146, fn() => $this->c->prepare('SELECT * FROM missing'));
        same($this->one('SELECT COUNT(*) FROM counted'), '2');
    }
    public function insert_id(): void
    {
        $this->c->query("INSERT INTO counted (v) VALUES ('of this session')");
        $last = $this->c->insertId();
        same($last > 0, true);
        $this->c->query('SELECT id FROM many');
        $this->c->query('UPDATE money SET amount = amount + 1');
        same($this->one('SELECT LAST_INSERT_ID()'), (string) $last);
    }
    public function attributes(): void
    {
        same($this->one("SELECT ATTR_VALUE FROM performance_schema.session_connect_attrs WHERE PROCESSLIST_ID=CONNECTION_ID() AND ATTR_NAME='_client_name'"), 'mysqlnd');
    }
    public function kill(): void
    {
        if ($this->library === 'pdo') {
            throw new Absent('the number of a session is not shown');
        }
        $program = sprintf('usleep(200000); mysqli_connect("%s", "%s", "%s", "", %d)->query("KILL QUERY %d");', env('HOST'), env('USER'), env('PASSWORD'),
            (int) env('PORT'), $this->c->number());
        $killer = proc_open([PHP_BINARY, '-r', $program], [], $pipes);
        $began = microtime(true);
        try {
            $this->c->query('SELECT SLEEP(8)');
        } catch (Exception $error) {
            same($this->c->code($error), 1317);
        }
        proc_close($killer);
        same(microtime(true) - $began < 6, true);
        same($this->one("SELECT 'alive'"), 'alive');
    }
    public function kept(): void
    {
        same($this->stateNow(), STATE);
        for ($turn = 1; $turn <= 5; ++$turn) {
            $this->useHeld($turn);
        }
    }
    public function reset(): void { throw new Absent('no reset of a connection'); }
    public function change_user(): void
    {
        $this->held = [];
        $this->c->query("SET @word='before'");
        $this->c->changeUser('app', 'app', 'information_schema');
        same($this->one("SELECT CONCAT(SUBSTRING_INDEX(CURRENT_USER(), '@', 1), IF(@word IS NULL, ' with nothing', ' with a word'))"), 'app with nothing');
        $this->c->changeUser(env('USER'), env('PASSWORD'), env('DATABASE'));
        same($this->one('SELECT COUNT(*) FROM many'), '1000');
    }
}

ini_set('memory_limit', '512M');
$scenario = new Scenario($argv[1]);
foreach (Scenario::STEPS as $step) {
    try {
        $scenario->$step();
        echo "ok $step\n";
    } catch (Absent $absent) {
        echo "none $step: {$absent->getMessage()}\n";
    } catch (Throwable $error) {
        echo "failed $step: ", get_class($error), ' ', $error->getMessage(), ' line ', $error->getLine(), "\n";
        exit(1);
    }
}
