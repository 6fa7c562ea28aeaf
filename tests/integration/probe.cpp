// SPDX-License-Identifier: MIT OR Apache-2.0
// The program that the tests start with descriptors in place. It runs the scenario that its argument names, and prints
// the result and the state of the process afterwards in lines.

#include <sd/listen_fds.hpp>

#include "allocation.hpp"
#include "descriptor_limit.hpp"
#include "process.hpp"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <iterator>
#include <map>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace {

using fd_list = std::vector<sd::listen_fd>;

// --- reporting -------------------------------------------------------------------------------------------------------

std::uint64_t inode(int fd) {
  struct stat status;
  return ::fstat(fd, &status) == 0 ? status.st_ino : 0;
}

/// Prints "fds N", then a line per descriptor: its number, its inode, whether it is close-on-exec, and its name.
void report(const fd_list& fds) {
  std::cout << "fds " << fds.size() << '\n';
  for (const auto& [name, fd] : fds) {
    const int flags = ::fcntl(fd.get(), F_GETFD);
    std::cout << fd.get() << ' ' << inode(fd.get()) << (flags == FD_CLOEXEC ? " cloexec" : " inheritable")
              << (name ? " name=" + *name : " unnamed") << '\n';
  }
}

/// Prints the open descriptors past standard error, with a c if close-on-exec, and the variables that are set. The
/// tests pass no number above 2047.
void report_state() {
  std::cout << "open";
  for (int fd = 3; fd < 2048; ++fd) {
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags >= 0) std::cout << ' ' << fd << ((flags & FD_CLOEXEC) != 0 ? "c" : "");
  }
  std::cout << "\nset";
  for (const char* name : {"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDS_FIRST_FD", "LISTEN_FDNAMES"}) {
    if (std::getenv(name) != nullptr) std::cout << ' ' << name;
  }
  std::cout << '\n';
}

/// Lowers RLIMIT_NOFILE to the value of PROBE_LIMIT, if it is set, until the result is destroyed. It exists only during
/// the call, because other code needs descriptors, too.
sd::test::descriptor_limit limit_descriptors() {
  const char* const text = std::getenv("PROBE_LIMIT");
  return sd::test::descriptor_limit(text == nullptr ? sd::test::descriptor_limit::current().rlim_cur
                                                    : std::stoul(text));
}

fd_list call(sd::listen_options options, std::error_code& ec) {
  const auto limit = limit_descriptors();
  return sd::listen_fds(options, ec);
}

fd_list call(sd::listen_options options) {
  const auto limit = limit_descriptors();
  return sd::listen_fds(options);
}

fd_list take(sd::listen_options options = sd::listen_options::none) {
  std::error_code ec;
  auto fds = call(options, ec);
  if (ec) {
    std::cout << "error " << ec.category().name() << ' ' << ec.value() << '\n';
  } else {
    report(fds);
  }
  return fds;
}

// --- other processes -------------------------------------------------------------------------------------------------

sd::listen_options options_of(const std::vector<std::string>& words) {
  auto options = sd::listen_options::none;
  for (const auto& word : words) {
    if (word == "unset_environment") options = options | sd::listen_options::unset_environment;
    if (word == "any_pid") options = options | sd::listen_options::any_pid;
    if (word == "required") options = options | sd::listen_options::required;
  }
  return options;
}

std::string own_path;

[[noreturn]] void execute_self(const std::string& scenario) {
  std::cout.flush();
  auto words = sd::test::command(own_path, {scenario});
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::execvp(arguments.front(), arguments.data());
  std::cerr << "exec: " << std::strerror(errno) << '\n';
  ::_exit(127);
}

