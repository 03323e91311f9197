#!/usr/bin/perl
# The scenario of README.md in Perl: `scenario.pl mysql` (DBD::mysql) or `scenario.pl MariaDB` (DBD::MariaDB).
use strict;
use warnings;
use utf8;
use DBI;
use Time::HiRes qw(sleep time);
binmode STDOUT, ':encoding(UTF-8)';

my $driver = shift;
my $prefix = $driver eq 'mysql' ? 'mysql' : 'mariadb';
my %env = map { $_ => $ENV{"CLIENT_$_"} } qw(HOST PORT USER PASSWORD DATABASE SERVER FLAGS CA INFILE);
my $big = 17 << 20;
my $state = 'naïve 😀|42|2.5|1|12345|ANSI_QUOTES,STRICT_TRANS_TABLES|+03:00|READ-COMMITTED';
my $kinds = '-128|255|-32768|-2147483648|-9223372036854775807|18446744073709551615|0.5|2.25|12345678901234.567891|naïve 😀|00FF80|'
  . '2024-02-29|2024-02-29 23:59:58.123456|-12:34:56.789012|2024|green|a,c|{"a": 1}';
my ($db, %held);

sub none { die { absent => shift } }

sub same {
  my ($got, $wanted) = @_;
  $_ = defined $_ ? $_ : 'NULL' for $got, $wanted;
  die sprintf("got %s instead of %s\n", substr($got, 0, 200), substr($wanted, 0, 200)) if $got ne $wanted;
}

sub connected {
  my %options = (RaiseError => 1, PrintError => 0, AutoCommit => 1);
  my $dsn = "DBI:$driver:database=$env{DATABASE};host=$env{HOST};port=$env{PORT};${prefix}_local_infile=1";
  $dsn .= ";${prefix}_ssl=1;${prefix}_ssl_ca_file=$env{CA}" if $env{FLAGS} =~ /tls/;
  $dsn .= ';mysql_ssl_optional=1' if $driver eq 'mysql';  # without it: "Enforcing SSL encryption is not supported", with MariaDB's library
  $dsn .= ";${prefix}_compression=1" if $env{FLAGS} =~ /zlib/;
  $dsn .= ";${prefix}_multi_statements=1;${prefix}_server_prepare=1";
  $options{mysql_enable_utf8mb4} = 1 if $driver eq 'mysql';
  $options{"${prefix}_conn_attrs"} = {scenario => 'every client'};
  return DBI->connect($dsn, $env{USER}, $env{PASSWORD}, \%options);
}

# As text; a statement that the server prepares is made by `prepare` below.
sub rows {
  my ($sql, @values) = @_;
  my $s = $db->prepare($sql, {"${prefix}_server_prepare" => 0});
  $s->execute(@values);
  return $s->{NUM_OF_FIELDS} ? $s->fetchall_arrayref : [];
}
sub one { return rows(@_)->[0][0] }
sub deed { $db->do(shift, {"${prefix}_server_prepare" => 0}) }
sub prepare { return $db->prepare(shift, {"${prefix}_server_prepare" => 1}) }

sub fails {
  my ($code, $deed) = @_;
  die "error $code does not come\n" if eval { $deed->(); 1 };
  same($db->err, $code);
  same(one(q{SELECT 'on'}), 'on');
}

sub state_now {
  my $level = $env{SERVER} eq 'mysql' ? '@@transaction_isolation' : '@@tx_isolation';
  return one("SELECT CONCAT_WS('|', \@word, \@number, \@ratio, \@nothing IS NULL, \@\@group_concat_max_len, \@\@sql_mode, \@\@time_zone, $level)");
}

sub first { my ($s, @values) = @_; $s->execute(@values); my $value = $s->fetchrow_arrayref->[0]; $s->finish; return $value }

sub use_held {
  my $turn = shift;
  same(first($held{by_id}, $turn), "row $turn");
  same(first($held{sum}, 40, $turn), 40 + $turn);
  same(first($held{echo}, $turn % 2 ? undef : 'naïve 😀'), $turn % 2 ? undef : 'naïve 😀');
}

