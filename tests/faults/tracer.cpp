// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tracer.hpp"

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <regex>
#include <stdexcept>
#include <system_error>

namespace sd::test {

namespace {

/// A system call that no kernel has.
constexpr long marker = 100000;

constexpr std::size_t most_calls = 20000;
constexpr unsigned usual_patience = 10;  ///< seconds

int check(long result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return static_cast<int>(result);
}

std::string read_string(pid_t pid, std::uint64_t address) {
  std::string text;
  while (text.size() < 4096) {
    std::array<char, 64> piece{};
    // Up to the end of the page, because the next one may not be there.
    const std::size_t size = std::min<std::size_t>(piece.size(), 4096 - address % 4096);
    const iovec local{piece.data(), size};
    const iovec remote{reinterpret_cast<void*>(address), size};
    const auto count = ::process_vm_readv(pid, &local, 1, &remote, 1, 0);
    if (count <= 0) return text;
    const auto* const end = std::find(piece.data(), piece.data() + count, '\0');
    text.append(piece.data(), static_cast<std::size_t>(end - piece.data()));
    if (end != piece.data() + count) return text;
    address += static_cast<std::uint64_t>(count);
  }
  return text;
}

user_regs_struct registers(pid_t pid) {
  user_regs_struct all{};
  check(::ptrace(PTRACE_GETREGS, pid, nullptr, &all), "PTRACE_GETREGS");
  return all;
}
/// Makes the kernel skip the call that a process is about to make.
void skip_call(pid_t pid) {
  auto all = registers(pid);
  all.orig_rax = ~0ULL;
  check(::ptrace(PTRACE_SETREGS, pid, nullptr, &all), "PTRACE_SETREGS");
}
void set_result(pid_t pid, int error) {
  auto all = registers(pid);
  all.rax = static_cast<unsigned long long>(-static_cast<long long>(error));
  check(::ptrace(PTRACE_SETREGS, pid, nullptr, &all), "PTRACE_SETREGS");
}

class tracer {
 public:
  /// @param what Whether a function is traced, or the program that the process executes.
  enum class subject { function, program };
  tracer(pid_t pid, const std::optional<fault>& fault, std::string directory, subject what, unsigned patience)
      : root_(pid), fault_(fault), directory_(std::move(directory)), what_(what), patience_(patience) {}

  trace run() {
    struct sigaction action {};
    action.sa_handler = [](int) {};  // interrupts waitpid()
    ::sigaction(SIGALRM, &action, nullptr);
    ::alarm(patience_);
    while (true) {
      int status = 0;
      const pid_t pid = ::waitpid(-1, &status, __WALL);
      if (pid < 0) {
        if (errno != EINTR) break;
        end("hangs");
        continue;
      }
      if (WIFSTOPPED(status)) {
        stopped(pid, status);
      } else if (pid == root_) {
        result_.status = status;
        break;
      } else {
        processes_.erase(pid);
      }
    }
    ::alarm(0);
    processes_.erase(root_);
    // They would stay stopped, because nobody resumes them any more.
    for (const auto& [pid, _] : processes_) {
      if (what_ == subject::program) ::kill(pid, SIGKILL);
    }
    return std::move(result_);
  }

 private:
  struct traced {
    int ordinal = 0;
    int calls = 0;
    bool is_new = true;
    bool is_thread = false;
    std::optional<system_call> current;
    bool fails = false;
    std::map<std::string, int> calls_with_text = {};
  };

  void end(const char* violation) {
    if (!is_ended_) result_.violations.emplace_back(violation);
    is_ended_ = true;
    for (const auto& [pid, _] : processes_) ::kill(pid, SIGKILL);
    ::kill(root_, SIGKILL);
  }

  traced& process_of(pid_t pid) {
    const auto [found, is_new] = processes_.try_emplace(pid);
    if (is_new) found->second.ordinal = next_++;
    return found->second;
  }

  void stopped(pid_t pid, int status) {
    const int signal = WSTOPSIG(status);
    const int event = status >> 16;
    if (pid == root_ && !started_) {
      // The process has called announce(function).
      started_ = true;
      constexpr long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                               PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
      check(::ptrace(PTRACE_SETOPTIONS, pid, nullptr, options), "PTRACE_SETOPTIONS");
      process_of(pid).is_new = false;
      resume(pid, 0);
      return;
    }
    auto& process = process_of(pid);
    const bool is_followed = what_ == subject::program && pid == root_;
    // The calls of the dynamic linker are left out until the program announces that it begins.
    if (event == PTRACE_EVENT_EXEC && is_followed) is_announced_ = false;
    if (finished_ || (event == PTRACE_EVENT_EXEC && !is_followed)) {
      ::ptrace(PTRACE_DETACH, pid, nullptr, 0);
      processes_.erase(pid);
    } else if (signal == (SIGTRAP | 0x80)) {
      if (at_call(pid, process)) resume(pid, 0);
    } else if (event != 0) {
      unsigned long child = 0;
      ::ptrace(PTRACE_GETEVENTMSG, pid, nullptr, &child);
      if (event != PTRACE_EVENT_STOP && event != PTRACE_EVENT_EXEC) {
        process_of(static_cast<pid_t>(child)).is_thread = event == PTRACE_EVENT_CLONE && what_ == subject::program;
      }
      resume(pid, 0);
    } else if (process.is_new && signal == SIGSTOP) {
      process.is_new = false;
      resume(pid, 0);
    } else {
      resume(pid, signal);
    }
  }

