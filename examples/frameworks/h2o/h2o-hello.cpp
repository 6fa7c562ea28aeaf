// SPDX-License-Identifier: MIT OR Apache-2.0
// A web server with libh2o and its event loop. Its socket unit may describe any stream socket: TCP over IPv4 or IPv6,
// or unix.

#include <sd/listen_fds.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include <h2o.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <csignal>
#include <exception>
#include <iostream>
#include <string_view>
#include <system_error>

namespace {

struct server {
  h2o_globalconf_t config;
  h2o_context_t context;
  h2o_accept_ctx_t accepting;
  int clients;
  bool out_of_descriptors;
  bool stopping;
};
server self;

int answer(h2o_handler_t*, h2o_req_t* request) {
  if (std::string_view(request->method.base, request->method.len) != "GET") return -1;  // "not found"
  if (std::string_view(request->path.base, request->path.len) != "/") return -1;
  request->res.status = 200;
  request->res.reason = "OK";
  h2o_add_header(&request->pool, &request->res.headers, H2O_TOKEN_CONTENT_TYPE, nullptr, H2O_STRLIT("text/plain"));
  h2o_send_inline(request, H2O_STRLIT("hello\n"));
  return 0;
}

void on_close(void*) { --self.clients; }

void on_accept(h2o_socket_t* listener, const char* error) {
  if (error != nullptr) return;
  h2o_socket_t* client = h2o_evloop_socket_accept(listener);
  if (client == nullptr) {  // most often the client has left already, or another process has accepted it
    self.out_of_descriptors = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
    return;
  }
  ++self.clients;
  client->on_close.cb = on_close;
  h2o_accept(&self.accepting, client);
}

void on_signal(h2o_socket_t*, const char*) { self.stopping = true; }

/// Blocks SIGTERM and returns a descriptor that the event loop can watch for it.
sd::unique_fd open_sigterm() {
  sigset_t sigterm;
  sigemptyset(&sigterm);
  sigaddset(&sigterm, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &sigterm, nullptr);
  sd::unique_fd fd(::signalfd(-1, &sigterm, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) throw std::system_error(errno, std::generic_category(), "signalfd");
  return fd;
}

}  // namespace

int main() {
  try {
    std::signal(SIGPIPE, SIG_IGN);
    auto fds = sd::listen_fds(sd::listen_options::required);
    auto passed = sd::take(fds, sd::kind::stream).fd;
    auto sigterm = open_sigterm();

    h2o_config_init(&self.config);
    self.config.http1.upgrade_to_http2 = 0;  // a client of HTTP/2 that never reads would fill the memory
    h2o_hostconf_t* host = h2o_config_register_host(&self.config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_create_handler(h2o_config_register_path(host, "/", 0), sizeof(h2o_handler_t))->on_req = answer;
    h2o_context_init(&self.context, h2o_evloop_create(), &self.config);
    self.accepting.ctx = &self.context;
    self.accepting.hosts = self.config.hosts;

    h2o_loop_t* loop = self.context.loop;
    h2o_socket_t* listener = h2o_evloop_socket_create(loop, passed.release(), H2O_SOCKET_FLAG_DONT_READ);
    h2o_socket_t* signals = h2o_evloop_socket_create(loop, sigterm.release(), H2O_SOCKET_FLAG_DONT_READ);
    h2o_socket_read_start(signals, on_signal);
    while (!self.stopping) {
      h2o_socket_read_start(listener, on_accept);
      while (!self.stopping && !self.out_of_descriptors) h2o_evloop_run(loop, INT32_MAX);
      // Without a pause the loop would spin: the listening socket stays readable while clients wait in its queue.
      h2o_socket_read_stop(listener);
      if (self.out_of_descriptors) h2o_evloop_run(loop, 100);  // milliseconds
      self.out_of_descriptors = false;
    }

    // Accept no more clients, and give the others 10 seconds to finish. A client that never reads does not.
    h2o_socket_close(signals);
    h2o_socket_close(listener);
    h2o_context_request_shutdown(&self.context);
    const uint64_t deadline = h2o_now(loop) + 10'000;
    while (self.clients != 0 && h2o_now(loop) < deadline) h2o_evloop_run(loop, 1000);
    return 0;  // h2o_context_dispose() would fail an assertion, as a timer of the shutdown is still running
  } catch (const std::exception& error) {
    std::cerr << "h2o-hello: " << error.what() << '\n';
    return 1;
  }
}
