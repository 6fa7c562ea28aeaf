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
#include <string>

namespace {

struct unref {
  void operator()(gpointer object) const noexcept { g_object_unref(object); }
  void operator()(GMainLoop* loop) const noexcept { g_main_loop_unref(loop); }
};
template <class Object>
using owner = std::unique_ptr<Object, unref>;

/// By reference, as it is set while the other argument is evaluated.
void check(bool success, GError* const& error) {
  const std::unique_ptr<GError, void (*)(GError*)> owned(error, g_error_free);
  if (!success) throw std::runtime_error(error->message);
}

gboolean on_connection(GSocketService*, GSocketConnection* connection, GObject*, gpointer) {
  GIOStream* const stream = G_IO_STREAM(connection);
  // It holds both streams until it is done, and then has closed them.
  const auto flags =
      static_cast<GOutputStreamSpliceFlags>(G_OUTPUT_STREAM_SPLICE_CLOSE_SOURCE | G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET);
  g_output_stream_splice_async(g_io_stream_get_output_stream(stream), g_io_stream_get_input_stream(stream), flags,
                               G_PRIORITY_DEFAULT, nullptr, nullptr, nullptr);
  return TRUE;
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
    const owner<GSocket> listener(g_socket_new_from_fd(fd.release(), &error));  // closed by GIO from here on
    check(listener != nullptr, error);

    const owner<GSocketService> service(g_socket_service_new());
    check(g_socket_listener_add_socket(G_SOCKET_LISTENER(service.get()), listener.get(), nullptr, &error) != FALSE,
          error);
    g_signal_connect(service.get(), "incoming", G_CALLBACK(on_connection), nullptr);

    const owner<GMainLoop> loop(g_main_loop_new(nullptr, FALSE));
    g_unix_signal_add(SIGTERM, on_sigterm, loop.get());
    g_main_loop_run(loop.get());
    g_socket_service_stop(service.get());
    g_socket_listener_close(G_SOCKET_LISTENER(service.get()));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "glib-echo: " << error.what() << '\n';
    return 1;
  }
}
