// `godwit proxy` between two servers of one flavour whose tables tell which of them was asked: what the tests of single sessions that are moved begin with.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "asked.h"
#include "proxy.h"

namespace godwit::test {

struct MovedStage {
  static constexpr const char* kSchema = "moved";
  static constexpr const char* kSide = "SELECT name FROM side";
  Server from;
  Server to;
  Proxy proxy;

  MovedStage(const std::string& first, const std::string& second, const std::vector<std::string>& more = {});
  // Without a password the login is the same on both flavours.
  RawClient::Options raw() const;
  AppClient::Options login() const;
  // What PAUSE says; a hold is ended at once.
  std::string refusal(const std::string& pause = "PAUSE DRAIN 0.1");
};

// A section for each flavour, between servers a and b, c and d.
void on_each_flavour(const std::function<void(MovedStage&)>& test);

}  // namespace godwit::test