my @steps = (
  connect => sub {
    $db = connected();
    same(one('SELECT DATABASE()'), $env{DATABASE});
    same($db->ping, 1);
    same(rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'")->[0][1] ne '' ? 1 : 0, 1) if $env{FLAGS} =~ /tls/;
  },
  state => sub {
    deed(q{SET @word='naïve 😀', @number=42, @ratio=2.5e0, @nothing=NULL, }
        . q{SESSION sql_mode='ANSI_QUOTES,STRICT_TRANS_TABLES', SESSION time_zone='+03:00'});
    deed('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
    deed('SET @@group_concat_max_len=12345');  # in this form no server tells of the change
    same(state_now(), $state);
  },
  text => sub {
    same(join('|', map { defined $_ ? $_ : 'NULL' } @{rows("SELECT 1+1, '😀', NULL")->[0]}), '2|😀|NULL');
    same(scalar @{rows('SELECT id, v FROM many ORDER BY id')}, 1000);
    same(scalar @{rows('SELECT id FROM many WHERE id < 0')}, 0);
  },
  types => sub {
    my $marks = join ',', ('?') x 19;
    my $s = prepare("INSERT INTO kinds VALUES ($marks)");
    my @values = (1, -128, 255, -32768, -2147483648, '-9223372036854775807', '18446744073709551615', 0.5, 2.25, '12345678901234.567891', 'naïve 😀',
      "\0\xff\x80", '2024-02-29', '2024-02-29 23:59:58.123456', '-12:34:56.789012', 2024, 'green', 'a,c', '{"a": 1}');
    $s->bind_param($_ + 1, $values[$_], $_ == 11 ? DBI::SQL_BLOB() : ()) for 0 .. 18;
    $s->execute;
    $s = prepare("INSERT INTO kinds VALUES ($marks)");
    $s->execute(2, (undef) x 18);
    same(one("SELECT CONCAT_WS('|',i8,u8,i16,i32,i64,u64,f,d,n,s,HEX(b),dt,ts,tm,y,e,st,js) FROM kinds WHERE id=1"), $kinds);
    $s = prepare('SELECT i8,u8,i16,i32,i64,u64,f,d,n,s,HEX(b),dt,ts,tm,y,e,st,js FROM kinds WHERE id=?');
    $s->execute(1);
    my @got = @{$s->fetchrow_arrayref};
    # Both drivers read fractions of a second in the binary protocol as the library formats them.
    same(join('|', @got[0 .. 11]), join('|', (split /\|/, $kinds)[0 .. 11]));
    $s->execute(2);
    same(scalar(grep { defined } @{$s->fetchrow_arrayref}), 0);
  },
  prepared => sub {
    %held = (by_id => prepare('SELECT v FROM many WHERE id=?'), sum => prepare('SELECT ? + ?'), echo => prepare(q{SELECT CONCAT(?, '')}));
    use_held($_) for 1 .. 5;
  },
  long_data => sub { none('parameters go with the execution') },
  cursor => sub { none('no cursors of the server') },
  big => sub {
    my $body = substr('abcdefghijklmnopqrstuvwxyz' x ($big / 26 + 1), 0, $big);
    same(one("SELECT LENGTH('$body')"), $big);
    same(one("SELECT REPEAT('x', $big)") eq 'x' x $big, 1);
    my $s = prepare('SELECT ?, LENGTH(?)');
    $s->execute($body, $body);
    my $row = $s->fetchrow_arrayref;
    same($row->[0] eq $body, 1);
    same($row->[1], $big);
    $s->finish;
    same(one("SELECT 'after'"), 'after');
  },
  transaction => sub {
    deed('DELETE FROM money');
    $db->begin_work; deed('INSERT INTO money VALUES (1, 10)'); $db->commit;
    $db->begin_work; deed('INSERT INTO money VALUES (2, 20)'); $db->rollback;
    $db->{AutoCommit} = 0;
    deed($_) for 'INSERT INTO money VALUES (3, 30)', 'SAVEPOINT here', 'INSERT INTO money VALUES (4, 40)', 'ROLLBACK TO SAVEPOINT here';
    $db->commit;
    $db->{AutoCommit} = 1;
    same(one('SELECT GROUP_CONCAT(id ORDER BY id) FROM money'), '1,3');
  },
  multi => sub {
    my $s = $db->prepare('SELECT 1; SELECT id FROM many WHERE id <= 3; SELECT amount FROM money WHERE id = 1', {"${prefix}_server_prepare" => 0});
    $s->execute;
    my @sizes;
    do { push @sizes, scalar @{$s->fetchall_arrayref} } while ($s->more_results);
    same("@sizes", '1 3 1');
  },
  procedure => sub {
    my $s = $db->prepare('CALL two_results(3)', {"${prefix}_server_prepare" => 0});
    $s->execute;
    my @sizes;
    do { push @sizes, scalar @{$s->fetchall_arrayref} if $s->{NUM_OF_FIELDS} } while ($s->more_results);
    same("@sizes", '1 3');
    deed(q{SET @out=NULL, @both='so'});
    deed('CALL doubled(21, @out, @both)');
    same(one(q{SELECT CONCAT(@out, @both)}), '42so!');
  },
  infile => sub {
    deed('DELETE FROM loaded');
    deed("LOAD DATA LOCAL INFILE '$env{INFILE}' INTO TABLE loaded FIELDS TERMINATED BY ','");
    same(one(q{SELECT CONCAT(COUNT(*), ' ', SUM(id), ' ', MAX(v)) FROM loaded}), '1000 500500 zz 😀');
    die "a file that is not there was loaded\n" if eval { deed(q{LOAD DATA LOCAL INFILE '/no/such/file' INTO TABLE loaded}); 1 };
    same(one('SELECT COUNT(*) FROM loaded'), 1000);
  },
  errors => sub {
    deed('DELETE FROM counted');
    deed(q{INSERT INTO counted (v) VALUES ('once')});
    my $insert = prepare('INSERT INTO counted (v) VALUES (?)');
    fails(1062, sub { $insert->execute('once') });
    $insert->execute('twice');
    fails(1064, sub { deed('NO SUCH STATEMENT') });
    fails(1146, sub { prepare('SELECT * FROM missing')->execute });
    same(one('SELECT COUNT(*) FROM counted'), 2);
  },
  insert_id => sub {
    deed(q{INSERT INTO counted (v) VALUES ('of this session')});
    my $last = $db->last_insert_id(undef, undef, 'counted', 'id') or die "no insert id\n";
    rows('SELECT id FROM many');
    deed('UPDATE money SET amount = amount + 1');
    same(one('SELECT LAST_INSERT_ID()'), $last);
  },
  attributes => sub {
    same(one(q{SELECT ATTR_VALUE FROM performance_schema.session_connect_attrs WHERE PROCESSLIST_ID=CONNECTION_ID() AND ATTR_NAME='scenario'}),
      'every client');
  },
  kill => sub {
    my $number = $db->{"${prefix}_thread_id"} || $db->{mysql_thread_id};
    my $child = fork // die "fork: $!";
    if (!$child) {
      $db->{InactiveDestroy} = 1;
      sleep 0.2;
      connected()->do("KILL QUERY $number", {"${prefix}_server_prepare" => 0});
      exec 'true';
    }
    my $began = time;
    eval { rows('SELECT SLEEP(8)') };
    waitpid $child, 0;
    die "the statement was not killed\n" if time - $began > 6;
    same(one(q{SELECT 'alive'}), 'alive');
  },
  kept => sub {
    same(state_now(), $state);
    use_held($_) for 1 .. 5;
  },
  reset => sub { none('no reset of a connection') },
  change_user => sub { none('no change of user') },
);

while (my ($name, $run) = splice @steps, 0, 2) {
  if (eval { $run->(); 1 }) { print "ok $name\n"; next }
  if (ref $@) { print "none $name: $@->{absent}\n"; next }
  print "failed $name: $@";
  exit 1;
}
%held = ();
$db->disconnect;
