// SPDX-License-Identifier: MIT OR Apache-2.0
// Makes each system call of a program with libsd-adopt fail once, and checks what the program sees and leaves behind.
#include <sd/address.hpp>
#include <sd/socket.hpp>
#include <sd/testing.hpp>

#include "enumeration.hpp"
#include "memory_file.hpp"
#include "tracer.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

namespace sd::test {

namespace {

namespace fs = std::filesystem;

constexpr int first_passed = 3;
constexpr unsigned patience = 20;  ///< in seconds
const std::string unreachable = "the passed socket cannot be reached";

struct adopt_scenario {
  std::string name;
  kind type;
  std::string address;  ///< of the passed socket, with DIR and port 0
  words steps;          ///< with DIR and PORT
};

const std::vector<adopt_scenario>& scenarios() {
  static const std::vector<adopt_scenario> all = {
      {"tcp",
       kind::stream,
       "127.0.0.1:0",
       {"fd=socket inet stream nonblock cloexec", "set $fd SO_REUSEADDR 1", "set $fd SO_KEEPALIVE 1", "copy=dup $fd",
        "e=epoll $fd", "bind $fd 127.0.0.1:PORT", "listen $fd", "flags $fd", "name $copy", "get $fd SO_KEEPALIVE",
        "name $fd", "client=socket inet stream", "connect $client 127.0.0.1:PORT", "pending $e", "shutdown $fd",
        "descriptors", "close-all close_range", "descriptors"}},
      {"two_sockets_at_an_address",
       kind::stream,
       "127.0.0.1:0",
       {"a=socket inet stream", "bind $a 127.0.0.1:PORT", "b=socket inet stream", "bind $b 127.0.0.1:PORT", "close $a",
        "listen $b", "descriptors"}},
      {"ipv4_of_a_dual_stack_socket",
       kind::stream,
       "[::]:0",
       {"fd=socket inet stream", "bind $fd 0.0.0.0:PORT", "name $fd", "dup2 $fd 9", "descriptors"}},
      {"udp",
       kind::datagram,
       "127.0.0.1:0",
       {"fd=socket inet dgram", "set $fd SO_BROADCAST 1", "bind $fd 127.0.0.1:PORT", "name $fd", "descriptors"}},
      {"unix",
       kind::stream,
       "DIR/s",
       {"fd=socket unix stream", "unlink DIR/s", "bind $fd DIR/s", "chmod DIR/s", "chown DIR/s", "rename DIR/s DIR/t",
        "listen $fd", "exists DIR/s", "exists DIR/t", "descriptors"}},
      {"exec",
       kind::stream,
       "127.0.0.1:0",
       {"exec", "fd=socket inet stream", "bind $fd 127.0.0.1:PORT", "exec", "again=socket inet stream",
        "bind $again 127.0.0.1:PORT", "listen $again", "name $again", "descriptors"}},
      {"fork",
       kind::stream,
       "127.0.0.1:0",
       {"fork", "fd=socket inet stream", "bind $fd 127.0.0.1:PORT", "listen $fd", "fork", "close $fd", "exec",
        "descriptors"}},
      {"other_address",
       kind::stream,
       "127.0.0.1:0",
       {"fd=socket inet stream", "bind $fd 127.0.0.1:0", "listen $fd", "descriptors"}},
  };
  return all;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> all;
  for (std::string line; std::getline(in, line);) all.push_back(line);
  return all;
}

struct adopt_outcome {
  trace seen;
  words results;       ///< what the program has printed, without the port
  std::string errors;  ///< what libsd-adopt has written
  words violations;
};

/// Returns whether a client can still connect to the socket.
bool is_reachable(int passed, const address& where) {
  const unique_fd client(::socket(where.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(client.get(), static_cast<const sockaddr*>(where.data()), static_cast<socklen_t>(where.size())) < 0)
    return false;
  const unique_fd accepted(::accept4(passed, nullptr, nullptr, SOCK_CLOEXEC));
  return static_cast<bool>(accepted);
}

adopt_outcome run_adopt(const adopt_scenario& which, const std::string& parent, const std::optional<fault>& failure) {
  const auto directory = parent + "/run";
  fs::remove_all(directory);
  fs::create_directory(directory);
  const auto passed = sd::testing::open(which.type, replaced(which.address, "DIR", directory));
  const auto manager = sd::testing::open(kind::datagram, directory + "/manager");
  const auto where = describe(passed.fd.get()).local;
  const auto port = where.family() != AF_UNIX ? std::to_string(where.port()) : "";
  words command = {STEPS};
  for (const auto& each : which.steps) command.push_back(replaced(replaced(each, "DIR", directory), "PORT", port));
  const auto output = memory_file();
  const auto errors = memory_file();

  adopt_outcome result;
  result.seen = run_traced_program(
      [&] {
        ::dup2(output.get(), STDOUT_FILENO);
        ::dup2(errors.get(), STDERR_FILENO);
        const int copy = ::fcntl(passed.fd.get(), F_DUPFD, first_passed + 1);
        ::dup2(copy, first_passed);
        ::close_range(first_passed + 1, ~0U, 0);
        ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
        ::setenv("LISTEN_FDS", "1", 1);
        ::setenv("LD_PRELOAD", LIBRARY " " BEGIN, 1);
        ::setenv("SD_ADOPT_VERBOSE", "1", 1);
        ::setenv("SD_ADOPT_NOTIFY", (directory + "/manager").c_str(), 1);
        execute_traced(command);
      },
      failure, directory, patience);
  for (const auto& each : result.seen.violations) {
    // A step that failed has no descriptor to close, and neither has the library after a failed open(2).
    if (each == "closes a descriptor that is not open: 4294967295") continue;
    // The child of a program with one thread may make any call.
    if (each.rfind("the child calls ", 0) == 0) continue;
    result.violations.push_back(each);
  }
  for (const auto& line : lines_of(contents(output.get()))) {
    result.results.push_back(port.empty() ? line : replaced(line, ':' + port, ":PORT"));
  }
  result.errors = contents(errors.get());
  const int status = result.seen.status;
  if (WIFSIGNALED(status)) result.violations.push_back("is killed by signal " + std::to_string(WTERMSIG(status)));
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
    result.violations.push_back("ends with status " + std::to_string(WEXITSTATUS(status)));
  }
  if (which.type == kind::stream && !is_reachable(passed.fd.get(), where)) {
    result.violations.emplace_back(unreachable);
  }
  return result;
}

/// A failure that may have an effect which is neither reported nor undone.
struct permitted {
  std::string call;   ///< the text of the call and its number, or their beginning followed by "*"
  std::string error;  ///< the errno. Empty for any
};

const std::vector<permitted>& permissions() {
  static const std::vector<permitted> all = {
      // Only a security module makes these fail. The library does not recognize the socket then, and lets the program
      // use its own, or an option or a flag is not carried over.
      {"getsockopt *", ""},
      {"getsockname *", ""},
      {"fstat *", ""},
      {"fcntl F_GETFD *", ""},
      {"fcntl F_GETFL *", ""},
      {"fcntl F_SETFL *", ""},
      // The options that the program has set are not carried over, or one of them.
      {"socket #1", ""},
      {"setsockopt *", ""},
      // The passed socket keeps its number, and the program gets another one.
      {"fcntl F_DUPFD #0", ""},
      // The path is taken for another one, so that the program removes it or changes its mode. What else can cause an
      // error here also prevents that.
      {"newfstatat s *", ""},
      // Other numbers and epoll registrations of the socket are not found.
      {"openat /proc/thread-self/fd*", ""},
      {"read *", ""},
      {"epoll_ctl EPOLL_CTL_DEL *", ""},
      // The same, or the program does not see its descriptors when it lists them.
      {"getdents64 *", ""},
      {"openat /proc/self/fd #*", "EINTR"},
      // The program closes, copies, connects and watches descriptors.
      {"close *", "EINTR"},
      {"dup2 *", "EINTR"},
      {"connect *", "EINTR"},
      {"epoll_wait *", "EINTR"},
  };
  return all;
}

bool is_permitted(const std::string& call, const std::string& error) {
  return std::any_of(permissions().begin(), permissions().end(), [&](const permitted& each) {
    return matches(each.call, call) && (each.error.empty() || each.error == error);
  });
}

/// Returns whether the call is one of those that only the program makes. It does not expect them to fail.
bool is_of_program(const system_call& call) {
  switch (call.number) {
    case SYS_clone:
    case SYS_execve:
    case SYS_wait4:
      return true;
    case SYS_write:
      return call.arguments[0] == STDOUT_FILENO;
    default:
      return false;
  }
}

class adopt_enumerator {
 public:
  explicit adopt_enumerator(const selection& what)
      : is_quick_(what.options.count("--quick") != 0), directory_(what.directory) {}

