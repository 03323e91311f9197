#include "app_client.h"

#include <stdexcept>

namespace godwit::test {

std::string to_string(const std::vector<Cells>& rows) {
  std::string text;
  for (const auto& row : rows) {
    if (!text.empty()) text += " / ";
    for (std::size_t i = 0; i < row.size(); ++i) text += (i == 0 ? "" : ", ") + row[i].value_or("NULL");
  }
  return text;
}

AppClient::AppClient(const Options& options) : handle_(mysql_init(nullptr)) {
  MYSQL* handle = handle_.get();
  mysql_options(handle, MYSQL_SET_CHARSET_NAME, options.charset.c_str());
  const unsigned seconds = options.seconds_max;
  mysql_options(handle, MYSQL_OPT_READ_TIMEOUT, &seconds);
  const unsigned local_files = 1;
  mysql_options(handle, MYSQL_OPT_LOCAL_INFILE, &local_files);
  if (!options.compression.empty()) mysql_options(handle, MYSQL_OPT_COMPRESS, nullptr);
  for (const auto& [name, value] : options.attributes) mysql_options4(handle, MYSQL_OPT_CONNECT_ATTR_ADD, name.c_str(), value.c_str());
  if (!options.from.empty()) mysql_options(handle, MYSQL_OPT_BIND, options.from.c_str());
  if (options.has_tls) {
    const my_bool enforce = 1;
    const my_bool verify = 0;
    mysql_ssl_set(handle, options.key.empty() ? nullptr : options.key.c_str(), options.cert.empty() ? nullptr : options.cert.c_str(), nullptr, nullptr, nullptr);
    mysql_options(handle, MYSQL_OPT_SSL_ENFORCE, &enforce);
    mysql_options(handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
  }
  const unsigned long flags = options.takes_several_statements ? CLIENT_MULTI_STATEMENTS : 0;
  const char* schema = options.schema.empty() ? nullptr : options.schema.c_str();
  if (mysql_real_connect(handle, "127.0.0.1", options.user.c_str(), options.password.c_str(), schema, static_cast<unsigned>(options.port), nullptr, flags) == nullptr) {
    throw std::runtime_error(std::to_string(mysql_errno(handle)) + " " + mysql_error(handle));
  }
}

AppAnswer AppClient::ask(const std::string& sql) {
  MYSQL* handle = handle_.get();
  AppAnswer answer;
  const auto failed = [&] {
    answer.error = mysql_errno(handle);
    answer.message = mysql_error(handle);
    return answer;
  };
  if (mysql_real_query(handle, sql.data(), sql.size()) != 0) return failed();
  while (true) {
    MYSQL_RES* result = mysql_store_result(handle);
    if (result == nullptr && mysql_field_count(handle) != 0) return failed();
    answer.affected_rows = mysql_affected_rows(handle);
    answer.insert_id = mysql_insert_id(handle);
    answer.warnings = mysql_warning_count(handle);
    if (result != nullptr) {
      const unsigned count = mysql_num_fields(result);
      while (MYSQL_ROW row = mysql_fetch_row(result)) {
        const unsigned long* lengths = mysql_fetch_lengths(result);
        Cells cells(count);
        for (unsigned i = 0; i < count; ++i) {
          if (row[i] != nullptr) cells[i] = std::string(row[i], lengths[i]);
        }
        answer.rows.push_back(std::move(cells));
      }
      mysql_free_result(result);
    }
    const int next = mysql_next_result(handle);
    if (next > 0) return failed();
    if (next < 0) return answer;
  }
}

std::vector<Cells> AppClient::rows(const std::string& sql) {
  auto answer = ask(sql);
  if (!answer.is_ok()) throw std::runtime_error(std::to_string(answer.error) + " " + answer.message + " in: " + sql.substr(0, 300));
  return std::move(answer.rows);
}

std::string AppClient::scalar(const std::string& sql) {
  const auto all = rows(sql);
  return all.empty() || all[0].empty() ? "" : all[0][0].value_or("NULL");
}

void AppClient::run(const std::vector<std::string>& statements) {
  for (const auto& statement : statements) rows(statement);
}

AppStatement::AppStatement(AppClient& client, const std::string& sql) : handle_(mysql_stmt_init(client.handle())) {
  if (mysql_stmt_prepare(handle_.get(), sql.data(), sql.size()) != 0) throw std::runtime_error(std::string(mysql_stmt_error(handle_.get())) + " in: " + sql);
}

std::vector<Cells> AppStatement::execute(const std::vector<std::string>& parameters) {
  MYSQL_STMT* handle = handle_.get();
  const auto fail = [&] { throw std::runtime_error(std::to_string(mysql_stmt_errno(handle)) + " " + mysql_stmt_error(handle)); };
  std::vector<MYSQL_BIND> in(parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    in[i] = {};
    in[i].buffer_type = MYSQL_TYPE_STRING;
    in[i].buffer = const_cast<char*>(parameters[i].data());
    in[i].buffer_length = parameters[i].size();
  }
  if (!in.empty() && mysql_stmt_bind_param(handle, in.data()) != 0) fail();
  if (mysql_stmt_execute(handle) != 0) fail();
  const unsigned count = mysql_stmt_field_count(handle);
  std::vector<Cells> rows;
  if (count == 0) return rows;
  constexpr std::size_t kCellMax = 4096;
  std::vector<std::string> buffers(count, std::string(kCellMax, '\0'));
  std::vector<unsigned long> lengths(count);
  std::vector<my_bool> nulls(count);
  std::vector<MYSQL_BIND> out(count);
  for (unsigned i = 0; i < count; ++i) {
    out[i] = {};
    out[i].buffer_type = MYSQL_TYPE_STRING;
    out[i].buffer = buffers[i].data();
    out[i].buffer_length = kCellMax;
    out[i].length = &lengths[i];
    out[i].is_null = &nulls[i];
  }
  if (mysql_stmt_bind_result(handle, out.data()) != 0 || mysql_stmt_store_result(handle) != 0) fail();
  while (mysql_stmt_fetch(handle) == 0) {
    Cells cells(count);
    for (unsigned i = 0; i < count; ++i) {
      if (nulls[i] == 0) cells[i] = buffers[i].substr(0, std::min<std::size_t>(lengths[i], kCellMax));
    }
    rows.push_back(std::move(cells));
  }
  mysql_stmt_free_result(handle);
  return rows;
}

}  // namespace godwit::test
