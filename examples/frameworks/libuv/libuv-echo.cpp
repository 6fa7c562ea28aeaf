// An echo server with libuv, for whatever stream socket its unit describes: TCP over IPv4 and IPv6, or unix.

#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include <sys/socket.h>
#include <uv.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

void check(int result, const char* what) {
  if (result < 0) throw std::runtime_error(std::string(what) + ": " + uv_strerror(result));
}

/// A stream of either sort: libuv has one type for TCP and one for unix sockets.
struct stream {
  uv_any_handle any{};

  uv_tcp_t* tcp() { return reinterpret_cast<uv_tcp_t*>(&any); }
  uv_pipe_t* pipe() { return reinterpret_cast<uv_pipe_t*>(&any); }
  uv_stream_t* get() { return reinterpret_cast<uv_stream_t*>(&any); }

  int init(uv_loop_t* loop, uv_handle_type type) {
    return type == UV_NAMED_PIPE ? uv_pipe_init(loop, pipe(), 0) : uv_tcp_init(loop, tcp());
  }
  int open(int fd) { return get()->type == UV_NAMED_PIPE ? uv_pipe_open(pipe(), fd) : uv_tcp_open(tcp(), fd); }
};

struct client {
  stream connection;
  uv_write_t request{};
  std::array<char, 4096> buffer;
};

/// What is not a client's has no data.
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
  if (length == 0) return;  // nothing there after all
  if (length < 0) return close(stream);
  uv_read_stop(stream);  // the buffer is in use until it is written
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

void on_connection(uv_stream_t* listener, int error) {
  if (error < 0) return;
  auto accepted = std::make_unique<client>();
  if (accepted->connection.init(listener->loop, listener->type) < 0) return;
  auto* const stream = accepted->connection.get();
  stream->data = accepted.release();  // deleted when the stream is closed
  uv_accept(listener, stream) < 0 ? close(stream) : read(stream);
}

void on_sigterm(uv_signal_t* handle, int) { uv_stop(handle->loop); }

}  // namespace

int main() {
  try {
    std::signal(SIGPIPE, SIG_IGN);  // libuv writes to clients that are gone
    auto fds = sd::listen_fds(sd::listen_options::required);
    auto fd = sd::take(fds, sd::kind::stream).fd;
    const auto type = sd::describe(fd.get()).family == AF_UNIX ? UV_NAMED_PIPE : UV_TCP;

    stream listener;
    uv_signal_t sigterm{};
    event_loop loop;  // goes first, and closes the others
    check(listener.init(loop.get(), type), "uv_init");
    check(listener.open(fd.get()), "uv_open");
    static_cast<void>(fd.release());  // the handle closes it from here on
    check(uv_listen(listener.get(), SOMAXCONN, on_connection), "uv_listen");

    check(uv_signal_init(loop.get(), &sigterm), "uv_signal_init");
    check(uv_signal_start(&sigterm, on_sigterm, SIGTERM), "uv_signal_start");
    uv_run(loop.get(), UV_RUN_DEFAULT);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "libuv-echo: " << error.what() << '\n';
    return 1;
  }
}
