// SPDX-License-Identifier: MIT OR Apache-2.0
// A web server with libwebsockets. Its socket unit may describe any stream socket: TCP over IPv4 or IPv6, or unix. The
// library cannot adopt a listening socket, but it can watch one, and it adopts the accepted connections.

#include <sd/listen_fds.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include <libwebsockets.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

namespace {

constexpr std::string_view hello = "hello\n";
constexpr unsigned char close_it[] = "close";

int on_http(lws* client, lws_callback_reasons reason, void* user, void* in, std::size_t size) {
  std::array<unsigned char, LWS_PRE + 512> buffer;
  unsigned char* const begin = buffer.data() + LWS_PRE;
  if (reason == LWS_CALLBACK_HTTP) {
    const bool found = lws_hdr_total_length(client, WSI_TOKEN_GET_URI) > 0 &&
                       std::string_view(static_cast<const char*>(in), size) == "/";
    if (!found) {
      if (lws_return_http_status(client, HTTP_STATUS_NOT_FOUND, nullptr) != 0) return -1;
      return lws_http_transaction_completed(client);
    }
    unsigned char* end = begin;
    unsigned char* const limit = buffer.data() + buffer.size();
    if (lws_add_http_common_headers(client, HTTP_STATUS_OK, "text/plain", hello.size(), &end, limit) != 0) return -1;
    if (lws_add_http_header_by_token(client, WSI_TOKEN_CONNECTION, close_it, 5, &end, limit) != 0) return -1;
    if (lws_finalize_write_http_header(client, begin, &end, limit) != 0) return -1;
    return lws_callback_on_writable(client) < 0 ? -1 : 0;
  }
  if (reason == LWS_CALLBACK_HTTP_WRITEABLE) {
    std::memcpy(begin, hello.data(), hello.size());
    lws_write(client, begin, hello.size(), LWS_WRITE_HTTP_FINAL);
    return -1;  // closes the connection: libwebsockets would spin if the client sent more requests and did not read
  }
  return lws_callback_http_dummy(client, reason, user, in, size);
}

int on_listener(lws* listener, lws_callback_reasons reason, void*, void*, std::size_t) {
  if (reason == LWS_CALLBACK_TIMER) return lws_rx_flow_control(listener, 1);  // try again
  if (reason != LWS_CALLBACK_RAW_RX_FILE) return 0;
  const int client = ::accept4(lws_get_socket_fd(listener), nullptr, nullptr, SOCK_CLOEXEC);
  if (client >= 0) {
    lws_adopt_socket_vhost(lws_get_vhost(listener), client);  // closes it on failure
  } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
    // Without a pause the loop would spin: the listening socket stays readable while clients wait in its queue.
    lws_rx_flow_control(listener, 0);
    lws_set_timer_usecs(listener, 100'000);
  }
  return 0;
}

bool stopping = false;

int on_signal(lws*, lws_callback_reasons reason, void*, void*, std::size_t) {
  if (reason == LWS_CALLBACK_RAW_RX_FILE) stopping = true;
  return 0;
}

/// Blocks SIGTERM and returns a descriptor that the event loop can watch for it.
sd::unique_fd open_sigterm() {
  sigset_t sigterm;
  sigemptyset(&sigterm);
  sigaddset(&sigterm, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &sigterm, nullptr);
  sd::unique_fd fd(::signalfd(-1, &sigterm, SFD_CLOEXEC));
  if (!fd) throw std::system_error(errno, std::generic_category(), "signalfd");
  return fd;
}

/// Has the library watch a descriptor and call the protocol when it is readable. The library owns the descriptor from
/// then on: if the call fails, it is not known whether the descriptor has been closed.
void watch(lws_vhost* vhost, sd::unique_fd fd, const char* protocol) {
  lws_sock_file_fd_type number;
  number.filefd = fd.release();
  if (lws_adopt_descriptor_vhost(vhost, LWS_ADOPT_RAW_FILE_DESC, number, protocol, nullptr) == nullptr) {
    throw std::runtime_error("cannot watch a descriptor");
  }
}

const std::array<lws_protocols, 4> protocols = {{
    {"http", on_http, 0, 0, 0, nullptr, 0},
    {"listener", on_listener, 0, 0, 0, nullptr, 0},
    {"signal", on_signal, 0, 0, 0, nullptr, 0},
    {nullptr, nullptr, 0, 0, 0, nullptr, 0},
}};

}  // namespace

int main() {
  try {
    auto fds = sd::listen_fds(sd::listen_options::required);
    auto listener = sd::take(fds, sd::kind::stream).fd;

    lws_set_log_level(LLL_ERR | LLL_WARN, nullptr);
    lws_context_creation_info info{};
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.protocols = protocols.data();
    const std::unique_ptr<lws_context, void (*)(lws_context*)> context(lws_create_context(&info), lws_context_destroy);
    if (!context) throw std::runtime_error("cannot start the server");

    lws_vhost* vhost = lws_get_vhost_by_name(context.get(), "default");
    watch(vhost, std::move(listener), "listener");
    watch(vhost, open_sigterm(), "signal");
    while (!stopping && lws_service(context.get(), 0) >= 0) continue;
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "libwebsockets-hello: " << error.what() << '\n';
    return 1;
  }
}
