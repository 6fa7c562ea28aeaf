// SPDX-License-Identifier: MIT OR Apache-2.0
#include "process_group.hpp"

#include "names_in.hpp"
#include "service_unit.hpp"
#include "values.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace sd::activate {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr auto longest_suspension = 50ms;  ///< after which a process that does not stop counts as busy
constexpr auto interval = 100us;

/// Returns the state of a process or thread as /proc has it, or that of a dead one if it is not there.
char state_of(const std::string& directory) {
  std::ifstream file(directory + "/stat");
  std::string text;
  std::getline(file, text);
  // The name of the program may contain anything.
  const auto end = text.rfind(')');
  char state = 'X';
  if (end != std::string::npos) std::istringstream(text.substr(end + 1)) >> state;
  return state;
}

/// Returns the directories of the processes.
std::vector<std::string> members(int group) {
  std::vector<std::string> result;
  std::error_code ec;
  for (const auto& name : names_in("/proc", ec)) {
    const auto pid = parse_number(name, INT32_MAX);
    if (pid && ::getpgid(static_cast<int>(*pid)) == group) result.push_back("/proc/" + name);
  }
  if (ec) throw std::system_error(ec, "/proc");
  return result;
}

/// Returns whether all threads of a process have stopped, also by a debugger, or ended.
bool is_suspended(const std::string& process) {
  std::error_code has_ended;
  const auto threads = process + "/task";
  const auto names = names_in(threads, has_ended);
  return std::all_of(names.begin(), names.end(), [&](const auto& name) {
    return std::string_view("TtZX").find(state_of(threads + '/' + name)) != std::string_view::npos;
  });
}

}  // namespace

void require_process_states() {
  std::error_code error;
  const auto self = fs::read_symlink("/proc/self", error);
  if (!error && self.string() != std::to_string(::getpid())) error = std::make_error_code(std::errc::no_such_process);
  if (error) throw std::system_error(error, "--stop-idle: /proc");
}

bool suspend(int group) noexcept try {
  // No process of the group can start another one from now on.
  if (group <= 1 || ::kill(-group, SIGSTOP) < 0) return false;
  const auto deadline = clock::now() + longest_suspension;
  const auto processes = members(group);
  while (!std::all_of(processes.begin(), processes.end(), is_suspended)) {
    if (clock::now() > deadline) {
      resume(group);
      return false;
    }
    std::this_thread::sleep_for(interval);
  }
  return true;
} catch (const std::exception&) {
  resume(group);
  return false;
}

void resume(int group) noexcept { ::kill(-group, SIGCONT); }

bool send_signal(int target, int pidfd, int signal) noexcept {
  constexpr unsigned process_group = 1U << 2U;  // PIDFD_SIGNAL_PROCESS_GROUP
  const auto* const no_info = static_cast<siginfo_t*>(nullptr);
  if (pidfd >= 0) {
    if (::syscall(SYS_pidfd_send_signal, pidfd, signal, no_info, target < 0 ? process_group : 0U) == 0) return true;
    if (errno == ESRCH) return false;
  }
  return ::kill(target, signal) == 0;
}

void ask_to_end(int target, int pidfd, int signal, const service_unit& unit) noexcept {
  send_signal(target, pidfd, signal);
  send_signal(target, pidfd, SIGCONT);
  if (unit.send_sighup) send_signal(target, pidfd, SIGHUP);
}

}  // namespace sd::activate
