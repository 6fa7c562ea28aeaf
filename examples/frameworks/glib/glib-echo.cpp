// SPDX-License-Identifier: MIT OR Apache-2.0
// An echo server with GIO of GLib, for whatever stream socket its unit describes: TCP over IPv4 and IPv6, or unix.

#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include <gio/gio.h>
#include <glib-unix.h>

#include <csignal>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>

namespace {

struct unref {
  void operator()(gpointer object) const noexcept { g_object_unref(object); }
  void operator()(GMainLoop* loop) const noexcept { g_main_loop_unref(loop); }
};
template <class Object>
using owner = std::unique_ptr<Object, unref>;

/// Takes the error by reference, because the evaluation of the other argument sets it.
void check(bool success, GError* const& error) {
  const std::unique_ptr<GError, void (*)(GError*)> owned(error, g_error_free);
  if (!success) throw std::runtime_error(error->message);
}

void echo(GSocketConnection* connection) {
  GIOStream* const stream = G_IO_STREAM(connection);
  // The splice holds references to both streams until it has closed them.
  const auto flags =
      static_cast<GOutputStreamSpliceFlags>(G_OUTPUT_STREAM_SPLICE_CLOSE_SOURCE | G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET);
  g_output_stream_splice_async(g_io_stream_get_output_stream(stream), g_io_stream_get_input_stream(stream), flags,
                               G_PRIORITY_DEFAULT, nullptr, nullptr, nullptr);
}

void on_accepted(GObject* listener, GAsyncResult* result, gpointer);

gboolean accept(gpointer listener) {
  g_socket_listener_accept_async(G_SOCKET_LISTENER(listener), nullptr, on_accepted, nullptr);
  return G_SOURCE_REMOVE;
}

void on_accepted(GObject* listener, GAsyncResult* result, gpointer) {
  const owner<GSocketConnection> connection(
      g_socket_listener_accept_finish(G_SOCKET_LISTENER(listener), result, nullptr, nullptr));
  if (connection) {
    echo(connection.get());
    accept(listener);
  } else {
    // For example, no descriptors are left. Trying again at once would only waste CPU time, so wait.
    g_timeout_add(100, accept, listener);
  }
}

gboolean on_sigterm(gpointer loop) {
  g_main_loop_quit(static_cast<GMainLoop*>(loop));
  return G_SOURCE_REMOVE;
}

}  // namespace

int main() {
  try {
    auto fds = sd::listen_fds(sd::listen_options::required);
    auto fd = sd::take(fds, sd::kind::stream).fd;

    GError* error = nullptr;
    const owner<GSocket> socket(g_socket_new_from_fd(fd.release(), &error));  // GIO closes it from here on
    check(socket != nullptr, error);

    // Not GSocketService: when no descriptors are left, that tries again and logs a warning without end.
    const owner<GSocketListener> listener(g_socket_listener_new());
    check(g_socket_listener_add_socket(listener.get(), socket.get(), nullptr, &error) != FALSE, error);
    accept(listener.get());

    const owner<GMainLoop> loop(g_main_loop_new(nullptr, FALSE));
    g_unix_signal_add(SIGTERM, on_sigterm, loop.get());
    g_main_loop_run(loop.get());
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "glib-echo: " << error.what() << '\n';
    return 1;
  }
}
