// Whom a TLS client trusts that names no authority of its own: those of the system, as OpenSSL finds them.
#pragma once

#include <string>

namespace godwit::layer {

struct Authorities {
  std::string file;       // a bundle in PEM form; "" when there is none
  std::string directory;  // one or more, with ':' between them, of files that are named by hash and read as they are needed
};

// By SSL_CERT_FILE and SSL_CERT_DIR, else where OpenSSL was built to look. Any thread.
Authorities system_authorities();

// Connector/C has the whole bundle read and parsed for every connection, also for one that asks no authority: some 40 ms of CPU, one
// connection after the other. From here on it finds an empty one; who does ask names system_authorities(). Before any thread.
void keep_bundle_from_connections();

}  // namespace godwit::layer
