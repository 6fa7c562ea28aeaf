// SPDX-License-Identifier: MIT OR Apache-2.0
// A web server with libmicrohttpd. Its socket unit may describe any stream socket: TCP over IPv4 or IPv6, or unix.

#include <sd/listen_fds.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include <microhttpd.h>

#include <csignal>
#include <cstddef>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

MHD_Result answer(void*, MHD_Connection* connection, const char* url, const char* method, const char*, const char*,
                  std::size_t* body_size, void** seen) {
  // The first call comes after the headers, the next ones with the body, and the last one without data.
  static int yes;
  if (*seen == nullptr) {
    *seen = &yes;
    return MHD_YES;
  }
  if (*body_size != 0) {
    *body_size = 0;  // the body is read and ignored
    return MHD_YES;
  }
  const bool found = std::string_view(method) == MHD_HTTP_METHOD_GET && std::string_view(url) == "/";
  std::string body = found ? "hello\n" : "not found\n";
  const std::unique_ptr<MHD_Response, void (*)(MHD_Response*)> response(
      MHD_create_response_from_buffer(body.size(), body.data(), MHD_RESPMEM_MUST_COPY), MHD_destroy_response);
  if (!response) return MHD_NO;
  return MHD_queue_response(connection, found ? MHD_HTTP_OK : MHD_HTTP_NOT_FOUND, response.get());
}

}  // namespace

int main() {
  try {
    // Threads inherit the signal mask, so block the signal before there are any. sigwait() waits for it below.
    sigset_t sigterm;
    sigemptyset(&sigterm);
    sigaddset(&sigterm, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &sigterm, nullptr);

    auto fds = sd::listen_fds(sd::listen_options::required);
    auto listener = sd::take(fds, sd::kind::stream).fd;
    const unsigned seconds = 30;  // a client that stays idle for longer is disconnected
    const unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC;
    // Releases the descriptor in any case: if the call fails, it is not known whether the library has closed it.
    MHD_Daemon* daemon = MHD_start_daemon(flags, 0, nullptr, nullptr, answer, nullptr,   //
                                          MHD_OPTION_LISTEN_SOCKET, listener.release(),  //
                                          MHD_OPTION_CONNECTION_TIMEOUT, seconds, MHD_OPTION_END);
    if (daemon == nullptr) throw std::runtime_error("cannot start the server");

    int signal = 0;
    sigwait(&sigterm, &signal);
    // Takes the socket back, so that the library does not shut it down. Keep it open until the threads have ended.
    listener.reset(MHD_quiesce_daemon(daemon));
    MHD_stop_daemon(daemon);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "microhttpd-hello: " << error.what() << '\n';
    return 1;
  }
}
