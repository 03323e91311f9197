#include "godwit/gtid/gtid.h"

#include <fmt/format.h>

#include "grammar.h"

namespace godwit::gtid {

std::string to_string(const Uuid& uuid) {
  std::string text;
  append_uuid(text, uuid);
  return text;
}

Flavour flavour_of(const Gtid& gtid) {
  return std::holds_alternative<MysqlGtid>(gtid) ? Flavour::mysql : Flavour::mariadb;
}

std::string to_string(const Gtid& gtid) {
  if (const auto* maria = std::get_if<MariadbGtid>(&gtid)) {
    return fmt::format("{}-{}-{}", maria->domain, maria->server, maria->sequence);
  }
  const auto& mysql = std::get<MysqlGtid>(gtid);
  std::string text = to_string(mysql.uuid);
  if (!mysql.tag.empty()) text += ":" + mysql.tag;
  return text + fmt::format(":{}", mysql.number);
}

Gtid parse_gtid(Flavour flavour, std::string_view text) {
  Grammar in(flavour, text);
  if (flavour == Flavour::mariadb) {
    const MariadbGtid gtid = in.mariadb_gtid();
    in.expect_end();
    return gtid;
  }
  MysqlGtid gtid{.uuid = in.uuid(), .tag = {}};
  in.expect(':');
  if (in.is_at_tag()) {
    gtid.tag = in.tag();
    in.expect(':');
  }
  gtid.number = in.transaction_number();
  in.expect_end();
  return gtid;
}

}  // namespace godwit::gtid