template <class Function>
void in_child(pid_t child, Function function) {
  if (child == 0) {
    function();
    std::cout.flush();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (status != 0) std::cout << "child " << status << '\n';
}

/// Makes close_range and pidfd_open fail with ENOSYS from now on.
bool disable_new_system_calls() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{std::size(program), program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// --- scenarios -------------------------------------------------------------------------------------------------------

using words = std::vector<std::string>;

void take_once(const words& arguments) {
  const auto fds = take(options_of(arguments));
  report_state();
}

void take_by_exception(const words& arguments) {
  try {
    report(call(options_of(arguments)));
  } catch (const std::system_error& error) {
    std::cout << "threw " << error.what() << '\n';
  }
  report_state();
}

void take_twice(const words& arguments) {
  const auto first = take();
  const auto second = take(options_of(arguments));
  report_state();
}

/// Takes the descriptors, closes them, opens other files at the same numbers, and takes again.
void take_after_close(const words&) {
  take().clear();
  const sd::unique_fd others[] = {sd::unique_fd(::open("/dev/null", O_RDONLY)),
                                  sd::unique_fd(::open("/dev/null", O_RDONLY)),
                                  sd::unique_fd(::open("/dev/null", O_RDONLY))};
  take();
  report_state();
}

void take_already_claimed(const words&) {
  ::fcntl(3, F_SETFD, FD_CLOEXEC);
  take_by_exception({});
}

void take_in_threads(const words&) {
  constexpr std::size_t threads = 16;
  std::atomic<int> waiting{threads};
  std::vector<fd_list> results(threads);
  std::vector<std::error_code> codes(threads);
  std::vector<std::thread> running;
  for (std::size_t i = 0; i < threads; ++i) {
    running.emplace_back([&waiting, &fds = results[i], &ec = codes[i]] {
      fds.reserve(1);  // makes glibc open a file, once per thread, which must not fill a hole during the call
      --waiting;
      while (waiting > 0) std::this_thread::yield();
      fds = sd::listen_fds(ec);
    });
  }
  for (auto& thread : running) thread.join();
  const auto taken = [](const fd_list& fds) { return !fds.empty(); };
  std::cout << "winners " << std::count_if(results.begin(), results.end(), taken) << '\n';
  std::cout << "errors " << std::count_if(codes.begin(), codes.end(), [](const auto& ec) { return bool(ec); }) << '\n';
  const auto winner = std::find_if(results.begin(), results.end(), taken);
  if (winner != results.end()) report(*winner);
}

void fork_then_take(const words& arguments) {
  std::cout.flush();
  in_child(::fork(), [&] { take(options_of(arguments)); });
  take_once({});
}

void clone_then_take(const words& arguments) {
  std::cout.flush();
  in_child(sd::test::raw_clone(), [&] { take(options_of(arguments)); });
  take_once({});
}

void take_then_fork(const words& arguments) {
  const auto fds = take();
  std::cout.flush();
  in_child(::fork(), [&] { take(options_of(arguments)); });
  in_child(sd::test::raw_clone(), [&] { take(options_of(arguments)); });
  report_state();
}

void execute_then_take(const words&) { execute_self("take"); }

void take_then_execute(const words& arguments) {
  const auto fds = take(options_of(arguments));  // NOLINT(clang-analyzer-deadcode.DeadStores): open until exec
  execute_self("take");
}

void take_then_execute_child(const words&) {
  const auto fds = take();
  std::cout.flush();
  in_child(::fork(), [] { execute_self("take"); });
}

void measure_allocation(const words&) {
  sd::test::largest_allocation = 0;
  const auto fds = take();
  std::cout << "largest allocation " << sd::test::largest_allocation << '\n';
}

/// Makes each allocation of the call fail in turn, until the call succeeds.
void take_without_memory(const words& arguments) {
  for (int allocations = 0;; ++allocations) {
    fd_list fds;
    bool failed = false;
    sd::test::allocations_left = allocations;
    try {
      fds = sd::listen_fds(options_of(arguments));
    } catch (const std::bad_alloc&) {
      failed = true;
    }
    sd::test::allocations_left = -1;
    if (!failed) {
      report(fds);
      return;
    }
    std::cout << "no memory\n";
    report_state();
  }
}

/// Calls the library between two system calls that mark the call in a trace.
void take_between_marks(const words&) {
  std::error_code ec;
  [[maybe_unused]] auto ignored = ::write(-1, "begin", 5);
  const auto fds = sd::listen_fds(ec);
  ignored = ::write(-1, "end", 3);
  report(fds);
}

using scenario_function = void (*)(const words&);

scenario_function scenario_of(const std::string& name) {
  static const std::map<std::string, scenario_function> scenarios = {
      {"take", take_once},
      {"take-by-exception", take_by_exception},
      {"take-twice", take_twice},
      {"take-after-close", take_after_close},
      {"take-already-claimed", take_already_claimed},
      {"take-in-threads", take_in_threads},
      {"fork-then-take", fork_then_take},
      {"clone-then-take", clone_then_take},
      {"take-then-fork", take_then_fork},
      {"execute-then-take", execute_then_take},
      {"take-then-execute", take_then_execute},
      {"take-then-execute-child", take_then_execute_child},
      {"measure-allocation", measure_allocation},
      {"take-without-memory", take_without_memory},
      {"mark", take_between_marks},
  };
  const auto found = scenarios.find(name);
  return found == scenarios.end() ? nullptr : found->second;
}

}  // namespace

int main(int argc, char** argv) {
  own_path = argv[0];
  const auto scenario = scenario_of(argc > 1 ? argv[1] : "");
  if (scenario == nullptr) {
    std::cerr << "usage: probe SCENARIO [OPTION...]\n";
    return 2;
  }
  // Simulates an older kernel.
  if (std::getenv("PROBE_OLD_KERNEL") != nullptr && !disable_new_system_calls()) {
    std::cerr << "seccomp: " << std::strerror(errno) << '\n';
    return 77;
  }
  scenario({argv + 2, argv + argc});
}
