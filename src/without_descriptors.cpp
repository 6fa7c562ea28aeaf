// SPDX-License-Identifier: MIT OR Apache-2.0
// For platforms without descriptors: every function compiles, and fails with ENOSYS or returns an empty result.

#include "detail/os/platform.hpp"

#if !SD_HAS_DESCRIPTORS

#include <sd/address.hpp>
#include <sd/socket.hpp>
#include <sd/take_or_bind.hpp>

#include <cerrno>

namespace sd {
inline namespace v0 {

namespace {

std::error_code no_descriptors() noexcept { return {ENOSYS, std::generic_category()}; }

bool fail(std::error_code& ec) noexcept {
  ec = no_descriptors();
  return false;
}

}  // namespace

std::error_code address::assign(std::string_view) noexcept { return no_descriptors(); }
address address::any(std::uint16_t) noexcept { return {}; }
address address::from_sockaddr(const void*, std::size_t) noexcept { return {}; }
int address::family() const noexcept { return 0; }
unsigned address::port() const noexcept { return 0; }
std::string_view address::path() const noexcept { return {}; }
int address::compare(const address&) const noexcept { return 0; }
std::size_t address::hash() const noexcept { return 0; }
std::string to_string(const address&) { return ""; }

const char* to_string(kind) noexcept { return "other"; }
description describe(int, std::error_code& ec) {
  ec = no_descriptors();
  return {};
}
std::string to_string(const description&) { return "other"; }
bool is_fifo(int, const char*, std::error_code& ec) noexcept { return fail(ec); }
bool is_special(int, const char*, std::error_code& ec) noexcept { return fail(ec); }
bool is_socket(int, int, int, listening, std::error_code& ec) noexcept { return fail(ec); }
bool is_socket_inet(int, int, int, listening, unsigned, std::error_code& ec) noexcept { return fail(ec); }
bool is_socket_sockaddr(int, int, const address&, listening, std::error_code& ec) noexcept { return fail(ec); }
bool is_socket_unix(int, int, listening, std::optional<std::string_view>, std::error_code& ec) noexcept {
  return fail(ec);
}
bool is_mq(int, const char*, std::error_code& ec) noexcept { return fail(ec); }

}  // namespace v0

void detail::bound_path::unlink() noexcept {}

inline namespace v0 {

server_socket take_or_bind(std::vector<listen_fd>&, const selector&, const address&, const bind_options&,
                           std::error_code& ec) {
  ec = no_descriptors();
  return {};
}

#if SD_HAS_EXCEPTIONS
address::address(std::string_view text) { throw std::system_error(assign(text), "address " + std::string(text)); }
server_socket take_or_bind(std::vector<listen_fd>&, const selector&, const address&, const bind_options&) {
  throw std::system_error(no_descriptors(), "bind");
}
#endif

}  // namespace v0
}  // namespace sd

#endif
