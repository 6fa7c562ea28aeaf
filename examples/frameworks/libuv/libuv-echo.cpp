// SPDX-License-Identifier: MIT OR Apache-2.0
// An echo server with libuv, for whatever stream socket its unit describes: TCP over IPv4 and IPv6, or unix.

#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include <sys/socket.h>
#include <uv.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace {

void check(int result, const char* what) {
  if (result < 0) throw std::runtime_error(std::string(what) + ": " + uv_strerror(result));
}

/// The passed socket. The loop's data points to it.
struct server {
  sd::unique_fd listener;
  uv_handle_type connections;  // libuv has one type of handle for TCP and another for unix sockets
  uv_poll_t readable{};
  uv_timer_t pause{};
};

struct client {
  uv_any_handle connection{};
  uv_write_t request{};
  std::array<char, 4096> buffer;

  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&connection); }
};

/// Only the handle of a client has data: the client.
void close(uv_handle_t* handle) {
  if (uv_is_closing(handle) != 0) return;
  uv_close(handle, [](uv_handle_t* closed) { delete static_cast<client*>(closed->data); });
}
void close(uv_stream_t* stream) { close(reinterpret_cast<uv_handle_t*>(stream)); }

class event_loop {
 public:
  event_loop() { check(uv_loop_init(&loop_), "uv_loop_init"); }
  event_loop(const event_loop&) = delete;
  event_loop& operator=(const event_loop&) = delete;
  ~event_loop() {
    uv_walk(
        &loop_, [](uv_handle_t* handle, void*) { close(handle); }, nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);  // closes them
    uv_loop_close(&loop_);
  }
  uv_loop_t* get() { return &loop_; }

 private:
  uv_loop_t loop_{};
};

void read(uv_stream_t* stream);

void on_read(uv_stream_t* stream, ssize_t length, const uv_buf_t* buffer) {
  if (length == 0) return;  // EAGAIN
  if (length < 0) return close(stream);
  uv_read_stop(stream);  // the buffer is in use until it has been written
  auto* const self = static_cast<client*>(stream->data);
  const auto written = uv_buf_init(buffer->base, static_cast<unsigned>(length));
  const auto on_written = [](uv_write_t* request, int error) {
    error < 0 ? close(request->handle) : read(request->handle);
  };
  if (uv_write(&self->request, stream, &written, 1, on_written) < 0) close(stream);
}

void read(uv_stream_t* stream) {
  const auto on_alloc = [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
    auto& space = static_cast<client*>(handle->data)->buffer;
    *buffer = uv_buf_init(space.data(), static_cast<unsigned>(space.size()));
  };
  if (uv_read_start(stream, on_alloc, on_read) < 0) close(stream);
}

void pause(uv_poll_t* readable);

void on_readable(uv_poll_t* readable, int, int) {
  const auto& self = *static_cast<server*>(readable->loop->data);
  sd::unique_fd fd(::accept4(self.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) {
    if (errno != EAGAIN) pause(readable);
    return;
  }
  auto accepted = std::make_unique<client>();
  auto* const stream = accepted->stream();
  const bool unix_socket = self.connections == UV_NAMED_PIPE;
  const int error = unix_socket ? uv_pipe_init(readable->loop, &accepted->connection.pipe, 0)
                                : uv_tcp_init(readable->loop, &accepted->connection.tcp);
  if (error < 0) return;
  stream->data = accepted.release();  // deleted when the stream is closed
  const int opened = unix_socket ? uv_pipe_open(reinterpret_cast<uv_pipe_t*>(stream), fd.get())
                                 : uv_tcp_open(reinterpret_cast<uv_tcp_t*>(stream), fd.get());
  if (opened < 0) return close(stream);
  static_cast<void>(fd.release());  // the handle closes it from here on
  read(stream);
}

// For example, no descriptors are left. Trying again at once would only waste CPU time, so wait.
void pause(uv_poll_t* readable) {
  auto& self = *static_cast<server*>(readable->loop->data);
  uv_poll_stop(readable);
  const auto resume = [](uv_timer_t* timer) {
    uv_poll_start(&static_cast<server*>(timer->loop->data)->readable, UV_READABLE, on_readable);
  };
  uv_timer_start(&self.pause, resume, 100, 0);
}

void on_sigterm(uv_signal_t* handle, int) { uv_stop(handle->loop); }

}  // namespace

int main() {
  try {
    std::signal(SIGPIPE, SIG_IGN);  // libuv writes to connections that the client has closed
    auto fds = sd::listen_fds(sd::listen_options::required);
    auto fd = sd::take(fds, sd::kind::stream).fd;
    const auto type = sd::describe(fd.get()).family == AF_UNIX ? UV_NAMED_PIPE : UV_TCP;

    server echo{std::move(fd), type};
    uv_signal_t sigterm{};
    event_loop loop;  // destroyed first: it closes the handles
    loop.get()->data = &echo;
    // Not uv_listen(): when no descriptors are left, that accepts all waiting clients and closes their connections.
    check(uv_poll_init(loop.get(), &echo.readable, echo.listener.get()), "uv_poll_init");
    check(uv_timer_init(loop.get(), &echo.pause), "uv_timer_init");
    check(uv_poll_start(&echo.readable, UV_READABLE, on_readable), "uv_poll_start");

    check(uv_signal_init(loop.get(), &sigterm), "uv_signal_init");
    check(uv_signal_start(&sigterm, on_sigterm, SIGTERM), "uv_signal_start");
    uv_run(loop.get(), UV_RUN_DEFAULT);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "libuv-echo: " << error.what() << '\n';
    return 1;
  }
}
