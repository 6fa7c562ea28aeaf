// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// @file
/// Hands passed sockets to Asio and Boost.Asio.
///
/// The header works on the objects of both libraries and includes neither.

#include <sd/config.hpp>
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

/// Whether the object's library is Boost.Asio, which has an error code of its own.
template <class Object, class = void>
inline constexpr bool uses_boost = true;
template <class Object>
inline constexpr bool
    uses_boost<Object, std::void_t<decltype(std::declval<Object&>().cancel(std::declval<std::error_code&>()))>> = false;

/// Returns the protocol of the descriptor, as far as this type can express it.
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

/// Returns whether the object can serve the descriptor.
template <class Object>
bool can_serve(const description& what) {
  if constexpr (has_protocol<Object>) {
    constexpr int multipath_tcp = 262;  // the interface of TCP
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

inline namespace v0 {

/// Assigns a file descriptor to an object of Asio or Boost.Asio, after checking that the object can serve it.
///
/// The family and the protocol are read from the descriptor. On success the object owns the descriptor and closes it.
/// Asio makes a socket nonblocking when it first waits for it, which every process that holds the socket sees.
///
/// @param object An acceptor, or a stream, datagram, seqpacket or raw socket, of the internet, unix or generic
///               protocols; or a `posix::stream_descriptor` for fifos and special files. It must not be open.
/// @param fd The descriptor. It is empty after success. After an error the caller still owns it.
/// @par Errors
/// `errc::wrong_kind` if the object cannot serve the descriptor; the object is not touched then. Otherwise the errors
/// of `describe()` and of `object.assign()`.
/// @threadsafety As that of the object.
/// @see basic_socket_acceptor::assign in the Asio reference
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
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` describes the descriptor.
template <class Object>
void assign(Object& object, unique_fd&& fd) {
  std::error_code ec;
  assign(object, std::move(fd), ec);
  if (!ec) return;
  std::error_code closed;
  const auto what = describe(fd.get(), closed);  // NOLINT(bugprone-use-after-move): not moved from on an error
  throw std::system_error(ec, "assign " + std::to_string(fd.get()) + (closed ? "" : ' ' + to_string(what)));
}
#endif

}  // namespace v0
}  // namespace sd
