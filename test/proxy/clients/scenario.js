// The scenario of README.md in Node: `scenario.js NODE_MODULES mysql2` or `scenario.js NODE_MODULES mariadb`.
const path = require('path');
const fs = require('fs');
const [modules, library] = process.argv.slice(2);
const load = (name) => require(path.join(modules, name));
const env = (name) => process.env['CLIENT_' + name];
const flags = env('FLAGS').split(',');
const isTls = flags.includes('tls');
const big = 17 << 20;
const kState = 'naïve 😀|42|2.5|1|12345|ANSI_QUOTES,STRICT_TRANS_TABLES|+03:00|READ-COMMITTED';
const kKinds = '-128|255|-32768|-2147483648|-9223372036854775807|18446744073709551615|0.5|2.25|12345678901234.567891|naïve 😀|00FF80|' +
  '2024-02-29|2024-02-29 23:59:58.123456|-12:34:56.789012|2024|green|a,c|{"a": 1}';
const kValues = [1, -128, 255, -32768, -2147483648, '-9223372036854775807', '18446744073709551615', 0.5, 2.25, '12345678901234.567891',
  'naïve 😀', Buffer.from([0, 255, 128]), '2024-02-29', '2024-02-29 23:59:58.123456', '-12:34:56.789012', 2024, 'green', 'a,c', '{"a": 1}'];

class Absent extends Error {}

function expectSame(got, wanted) {
  const text = (value) => String(JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? v.toString() : v))).slice(0, 200);
  if (text(got) !== text(wanted) || (typeof got === 'string' && got !== wanted)) throw new Error(`got ${text(got)} instead of ${text(wanted)}`);
}

// What the two libraries do in different ways.
const adapters = {
  mysql2: {
    async connect() {
      const c = await load('mysql2/promise').createConnection({
        host: env('HOST'), port: +env('PORT'), user: env('USER'), password: env('PASSWORD'), database: env('DATABASE'), charset: 'utf8mb4',
        multipleStatements: true, supportBigNumbers: true, bigNumberStrings: true, dateStrings: true, compress: flags.includes('zlib'),
        connectAttributes: {scenario: 'every client'}, infileStreamFactory: (name) => fs.createReadStream(name),
        ssl: isTls ? {ca: fs.readFileSync(env('CA'))} : undefined,
      });
      return {
        number: c.threadId, hasTls: Boolean(c.connection.stream.encrypted), ping: () => c.ping(), end: () => c.end(),
        query: async (sql, values) => (await c.query(sql, values))[0],
        execute: async (sql, values) => (await c.execute(sql, values))[0],
        prepare: async (sql) => {
          const statement = await c.prepare(sql);
          return {execute: async (values) => (await statement.execute(values))[0], close: () => statement.close()};
        },
        changeUser: (user, password, database) => c.changeUser({user, password, database}),
        reset: () => { throw new Absent('no reset of a connection'); },
        stream: (sql, row, end, failed) => c.connection.query(sql).on('error', failed).on('result', row).on('end', end),
        begin: () => c.beginTransaction(), commit: () => c.commit(), rollback: () => c.rollback(),
      };
    },
    results: (answer) => answer.map((part) => (Array.isArray(part) ? part.length : 'ok')),
  },
  mariadb: {
    async connect() {
      const c = await load('mariadb').createConnection({
        host: env('HOST'), port: +env('PORT'), user: env('USER'), password: env('PASSWORD'), database: env('DATABASE'), charset: 'utf8mb4',
        multipleStatements: true, bigNumberStrings: true, supportBigNumbers: true, dateStrings: true, compress: flags.includes('zlib'),
        connectAttributes: {scenario: 'every client'}, permitLocalInfile: true, maxAllowedPacket: 64 << 20, allowPublicKeyRetrieval: true,
        ssl: isTls ? {ca: fs.readFileSync(env('CA'))} : false,
      });
      return {
        number: c.threadId, hasTls: isTls, ping: () => c.ping(), end: () => c.end(), query: (sql, values) => c.query(sql, values),
        execute: (sql, values) => c.execute(sql, values),
        prepare: async (sql) => {
          const statement = await c.prepare(sql);
          return {execute: (values) => statement.execute(values), close: () => statement.close()};
        },
        reset: () => c.reset(),
        changeUser: (user, password, database) => {
          if (env('SERVER') === 'mysql') throw new Absent('no change of user on MySQL, says the library');
          return c.changeUser({user, password, database});
        },
        stream: (sql, row, end, failed) => c.queryStream(sql).on('error', failed).on('data', row).on('end', end),
        begin: () => c.beginTransaction(), commit: () => c.commit(), rollback: () => c.rollback(),
        batch: (sql, rows) => c.batch(sql, rows),
      };
    },
    results: (answer) => answer.map((part) => (Array.isArray(part) ? part.length : 'ok')),
  },
};
const adapter = adapters[library];
let c;
let held;

