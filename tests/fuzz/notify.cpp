// SPDX-License-Identifier: MIT OR Apache-2.0
// Sends a message to the NOTIFY_SOCKET of the input. The system calls that would reach a service manager are replaced
// by functions that keep what they are given, so that no input reaches anything on this machine.
//
// Besides NOTIFY_SOCKET, an input has STATUS=, FDNAME= and raw=, parts of the message, in which "|" stands for a
// newline; fds=NUMBER of attached descriptors; too_long=1, if the kernel refuses the message until the buffer is
// larger; and refused=NUMBER, how many connections are refused.
#include <sd/notify.hpp>

#include "detail/os/vsock.hpp"
#include "input.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace {

using sd::fuzz::require;
using sd::fuzz::settings;

/// The arguments of the system calls, and the results that they will return.
struct {
  std::vector<int> types;  // of the sockets
  std::string address;     // of connect() or sendmsg()
  std::string text;
  std::size_t fds = 0;
  int sent = 0;
  int refused = 0;
  bool is_too_long = false;
} kernel;

int failed(int error) {
  errno = error;
  return -1;
}

}  // namespace

// NOLINTBEGIN: the linker chose the names
extern "C" {
int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __wrap_connect(int fd, const void* address, socklen_t size);
ssize_t __wrap_sendmsg(int fd, const msghdr* message, int flags);

int __wrap_socket(int /*family*/, int type, int protocol) {
  kernel.types.push_back(type & ~SOCK_CLOEXEC);
  return __real_socket(AF_UNIX, type, protocol);
}

int __wrap_connect(int /*fd*/, const void* address, socklen_t size) {
  kernel.address.assign(static_cast<const char*>(address), size);
  return kernel.refused-- > 0 ? failed(ECONNREFUSED) : 0;
}

ssize_t __wrap_sendmsg(int /*fd*/, const msghdr* message, int flags) {
  require((flags & MSG_NOSIGNAL) != 0);
  if (std::exchange(kernel.is_too_long, false)) return failed(EMSGSIZE);
  ++kernel.sent;
  if (message->msg_namelen != 0) {
    kernel.address.assign(static_cast<const char*>(message->msg_name), message->msg_namelen);
  }
  for (const auto* piece = message->msg_iov; piece != message->msg_iov + message->msg_iovlen; ++piece) {
    kernel.text.append(static_cast<const char*>(piece->iov_base), piece->iov_len);
  }
  if (message->msg_controllen != 0) {
    const auto* const part = CMSG_FIRSTHDR(message);
    require(part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS);
    require(part->cmsg_len <= message->msg_controllen);
    kernel.fds = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    const std::string fds(reinterpret_cast<const char*>(CMSG_DATA(part)), kernel.fds * sizeof(int));
    require(fds.find_first_not_of('\0') == std::string::npos);  // all are descriptor 0
  }
  return static_cast<ssize_t>(kernel.text.size());
}
}
// NOLINTEND

namespace {

/// Returns the address that a text names, according to sd_notify(3).
struct target {
  int error = 0;
  std::string address;
  std::vector<int> types{SOCK_DGRAM};
};

target unix_target(const std::string& where) {
  if (where.size() < 2) return {EINVAL, "", {}};
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  const bool is_abstract = where.front() == '@';
  if (where.size() + (is_abstract ? 0 : 1) > sizeof local.sun_path) return {E2BIG, "", {}};
  target result;
  result.address.assign(reinterpret_cast<const char*>(&local), offsetof(sockaddr_un, sun_path));
  result.address += is_abstract ? std::string(1, '\0') + where.substr(1) : where + '\0';
  return result;
}

bool read(const std::string& text, unsigned& number) {
  const bool is_decimal = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  if (!is_decimal) return false;
  const auto digits = text.substr(std::min(text.find_first_not_of('0'), text.size() - 1));
  const auto value = std::stoull(digits.substr(0, 11));
  number = static_cast<unsigned>(value);
  return value < UINT32_MAX;
}

target vsock_target(const std::string& where) {
  const auto colon = where.find(':');
  const auto kind = where.substr(0, colon);
  target result;
  if (kind == "vsock") {
    result.types = {SOCK_DGRAM, SOCK_SEQPACKET};
  } else if (kind == "vsock-stream") {
    result.types = {SOCK_STREAM};
  } else if (kind == "vsock-seqpacket") {
    result.types = {SOCK_SEQPACKET};
  } else if (kind != "vsock-dgram") {
    result.error = EAFNOSUPPORT;
  }
  if (colon == std::string::npos) result.error = EAFNOSUPPORT;
  if (result.error != 0) return result;
  const auto rest = where.substr(colon + 1);
  const auto second = rest.find(':');
  sockaddr_vm vsock{};
  vsock.svm_family = AF_VSOCK;
  if (second == std::string::npos || !read(rest.substr(0, second), vsock.svm_cid) ||
      !read(rest.substr(second + 1), vsock.svm_port)) {
    result.error = EINVAL;
  }
  result.address.assign(reinterpret_cast<const char*>(&vsock), sizeof vsock);
  return result;
}

/// Returns whether systemd accepts the text as the name of a descriptor.
bool is_name(const std::string& text) {
  return !text.empty() && text.size() < 256 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~' && c != ':'; });
}

}  // namespace

