#pragma once

// For Asio and for Boost.Asio: it works on the objects of either, and includes neither.

#include <sd/error.hpp>
#include <sd/socket.hpp>
#include <sd/unique_fd.hpp>

#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

namespace boost::system {
class error_code;
}  // namespace boost::system

namespace sd {

namespace detail {

template <class Object, class = void>
inline constexpr bool has_protocol = false;
template <class Object>
inline constexpr bool has_protocol<Object, std::void_t<typename Object::protocol_type>> = true;

template <class Object, class = void>
inline constexpr bool is_acceptor = false;
template <class Object>
inline constexpr bool is_acceptor<Object, std::void_t<decltype(std::declval<Object&>().listen())>> = true;

template <class Protocol, class = void>
inline constexpr bool is_internet = false;
template <class Protocol>
inline constexpr bool is_internet<Protocol, std::void_t<decltype(Protocol::v4()), decltype(Protocol::v6())>> = true;

/// Which error code the object's library uses.
template <class Object, class = void>
inline constexpr bool uses_boost = true;
template <class Object>
inline constexpr bool
    uses_boost<Object, std::void_t<decltype(std::declval<Object&>().cancel(std::declval<std::error_code&>()))>> = false;

/// The protocol that the descriptor speaks, as far as this type can express it.
template <class Protocol>
Protocol protocol_of([[maybe_unused]] const description& what) {
  if constexpr (is_internet<Protocol>) {
    return what.family == Protocol::v4().family() ? Protocol::v4() : Protocol::v6();
  } else if constexpr (std::is_constructible_v<Protocol, int, int>) {
    return Protocol(what.family, what.protocol);  // asio::generic
  } else {
    return Protocol();
  }
}

/// Whether the object can serve what the descriptor is.
template <class Object>
bool can_serve(const description& what) {
  if constexpr (has_protocol<Object>) {
    constexpr int multipath_tcp = 262;  // TCP to all who use it
    const auto protocol = protocol_of<typename Object::protocol_type>(what);
    const int number = what.protocol == multipath_tcp ? 6 : what.protocol;
    const bool listens = what.kind == kind::stream || what.kind == kind::seqpacket;
    return listens == is_acceptor<Object> && what.kind != kind::unconnected && what.family == protocol.family() &&
           what.type == protocol.type() && (number == 0 || protocol.protocol() == 0 || number == protocol.protocol());
  } else {
    return what.kind == kind::fifo || what.kind == kind::special || what.kind == kind::message_queue ||
           what.kind == kind::other;
  }
}

}  // namespace detail

/// Makes an object of Asio or Boost.Asio serve a descriptor: an acceptor, a stream, datagram, seqpacket or raw socket,
/// of the internet, unix or generic protocols; or `posix::stream_descriptor` for fifos and special files.
/// Shape:   family and protocol are read from the descriptor. `fd` is given up where it succeeds, and closed by the
///          object from then on. The object must not be open.
/// Errors:  `errc::wrong_kind`, found before the object is touched; the error of `object.assign()`. On an error the
///          descriptor stays with `fd`.
/// Threads: as the object. Asio makes the socket nonblocking when it first has to wait for it, and so for all who hold it.
/// Source:  the Asio reference, basic_socket_acceptor::assign
template <class Object>
void assign(Object& object, unique_fd&& fd, std::error_code& ec) {
  const auto what = describe(fd.get(), ec);
  if (ec) return;
  if (!detail::can_serve<Object>(what)) {
    ec = errc::wrong_kind;
    return;
  }
  using error_code = std::conditional_t<detail::uses_boost<Object>, boost::system::error_code, std::error_code>;
  error_code error;
  if constexpr (detail::has_protocol<Object>) {
    object.assign(detail::protocol_of<typename Object::protocol_type>(what), fd.get(), error);
  } else {
    object.assign(fd.get(), error);
  }
  ec = error;
  if (!ec) static_cast<void>(fd.release());
}

#if SD_HAS_EXCEPTIONS
/// The same, but an error is thrown as `std::system_error`, whose `what()` says what the descriptor is.
template <class Object>
void assign(Object& object, unique_fd&& fd) {
  std::error_code ec;
  assign(object, std::move(fd), ec);
  if (!ec) return;
  std::error_code closed;
  const auto what = describe(fd.get(), closed);  // NOLINT(bugprone-use-after-move): on an error it has not been
  throw std::system_error(ec, "assign " + std::to_string(fd.get()) + (closed ? "" : ' ' + to_string(what)));
}
#endif

}  // namespace sd