  void enumerate(const adopt_scenario& which) {
    ++scenarios_;
    const auto usual = run_adopt(which, directory_, std::nullopt);
    report(which, "without a failure", usual.violations, usual);
    if (usual.seen.calls.empty()) report(which, "without a failure", {"makes no system calls"}, usual);
    for (const auto& call : usual.seen.calls) {
      if (is_of_program(call)) continue;
      const auto tried = errors_to_try(call, is_quick_);
      if (tried.empty()) continue;
      ++calls_;
      for (const int error : tried) inject(which, usual, call, error);
    }
  }

  [[nodiscard]] int print_summary() const {
    std::cout << scenarios_ << " scenarios, " << calls_ << " system calls, " << injections_
              << " failures of them: " << unchanged_ << " without an effect, " << reported_ << " reported, "
              << permitted_ << " as documented in the list of exceptions; " << not_reached_ << " did not occur\n"
              << failures_ << " violations\n";
    return failures_ == 0 && injections_ > 0 ? 0 : 1;
  }

 private:
  void inject(const adopt_scenario& which, const adopt_outcome& usual, const system_call& call, int error) {
    const auto text = text_of(call);
    const auto got = run_adopt(which, directory_, fault{call.process, call.index, error, text});
    ++injections_;
    if (!got.seen.injected) {
      ++not_reached_;
      return;
    }
    const auto name = name_of_error(error);
    const auto number = text + " #" + std::to_string(call.index);
    auto all = got.violations;
    const bool is_allowed = is_permitted(number, name);
    // The program's shutdown(2) or unlink(2) takes effect then.
    const auto ended = std::find(all.begin(), all.end(), unreachable);
    const bool is_excused = is_allowed && ended != all.end();
    if (is_excused) all.erase(ended);
    if (got.results == usual.results && !is_excused) {
      ++unchanged_;
    } else if (is_allowed) {
      ++permitted_;
    } else if (error == EINTR) {
      all.emplace_back("does not make the call again");
    } else if (is_reported(got, error)) {
      ++reported_;
    } else {
      all.emplace_back("does not report the failure");
    }
    // The program closes what is in its way with close_range(2).
    const bool closes = call.number != SYS_close_range;
    if (closes && descriptors_in(got.results) > descriptors_in(usual.results)) {
      all.emplace_back("leaves more descriptors open");
    }
    report(which, number + " fails with " + name, all, got);
  }

