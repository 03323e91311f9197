#include "live/fixtures/fidelity.h"

namespace godwit::test {
namespace {

const char* const kCommon = R"sql(
CREATE DATABASE fidelity CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
USE fidelity;
SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES';
CREATE TABLE numbers (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, t TINYINT, tu TINYINT UNSIGNED, s SMALLINT, su SMALLINT UNSIGNED, m MEDIUMINT,
  mu MEDIUMINT UNSIGNED, i INT, iu INT UNSIGNED, b BIGINT, bu BIGINT UNSIGNED, d DECIMAL(65,30), d2 DECIMAL(10,2),
  f FLOAT, fd DOUBLE, b1 BIT(1), b9 BIT(9), b64 BIT(64), y YEAR);
INSERT INTO numbers VALUES
 (0,-128,0,-32768,0,-8388608,0,-2147483648,0,-9223372036854775808,0,-99999999999999999999999999999999999.999999999999999999999999999999,-0.01,-3.4028234e38,-1.7976931348623157e308,b'0',b'0',0,1901),
 (1,127,255,32767,65535,8388607,16777215,2147483647,4294967295,9223372036854775807,18446744073709551615,99999999999999999999999999999999999.999999999999999999999999999999,99999999.99,3.4028234e38,1.7976931348623157e308,b'1',b'111111111',18446744073709551615,2155),
 (2,0,1,0,1,0,1,0,1,0,9223372036854775808,0.000000000000000000000000000001,0,1.1754944e-38,2.2250738585072014e-308,b'1',b'100000001',9223372036854775808,0),
 (3,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),
 (4,1,1,1,1,1,1,1,1,1,1,1.5,1.5,1.5,0.1,b'0',b'1',1,2000),
 (5,1,1,1,1,1,1,1,1,1,1,1.5,1.5,1.234567,1.2345678901234567,b'0',b'1',1,1970),
 (6,1,1,1,1,1,1,1,1,1,1,1.5,1.5,1.4e-45,4.9e-324,b'0',b'1',92,1999),
 (7,1,1,1,1,1,1,1,1,1,1,1.5,1.5,16777217,9007199254740993,b'0',b'1',39,1999),
 (8,1,1,1,1,1,1,1,1,1,1,1.5,1.5,-1e-30*1e-30*1e-30,-1e-200*1e-200,b'0',b'1',9,1999);
CREATE TABLE temporals (
  id INT PRIMARY KEY, d DATE, dt DATETIME, dt6 DATETIME(6), ts TIMESTAMP NULL, ts6 TIMESTAMP(6) NULL, t TIME, t3 TIME(3), t6 TIME(6));
INSERT INTO temporals VALUES
 (1,'0000-00-00','0000-00-00 00:00:00','0000-00-00 00:00:00.000000','1970-01-01 00:00:01','1970-01-01 00:00:01.000001','-838:59:59','-838:59:59.000','-838:59:59.000000'),
 (2,'9999-12-31','9999-12-31 23:59:59','9999-12-31 23:59:59.999999','2038-01-19 03:14:07','2038-01-19 03:14:07.999999','838:59:59','838:59:59.000','838:59:58.999999'),
 (3,'2021-02-31','2021-02-31 01:02:03','2021-02-31 01:02:03.000004','2021-03-28 01:30:00','2021-03-28 02:30:00.5','-00:00:01','-00:00:00.001','-00:00:00.000001'),
 (4,'2020-00-01','2020-01-00 00:00:00','2020-00-00 00:00:00.5','2021-10-31 00:30:00','2021-10-31 01:30:00.5','00:00:00','00:00:00.000','-12:34:56.789012'),
 (5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),
 (6,'1000-01-01','1000-01-01 00:00:00','1000-01-01 00:00:00.000001','2000-01-01 00:00:00','2000-01-01 00:00:00.1','12:00:00','12:00:00.5','12:00:00.000010');
CREATE TABLE texts (
  id INT PRIMARY KEY, c CHAR(10), v VARCHAR(200), l1 VARCHAR(200) CHARACTER SET latin1, u3 VARCHAR(50) CHARACTER SET utf8mb3,
  u16 VARCHAR(50) CHARACTER SET utf16, u32 VARCHAR(50) CHARACTER SET utf32, uc VARCHAR(50) CHARACTER SET ucs2,
  sj VARCHAR(50) CHARACTER SET sjis, w VARCHAR(50) CHARACTER SET cp1251, a VARCHAR(50) CHARACTER SET ascii,
  b BINARY(8), vb VARBINARY(50), tt TINYTEXT, t TEXT, mt MEDIUMTEXT CHARACTER SET latin1, lt LONGTEXT, tb TINYBLOB, bl BLOB, mb MEDIUMBLOB, lb LONGBLOB);
INSERT INTO texts VALUES
 (1,'','','','','','','','','','',X'',X'','','','','',X'',X'',X'',X''),
 (2,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),
 (3,'a b','trailing  ',_latin1 X'C3A9C383C2A9FF8080','grüße','日本😀','日本😀','日本','日本ｱ','привет','~',X'0102030000000000',X'00FF0A0D5C27','\\N','\\N',_latin1 X'809C','line\nbreak\ttab\\slash',X'00',X'5C4E',X'5C',X'0A'),
 (4,'ä','NUL\0 quote'' "" ` \\ \r\n \Z',_latin1 X'E9','''','\n','\t','\\',_sjis X'955C','\\','\\',X'2020202020202020',X'2020',' ',' ',' ',' ',X'20',X'0020',X'00000000',X'1A'),
 (5,'😀','NULL','NULL','NULL','NULL','NULL','NULL','NULL','NULL','NULL',X'FFFFFFFFFFFFFFFF','NULL','NULL','NULL','NULL','NULL','NULL','NULL','NULL','NULL');
INSERT INTO texts (id, lt, lb) VALUES (6, REPEAT('x😀\t', 100000), REPEAT(X'00010A5C09', 400000));
CREATE TABLE members (id INT PRIMARY KEY, e ENUM('a','b','','c,d','e''f','0','1'), s SET('a','b','c d'), l ENUM('ä','ö') CHARACTER SET latin1,
  big SET('m1','m2','m3','m4','m5','m6','m7','m8','m9','m10','m11','m12','m13','m14','m15','m16','m17','m18','m19','m20','m21','m22','m23','m24','m25','m26','m27','m28','m29','m30','m31','m32','m33','m34','m35','m36','m37','m38','m39','m40','m41','m42','m43','m44','m45','m46','m47','m48','m49','m50','m51','m52','m53','m54','m55','m56','m57','m58','m59','m60','m61','m62','m63','m64'));
INSERT INTO members VALUES (1,'a','a','ä','m64'),(2,'','','ö',''),(3,'c,d','a,b,c d','ä','m1,m64'),(4,'e''f','c d',NULL,18446744073709551615),(5,NULL,NULL,NULL,NULL),(6,'0','a','ä','m1'),(7,'1','a','ä','m33');
INSERT IGNORE INTO members VALUES (8,0,'a','ä','m2'),(9,'nonsense','a','ä','m2');
CREATE TABLE shapes (id INT PRIMARY KEY, g GEOMETRY, p POINT, l LINESTRING, y POLYGON, mp MULTIPOINT, ml MULTILINESTRING, my MULTIPOLYGON, gc GEOMETRYCOLLECTION);
INSERT INTO shapes VALUES
 (1,ST_GeomFromText('POINT(1 2)'),ST_GeomFromText('POINT(-0.1 1e10)'),ST_GeomFromText('LINESTRING(0 0,1 1,2 0)'),ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'),ST_GeomFromText('MULTIPOINT(0 0,1 1)'),ST_GeomFromText('MULTILINESTRING((0 0,1 1),(2 2,3 3))'),ST_GeomFromText('MULTIPOLYGON(((0 0,1 0,1 1,0 0)))'),ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))')),
 (2,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),
 (3,ST_GeomFromText('LINESTRING(0 0,1 1)'),ST_GeomFromText('POINT(10 20)',4326),ST_GeomFromText('LINESTRING(1 2,3 4)',4326),NULL,NULL,NULL,NULL,NULL);
CREATE TABLE generated_columns (id INT PRIMARY KEY, a INT, v INT GENERATED ALWAYS AS (a * 2) VIRTUAL, s VARCHAR(20) GENERATED ALWAYS AS (CONCAT('x', a)) STORED, z INT, KEY by_s (s));
INSERT INTO generated_columns (id, a, z) VALUES (1, 5, 1), (2, NULL, 2), (3, -7, 3);
CREATE TABLE invisible_columns (id INT PRIMARY KEY, seen INT, hidden VARCHAR(10) DEFAULT 'd' INVISIBLE);
INSERT INTO invisible_columns (id, seen, hidden) VALUES (1, 1, 'one'), (2, 2, 'two');
CREATE TABLE `sel``ect-from x.y` (`order` INT PRIMARY KEY, `a``b` INT COMMENT 'it''s a "comment"; -- /* x */', `naïve 日` INT, KEY `ke``y` (`a``b`)) COMMENT='it''s\nlines';
INSERT INTO `sel``ect-from x.y` VALUES (1, 2, 3);
CREATE TABLE aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg (aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg INT PRIMARY KEY);
INSERT INTO aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg VALUES (-1), (0), (1);
CREATE TABLE key_composite (tenant INT, name VARCHAR(20) COLLATE utf8mb4_unicode_ci, n DECIMAL(8,3), v INT, PRIMARY KEY (tenant, name, n));
CREATE TABLE key_text (k VARCHAR(30) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT);
CREATE TABLE key_enum (e ENUM('z','y','x'), n INT, PRIMARY KEY (e, n));
CREATE TABLE key_signed (k BIGINT PRIMARY KEY, v INT);
CREATE TABLE key_unsigned (k BIGINT UNSIGNED PRIMARY KEY, v INT);
CREATE TABLE key_binary (k BINARY(16) PRIMARY KEY, v INT);
CREATE TABLE key_moment (k DATETIME(6) PRIMARY KEY, v INT);
CREATE TABLE key_unique_only (a INT NULL, k VARCHAR(10) CHARACTER SET latin1 NOT NULL, UNIQUE KEY a (a), UNIQUE KEY k (k));
CREATE TABLE key_none (a INT, b VARCHAR(10));
CREATE TABLE key_wide (tenant INT NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (tenant, n));
CREATE TABLE seeds (i INT PRIMARY KEY);
INSERT INTO seeds VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);
INSERT INTO key_signed SELECT (a.i*100+b.i*10+c.i-500)*1000003, 1 FROM seeds a, seeds b, seeds c;
INSERT INTO key_signed VALUES (-9223372036854775808, 2), (9223372036854775807, 2);
INSERT INTO key_unsigned SELECT 18446744073709551615-(a.i*100+b.i*10+c.i)*(a.i*100+b.i*10+c.i)*1000, 1 FROM seeds a, seeds b, seeds c;
INSERT INTO key_unsigned VALUES (0, 2);
INSERT INTO key_text SELECT CONCAT(CHAR(65+a.i USING utf8mb4), CHAR(97+b.i USING utf8mb4), 'é', c.i), 1 FROM seeds a, seeds b, seeds c;
INSERT INTO key_composite SELECT IF(a.i < 9, 1, 2), CONCAT('N', b.i, CHAR(97+a.i USING utf8mb4)), c.i + 0.125, 1 FROM seeds a, seeds b, seeds c;
INSERT INTO key_enum SELECT 1 + a.i % 3, a.i*100+b.i*10+c.i FROM seeds a, seeds b, seeds c;
INSERT INTO key_binary SELECT UNHEX(MD5_OR_SHA(a.i*100+b.i*10+c.i)), 1 FROM seeds a, seeds b, seeds c;
INSERT INTO key_moment SELECT '2020-01-01 00:00:00.000001' + INTERVAL (a.i*100+b.i*10+c.i) SECOND, 1 FROM seeds a, seeds b, seeds c;
INSERT INTO key_unique_only SELECT NULL, CONCAT('k', a.i*100+b.i*10+c.i) FROM seeds a, seeds b, seeds c;
INSERT INTO key_none SELECT a.i, NULL FROM seeds a, seeds b;
INSERT INTO key_wide SELECT 1, (a.i*100+b.i*10+c.i)*7919 FROM seeds a, seeds b, seeds c;
CREATE TABLE parents (id INT PRIMARY KEY, parent INT, CONSTRAINT own FOREIGN KEY (parent) REFERENCES parents (id));
INSERT INTO parents VALUES (1, NULL), (2, 1);
CREATE TABLE children (id INT PRIMARY KEY, parent INT, u INT, UNIQUE KEY u (u), KEY parent (parent), CONSTRAINT up FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE ON UPDATE SET NULL, CONSTRAINT positive CHECK (id > 0));
INSERT INTO children VALUES (1, 1, 1), (2, 2, 2);
CREATE TABLE parts (id INT NOT NULL, v VARCHAR(10), PRIMARY KEY (id)) PARTITION BY RANGE (id) (PARTITION low VALUES LESS THAN (10), PARTITION high VALUES LESS THAN MAXVALUE);
INSERT INTO parts VALUES (1, 'a'), (10, 'b'), (100, 'c');
CREATE TABLE nothing (id INT PRIMARY KEY);
CREATE VIEW upon AS SELECT id FROM parents;
CREATE VIEW above AS SELECT id FROM upon;
CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN x * 2;
CREATE TRIGGER keep BEFORE INSERT ON nothing FOR EACH ROW SET NEW.id = NEW.id;
)sql";

const char* const kMysql = R"sql(
CREATE TABLE documents (id INT PRIMARY KEY, j JSON);
INSERT INTO documents VALUES (1,'{"a": 1.0, "b": [1, 2.5, null, true, "x\\"y"], "ü": "😀"}'),(2,'null'),(3,NULL),(4,'[]'),(5,'1e100'),(6,'-0.0'),(7,'18446744073709551615'),(8,'"\\u0000"');
CREATE TABLE vectors (id INT PRIMARY KEY, v VECTOR(3));
INSERT INTO vectors VALUES (1, TO_VECTOR('[1,2.5,-3e10]')), (2, NULL);
CREATE TABLE modern (id INT PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_0900_as_cs DEFAULT (UPPER('x')), n INT CHECK (n > 0) NOT ENFORCED, KEY d (n DESC), KEY i (a) INVISIBLE);
INSERT INTO modern VALUES (1, 'a ', -1), (2, 'A', 1);
SET SESSION sql_generate_invisible_primary_key = ON;
CREATE TABLE hidden_key (a INT);
INSERT INTO hidden_key VALUES (1), (1), (2);
SET SESSION sql_generate_invisible_primary_key = OFF;
CREATE TABLE functional (id INT PRIMARY KEY, a INT, KEY f ((a * 2)));
INSERT INTO functional VALUES (1, 2);
)sql";

const char* const kMariadb = R"sql(
CREATE TABLE documents (id INT PRIMARY KEY, j JSON);
INSERT INTO documents VALUES (1,'{"a":   1.0, "b":[1,2.50,null]}'),(2,'null'),(3,NULL),(4,'[]');
CREATE TABLE addresses (id INT PRIMARY KEY, six INET6);
INSERT INTO addresses VALUES (1,'2001:db8::1'),(2,'::ffff:1.2.3.4'),(3,NULL);
CREATE TABLE packed (id INT PRIMARY KEY, c VARCHAR(500) COMPRESSED, t TEXT DEFAULT 'text', u CHAR(36) DEFAULT UUID());
INSERT INTO packed VALUES (1, REPEAT('x', 400), 'y', 'z');
)sql";

const char* const kMariadbUuid = R"sql(
CREATE TABLE uuids (k UUID PRIMARY KEY, v INT);
INSERT INTO uuids VALUES ('123e4567-e89b-12d3-a456-426655440000', 1), ('00000000-0000-0000-0000-000000000000', 2), ('ffffffff-ffff-ffff-ffff-ffffffffffff', 3);
CREATE TABLE fours (id INT PRIMARY KEY, a INET4);
INSERT INTO fours VALUES (1, '1.2.3.4'), (2, NULL);
)sql";

const char* const kMariadbVector = R"sql(
CREATE TABLE vectors (id INT PRIMARY KEY, v VECTOR(3));
INSERT INTO vectors VALUES (1, VEC_FromText('[1,2.5,-3e10]')), (2, NULL);
)sql";

}  // namespace

void load_fidelity(Client& client, const std::string& flavour) {
  const bool is_mysql = flavour == "mysql-9.7";
  std::string common = kCommon;
  const std::string marker = "UNHEX(MD5_OR_SHA(";
  common.replace(common.find(marker), marker.size(), is_mysql ? "UNHEX(LEFT(SHA2(" : "UNHEX(MD5(");
  if (is_mysql) {
    const std::string argument = "a.i*100+b.i*10+c.i)), 1 FROM seeds a, seeds b, seeds c;\nINSERT INTO key_moment";
    common.replace(common.find(argument), argument.size(), "a.i*100+b.i*10+c.i, 256), 32)), 1 FROM seeds a, seeds b, seeds c;\nINSERT INTO key_moment");
  }
  client.script(common);
  client.script(is_mysql ? kMysql : kMariadb);
  if (flavour == "mariadb-10.11" || flavour == "mariadb-11.8") client.script(kMariadbUuid);
  if (flavour == "mariadb-11.8") client.script(kMariadbVector);
}

void drop_what_the_other_flavour_lacks(Client& client, const std::string& flavour) {
  if (flavour == "mysql-9.7") client.execute("DROP TABLE fidelity.vectors");  // MariaDB has them from 11.7 on
}

}  // namespace godwit::test
