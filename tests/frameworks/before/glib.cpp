// SPDX-License-Identifier: MIT OR Apache-2.0
#include <gio/gio.h>

void before(GSocketListener* listener, GError* error) {
  g_socket_listener_add_inet_port(listener, 8080, nullptr, &error);
}
