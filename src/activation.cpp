// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/activation.hpp>

#include "detail/os/descriptors.hpp"
#include "detail/os/processes.hpp"
#include "detail/program_start.hpp"
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
inline namespace v0 {

#if SD_HAS_DESCRIPTORS

namespace {

namespace os = detail::os;

constexpr std::string_view listen_pid = "LISTEN_PID=";
constexpr std::string_view listen_pidfdid = "LISTEN_PIDFDID=";
constexpr const char* shell = "/bin/sh";

[[noreturn]] void invalid(const std::string& what) {
  throw std::system_error(std::make_error_code(std::errc::invalid_argument), what);
}

bool has_nul(std::string_view text) noexcept { return text.find('\0') != std::string_view::npos; }

/// Returns the variable LISTEN_FDNAMES, which is empty if it must not be set.
std::string names_of(const std::vector<listen_fd>& fds) {
  constexpr std::size_t longest = 255;
  const auto is_named = [](const listen_fd& entry) { return entry.name.has_value(); };
  if (std::none_of(fds.begin(), fds.end(), is_named)) return "";
  std::string names = "LISTEN_FDNAMES=";
  for (const auto& entry : fds) {
    const auto name = entry.name.value_or("unknown");
    const auto is_invalid = [](char c) { return c == ':' || detail::is_control(c); };
    if (name.size() > longest) invalid("descriptor name " + detail::quoted(name) + ": longer than 255 bytes");
    if (std::any_of(name.begin(), name.end(), is_invalid)) {
      invalid("descriptor name " + detail::quoted(name) + ": contains a colon or a control character");
    }
    names += name + ':';
  }
  names.pop_back();
  return names;
}

std::vector<int> numbers_of(const std::vector<listen_fd>& fds) {
  std::vector<int> numbers;
  numbers.reserve(fds.size());
  for (const auto& entry : fds) numbers.push_back(entry.fd.get());
  return numbers;
}

bool is_of_the_protocol(std::string_view name) noexcept {
  return name == "LISTEN_PID" || name == "LISTEN_PIDFDID" || name == "LISTEN_FDS" || name == "LISTEN_FDNAMES" ||
         name == "LISTEN_FDS_FIRST_FD";
}

void check_command(const std::vector<std::string>& command) {
  if (command.empty()) invalid("the command is empty");
  for (const auto& word : command) {
    if (has_nul(word)) invalid("word " + detail::quoted(word) + " of the command: contains a NUL byte");
  }
}

void check_variable(const std::string& name, const std::string& value) {
  const char* problem = nullptr;
  if (name.empty()) problem = "the name is empty";
  if (name.find('=') != std::string::npos) problem = "the name contains \"=\"";
  if (has_nul(name)) problem = "the name contains a NUL byte";
  if (has_nul(value)) problem = "the value contains a NUL byte";
  if (problem != nullptr) invalid("variable " + detail::quoted(name) + ": " + problem);
}

/// Returns the variables of the program but for those of the protocol, and that with the pid.
std::vector<std::string> variables_of(const std::map<std::string, std::string>& environment,
                                      const activation_options& options) {
  std::vector<std::string> variables;
  const auto is_set_later = [&](std::string_view name) {
    return is_of_the_protocol(name) || name == options.pid_variable;
  };
  char** own = options.inherits_environment ? os::environment() : nullptr;
  for (; own != nullptr && *own != nullptr; ++own) {
    const std::string_view text = *own;
    const auto name = text.substr(0, text.find('='));
    if (!is_set_later(name) && environment.count(std::string(name)) == 0) variables.emplace_back(text);
  }
  for (const auto& [name, value] : environment) {
    check_variable(name, value);
    if (!is_set_later(name)) variables.emplace_back(name).append("=").append(value);
  }
  return variables;
}

/// Returns the paths that execvp(3) tries for a program if these are the variables.
std::vector<std::string> candidates_of(const std::string& program, const std::vector<std::string>& variables) {
  if (program.empty() || program.find('/') != std::string::npos) return {program};
  constexpr std::string_view name = "PATH=";
  std::string_view directories = "/bin:/usr/bin";
  for (const auto& variable : variables) {
    if (variable.compare(0, name.size(), name) != 0) continue;
    directories = std::string_view(variable).substr(name.size());
    break;
  }
  std::vector<std::string> candidates;
  while (true) {
    const auto colon = directories.find(':');
    auto path = std::string(directories.substr(0, colon));
    if (!path.empty()) path += '/';  // an empty element is the working directory
    candidates.push_back(path + program);
    if (colon == std::string_view::npos) return candidates;
    directories.remove_prefix(colon + 1);
  }
}

/// Whether execvp(3) tries the next candidate after this error.
bool is_not_there(int error) noexcept {
  return error == ENOENT || error == ENOTDIR || error == ESTALE || error == ENODEV || error == ETIMEDOUT;
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

std::error_code error_code_of(int error) noexcept { return {error, std::generic_category()}; }

}  // namespace

activation::activation(std::vector<std::string> command, const std::vector<listen_fd>& fds,
                       const std::map<std::string, std::string>& environment, const activation_options& options)
    : command_(std::move(command)),
      variables_(variables_of(environment, options)),
      fds_(numbers_of(fds)),
      sets_listen_pid_(options.sets_listen_pid),
      child_fds_(fds_),
      stack_(new char[os::stack_size]) {
  check_command(command_);
  if (has_nul(options.program)) invalid("program " + detail::quoted(options.program) + ": contains a NUL byte");
  candidates_ = candidates_of(options.program.empty() ? command_.front() : options.program, variables_);
  for (auto& word : command_) arguments_.push_back(word.data());
  arguments_.push_back(nullptr);
  shell_arguments_.push_back(const_cast<char*>(shell));
  shell_arguments_.insert(shell_arguments_.end(), arguments_.begin(), arguments_.end());

  if (!fds_.empty()) {
    variables_.push_back("LISTEN_FDS=" + std::to_string(fds_.size()));
    if (auto names = names_of(fds); !names.empty()) variables_.push_back(std::move(names));
  }
  for (auto& variable : variables_) environment_.push_back(variable.data());
  if (!options.pid_variable.empty()) {
    check_variable(options.pid_variable, "");
    pid_variable_ = options.pid_variable + "=00000000000000000000";  // room for 20 digits
    pid_offset_ = options.pid_variable.size() + 1;
    environment_.push_back(pid_variable_.data());
  }
  if (!fds_.empty() && sets_listen_pid_)
    environment_.insert(environment_.end(), {listen_pid_, nullptr});  // and LISTEN_PIDFDID
  environment_.push_back(nullptr);
}

std::error_code activation::exec() noexcept { return error_code_of(execute(fds_)); }

int activation::execute(std::vector<int>& fds) noexcept {
  if (pid_offset_ != 0) write(&pid_variable_[pid_offset_], "", static_cast<std::uint64_t>(os::process_id()));
  if (!fds.empty() && sets_listen_pid_) {
    const int pid = os::process_id();
    write(listen_pid_, listen_pid, static_cast<std::uint64_t>(pid));
    std::uint64_t pidfdid = 0;
    char*& entry = environment_[environment_.size() - 2];
    entry = nullptr;  // an earlier child may have set it in the memory that it shared
    if (detail::pidfd_inode(pid, pidfdid) > 0) {
      write(listen_pidfdid_, listen_pidfdid, pidfdid);
      entry = listen_pidfdid_;
    }
  }

  // Step aside first: a descriptor may occupy the number of another one.
  const int end = detail::first_descriptor + static_cast<int>(fds.size());
  for (int& fd : fds) {
    if (fd >= end) continue;
    const int moved = os::duplicate(fd, end);
    if (moved < 0) return -moved;
    fd = moved;
  }
  int number = detail::first_descriptor;
  for (const int fd : fds) {
    if (const int result = os::duplicate_to(fd, number++); result < 0) return -result;
  }
  return execute_candidates();
}

/// Does what execvp(3) does, without allocating.
int activation::execute_candidates() noexcept {
  int error = ENOENT;
  bool is_denied = false;
  for (auto& path : candidates_) {
    error = -os::execute(path.c_str(), arguments_.data(), environment_.data());
    if (error == ENOEXEC) {
      shell_arguments_[1] = path.data();
      error = -os::execute(shell, shell_arguments_.data(), environment_.data());
    }
    if (error == EACCES) {
      is_denied = true;
    } else if (!is_not_there(error)) {
      return error;
    }
  }
  return is_denied ? EACCES : error;
}

int activation::spawn(std::error_code& ec) noexcept { return start(nullptr, nullptr, ec); }

int activation::start(int (*prepare)(void*) noexcept, void* argument, std::error_code& ec) noexcept {
  return detail::program_start::spawn(*this, {prepare, argument, false, {}}, ec);
}

#else

activation::activation(std::vector<std::string>, const std::vector<listen_fd>&,
                       const std::map<std::string, std::string>&, const activation_options&) {}
std::error_code activation::exec() noexcept { return {ENOSYS, std::generic_category()}; }
int activation::spawn(std::error_code& ec) noexcept { return start(nullptr, nullptr, ec); }
int activation::start(int (*)(void*) noexcept, void*, std::error_code& ec) noexcept {
  ec.assign(ENOSYS, std::generic_category());
  return -ENOSYS;
}

#endif

int activation::spawn() {
  std::error_code ec;
  const int pid = spawn(ec);
  if (ec) fail(ec);
  return pid;
}

void activation::fail(const std::error_code& ec) const {
  throw std::system_error(ec, "start " + (command_.empty() ? "" : command_.front()));
}

}  // namespace v0

#if SD_HAS_DESCRIPTORS

int detail::program_start::spawn(activation& program, const preparation& before, std::error_code& ec) noexcept {
  std::copy(program.fds_.begin(), program.fds_.end(), program.child_fds_.begin());
  os::child child{};
  child.execute = [](void* self) noexcept {
    auto& started = *static_cast<activation*>(self);
    return started.execute(started.child_fds_);
  };
  child.self = &program;
  child.prepare = before.prepare;
  child.argument = before.argument;
  child.prepares_in_shared_memory = before.may_share_memory;
  child.actions = before.actions;
  child.end_of_overwritten = first_descriptor + static_cast<int>(program.fds_.size());
  child.stack = program.stack_.get();
  const int pid = os::start(child);
  ec.clear();
  if (pid < 0) ec = error_code_of(-pid);
  return pid;
}

#endif

}  // namespace sd

#endif
