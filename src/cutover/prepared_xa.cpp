#include "prepared_xa.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"

namespace godwit::cutover {
namespace {

constexpr std::chrono::milliseconds kLook{100};

std::string literal(const std::string& bytes) {
  const bool is_plain = std::all_of(bytes.begin(), bytes.end(), [](char c) { return std::isprint(static_cast<unsigned char>(c)) != 0; });
  if (is_plain) return sql::quote_string(bytes);
  std::string hex = "X'";
  for (const char c : bytes) hex += fmt::format("{:02X}", static_cast<unsigned char>(c));
  return hex + "'";
}

// A row of XA RECOVER: both parts of the name, one behind the other, and their lengths.
std::string xid_of(const db::Rows& rows, std::size_t i) {
  const std::string data = rows.text(i, "data");
  const std::size_t first = std::min<std::size_t>(rows.u64(i, "gtrid_length"), data.size());
  return fmt::format("{},{},{}", literal(data.substr(0, first)), literal(data.substr(first)), rows.text(i, "formatID"));
}

std::vector<std::string> prepared(db::Connection& server) {
  std::vector<std::string> result;
  try {
    const db::Rows rows = server.query("XA RECOVER");
    for (std::size_t i = 0; i < rows.size(); ++i) result.push_back(xid_of(rows, i));
  } catch (const Error& error) {
    if (error.is_retryable()) throw;
    throw Error(Code::privilege_missing,
                {.object = db::describe(server.endpoint()),
                 .cause = "the account may not see prepared XA transactions, which would stay on this side: " + error.cause(),
                 .remedy = "GRANT XA_RECOVER_ADMIN ON *.* to the account"});
  }
  return result;
}

}  // namespace

std::vector<std::string> forgotten_xa(db::Connection& server, std::chrono::milliseconds patience, const Stop& stop) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  auto left = prepared(server);
  while (!left.empty() && std::chrono::steady_clock::now() < deadline && stop.sleep_for(kLook)) {
    const auto now = prepared(server);
    std::erase_if(left, [&](const std::string& xid) { return std::find(now.begin(), now.end(), xid) == now.end(); });
  }
  return left;
}

}  // namespace godwit::cutover
