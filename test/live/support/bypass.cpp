#include "bypass.h"

#include <algorithm>

#include "switch_ledger.h"

namespace godwit::test {

Bypass::Bypass(const Server& server, int writer) : server_(server), writer_(writer), thread_([this] { run(); }) {}
Bypass::~Bypass() { stop(); }

void Bypass::stop() {
  is_ending_ = true;
  if (thread_.joinable()) thread_.join();
}

void Bypass::run() {
  std::unique_ptr<AppClient> client;
  for (std::uint64_t turn = 1; !is_ending_; ++turn) {
    try {
      if (!client) client = std::make_unique<AppClient>(AppClient::Options{.port = server_.port(), .user = kTeller, .password = kTeller, .schema = kTrade, .has_tls = true});
      write(*client, turn);
    } catch (const std::exception&) {
      client.reset();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

void Bypass::write(AppClient& client, std::uint64_t turn) {
  const auto answer = client.ask("INSERT INTO bypass (writer, turn) VALUES (" + std::to_string(writer_) + ", " + std::to_string(turn) + ")");
  const bool is_lost = answer.error >= 2000 && answer.error < 3000;  // the client library's own: nobody knows
  const std::lock_guard lock(mutex_);
  lines_.push_back({.turn = turn, .fate = answer.is_ok() ? Line::Fate::acknowledged : is_lost ? Line::Fate::unheard : Line::Fate::refused});
  is_refused_ = !answer.is_ok();
  if (!answer.is_ok() && !is_lost && first_refusal_.empty()) first_refusal_ = std::to_string(answer.error) + " " + answer.message;
  if (is_lost) throw std::runtime_error(answer.message);
}

namespace {

std::size_t count(const std::vector<Bypass::Line>& lines, Bypass::Line::Fate fate) {
  return static_cast<std::size_t>(std::count_if(lines.begin(), lines.end(), [&](const auto& line) { return line.fate == fate; }));
}

}  // namespace

std::vector<Bypass::Line> Bypass::lines() const {
  const std::lock_guard lock(mutex_);
  return lines_;
}

std::size_t Bypass::acknowledged() const { return count(lines(), Line::Fate::acknowledged); }
std::size_t Bypass::refused() const { return count(lines(), Line::Fate::refused); }

std::string Bypass::first_refusal() const {
  const std::lock_guard lock(mutex_);
  return first_refusal_;
}

}  // namespace godwit::test
