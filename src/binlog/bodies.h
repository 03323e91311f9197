// The bodies of events that need nothing but their bytes. Private to binlog.
#pragma once

#include "bytes.h"
#include "godwit/binlog/event.h"

namespace godwit::binlog {

// The format's post-header lengths, as far as decoding depends on them.
struct Format {
  gtid::Flavour flavour = gtid::Flavour::mysql;
  Checksum checksum = Checksum::none;
  std::size_t table_id_bytes = 6;
};

// `body` holds neither header nor checksum, but a format description has both algorithm and checksum at its end.
FormatDescription decode_format_description(std::string_view body, Format& format);
Query decode_query(std::string_view body);
// MariaDB's QUERY_COMPRESSED; `text` holds the statement.
Query decode_query_compressed(std::string_view body, std::string& text, std::size_t bytes_max);
LoadData decode_load_data(EventType type, std::string_view body);
Gtid decode_gtid(EventType type, std::string_view body);
GtidMariadb decode_gtid_mariadb(std::string_view body, std::uint32_t server_id);
GtidList decode_gtid_list(std::string_view body);
XaPrepare decode_xa_prepare(std::string_view body);
Heartbeat decode_heartbeat_v2(std::string_view body);
Rotate decode_rotate(std::string_view body);
Intvar decode_intvar(std::string_view body);
Rand decode_rand(std::string_view body);
Incident decode_incident(std::string_view body);
UserVar decode_user_var(std::string_view body);

}  // namespace godwit::binlog