  /// Returns how many descriptors the program has counted.
  static std::size_t descriptors_in(const words& results) {
    std::size_t count = 0;
    for (const auto& line : results) {
      if (line.rfind("descriptors: ", 0) == 0) {
        count += static_cast<std::size_t>(std::count(line.begin(), line.end(), ' '));
      }
    }
    return count;
  }

  static bool is_reported(const adopt_outcome& got, int error) {
    const auto name = name_of_error(error);
    const auto names_it = [&](const std::string& line) { return line.find(name) != std::string::npos; };
    return std::any_of(got.results.begin(), got.results.end(), names_it) ||
           got.errors.find(std::generic_category().message(error)) != std::string::npos;
  }

  void report(const adopt_scenario& which, const std::string& where, const words& violations,
              const adopt_outcome& got) {
    for (const auto& each : violations) {
      ++failures_;
      std::cout << which.name << ": " << where << ": " << each << '\n';
    }
    if (violations.empty()) return;
    for (const auto& line : got.results) std::cout << "  " << line << '\n';
    std::cout << got.errors << std::flush;
  }

  bool is_quick_;
  std::string directory_;
  int scenarios_ = 0;
  int calls_ = 0;
  int injections_ = 0;
  int unchanged_ = 0;
  int reported_ = 0;
  int permitted_ = 0;
  int not_reached_ = 0;
  int failures_ = 0;
};

}  // namespace

}  // namespace sd::test

int main(int argc, char** argv) {
  return sd::test::enumerate_by<sd::test::adopt_enumerator>(sd::test::scenarios(), argc, argv);
}
