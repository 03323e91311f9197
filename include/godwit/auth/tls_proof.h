// How a client of MariaDB 11.4 or later comes to trust a certificate that no authority vouches for: the OK of the login has, as its message, a hash
// that only one who knows the stored form of the password can make, over the fingerprint of the certificate that the client was shown. So a relay
// that ends TLS must make it anew. Pure. Source: run_plugin_auth() in MariaDB Connector/C 3.4, and acl_authenticate() of the server.
#pragma once

#include <string>
#include <string_view>

namespace godwit::auth {

// The message (in the packet a length-encoded string): 1, and SHA-256(stored, salt, fingerprint) in upper case hexadecimal. `stored` is SHA1(SHA1(password)) of mysql_native_password, the
// public key of ed25519 (read in its source, not tried); others have no proof. The salt (20 bytes) is the last that mysql_native_password was asked with, else the
// greeting's; the fingerprint is SHA-256 of the certificate.
std::string tls_proof(std::string_view stored, std::string_view salt, std::string_view fingerprint);

}  // namespace godwit::auth
