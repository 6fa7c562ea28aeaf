// SPDX-License-Identifier: MIT OR Apache-2.0
#include "enumeration.hpp"

#include "allocation.hpp"
#include "memory_file.hpp"
#include "tracer.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string_view>

namespace sd::test {

namespace {

constexpr int highest_descriptor = 64;
constexpr unsigned nobody = 65534;

template <class... Parts>
std::string joined(const Parts&... parts) {
  std::ostringstream text;
  ((text << parts << ' '), ...);
  return text.str();
}

std::string text_of_file(const struct stat& status) {
  return joined(status.st_dev, status.st_ino, status.st_mode, status.st_uid, status.st_gid, status.st_nlink);
}

void read_descriptors(state_of_process& state) {
  for (int fd = 0; fd < highest_descriptor; ++fd) {
    const int flags = ::fcntl(fd, F_GETFD);
    struct stat status;
    if (flags < 0 || ::fstat(fd, &status) < 0) continue;
    // The number of links changes with the path.
    status.st_nlink = 0;
    state["fd " + std::to_string(fd)] = text_of_file(status) + joined(flags, ::fcntl(fd, F_GETFL));
  }
}

void read_signals(state_of_process& state) {
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  std::string& text = state["signal mask"];
  for (int signal = 1; signal < NSIG; ++signal) {
    text += ::sigismember(&mask, signal) == 1 ? '1' : '0';
    struct sigaction action {};
    if (::sigaction(signal, nullptr, &action) < 0 || action.sa_handler == SIG_DFL) continue;
    state["signal " + std::to_string(signal)] = joined(reinterpret_cast<std::uintptr_t>(action.sa_handler));
  }
}

void read_paths(state_of_process& state, const std::string& directory) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, ignored)) {
    struct stat status;
    if (::lstat(entry.path().c_str(), &status) < 0) continue;
    if (S_ISDIR(status.st_mode)) status.st_nlink = 0;
    state["path " + entry.path().lexically_relative(directory).string()] = text_of_file(status);
  }
}

void write_all(int fd, const std::string& text) {
  if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) ::_exit(3);
}

int owner = 0;

/// Reports what a child does that must not do it.
void check_process() {
  if (owner != 0 && ::getpid() != owner) announce(forbidden);
}

std::string text_of(const words& all) {
  std::string text;
  for (const auto& each : all) text += (text.empty() ? "" : ", ") + each;
  return "{" + text + "}";
}

words sorted(words all) {
  std::sort(all.begin(), all.end());
  return all;
}

/// The report of a run.
struct outcome {
  trace seen;
  std::string result;
  words changes;
};

/// A permitted result of a failure.
struct expectation {
  std::string result;
  words changes;
};

class enumerator {
 public:
  explicit enumerator(const selection& what)
      : is_quick_(what.options.count("--quick") != 0), directory_(what.directory) {}

  void enumerate(const scenario& which) {
    ++scenarios_;
    const auto usual = run_once(which, std::nullopt, -1);
    if (!check("without a failure", usual, {{which.result, which.changes}}, which)) return;
    std::vector<bool> used(which.exceptions.size());
    std::set<std::string> seen;
    for (const auto& call : usual.seen.calls) {
      const auto tried = errors_to_try(call, is_quick_);
      if (tried.empty() || (is_quick_ && !seen.insert(sd::test::text_of(call)).second)) continue;
      ++calls_;
      for (const int error : tried) inject(which, usual, call, error, used);
    }
    for (std::size_t i = 0; i < used.size(); ++i) {
      if (used[i] || is_quick_ || which.exceptions[i].is_rare) continue;
      fail(which, "the exception " + which.exceptions[i].call + " " + which.exceptions[i].error + " was not needed");
    }
    if (!which.is_replaced) fail_allocations(which);
  }

  [[nodiscard]] int print_summary() const {
    std::cout << scenarios_ << " scenarios, " << calls_ << " system calls, " << injections_ << " failures of them ("
              << in_children_ << " in a child): " << reported_ << " reported, " << harmless_ << " without effect\n"
              << allocations_ << " failures of an allocation: " << thrown_ << " reported, " << allocations_ - thrown_
              << " without effect\n"
              << failures_ << " violations\n";
    return failures_ == 0 && injections_ > 0 ? 0 : 1;
  }

