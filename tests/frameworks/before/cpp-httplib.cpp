// SPDX-License-Identifier: MIT OR Apache-2.0
#include <httplib.h>

void before() {
  httplib::Server server;
  server.listen("::", 8080);
}