  static void resume(pid_t pid, int signal) { ::ptrace(PTRACE_SYSCALL, pid, nullptr, signal); }

  /// Returns whether the process is still traced.
  bool at_call(pid_t pid, traced& process) {
    __ptrace_syscall_info info{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) < 0) return true;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
      entered(pid, process, info);
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
      return left(pid, process, info);
    }
    return true;
  }

  void entered(pid_t pid, traced& process, const __ptrace_syscall_info& info) {
    system_call call;
    call.process = process.ordinal;
    call.number = static_cast<long>(info.entry.nr);
    std::copy(std::begin(info.entry.args), std::end(info.entry.args), call.arguments.begin());
    process.current = call;
    process.fails = false;
    if (call.number == marker || (what_ == subject::program && !is_announced_)) return;
    call.index = process.calls++;
    call.phase = phase_;
    if (const int path = path_argument(call.number); path >= 0) {
      call.path = read_string(pid, call.arguments[static_cast<std::size_t>(path)]);
      const bool is_in_directory = !call.path.empty();
      if (call.path.rfind(directory_ + '/', 0) == 0) call.path.erase(0, directory_.size() + 1);
      if (call.path == directory_ || (call.path.empty() && is_in_directory)) call.path = ".";
      if (call.path.rfind("/proc/self/fd/", 0) == 0) call.path = "/proc/self/fd";
      replace_number(call.path);
    }
    if (what_ == subject::program) call.index = process.calls_with_text[text_of(call)]++;
    if (process.ordinal > 0 && !process.is_thread && !is_allowed_in_child(call)) {
      result_.violations.push_back("the child calls " + text_of(call) + " before it executes the program");
    }
    process.current = call;
    process.fails = fault_ && fault_->process == call.process && fault_->index == call.index &&
                    (fault_->text.empty() || fault_->text == text_of(call));
    if (process.fails && !is_carried_out(call, fault_->error)) skip_call(pid);
    result_.calls.push_back(std::move(call));
    if (result_.calls.size() == most_calls) end("does not stop making system calls");
  }

  /// Replaces the number of a process or thread, which differs from run to run.
  static void replace_number(std::string& path) {
    static const std::regex number("^/proc/[0-9]+(/task/[0-9]+)?");
    if (path.rfind("/proc/", 0) == 0) path = std::regex_replace(path, number, "/proc/PID");
  }

  bool left(pid_t pid, traced& process, const __ptrace_syscall_info& info) {
    if (!process.current) return true;
    const auto call = *process.current;
    process.current.reset();
    if (call.number == marker) {
      phase_ = static_cast<int>(call.arguments[0]);
      if (phase_ == function) {
        // The calls before the first one belong to announce().
        if (!has_begun_) {
          result_.calls.clear();
          process.calls = 0;
        }
        has_begun_ = is_announced_ = true;
      }
      if (phase_ == forbidden) result_.violations.emplace_back("the child allocates memory or locks a mutex");
      if (phase_ != finished) return true;
      finished_ = true;
      ::ptrace(PTRACE_DETACH, pid, nullptr, 0);
      return false;
    }
    if (call.number == SYS_close && info.exit.rval == -EBADF) {
      result_.violations.push_back("closes a descriptor that is not open: " + std::to_string(call.arguments[0]));
    }
    if (process.fails) {
      set_result(pid, fault_->error);
      result_.injected = call;
    }
    return true;
  }

  pid_t root_;
  std::optional<fault> fault_;
  std::string directory_;
  subject what_;
  unsigned patience_;
  std::map<pid_t, traced> processes_;
  int next_ = 0;
  int phase_ = function;
  bool started_ = false;
  bool finished_ = false;
  bool is_ended_ = false;
  bool has_begun_ = false;
  bool is_announced_ = false;
  trace result_;
};

}  // namespace

std::string reason_not_to_trace() {
  const pid_t child = ::fork();
  if (child == 0) {
    const bool may = ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0;
    if (may) ::raise(SIGSTOP);
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(child, &status, __WALL);
  if (!WIFSTOPPED(status)) return "this process may not trace others";
  __ptrace_syscall_info info{};
  const bool has_info = ::ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) > 0;
  ::kill(child, SIGKILL);
  ::waitpid(child, &status, __WALL);
  return has_info ? "" : "the kernel is older than Linux 5.3";
}

void announce(phase phase) {
  if (phase == function) {
    check(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr), "PTRACE_TRACEME");
    ::raise(SIGSTOP);
  }
  ::syscall(marker, phase);
}

void execute_traced(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const auto& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
  arguments.push_back(nullptr);
  check(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr), "PTRACE_TRACEME");
  ::raise(SIGSTOP);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

namespace {

pid_t start(const std::function<void()>& body) {
  const pid_t pid = check(::fork(), "fork");
  if (pid == 0) {
    body();
    ::_exit(0);
  }
  return pid;
}

}  // namespace

trace run_traced(const std::function<void()>& body, const std::optional<fault>& fault, const std::string& directory) {
  return tracer(start(body), fault, directory, tracer::subject::function, usual_patience).run();
}

trace run_traced_program(const std::function<void()>& body, const std::optional<fault>& fault,
                         const std::string& directory, unsigned patience) {
  return tracer(start(body), fault, directory, tracer::subject::program, patience).run();
}

}  // namespace sd::test
