// SPDX-License-Identifier: MIT OR Apache-2.0
#include <libwebsockets.h>

void before() {
  lws_context_creation_info info{};
  info.port = 8080;
}
