#include "rude_scenes.h"

#include <zlib.h>

#include <array>
#include <stdexcept>

namespace godwit::test {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSilence{60};

std::string header(std::size_t length, std::uint8_t sequence) {
  return {static_cast<char>(length & 0xFF), static_cast<char>(length >> 8 & 0xFF), static_cast<char>(length >> 16 & 0xFF), static_cast<char>(sequence)};
}
std::string packet(std::string_view payload, std::uint8_t sequence = 0) { return header(payload.size(), sequence).append(payload); }
std::string query(const std::string& sql) { return packet("\x03" + sql); }

std::string deflated(const std::string& plain) {
  uLongf size = ::compressBound(plain.size());
  std::string out(size, '\0');
  if (::compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(plain.data()), plain.size()) != Z_OK) throw std::runtime_error("zlib");
  out.resize(size);
  return out;
}

std::string frame(std::string_view wire, std::uint8_t number, std::size_t plain_size) {
  const auto plain = header(plain_size, 0).substr(0, 3);
  return header(wire.size(), number).append(plain).append(wire);
}

// Commands that tell of other sessions, or end them, are for those who may.
std::uint8_t some_command(Random& random) {
  const auto command = static_cast<std::uint8_t>(below(random, 0x22));
  const bool tells_of_others = command == 0x0A || command == 0x0C || command == 0x08;
  return below(random, 20) == 0 ? static_cast<std::uint8_t>(0xFA) : tells_of_others ? std::uint8_t{0x17} : command;
}

std::string some_request(Random& random, const std::string& marker) {
  switch (below(random, 8)) {
    case 0:
      return query("SELECT '" + marker + "'");
    case 1:
      return packet("\x16SELECT ?, '" + marker + "'");
    case 2:
      return packet("\x17" + random_bytes(random, below(random, 60)));
    case 3:  // an execution of the statement prepared last, or of the first
      return packet(std::string("\x17") + (below(random, 2) == 0 ? std::string(4, '\xFF') : std::string("\1\0\0\0", 4)) + std::string("\0\1\0\0\0\0\1\xFD\0", 9) + '\x10' + marker.substr(0, 16));
    case 4:
      return packet(static_cast<char>(some_command(random)) + random_bytes(random, below(random, 200)));
    case 5:
      return packet(std::string(1, static_cast<char>(some_command(random))));
    case 6:
      return query(random_bytes(random, below(random, 300)));
    default:
      return packet(std::string("\x18\1\0\0\0\0\0", 7) + marker);
  }
}

bool is_in(RudeClient& client, std::uint64_t capabilities = 0) { return client.log_in("rude", capabilities); }

// The server asks for the file that the statement names.
bool asks_for_file(RudeClient& client) {
  if (!is_in(client)) return false;
  client.send(query("LOAD DATA LOCAL INFILE '/x' INTO TABLE test.rude"));
  const auto answer = client.packet();
  return answer && !answer->empty() && answer->front() == '\xFB';
}

const std::string kUnknownMethod = std::string("no_such_method");

std::string change_user(const std::string& user) { return std::string("\x11") + user + '\0' + '\0' + "test" + '\0' + std::string("\x2D\0", 2) + kUnknownMethod + '\0'; }

