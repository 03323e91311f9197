// What rude clients do, each scene for itself: how far they keep to the protocol, and what they send then.
#pragma once

#include <functional>
#include <vector>

#include "rude_client.h"

namespace godwit::test {

struct Scene {
  const char* name;
  std::function<void(RudeClient&, Random&, const std::string& marker)> play;
};

inline constexpr std::uint64_t kCompress = 1U << 5;
inline constexpr std::uint64_t kTls = 1U << 11;
inline const std::string kMarker = "mk~";

// A text that no other session has.
std::string marker_of(Random& random);

std::vector<Scene> client_scenes();  // the client is the hostile one, in each state of the protocol
std::vector<Scene> server_scenes();  // it keeps to the protocol, and does a little of everything
std::vector<Scene> slow_scenes();    // begins something that it will not bring to its end

// Compressed frames of 16 MiB of nothing each, for a few KiB on the wire: one large request.
std::string bomb(int frames);

}  // namespace godwit::test