#if defined(__GLIBC__)
extern "C" int LLVMFuzzerInitialize(int* /*count*/, char*** /*arguments*/) { return 0; }
#else
// The library calls the kernel itself, where no function can be put in place of sendmsg(3).
extern "C" int LLVMFuzzerInitialize(int* /*count*/, char*** /*arguments*/) { sd::fuzz::skip("needs glibc"); }
#endif

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const settings input(sd::fuzz::text_of(data, size), {});
  const auto part = [&input](const char* name) {
    auto text = input.find(name);
    if (text) std::replace(text->begin(), text->end(), '|', '\n');
    return text;
  };
  const auto status = part("STATUS");
  const auto name = part("FDNAME");
  const auto raw = part("raw");
  std::vector<sd::state> states;
  if (status) states.push_back(sd::state::status(*status));
  if (name) states.push_back(sd::state::fdname(*name));
  if (raw) states.push_back(sd::state::raw(*raw));
  const std::vector<int> fds(static_cast<std::size_t>(input.number("fds", 260)), STDIN_FILENO);

  std::string expected_text;
  if (status) expected_text += "STATUS=" + *status + '\n';
  if (name) expected_text += "FDNAME=" + *name + '\n';
  if (raw) expected_text += *raw + '\n';
  if (!states.empty()) expected_text.pop_back();
  const bool is_valid =
      status.value_or("").find('\n') == std::string::npos && (!name || is_name(*name)) && (!raw || !raw->empty());

  const auto where = input.find("NOTIFY_SOCKET");
  sd::fuzz::set_environment("NOTIFY_SOCKET", where);
  kernel = {};
  kernel.is_too_long = input.number("too_long", 1) != 0;
  kernel.refused = input.number("refused", 2);

  target to;
  const bool is_too_many = fds.size() > 253;
  if (!is_valid || (states.empty() && !is_too_many)) {
    to.error = EINVAL;
  } else if (is_too_many) {
    to.error = E2BIG;
  } else if (where) {
    const bool is_unix = !where->empty() && (where->front() == '/' || where->front() == '@');
    to = is_unix ? unix_target(*where) : vsock_target(*where);
    const auto attempts = static_cast<int>(to.types.size());
    if (to.error == 0 && !is_unix && !fds.empty()) to.error = EOPNOTSUPP;
    if (to.error == 0 && !is_unix && attempts <= kernel.refused) to.error = ECONNREFUSED;
    if (is_unix || kernel.refused == 0) to.types.resize(std::min<std::size_t>(to.types.size(), 1));
  }

  std::error_code ec;
  const auto result = sd::notify(states, {fds}, ec);
  require(to.error == 0 ? !ec : ec == std::error_code(to.error, std::generic_category()));
  require((result == sd::notify_result::sent) == (!ec && where));
  require(kernel.sent == (!ec && where ? 1 : 0));
  if (kernel.sent != 0) {
    require(kernel.types == to.types);
    require(kernel.address == to.address);
    require(kernel.text == expected_text);
    require(kernel.fds == fds.size());
  }
  try {
    kernel.refused = input.number("refused", 2);
    require(sd::notify(states, {fds}) == result && !ec);
  } catch (const std::system_error& error) {
    require(error.code() == ec);
  }
  return 0;
}
