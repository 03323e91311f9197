#include "godwit/layer/authorities.h"

#include <openssl/x509.h>
#include <unistd.h>

#include "godwit/util/environment.h"

namespace godwit::layer {

Authorities system_authorities() {
  Authorities found{.file = given_environment(X509_get_default_cert_file_env()).value_or(X509_get_default_cert_file()),
                    .directory = given_environment(X509_get_default_cert_dir_env()).value_or(X509_get_default_cert_dir())};
  if (::access(found.file.c_str(), R_OK) != 0) found.file.clear();
  return found;
}

void keep_bundle_from_connections() { set_for_this_process(X509_get_default_cert_file_env(), "/dev/null"); }

}  // namespace godwit::layer