 private:
  outcome run_once(const scenario& which, const std::optional<fault>& fault, int allocation) {
    const auto there = directory_ + "/run";
    std::filesystem::remove_all(there);
    std::filesystem::create_directory(there);
    const bool changes_user = which.is_unprivileged && ::geteuid() == 0;
    if (changes_user && ::chown(there.c_str(), nobody, nobody) < 0) throw std::runtime_error("chown");
    const int report = ::memfd_create("report", 0);
    outcome result;
    std::cout.flush();
    result.seen = run_traced(
        [&] {
          constexpr int number = highest_descriptor + 1;  // which the scenario does not look at
          ::dup2(report, number);
          ::close_range(STDERR_FILENO + 1, highest_descriptor, 0);
          if (changes_user && (::setresgid(nobody, nobody, nobody) < 0 || ::setresuid(nobody, nobody, nobody) < 0)) {
            ::_exit(4);
          }
          if (::chdir(there.c_str()) < 0) ::_exit(4);
          run each(there, number, allocation);
          try {
            which.body(each);
          } catch (const std::exception& error) {
            write_all(number, std::string("the set-up fails: ") + error.what() + '\n');
          }
          // Without the destructors of this process.
          ::_exit(0);
        },
        fault, there);
    std::istringstream lines(contents(report));
    ::close(report);
    std::getline(lines, result.result);
    for (std::string line; std::getline(lines, line);) result.changes.push_back(line);
    if (result.seen.status != 0) {
      result.seen.violations.push_back("ends with status " + std::to_string(result.seen.status));
    }
    return result;
  }

  void inject(const scenario& which, const outcome& usual, const system_call& call, int error,
              std::vector<bool>& used) {
    const auto name = name_of_error(error);
    const auto text = (call.phase == cleanup ? "cleanup: " : "") + sd::test::text_of(call);
    const bool is_ignored = call.number == SYS_close || error == EINTR || call.phase == cleanup;
    std::vector<expectation> expected;
    for (std::size_t i = 0; i < which.exceptions.size(); ++i) {
      const auto& each = which.exceptions[i];
      // An exception for any errno does not include EINTR.
      const bool is_any = each.error.empty() && error != EINTR;
      if (!matches(each.call, text) || (!is_any && each.error != name)) continue;
      used[i] = true;
      if (each.results.empty()) return;
      std::istringstream results(each.results);
      for (std::string result; std::getline(results, result, '|');) {
        if (result == "usual") result = usual.result;
        if (result == "same") result = name;
        const auto usual_changes = result == usual.result ? usual.changes : words();
        expected.push_back({result, each.changes.empty() ? usual_changes : each.changes});
      }
    }
    if (expected.empty()) {
      expected.push_back(is_ignored ? expectation{usual.result, usual.changes} : expectation{name, {}});
    }
    const fault failure{call.process, call.index, error};
    auto got = run_once(which, failure, -1);
    // A child may end before or after its parent looks for it.
    for (int attempts = 20; attempts > 0 && !is_of(got.seen.injected, call); --attempts) {
      got = run_once(which, failure, -1);
    }
    ++injections_;
    if (call.process > 0) ++in_children_;
    ++(got.result == usual.result ? harmless_ : reported_);
    const auto where = text + (call.process > 0 ? " of child " + std::to_string(call.process) : "") + " fails with " +
                       name + " (call " + std::to_string(call.index) + ")";
    if (!is_of(got.seen.injected, call)) return fail(which, where + ": the call was not made again");
    check(where, got, expected, which);
  }

  static bool is_of(const std::optional<system_call>& injected, const system_call& call) {
    return injected && injected->number == call.number && injected->path == call.path;
  }

  void fail_allocations(const scenario& which) {
    for (int allocation = 0;; ++allocation) {
      const auto got = run_once(which, std::nullopt, allocation);
      const bool was_reached = got.result.rfind("all allocations succeed", 0) != 0;
      if (!was_reached) return;
      ++allocations_;
      const bool is_thrown = got.result == "bad_alloc" || got.result == "ENOMEM";
      if (is_thrown) ++thrown_;
      const auto where = "allocation " + std::to_string(allocation) + " fails";
      if (is_thrown) {
        check(where, got, {{got.result, {}}}, which);
      } else {
        check(where, got, {{which.result, which.changes}}, which);
      }
    }
  }

  bool check(const std::string& where, const outcome& got, const std::vector<expectation>& expected,
             const scenario& which) {
    const int before = failures_;
    for (const auto& each : got.seen.violations) fail(which, where + ": " + each);
    const auto changes = sorted(got.changes);
    const auto is_expected = [&](const expectation& each) {
      return each.result == got.result && sorted(each.changes) == changes;
    };
    if (std::none_of(expected.begin(), expected.end(), is_expected)) {
      std::string text;
      for (const auto& each : expected)
        text += (text.empty() ? "" : " or ") + each.result + ' ' + text_of(each.changes);
      fail(which, where + ": returns " + got.result + " and changes " + text_of(changes) + ", not " + text);
    }
    return failures_ == before;
  }

