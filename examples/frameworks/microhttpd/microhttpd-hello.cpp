// A web server with libmicrohttpd, for whatever stream socket its unit describes: TCP over IPv4 and IPv6, or unix.

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
  static int yes;
  if (*seen == nullptr) {  // the headers are there; what follows is the body, if there is one
    *seen = &yes;
    return MHD_YES;
  }
  if (*body_size != 0) {
    *body_size = 0;  // read, and of no interest
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
    // Before there are threads: they inherit it, and the signal waits for sigwait().
    sigset_t sigterm;
    sigemptyset(&sigterm);
    sigaddset(&sigterm, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &sigterm, nullptr);

    auto fds = sd::listen_fds(sd::listen_options::required);
    auto listener = sd::take(fds, sd::kind::stream).fd;
    const unsigned flags = MHD_USE_AUTO_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    // Released in any case: where this fails, it has closed the socket or not, and does not say.
    MHD_Daemon* daemon = MHD_start_daemon(flags, 0, nullptr, nullptr, answer, nullptr,  //
                                          MHD_OPTION_LISTEN_SOCKET, listener.release(), MHD_OPTION_END);
    if (daemon == nullptr) throw std::runtime_error("cannot start the server");

    int signal = 0;
    sigwait(&sigterm, &signal);
    // Takes the socket back, so that it is not shut down. It may be closed once all threads are gone.
    listener.reset(MHD_quiesce_daemon(daemon));
    MHD_stop_daemon(daemon);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "microhttpd-hello: " << error.what() << '\n';
    return 1;
  }
}
