#include "godwit/metrics/server.h"

#include "refused.h"

using namespace godwit;

namespace {

std::string unheard(const std::string& address) {
  const Error error = refusal([&] { metrics::Server(address, [] { return std::string(); }); });
  CHECK(error.code() == Code::bad_usage);
  CHECK(error.object() == "--metrics " + address);
  CHECK(error.remedy() == "an address of this host and a port that nobody listens at: --metrics 127.0.0.1:9306");
  return error.cause();
}

}  // namespace

TEST_CASE("metrics: an address that is none, or cannot be listened at, is refused", "[metrics]") {
  for (const char* address : {"localhost", ":9306", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:65536"}) CHECK(unheard(address) == "it is no address and port");
  CHECK(unheard("192.0.2.1:0") == "it cannot be listened at: is the port taken, or the address another machine's?");  // of no host: kept for documentation
  CHECK(unheard("192.0.2.1:9306") == "it cannot be listened at: is the port taken, or the address another machine's?");
}

TEST_CASE("metrics: one that ends at once does not wait for ever", "[metrics]") {
  for (int i = 0; i < 20; ++i) metrics::Server("127.0.0.1:0", [] { return std::string(); });
}

TEST_CASE("metrics: a port that another godwit listens at is not shared with it", "[metrics]") {
  const metrics::Server first("127.0.0.1:0", [] { return std::string(); });
  CHECK(unheard(first.address()) == "it cannot be listened at: is the port taken, or the address another machine's?");
}
