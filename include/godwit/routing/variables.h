// Values of system variables by name, once read. There are some hundred, and most sessions have the same: copies share them, and so do, by the pool, those that were
// read of different sessions. Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace godwit::routing {

class Variables {
 public:
  using Map = std::map<std::string, std::string>;
  Variables() : Variables(Map()) {}
  Variables(Map map) : map_(std::make_shared<const Map>(std::move(map))) {}
  Variables(std::initializer_list<Map::value_type> values) : Variables(Map(values)) {}

  Map::const_iterator begin() const { return map_->begin(); }
  Map::const_iterator end() const { return map_->end(); }
  Map::const_iterator find(const std::string& name) const { return map_->find(name); }
  const std::string& at(const std::string& name) const { return map_->at(name); }
  bool is_empty() const { return map_->empty(); }
  Variables without(std::initializer_list<const char*> names) const {
    Map map = *map_;
    for (const char* name : names) map.erase(name);
    return map;
  }

  bool shares_with(const Variables& other) const { return map_ == other.map_; }
  bool operator==(const Variables& other) const { return shares_with(other) || *map_ == *other.map_; }

 private:
  std::shared_ptr<const Map> map_;
};

class VariablesPool {
 public:
  // The same values, shared with all others that were given the same.
  Variables shared(Variables variables);

 private:
  static constexpr std::size_t kKeptMax = 256;
  std::mutex mutex_;
  std::unordered_multimap<std::size_t, Variables> kept_;
};

}  // namespace godwit::routing
