#include <sd/activation.hpp>

#include "detail/os/descriptors.hpp"
#include "detail/os/processes.hpp"
#include "detail/receive.hpp"
#include "detail/text.hpp"

#if SD_HAS_EXCEPTIONS

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

namespace sd {

#if SD_HAS_DESCRIPTORS

namespace {

namespace os = detail::os;

constexpr std::string_view listen_pid = "LISTEN_PID=";
constexpr std::string_view listen_pidfdid = "LISTEN_PIDFDID=";
constexpr int cannot_start = 127;  // as of a shell

[[noreturn]] void invalid(const std::string& what) {
  throw std::system_error(std::make_error_code(std::errc::invalid_argument), what);
}

bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

/// The variable LISTEN_FDNAMES; empty where it is not to be set.
std::string names_of(const std::vector<listen_fd>& fds) {
  constexpr std::size_t longest = 255;
  const auto is_named = [](const listen_fd& entry) { return entry.name.has_value(); };
  if (std::none_of(fds.begin(), fds.end(), is_named)) return "";
  std::string names = "LISTEN_FDNAMES=";
  for (const auto& entry : fds) {
    const auto name = entry.name.value_or("unknown");
    const auto is_invalid = [](char c) { return c == ':' || is_control(c); };
    if (name.size() > longest || std::any_of(name.begin(), name.end(), is_invalid)) {
      invalid("name " + detail::quoted(name));
    }
    names += name + ':';
  }
  names.pop_back();
  return names;
}

bool is_of_the_protocol(std::string_view name) noexcept {
  return name == "LISTEN_PID" || name == "LISTEN_PIDFDID" || name == "LISTEN_FDS" || name == "LISTEN_FDNAMES";
}

/// Writes NAME= and the number. Async-signal-safe.
void write(char* variable, std::string_view name, std::uint64_t number) noexcept {
  char digits[20];
  std::size_t count = 0;
  do {
    digits[count++] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  name.copy(variable, name.size());
  char* const end = std::reverse_copy(digits, digits + count, variable + name.size());
  *end = '\0';
}

}  // namespace

activation::activation(std::vector<std::string> command, const std::vector<listen_fd>& fds,
                       const std::map<std::string, std::string>& environment)
    : command_(std::move(command)) {
  if (command_.empty()) invalid("a command of no words");
  for (auto& word : command_) arguments_.push_back(word.data());
  arguments_.push_back(nullptr);
  for (const auto& entry : fds) fds_.push_back(entry.fd.get());

  char** const own = os::environment();  // null where it was cleared
  for (char** variable = own; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const auto name = text.substr(0, text.find('='));
    if (!is_of_the_protocol(name) && environment.count(std::string(name)) == 0) variables_.emplace_back(text);
  }
  for (const auto& [name, value] : environment) {
    if (!is_of_the_protocol(name)) variables_.emplace_back(name).append("=").append(value);
  }
  variables_.push_back("LISTEN_FDS=" + std::to_string(fds.size()));
  if (auto names = names_of(fds); !names.empty()) variables_.push_back(std::move(names));
  for (auto& variable : variables_) environment_.push_back(variable.data());
  environment_.push_back(listen_pid_);
  environment_.push_back(listen_pidfdid_);
  environment_.push_back(nullptr);
}

std::error_code activation::exec() noexcept {
  const auto failed = [](int result) { return std::error_code(-result, std::generic_category()); };
  const int pid = os::process_id();
  write(listen_pid_, listen_pid, static_cast<std::uint64_t>(pid));
  std::uint64_t pidfdid = 0;
  const bool known = detail::pidfd_inode(pid, pidfdid) > 0;
  if (known) write(listen_pidfdid_, listen_pidfdid, pidfdid);
  environment_[environment_.size() - 2] = known ? listen_pidfdid_ : nullptr;

  // First out of each other's way, then in place.
  const int end = detail::first_descriptor + static_cast<int>(fds_.size());
  for (int& fd : fds_) {
    if (fd >= end) continue;
    const int moved = os::duplicate(fd, end);
    if (moved < 0) return failed(moved);
    fd = moved;
  }
  int place = detail::first_descriptor;
  for (const int fd : fds_) {
    if (const int result = os::duplicate_to(fd, place++); result < 0) return failed(result);
  }
  return failed(os::execute(arguments_.data(), environment_.data()));
}

int activation::spawn(std::error_code& ec, preparation prepare, void* argument) noexcept {
  ec.clear();
  int report[2];
  int result = os::open_pipe(report);
  if (result >= 0) {
    result = os::fork();
    if (result == 0) {
      // Where the descriptors go, the pipe must not be.
      const int end = detail::first_descriptor + static_cast<int>(fds_.size());
      const int moved = os::duplicate(report[1], end);
      int error = moved < 0 ? -moved : prepare != nullptr ? prepare(argument) : 0;
      if (error == 0) error = exec().value();
      os::write(moved < 0 ? report[1] : moved, &error, sizeof error);
      os::exit(cannot_start);
    }
    os::close(report[1]);
    int error = 0;
    if (result > 0 && os::read(report[0], &error, sizeof error) == sizeof error) {
      os::wait_for_exit(result);
      result = -error;
    }
    os::close(report[0]);
  }
  if (result < 0) ec.assign(-result, std::generic_category());
  return result;
}

#else

activation::activation(std::vector<std::string>, const std::vector<listen_fd>&,
                       const std::map<std::string, std::string>&) {}
std::error_code activation::exec() noexcept { return {ENOSYS, std::generic_category()}; }
int activation::spawn(std::error_code& ec, preparation, void*) noexcept {
  ec.assign(ENOSYS, std::generic_category());
  return -ENOSYS;
}

#endif

int activation::spawn(preparation prepare, void* argument) {
  std::error_code ec;
  const int pid = spawn(ec, prepare, argument);
  if (ec) throw std::system_error(ec, "start " + (command_.empty() ? "" : command_.front()));
  return pid;
}

}  // namespace sd

#endif