const one = async (sql, values) => Object.values((await c.query(sql, values))[0])[0];
async function fails(code, deed) {
  try {
    await deed();
  } catch (error) {
    expectSame(error.errno, code);
    return expectSame(await one("SELECT 'on'"), 'on');
  }
  throw new Error(`error ${code} does not come`);
}
const stateNow = () => one("SELECT CONCAT_WS('|', @word, @number, @ratio, @nothing IS NULL, @@group_concat_max_len, @@sql_mode, @@time_zone, " +
  (env('SERVER') === 'mysql' ? '@@transaction_isolation)' : '@@tx_isolation)'));
async function useHeld(turn) {
  expectSame((await held.byId.execute([turn]))[0].v, `row ${turn}`);
  expectSame(Number(Object.values((await held.sum.execute([40, turn]))[0])[0]), 40 + turn);
  expectSame(Object.values((await held.echo.execute([turn % 2 ? null : 'naïve 😀']))[0])[0], turn % 2 ? null : 'naïve 😀');
}

const steps = {
  async connect() {
    c = await adapter.connect();
    expectSame(c.hasTls, isTls);
    expectSame(await one('SELECT DATABASE()'), env('DATABASE'));
    if (isTls) expectSame((await one("SHOW SESSION STATUS LIKE 'Ssl_cipher'")) !== '', true);
    await c.ping();
  },
  async state() {
    await c.query("SET @word='naïve 😀', @number=42, @ratio=2.5e0, @nothing=NULL, " +
      "SESSION sql_mode='ANSI_QUOTES,STRICT_TRANS_TABLES', SESSION time_zone='+03:00'");
    await c.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
    await c.query('SET @@group_concat_max_len=12345'); // in this form no server tells of the change
    expectSame(await stateNow(), kState);
  },
  async text() {
    expectSame(Object.values((await c.query("SELECT 'one' AS a, '😀' AS b, NULL AS c"))[0]), ['one', '😀', null]);
    expectSame((await c.query('SELECT id, v FROM many ORDER BY id')).length, 1000);
    expectSame((await c.query('SELECT id FROM many WHERE id < 0')).length, 0);
    let sum = 0;
    await new Promise((resolve, reject) => c.stream('SELECT id FROM many', (row) => { sum += row.id; }, resolve, reject));
    expectSame(sum, 500500);
    // Sent one after another without waiting for an answer.
    const answers = await Promise.all([1, 2, 3, 4, 5].map((id) => c.query('SELECT v FROM many WHERE id=?', [id])));
    expectSame(answers.map((answer) => answer[0].v), [1, 2, 3, 4, 5].map((id) => `row ${id}`));
  },
  async types() {
    const insert = `INSERT INTO kinds VALUES (${kValues.map(() => '?').join(',')})`;
    await c.execute(insert, kValues);
    await c.execute(insert, [2, ...Array(18).fill(null)]);
    expectSame(await one("SELECT CONCAT_WS('|',i8,u8,i16,i32,i64,u64,f,d,n,s,HEX(b),dt,ts,tm,y,e,st,js) FROM kinds WHERE id=1"), kKinds);
    const row = (await c.execute('SELECT i8,i64,u64,d,s,HEX(b) AS h,dt,ts,tm,e FROM kinds WHERE id=?', [1]))[0];
    expectSame(Object.values(row).map(String).join('|'),
      '-128|-9223372036854775807|18446744073709551615|2.25|naïve 😀|00FF80|2024-02-29|2024-02-29 23:59:58.123456|-12:34:56.789012|green');
    expectSame(Object.values((await c.execute('SELECT * FROM kinds WHERE id=?', [2]))[0]).slice(1).every((value) => value === null), true);
    if (c.batch && env('SERVER') === 'mariadb') {
      await c.batch('INSERT INTO loaded VALUES (?, ?)', [[1, 'in'], [2, null], [3, 'bulk 😀']]);
      expectSame(await one("SELECT GROUP_CONCAT(COALESCE(v, 'NULL') ORDER BY id) FROM loaded"), 'in,NULL,bulk 😀');
    }
  },
  async prepared() {
    held = {byId: await c.prepare('SELECT v FROM many WHERE id=?'), sum: await c.prepare('SELECT ? + ?'), echo: await c.prepare('SELECT ?')};
    for (let turn = 1; turn <= 5; ++turn) await useHeld(turn);
    for (let turn = 1; turn <= 5; ++turn) expectSame((await c.execute('SELECT v FROM many WHERE id=?', [turn]))[0].v, `row ${turn}`);
    const answers = await Promise.all([1, 2, 3].map((id) => c.execute('SELECT id FROM many WHERE id=?', [id])));
    expectSame(answers.map((answer) => answer[0].id), [1, 2, 3]);
  },
  async long_data() { throw new Absent('parameters go with the execution'); },
  async cursor() { throw new Absent('no cursors of the server'); },
  async big() {
    const body = 'abcdefghijklmnopqrstuvwxyz'.repeat(big / 26 + 1).slice(0, big);
    expectSame(Number(await one(`SELECT LENGTH('${body}')`)), big);
    expectSame((await one("SELECT REPEAT('x', ?)", [big])) === 'x'.repeat(big), true);
    const row = (await c.execute('SELECT ? AS body, LENGTH(?) AS size', [body, body]))[0];
    expectSame(row.body.toString() === body, true);
    expectSame(Number(row.size), big);
    expectSame(await one("SELECT 'after'"), 'after');
  },
  async transaction() {
    await c.query('DELETE FROM money');
    await c.begin();
    await c.query('INSERT INTO money VALUES (1, 10)');
    await c.commit();
    await c.begin();
    await c.query('INSERT INTO money VALUES (2, 20)');
    await c.rollback();
    for (const sql of ['BEGIN', 'INSERT INTO money VALUES (3, 30)', 'SAVEPOINT here', 'INSERT INTO money VALUES (4, 40)',
      'ROLLBACK TO SAVEPOINT here', 'COMMIT']) await c.query(sql);
    expectSame((await c.query('SELECT id FROM money ORDER BY id')).map((row) => row.id), [1, 3]);
  },
  async multi() {
    const answer = await c.query('SELECT 1 AS a; SELECT id FROM many WHERE id <= 3; UPDATE money SET amount = 11 WHERE id = 1; SELECT amount FROM money WHERE id = 1');
    expectSame(adapter.results(answer), [1, 3, 'ok', 1]);
    expectSame(answer[3][0].amount, 11);
    await fails(1064, () => c.query('SELECT 1; NO SUCH STATEMENT'));
  },
  async procedure() {
    expectSame(adapter.results(await c.query('CALL two_results(3)')), [1, 3, 'ok']);
    expectSame(adapter.results(await c.execute('CALL two_results(?)', [2])), [1, 2, 'ok']);
    await c.query("SET @out=NULL, @both='so'");
    await c.query('CALL doubled(21, @out, @both)');
    expectSame(Object.values((await c.query('SELECT CAST(@out AS CHAR) AS a, @both AS b'))[0]), ['42', 'so!']);
  },
  async infile() {
    await c.query('DELETE FROM loaded');
    await c.query(`LOAD DATA LOCAL INFILE '${env('INFILE')}' INTO TABLE loaded FIELDS TERMINATED BY ','`);
    expectSame(await one("SELECT CONCAT(COUNT(*), ' ', SUM(id), ' ', MAX(v)) FROM loaded"), '1000 500500 zz 😀');
  },
  async errors() {
    await c.query('DELETE FROM counted');
    await c.query("INSERT INTO counted (v) VALUES ('once')");
    await fails(1062, () => c.execute('INSERT INTO counted (v) VALUES (?)', ['once']));
    await fails(1064, () => c.query('NO SUCH STATEMENT'));
    await fails(1146, () => c.execute('SELECT * FROM missing', []));
    expectSame(Number(await one('SELECT COUNT(*) FROM counted')), 1);
  },
  async insert_id() {
    const last = Number((await c.query("INSERT INTO counted (v) VALUES ('of this session')")).insertId);
    if (!last) throw new Error('no insert id');
    await c.query('SELECT id FROM many');
    await c.query('UPDATE money SET amount = amount + 1');
    expectSame(Number(await one('SELECT LAST_INSERT_ID()')), last);
  },
  async attributes() {
    expectSame(await one('SELECT ATTR_VALUE FROM performance_schema.session_connect_attrs WHERE PROCESSLIST_ID=CONNECTION_ID() ' +
      "AND ATTR_NAME='scenario'"), 'every client');
  },
  async kill() {
    const began = Date.now();
    const sleeping = c.query('SELECT SLEEP(8)').catch((error) => expectSame(error.errno, 1317));
    await new Promise((resolve) => setTimeout(resolve, 200));
    const other = await adapter.connect();
    await other.query(`KILL QUERY ${c.number}`);
    await other.end();
    await sleeping;
    if (Date.now() - began > 6000) throw new Error('the statement was not killed');
    expectSame(await one("SELECT 'alive'"), 'alive');
  },
  async kept() {
    expectSame(await stateNow(), kState);
    for (let turn = 1; turn <= 5; ++turn) await useHeld(turn);
    await held.byId.close();
  },
  async reset() {
    await c.reset();
    expectSame(Number(await one('SELECT @word IS NULL')), 1);
    expectSame(await one('SELECT DATABASE()'), env('DATABASE'));
  },
  async change_user() {
    await c.query("SET @word='before'");
    await c.changeUser('app', 'app', 'information_schema');
    expectSame(await one("SELECT CONCAT(SUBSTRING_INDEX(CURRENT_USER(), '@', 1), IF(@word IS NULL, ' with nothing', ' with a word'))"), 'app with nothing');
    await c.changeUser(env('USER'), env('PASSWORD'), env('DATABASE'));
    expectSame(Number(await one('SELECT COUNT(*) FROM many')), 1000);
    expectSame(Number(Object.values((await c.execute('SELECT ? + 1', [1]))[0])[0]), 2);
  },
};

(async () => {
  for (const [name, run] of Object.entries(steps)) {
    try {
      await run();
      console.log(`ok ${name}`);
    } catch (error) {
      console.log(error instanceof Absent ? `none ${name}: ${error.message}` : `failed ${name}: ${error.message}`);
      if (error instanceof Absent) continue;
      console.error(error);
      process.exit(1);
    }
  }
  await c.end();
})();