  void fail(const scenario& which, const std::string& what) {
    ++failures_;
    std::cout << which.name << ": " << what << '\n';
  }

  bool is_quick_;
  std::string directory_;
  int scenarios_ = 0;
  int calls_ = 0;
  int injections_ = 0;
  int in_children_ = 0;
  int reported_ = 0;
  int harmless_ = 0;
  int allocations_ = 0;
  int thrown_ = 0;
  int failures_ = 0;
};

}  // namespace

bool matches(const std::string& pattern, const std::string& text) {
  if (pattern.empty() || pattern.back() != '*') return pattern == text;
  return text.compare(0, pattern.size() - 1, pattern, 0, pattern.size() - 1) == 0;
}

std::string replaced(std::string text, const std::string& word, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += with.size()) {
    text.replace(at, word.size(), with);
  }
  return text;
}

state_of_process read_state() {
  state_of_process state;
  read_descriptors(state);
  read_signals(state);
  read_paths(state, std::filesystem::current_path());
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string text = *variable;
    state["env " + text.substr(0, text.find('='))] = text;
  }
  if (::waitpid(-1, nullptr, WNOHANG | __WALL) >= 0) state["child"] = "";
  return state;
}

words changes_between(const state_of_process& before, const state_of_process& after) {
  words changes;
  // A lock file that a killed process has left may be locked or removed at any time.
  const auto is_lock = [](const std::string& name) {
    constexpr std::string_view suffix = ".sd-lock";
    return name.size() > suffix.size() && name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0;
  };
  for (const auto& [name, value] : after) {
    const auto found = before.find(name);
    if (found == before.end()) {
      changes.push_back("+" + name);
    } else if (found->second != value && !is_lock(name)) {
      changes.push_back("~" + name);
    }
  }
  for (const auto& [name, value] : before) {
    if (after.count(name) == 0 && !is_lock(name)) changes.push_back("-" + name);
  }
  return changes;
}

std::string text_of(const std::error_code& ec) {
  if (!ec) return "ok";
  return ec.category() == std::generic_category() ? name_of_error(ec.value())
                                                  : ec.category().name() + (':' + ec.message());
}

std::vector<exception> operator+(std::vector<exception> a, const std::vector<exception>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

void forbid_in_children() {
  owner = ::getpid();
  before_allocation = check_process;
}

void run::returned() { announce(cleanup); }

void run::test(const std::function<std::string()>& tested, const std::function<std::string()>& checked) {
  const auto before = read_state();
  std::string result;
  result.reserve(1000);
  std::optional<int> left;  // of the allocations that succeed
  const auto stop_failing = [&] {
    if (!left) left = allocations_left.exchange(-1);
  };
  forbid_in_children();
  announce(function);
  allocations_left = allocation_;
  try {
    result = tested();
  } catch (const std::system_error& error) {
    stop_failing();
    result = text_of(error.code());
  } catch (const std::bad_alloc&) {
    result = "bad_alloc";
  }
  stop_failing();
  announce(finished);
  owner = 0;
  if (checked && result == "ok") result = checked();
  if (allocation_ >= 0 && *left >= 0) result = "all allocations succeed";
  std::string text = result + '\n';
  for (const auto& each : changes_between(before, read_state())) text += each + '\n';
  write_all(report_, text);
}

int run_selected(const words& all, int argc, char** argv, const std::function<int(const selection&)>& function) {
  selection what;
  for (const auto& word : words(argv + 1, argv + argc)) {
    if (word.rfind("--", 0) == 0) {
      what.options.insert(word);
    } else {
      what.scenarios.push_back(word);
    }
  }
  if (what.scenarios.empty()) what.scenarios = all;
  if (what.options.count("--list") != 0) {
    for (const auto& each : all) std::cout << each << '\n';
    return 0;
  }
  if (const auto reason = reason_not_to_trace(); !reason.empty()) {
    std::cout << "SKIPPED: " << reason << '\n';
    return 77;
  }
  ::setenv("LC_ALL", "C", 1);
  what.directory = "/tmp/sd-faults-XXXXXX";
  if (::mkdtemp(what.directory.data()) == nullptr) return 1;
  std::filesystem::permissions(what.directory, std::filesystem::perms(0755));
  const int status = function(what);
  std::filesystem::remove_all(what.directory);
  return status;
}

int enumerate(const std::vector<scenario>& all, int argc, char** argv) {
  return enumerate_by<enumerator>(all, argc, argv);
}

}  // namespace sd::test