void add_login_scenes(std::vector<Scene>& scenes) {
  scenes.push_back({"leaves at once", [](RudeClient&, Random&, const std::string&) {}});
  scenes.push_back({"noise before the greeting", [](RudeClient& c, Random& r, const std::string&) {
                      c.send(random_bytes(r, 1 + below(r, 3000)));
                      c.listen(kSilence);
                    }});
  scenes.push_back({"hears the greeting and leaves", [](RudeClient& c, Random&, const std::string&) { c.packet(); }});
  scenes.push_back({"noise for a login", [](RudeClient& c, Random& r, const std::string&) {
                      c.packet();
                      c.send(packet(random_bytes(r, below(r, 400)), static_cast<std::uint8_t>(r())));
                      c.listen(kSilence);
                    }});
  scenes.push_back({"a login cut short", [](RudeClient& c, Random& r, const std::string& marker) {
                      c.packet();
                      const auto login = packet(c.login_payload("rude" + marker, 0, "mysql_native_password"), 1);
                      c.send(login.substr(0, below(r, login.size())));
                      c.listen(kSilence);
                    }});
  scenes.push_back({"a login of 16 MiB", [](RudeClient& c, Random& r, const std::string&) {
                      c.packet();
                      c.send(header(0xFFFFFF, 1) + random_bytes(r, 100'000));
                      c.listen(kSilence);
                    }});
  scenes.push_back({"a login with its bytes changed", [](RudeClient& c, Random& r, const std::string&) {
                      c.packet();
                      auto login = packet(c.login_payload("rude", r() & 0xFFFFFFDF, "mysql_native_password"), 1);
                      for (int i = 0; i < 3; ++i) login[4 + below(r, login.size() - 4)] = static_cast<char>(r());
                      c.send(login);
                      c.listen(kSilence);
                    }});
  scenes.push_back({"requests without waiting for the login's answer", [](RudeClient& c, Random& r, const std::string& marker) {
                      c.packet();
                      std::string bytes = packet(c.login_payload("rude", 0, "mysql_native_password"), 1);
                      for (int i = 0; i < 20; ++i) bytes += some_request(r, marker);
                      c.send(bytes);
                      c.listen(kSilence);
                    }});
  scenes.push_back({"noise for TLS", [](RudeClient& c, Random& r, const std::string&) {
                      c.packet();
                      c.send(packet(c.login_payload("rude", kTls, "mysql_native_password").substr(0, 32), 1));
                      c.send(below(r, 2) == 0 ? random_bytes(r, 500) : std::string("\x16\x03\x01\x02\0\x01\0\x01\xFC\x03\x03", 11) + random_bytes(r, below(r, 520)));
                      c.listen(kSilence);
                    }});
  scenes.push_back({"a login in the clear where TLS was asked for", [](RudeClient& c, Random&, const std::string&) {
                      c.packet();
                      const auto login = c.login_payload("rude", kTls, "mysql_native_password");
                      c.send(packet(login.substr(0, 32), 1) + packet(login, 2));
                      c.listen(kSilence);
                    }});
  for (const char* method : {"no_such_method", "caching_sha2_password", "mysql_clear_password", "client_ed25519", "dialog", ""}) {
    scenes.push_back({"noise where the method is negotiated", [method](RudeClient& c, Random& r, const std::string&) {
                        c.packet();
                        c.send_packet(c.login_payload(below(r, 2) == 0 ? "rude" : "godwit", 0, method), 1);
                        const auto asked = c.packet(milliseconds(500));
                        if (!asked) return;
                        const auto reply = below(r, 3) == 0 ? header(0xFFFFFF, 3) + random_bytes(r, 70'000) : packet(random_bytes(r, below(r, 80)), static_cast<std::uint8_t>(r()));
                        c.send(reply.substr(0, below(r, 2) == 0 ? reply.size() : below(r, reply.size())));
                        c.listen(kSilence);
                      }});
  }
}

void add_command_scenes(std::vector<Scene>& scenes) {
  scenes.push_back({"any requests, one behind another", [](RudeClient& c, Random& r, const std::string& marker) {
                      if (!is_in(c)) return;
                      std::string bytes;
                      for (std::size_t i = 0; i < 1 + below(r, 40); ++i) bytes += some_request(r, marker);
                      c.send(bytes);
                      c.listen(kSilence);
                    }});
  scenes.push_back({"a request cut short", [](RudeClient& c, Random& r, const std::string& marker) {
                      if (!is_in(c)) return;
                      const auto bytes = some_request(r, marker) + some_request(r, marker);
                      c.send(bytes.substr(0, below(r, bytes.size())));
                      c.listen(kSilence);
                    }});
  scenes.push_back({"packets out of order, and empty ones", [](RudeClient& c, Random& r, const std::string& marker) {
                      if (!is_in(c)) return;
                      c.send(query("SELECT '" + marker + "'") + packet(below(r, 2) == 0 ? "" : "\x0E", static_cast<std::uint8_t>(below(r, 3))) + query("SELECT 2"));
                      c.listen(kSilence);
                    }});
  scenes.push_back({"noise for a request", [](RudeClient& c, Random& r, const std::string&) {
                      if (!is_in(c)) return;
                      c.send(random_bytes(r, 1 + below(r, 5000)));
                      c.listen(kSilence);
                    }});
  scenes.push_back({"a header of 16 MiB, and little behind it", [](RudeClient& c, Random& r, const std::string& marker) {
                      if (!is_in(c)) return;
                      c.send(header(0xFFFFFF - below(r, 2), 0) + static_cast<char>(some_command(r)) + marker + random_bytes(r, below(r, 200'000)));
                      c.listen(kSilence);
                    }});
  scenes.push_back({"a request over 16 MiB whose frames are out of order", [](RudeClient& c, Random& r, const std::string& marker) {
                      if (!is_in(c)) return;
                      c.send(header(0xFFFFFF, 0) + "\x03SELECT '" + marker + std::string(0xFFFFFF - 9 - marker.size(), 'x') + header(3, static_cast<std::uint8_t>(r())) + "x'");
                      c.listen(kSilence);
                    }});
  scenes.push_back({"leaves in the middle of a large result", [](RudeClient& c, Random& r, const std::string& marker) {
                      if (!is_in(c)) return;
                      c.query("SELECT REPEAT('" + marker + "', 2000) FROM test.seq_1_to_2000");
                      for (std::size_t i = 0; i < 1 + below(r, 20); ++i) c.packet(milliseconds(500));
                      if (below(r, 2) == 0) c.send(random_bytes(r, 100));
                    }});
  scenes.push_back({"a statement and executions that do not fit it", [](RudeClient& c, Random& r, const std::string& marker) {
                      if (!is_in(c)) return;
                      c.send(packet("\x16SELECT ?, ?, '" + marker + "'"));
                      c.listen(kSilence);
                      for (int i = 0; i < 4; ++i) c.send(packet(std::string("\x17\1\0\0\0\5\1\0\0\0", 10) + random_bytes(r, below(r, 40))) + packet(std::string("\x1C\1\0\0\0", 5) + random_bytes(r, below(r, 6))));
                      c.send(packet(std::string("\xFA\1\0\0\0", 5) + random_bytes(r, below(r, 40))));
                      c.listen(kSilence);
                    }});
}

void add_conversation_scenes(std::vector<Scene>& scenes) {
  scenes.push_back({"noise for a local file", [](RudeClient& c, Random& r, const std::string&) {
                      if (!asks_for_file(c)) return;
                      c.send(random_bytes(r, below(r, 3000)));
                      c.listen(kSilence);
                    }});
  scenes.push_back({"a local file, a request in its middle, and its end", [](RudeClient& c, Random& r, const std::string& marker) {
                      if (!asks_for_file(c)) return;
                      c.send(packet(marker, 2) + query("SELECT '" + marker + "'") + packet("", static_cast<std::uint8_t>(r())) + query("SELECT 1"));
                      c.listen(kSilence);
                    }});
  scenes.push_back({"leaves in a local file", [](RudeClient& c, Random& r, const std::string& marker) {
                      if (!asks_for_file(c)) return;
                      c.send(packet(marker + random_bytes(r, below(r, 200'000)), 2));
                    }});
  scenes.push_back({"requests before it is asked for its file", [](RudeClient& c, Random& r, const std::string& marker) {
                      if (!is_in(c)) return;
                      c.send(query("LOAD DATA LOCAL INFILE '/x' INTO TABLE test.rude") + some_request(r, marker) + query("SELECT 1").substr(0, below(r, 12)));
                      c.listen(kSilence);
                      c.send(packet("", 2));
                      c.listen(kSilence);
                    }});
  scenes.push_back({"noise in a change of user", [](RudeClient& c, Random& r, const std::string& marker) {
                      if (!is_in(c)) return;
                      c.send(packet(change_user(below(r, 2) == 0 ? "rude" : "godwit")));
                      c.packet(milliseconds(500));
                      const auto reply = packet(random_bytes(r, below(r, 60)), 3) + query("SELECT '" + marker + "'");
                      c.send(reply.substr(0, below(r, reply.size())));
                      c.listen(kSilence);
                    }});
  scenes.push_back({"a change of user that is none, among requests", [](RudeClient& c, Random& r, const std::string& marker) {
                      if (!is_in(c)) return;
                      c.send(query("SELECT '" + marker + "'") + packet(change_user("rude").substr(0, below(r, 40))) + some_request(r, marker));
                      c.listen(kSilence);
                    }});
  scenes.push_back({"resets, options and kills", [](RudeClient& c, Random& r, const std::string& marker) {
                      if (!is_in(c)) return;
                      for (int i = 0; i < 6; ++i) {
                        c.send(packet("\x1F") + packet("\x1B" + random_bytes(r, below(r, 4))) + query("KILL QUERY " + std::to_string(r())) + some_request(r, marker));
                      }
                      c.listen(kSilence);
                    }});
  scenes.push_back({"noise for compressed frames", [](RudeClient& c, Random& r, const std::string&) {
                      if (!is_in(c, kCompress)) return;
                      c.send(below(r, 2) == 0 ? random_bytes(r, 2000) : frame(random_bytes(r, 100), 0, 1 + below(r, 70'000)));
                      c.listen(kSilence);
                    }});
  scenes.push_back({"frames that are not as long as they say", [](RudeClient& c, Random& r, const std::string& marker) {
                      if (!is_in(c, kCompress)) return;
                      const auto plain = query("SELECT '" + marker + "', REPEAT('" + marker + "', 90)");
                      const auto wire = deflated(plain);
                      c.send(frame(wire, 0, plain.size()) + frame(wire, 0, plain.size() + below(r, 3) - 1) + frame(plain, 1, 0));
                      c.listen(kSilence);
                    }});
  scenes.push_back({"requests in frames of a byte", [](RudeClient& c, Random& r, const std::string& marker) {
                      if (!is_in(c, kCompress)) return;
                      std::string bytes;
                      for (const char byte : some_request(r, marker) + some_request(r, marker)) bytes += frame(std::string(1, byte), static_cast<std::uint8_t>(r()), 0);
                      c.send(bytes.substr(0, bytes.size() - below(r, 8)));
                      c.listen(kSilence);
                    }});
  scenes.push_back({"a small bomb", [](RudeClient& c, Random&, const std::string&) {
                      if (!is_in(c, kCompress)) return;
                      c.send(bomb(1));
                      c.listen(kSilence);
                    }});
}

}  // namespace

std::string marker_of(Random& random) {
  std::string marker = kMarker;
  for (int i = 0; i < 16; ++i) marker += static_cast<char>('a' + below(random, 26));
  return marker;
}

std::vector<Scene> client_scenes() {
  std::vector<Scene> scenes;
  add_login_scenes(scenes);
  add_command_scenes(scenes);
  add_conversation_scenes(scenes);
  return scenes;
}

std::vector<Scene> server_scenes() {
  std::vector<Scene> scenes;
  const auto add = [&](const char* name, const std::function<void(RudeClient&, Random&, const std::string&)>& play) { scenes.push_back({name, play}); };
  const auto text = [](const std::string& sql, const std::string& marker) { return query(sql + "'" + marker + "'"); };
  add("asks", [=](RudeClient& c, Random&, const std::string& marker) {
    if (!c.log_in("rude")) return;
    for (int i = 0; i < 8 && c.send(text("SELECT ", marker)); ++i) c.listen(kSilence);
  });
  add("asks for much", [=](RudeClient& c, Random&, const std::string& marker) {
    if (!c.log_in("rude")) return;
    c.send(query("SELECT REPEAT('" + marker + "', 500) FROM test.seq_1_to_300; SELECT '" + marker + "'"));
    c.listen(kSilence);
  });
  add("prepares and executes", [=](RudeClient& c, Random&, const std::string& marker) {
    if (!c.log_in("rude")) return;
    c.send(packet("\x16SELECT ?, '" + marker + "'") + packet(std::string("\x17\1\0\0\0\1\1\0\0\0\0\1\xFD\0\1x", 16)) + packet(std::string("\x1C\1\0\0\0\5\0\0\0", 9)));
    c.listen(kSilence);
    c.send(packet(std::string("\x19\1\0\0\0", 5)) + packet("\x09") + packet(std::string("\x04rude\0", 6)));
    c.listen(kSilence);
  });
  add("loads a file", [](RudeClient& c, Random&, const std::string& marker) {
    if (!asks_for_file(c)) return;
    c.send(packet("1\t" + marker + "\n", 2) + packet("", 3) + packet("\x0E"));
    c.listen(kSilence);
  });
  add("becomes another, and is reset", [](RudeClient& c, Random&, const std::string& marker) {
    if (!c.log_in("rude")) return;
    c.send(packet(change_user("rude")));
    c.packet(milliseconds(500));
    c.send(packet("", 3));
    c.packet(milliseconds(500));
    c.send(packet("\x1F") + packet(std::string("\x1B\0\0", 3)) + query("SELECT '" + marker + "'"));
    c.listen(kSilence);
  });
  add("compresses", [](RudeClient& c, Random&, const std::string& marker) {
    if (!c.log_in("rude", kCompress)) return;
    const auto plain = query("SELECT REPEAT('" + marker + "', 500)");
    c.send(frame(plain, 0, 0));
    c.listen(kSilence);
  });
  return scenes;
}

std::vector<Scene> slow_scenes() {
  std::vector<Scene> scenes;
  scenes.push_back({"says nothing", [](RudeClient&, Random&, const std::string&) {}});
  scenes.push_back({"a login, slowly", [](RudeClient& c, Random&, const std::string&) {
                      c.packet();
                      c.send(header(500, 1));
                    }});
  scenes.push_back({"TLS, slowly", [](RudeClient& c, Random&, const std::string&) {
                      c.packet();
                      c.send(packet(c.login_payload("rude", kTls, "").substr(0, 32), 1) + std::string("\x16\x03\x01\x20\0\x01", 6));
                    }});
  scenes.push_back({"a reply to a switch of the method, slowly", [](RudeClient& c, Random&, const std::string&) {
                      c.packet();
                      c.send_packet(c.login_payload("godwit", 0, "no_such_method"), 1);
                      c.packet();
                      c.send(header(500, 3));
                    }});
  scenes.push_back({"a request, slowly", [](RudeClient& c, Random&, const std::string&) {
                      if (is_in(c)) c.send(header(5000, 0) + "\x03SELECT");
                    }});
  scenes.push_back({"a long request, slowly", [](RudeClient& c, Random&, const std::string&) {
                      if (is_in(c)) c.send(header(1 << 20, 0) + "\x03SELECT '" + std::string(20'000, 'x'));
                    }});
  scenes.push_back({"a statement to prepare, slowly", [](RudeClient& c, Random&, const std::string&) {
                      if (is_in(c)) c.send(header(5000, 0) + "\x16SELECT");
                    }});
  scenes.push_back({"a local file, slowly", [](RudeClient& c, Random&, const std::string&) {
                      if (asks_for_file(c)) c.send(header(5000, 2));
                    }});
  scenes.push_back({"a change of user, slowly", [](RudeClient& c, Random&, const std::string&) {
                      if (!is_in(c)) return;
                      c.send(packet(change_user("rude")));
                      c.packet();
                      c.send(header(500, 3));
                    }});
  scenes.push_back({"a compressed frame, slowly", [](RudeClient& c, Random&, const std::string&) {
                      if (is_in(c, kCompress)) c.send(frame(header(5000, 0) + "\x03SELECT", 0, 0) + header(4000, 1) + std::string(3, '\0'));
                    }});
  return scenes;
}

std::string bomb(int frames) {
  const std::string zeros(0xFFFFFF, '\0');
  const std::string first = frame(deflated(header(0xFFFFFF, 0) + "\x03" + zeros.substr(5)), 0, zeros.size());
  std::string more;
  const std::string wire = deflated(header(0xFFFFFF, 1) + zeros.substr(4));
  for (int i = 1; i < frames; ++i) more += frame(wire, static_cast<std::uint8_t>(i), zeros.size());
  return first + more;
}

}  // namespace godwit::test
