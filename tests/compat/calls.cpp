// SPDX-License-Identifier: MIT OR Apache-2.0
#include "calls.hpp"

#include "check.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <functional>

namespace sd::test {

void set(const char* name, const variable& value) {
  if (value) {
    ::setenv(name, value->c_str(), 1);
  } else {
    ::unsetenv(name);
  }
}

void observe(observation& seen, const char* name) {
  const char* const value = std::getenv(name);
  seen[name] = value != nullptr ? '"' + std::string(value) + '"' : "not set";
}

// --- receiving -------------------------------------------------------------------------------------------------------

void receive_call::arrange() const {
  set("LISTEN_PID", pid);
  set("LISTEN_PIDFDID", pidfdid);
  set("LISTEN_FDS", count);
  set("LISTEN_FDS_FIRST_FD", first_fd);
  set("LISTEN_FDNAMES", names);
  for (int fd = first; fd <= last; ++fd) {
    if (fd < first + open && fd != hole) {
      ::dup3(STDIN_FILENO, fd, close_on_exec ? O_CLOEXEC : 0);
    } else {
      ::close(fd);
    }
  }
}

namespace {

/// Returns a character per descriptor: x for close-on-exec, o for open without it, . for closed.
std::string descriptors() {
  std::string text;
  for (int fd = receive_call::first; fd <= receive_call::last; ++fd) {
    const int flags = ::fcntl(fd, F_GETFD);
    text += flags < 0 ? '.' : (flags & FD_CLOEXEC) != 0 ? 'x' : 'o';
  }
  return text;
}

void observe_environment(observation& seen) {
  for (const char* name : {"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDS_FIRST_FD", "LISTEN_FDNAMES"})
    observe(seen, name);
}

}  // namespace

observation receive_call::of(const library& library) const {
  arrange();
  char* none[] = {nullptr};
  char** received = none;
  const int result = form == without_names ? library.listen_fds(unset_environment)
                     : form == null_names  ? library.listen_fds_with_names(unset_environment, nullptr)
                                           : library.listen_fds_with_names(unset_environment, &received);
  observation seen;
  seen["result"] = std::to_string(result);
  if (received == none) {
    seen["names"] = "untouched";
  } else {
    for (char** name = received; *name != nullptr; ++name) {
      seen["names"] += '[' + std::string(*name) + ']';
      std::free(*name);
    }
    std::free(static_cast<void*>(received));
  }
  seen["descriptors"] = descriptors();
  observe_environment(seen);
  // The result of the next call.
  seen["again"] = std::to_string(library.listen_fds(0));
  return seen;
}

std::string receive_call::text() const {
  std::string result = form == without_names ? "sd_listen_fds(" : "sd_listen_fds_with_names(";
  result += std::to_string(unset_environment);
  result += form == without_names ? ")" : form == null_names ? ", NULL)" : ", &names)";
  arrange();
  observation environment;
  observe_environment(environment);
  for (const auto& [name, value] : environment) result.append(" ").append(name).append(": ").append(value);
  return result + " descriptors: " + descriptors();
}

namespace {

/// Reads a decimal number that consists of digits only. Returns 0 or the negated errno.
int read_number(const variable& text, std::uint64_t most, std::uint64_t& number) {
  if (text->empty() || text->find_first_not_of("0123456789") != std::string::npos) return -EINVAL;
  errno = 0;
  number = std::strtoull(text->c_str(), nullptr, 10);
  return errno == ERANGE || number > most ? -ERANGE : 0;
}

/// Returns whether the text is a plain decimal number in this range.
bool is_plain(const variable& text, std::uint64_t least, std::uint64_t most) {
  std::uint64_t number = 0;
  if (!text) return true;
  return read_number(text, most, number) == 0 && number >= least && (text->size() == 1 || text->front() != '0');
}

std::vector<std::string> split(const std::string& names) {
  std::vector<std::string> result{""};
  for (const char c : names) {
    if (c == ':') {
      result.emplace_back();
    } else {
      result.back() += c;
    }
  }
  return result;
}

int expected_result(const receive_call& call, std::uint64_t pidfdid) {
  std::uint64_t number = 0;
  if (!call.pid || !call.count) return 0;
  if (const int error = read_number(call.pid, INT_MAX, number); error != 0) return error;
  if (number != static_cast<std::uint64_t>(::getpid())) return 0;
  if (call.pidfdid) {
    if (const int error = read_number(call.pidfdid, UINT64_MAX, number); error != 0) return error;
    if (pidfdid != 0 && number != pidfdid) return 0;
  }
  if (const int error = read_number(call.count, INT_MAX - receive_call::first, number); error != 0) return error;
  const auto count = static_cast<int>(number);
  number = receive_call::first;
  if (call.first_fd) {
    if (const int error = read_number(call.first_fd, INT_MAX, number); error != 0) return error;
    if (number < receive_call::first || number + static_cast<unsigned>(count) > INT_MAX) return -ERANGE;
  }
  if (count == 0) return -EINVAL;
  const auto begin = static_cast<int>(number);
  const auto end = begin + count;
  if (end > receive_call::first + call.open || (call.hole >= begin && call.hole < end)) return -EBADF;
  if (begin != receive_call::first) return -EINVAL;
  const bool wants_names = call.form == receive_call::wants_names && call.names;
  return wants_names && split(*call.names).size() != static_cast<std::size_t>(count) ? -EINVAL : count;
}

}  // namespace

observation receive_call::expected(std::uint64_t own_pidfdid) const {
  const int result = expected_result(*this, own_pidfdid);
  arrange();
  observation seen;
  seen["result"] = std::to_string(result);
  seen["names"] = "untouched";
  if (result > 0 && form == wants_names) {
    const auto names_of_all =
        names ? split(*names) : std::vector<std::string>(static_cast<std::size_t>(result), "unknown");
    seen["names"].clear();
    for (const auto& name : names_of_all) seen["names"] += '[' + name + ']';
  }
  seen["descriptors"] = descriptors();
  for (int i = 0; i < result; ++i) seen["descriptors"][static_cast<std::size_t>(i)] = 'x';
  const bool unset = unset_environment != 0 && result >= 0;
  if (unset) receive_call().arrange();
  observe_environment(seen);
  auto again = *this;
  again.form = without_names;
  seen["again"] = unset ? "0" : std::to_string(expected_result(again, own_pidfdid));
  return seen;
}

std::optional<documented> allowed(const receive_call& call, const observation& theirs, const observation& ours,
                                  const library& their_library) {
  const auto& result = ours.at("result");
  if (call.pidfdid && !their_library.knows_pidfdid)
    return documented{"`LISTEN_PIDFDID`, compared with libsystemd before 259"};
  if (result == "0" && theirs.at("result").front() == '-') {
    return documented{"malformed variables that are for another process, or without `LISTEN_FDS`"};
  }
  const bool starts_elsewhere = call.first_fd && call.first_fd != std::to_string(receive_call::first);
  if ((starts_elsewhere && result.front() == '-') || (call.first_fd && call.unset_environment != 0)) {
    return documented{"`LISTEN_FDS_FIRST_FD`"};
  }
  if (!is_plain(call.pid, 1, INT_MAX) || !is_plain(call.pidfdid, 0, UINT64_MAX) ||
      !is_plain(call.count, 0, INT_MAX - receive_call::first)) {
    return documented{"a number that is not plain decimal or is too large"};
  }
  if (result.front() == '-' && theirs.at("result") == result) {
    return documented{"an error of `sd_listen_fds()`"};
  }
  const bool has_backslash = call.names && call.names->find('\\') != std::string::npos;
  if (has_backslash && call.form == receive_call::wants_names) return documented{"a name with a backslash"};
  return std::nullopt;
}

// --- the watchdog ----------------------------------------------------------------------------------------------------

observation watchdog_call::of(const library& library) const {
  set("WATCHDOG_USEC", usec);
  set("WATCHDOG_PID", pid);
  std::uint64_t period = 4711;
  observation seen;
  seen["result"] = std::to_string(library.watchdog_enabled(unset_environment, wants_usec ? &period : nullptr));
  seen["usec"] = std::to_string(period);
  for (const char* name : {"WATCHDOG_USEC", "WATCHDOG_PID"}) observe(seen, name);
  return seen;
}

std::string watchdog_call::text() const {
  return "WATCHDOG_USEC=" + usec.value_or("(not set)") + " WATCHDOG_PID=" + pid.value_or("(not set)");
}

std::optional<documented> allowed(const watchdog_call& call, const observation& theirs, const observation& ours) {
  if (ours.at("result") == "0" && theirs.at("result").front() == '-') {
    return documented{"malformed variables that are for another process, or without `LISTEN_FDS`"};
  }
  if (!is_plain(call.usec, 0, INT64_MAX) || !is_plain(call.pid, 0, INT_MAX)) {
    return documented{"a number that is not plain decimal or is too large"};
  }
  return std::nullopt;
}

// --- sending ---------------------------------------------------------------------------------------------------------

namespace {

int open_descriptors() {
  int count = 0;
  for (int fd = 0; fd < 100; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

}  // namespace

observation notify_call::of(const library& library, sd::array_view<manager> managers) const {
  set("NOTIFY_SOCKET", where);
  observation seen;
  const int open = open_descriptors();
  seen["result"] = std::to_string(result_of(library));
  int number = 0;
  for (const auto& each : managers) seen["manager " + std::to_string(number++)] = each.received();
  seen["left open"] = std::to_string(open_descriptors() - open);
  observe(seen, "NOTIFY_SOCKET");
  return seen;
}

int notify_call::result_of(const library& library) const {
  const char* const text = state ? state->c_str() : nullptr;
  const char* const or_nothing = text != nullptr ? text : "";
  const auto count = static_cast<unsigned>(fds.size());
  const int* const files = fds.empty() ? nullptr : fds.data();
  if (function == "sd_notify") return library.notify(unset_environment, text);
  if (function == "sd_notifyf") return library.notifyf(unset_environment, "%s%%%d", or_nothing, 5);
  if (function == "sd_pid_notify") return library.pid_notify(pid, unset_environment, text);
  if (function == "sd_pid_notifyf") return library.pid_notifyf(pid, unset_environment, "%s", or_nothing);
  if (function == "sd_pid_notify_with_fds")
    return library.pid_notify_with_fds(pid, unset_environment, text, files, count);
  if (function == "sd_pid_notifyf_with_fds")
    return library.pid_notifyf_with_fds(pid, unset_environment, files, count, "%s", or_nothing);
  if (function == "sd_notify_barrier") return library.notify_barrier(unset_environment, 0);
  return library.pid_notify_barrier(pid, unset_environment, 1);
}

std::string notify_call::text() const {
  return "NOTIFY_SOCKET=" + where.value_or("(not set)") + ' ' + function + "(pid " + std::to_string(pid) + ", unset " +
         std::to_string(unset_environment) + ", " + (state ? '"' + state->substr(0, 100) + '"' : "NULL") + ", " +
         std::to_string(fds.size()) + " descriptors)";
}

manager::manager(const std::string& where) : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  const bool abstract = where.front() == '@';
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, where.data(), where.size());
  if (abstract) address.sun_path[0] = '\0';
  const std::size_t size = offsetof(sockaddr_un, sun_path) + where.size() + (abstract ? 0 : 1);
  const auto* const bound = reinterpret_cast<const sockaddr*>(&address);
  check(::bind(fd_, bound, static_cast<socklen_t>(std::min(size, sizeof address))), where);
  const int on = 1;
  ::setsockopt(fd_, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
}

manager::~manager() { ::close(fd_); }

void manager::wait() const {
  pollfd readable{fd_, POLLIN, 0};
  ::poll(&readable, 1, -1);
}

namespace {

std::string words(const cmsghdr& part) {
  std::string text;
  if (part.cmsg_type == SCM_CREDENTIALS) {
    ucred sender{};
    std::memcpy(&sender, CMSG_DATA(&part), sizeof sender);
    return " from " + std::to_string(sender.pid) + ' ' + std::to_string(sender.uid) + ' ' + std::to_string(sender.gid);
  }
  std::vector<int> fds((part.cmsg_len - CMSG_LEN(0)) / sizeof(int));
  std::memcpy(fds.data(), CMSG_DATA(&part), fds.size() * sizeof(int));
  for (const int fd : fds) {
    struct stat file {};
    ::fstat(fd, &file);
    // Each barrier has a new pipe.
    text += S_ISFIFO(file.st_mode) ? " pipe" : " file " + std::to_string(file.st_ino);
    ::close(fd);
  }
  return text;
}

}  // namespace

std::string manager::received() const {
  std::string all;
  while (true) {
    static std::array<char, 2 << 20> text;
    alignas(cmsghdr) std::array<char, 4096> control;
    iovec piece{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const auto size = ::recvmsg(fd_, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0) return all;
    const std::string said(text.data(), static_cast<std::size_t>(size));
    all += '[' + said.substr(0, 100) + ' ' + std::to_string(std::hash<std::string>()(said)) + ']';
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part))
      all += words(*part);
  }
}

namespace {

/// Returns whether messages can be sent to such an address.
bool is_well_formed(const std::string& where) {
  return where.size() < sizeof(sockaddr_un::sun_path) && where.size() > 1 &&
         (where.front() == '/' || where.front() == '@');
}

}  // namespace

std::optional<documented> allowed(const notify_call& call, const observation& theirs, const observation& ours,
                                  const library& their_library) {
  const auto& where = call.where;
  const bool both_failed = ours.at("result").front() == '-' && theirs.at("result").front() == '-';
  if (call.fds.size() > 253 && !their_library.knows_e2big)
    return documented{"more than 253 descriptors, compared with libsystemd before 257", -E2BIG};
  if (!where) return std::nullopt;
  if (where->rfind("vsock-dgram:2:1", 0) == 0 && (!call.fds.empty() || call.is_barrier())) {
    return documented{"descriptors for a vsock address", -EOPNOTSUPP};
  }
  if (!is_well_formed(*where) && both_failed) return documented{"a malformed `NOTIFY_SOCKET`"};
  if (call.state.value_or("").empty() && call.pid != 0) return documented{"an empty message that cannot be sent"};
  return std::nullopt;
}

}  // namespace sd::test
