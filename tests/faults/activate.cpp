// SPDX-License-Identifier: MIT OR Apache-2.0
// Every system call and every allocation of sd-activate fails once, in a few scenarios.
#include "activate_run.hpp"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdint>
#include <iostream>
#include <set>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

namespace sd::test {

namespace {

const std::string service = SERVICE;
const std::string listening = "[Socket]\nListenStream=DIR/s\nRemoveOnStop=yes\n";

std::map<std::string, std::string> units(const std::string& settings, const std::string& options = "") {
  return {{"web.socket", listening}, {"web.service", "[Service]\nExecStart=" + service + options + "\n" + settings}};
}

std::vector<activate_scenario> scenarios() {
  std::vector<activate_scenario> all;
  all.push_back({"on_demand", units("Type=notify\n", " --ready"), {"DIR/web.socket"}, [](session& client) {
                   client.ask("descriptors", "3 4");
                   client.end_service("exit 0");
                   client.settle(0);
                   client.ask("variable LISTEN_FDNAMES", "web.socket");
                   client.end_service("exit 0");
                   client.settle(0);
                 }});
  const std::map<std::string, std::string> accepting = {{"web.socket", listening + "Accept=yes\n"},
                                                        {"web@.service", "[Service]\nExecStart=" + service + "\n"}};
  const auto use_connections = [](session& client) {
    client.ask("descriptors", "3");
    client.ask_twice("pid");
    client.settle(0);
    client.ask("variable LISTEN_FDNAMES", "connection");
    client.settle(0);
  };
  all.push_back({"connections", accepting, {"DIR/web.socket"}, use_connections});
  auto notifying = accepting;
  notifying["web@.service"] += "Type=notify\nExecStopPost=/bin/true\n";
  notifying["web@.service"].replace(notifying["web@.service"].find(service), service.size(), service + " --ready");
  all.push_back({"connections_with_notification", notifying, {"DIR/web.socket"}, use_connections});
  all.push_back({"restart", units("Restart=always\nRestartSec=0\n"), {"DIR/web.socket"}, [](session& client) {
                   client.ask("descriptors", "3 4");
                   client.end_service("exit 3");
                   client.ask("descriptors", "3 4");
                   client.settle(1);
                 }});
  all.push_back({"overlap", units("Type=notify\n", " --ready"), {"DIR/web.socket"}, [](session& client) {
                   const auto before = client.ask("pid");
                   client.signal(SIGHUP);
                   client.await_end(before);
                   client.settle(1);
                   client.ask("pid");
                   client.settle(1);
                 }});
  all.push_back({"stop_idle", units(""), {"--stop-idle", "60ms", "DIR/web.socket"}, [](session& client) {
                   client.ask("descriptors", "3 4");
                   client.settle(0);
                   client.ask("variable LISTEN_FDNAMES", "web.socket");
                   client.settle(0);
                 }});
  // At most one, because a client that gets no reply asks for it again.
  all.push_back({"store",
                 units("FileDescriptorStoreMax=1\nRestart=always\nRestartSec=0\n"),
                 {"DIR/web.socket"},
                 [](session& client) {
                   client.ask("store a", "done");
                   client.ask("forget b", "done");
                   client.settle(1);
                   client.end_service("exit 3");
                   client.ask("variable LISTEN_FDNAMES", "web.socket:stored/a");
                   client.settle(1);
                 }});
  auto with_files = units(
      "WorkingDirectory=DIR\nLimitNOFILE=1000\nNice=1\nUMask=0027\nOOMScoreAdjust=500\nNoNewPrivileges=yes\n"
      "EnvironmentFile=DIR/variables\nStandardInput=null\nStandardOutput=append:DIR/output\nExecStartPre=/bin/true\n");
  with_files["variables"] = "NAME=value\n";
  with_files["web.socket.d/more.conf"] = "[Socket]\nFileDescriptorName=web\nSymlinks=DIR/link\nSocketMode=0600\n";
  all.push_back({"settings",
                 with_files,
                 {"DIR/web.socket"},
                 [](session& client) {
                   client.ask("variable NAME", "value");
                   client.ask("variable LISTEN_FDNAMES", "web");
                   client.end_service("exit 0");
                   client.settle(0);
                 },
                 0,
                 {"output"}});
  all.push_back({"check", with_files, {"--check", "DIR/web.socket"}});
  with_files["web.socket.d/more.conf"] += "SocketMode=999\n";
  all.push_back({"check_wrong", with_files, {"--check", "DIR/web.socket"}, nullptr, 3});
  return all;
}

/// A permitted result that is not one of those that the checks know.
struct permitted {
  std::string call;       ///< the text of the call and its number, or their beginning followed by "*"
  std::string error;      ///< the errno. Empty for any
  std::string violation;  ///< its beginning. Empty if this failure is left out
};

const std::vector<permitted>& permissions() {
  static const std::vector<permitted> all = {
      // What cannot be removed stays, also because the path cannot be locked, or because it is not known whether the
      // lock file is still the one that is locked. The next process that binds the path removes them.
      {"unlink s*", "", "leaves the file s"},
      {"unlink link #*", "", "leaves the file link"},
      {"openat s.sd-lock #*", "", "leaves the file s"},
      {"flock LOCK_EX #*", "", "leaves the file s"},
      {"fstat #*", "", "leaves the file s"},
      {"newfstatat s*", "", "leaves the file s"},
      // A directory that cannot be examined counts as missing. The error is that of the attempt to make it.
      {"newfstatat . #1", "", "does not report the failure"},
      // As if there were no drop-ins.
      {"openat web.socket.d #0", "ENOENT", ""},
      {"getdents64 #0", "ENOENT", ""},
      // The error is that such a socket cannot be observed.
      {"getsockopt *", "", "does not report the failure"},
      // ESRCH says that the process has ended, so nothing is sent again to one that has not.
      {"pidfd_send_signal #*", "ESRCH", ""},
      // The shell runs a program whose format is unknown, and reports that it cannot.
      {"execve *", "ENOEXEC", "does not report the failure"},
      // With WNOHANG, it does not fail while there is a child.
      {"wait4 #*", "", ""},
      // The C library, which writes the problems of units, reports it.
      {"write #0", "EINTR", "does not make the call again"},
      // The error is that of the next attempt to register the socket.
      {"epoll_ctl EPOLL_CTL_DEL *", "", "does not report the failure"},
      // Asio has a pipe then.
      {"eventfd2 #0", "", "keeps the descriptors pipe:[], pipe:[]"},
      // Asio ignores that it cannot register the descriptor of its timers. If the resources stay short, the next
      // registration fails.
      {"epoll_ctl EPOLL_CTL_ADD #1", "", ""},
  };
  return all;
}

bool starts_with(const std::string& text, const std::string& beginning) {
  return text.compare(0, beginning.size(), beginning) == 0;
}

bool concerns(const permitted& each, const std::string& call, const std::string& error) {
  return matches(each.call, call) && (each.error.empty() || each.error == error);
}

bool is_left_out(const std::string& call, const std::string& error) {
  return std::any_of(permissions().begin(), permissions().end(),
                     [&](const permitted& each) { return each.violation.empty() && concerns(each, call, error); });
}

bool is_permitted(const std::string& call, const std::string& error, const std::string& violation) {
  return std::any_of(permissions().begin(), permissions().end(), [&](const permitted& each) {
    return concerns(each, call, error) && starts_with(violation, each.violation);
  });
}

class activate_enumerator {
 public:
  explicit activate_enumerator(const selection& what)
      : is_quick_(what.options.count("--quick") != 0),
        is_verbose_(what.options.count("--verbose") != 0),
        fails_calls_(what.options.count("--allocations") == 0),
        directory_(what.directory) {}

  void enumerate(const activate_scenario& which) {
    ++scenarios_;
    usual_.clear();
    const auto first = run(which, {});
    usual_ = first.descriptors;
    // The number of some calls depends on time, such as those that wait. Only those of each run are counted.
    auto calls = keys_of(first);
    constexpr int runs = 3;
    for (int i = 1; i < runs; ++i) {
      const auto again = run(which, {});
      report(which, "without a failure", verdict_without_failure(which, again));
      const auto others = keys_of(again);
      for (auto each = calls.begin(); each != calls.end();)
        each = others.count(each->first) != 0 ? ++each : calls.erase(each);
    }
    if (!fails_calls_) calls.clear();
    for (const auto& [_, call] : calls) {
      const auto tried = errors_to_try(call, is_quick_);
      if (tried.empty() || (is_quick_ && call.index != 0)) continue;
      ++calls_;
      for (const int error : tried) inject(which, call, error);
    }
    fail_allocations(which);
  }

  [[nodiscard]] int print_summary() const {
    std::cout << scenarios_ << " scenarios, " << calls_ << " system calls, " << injections_ << " failures of them ("
              << in_children_ << " in a child), " << allocations_ << " failures of allocations from " << places_.size()
              << " places: sd-activate ended with an error after " << ended_ << ", refused a client after " << refused_
              << ", and served all of them after " << served_ << "; " << not_reached_ << " did not occur\n"
              << failures_ << " violations\n";
    return failures_ == 0 && injections_ + allocations_ > 0 ? 0 : 1;
  }

 private:
  using key = std::tuple<int, std::string, int>;  ///< process, text and index

  static std::map<key, system_call> keys_of(const activate_outcome& from) {
    std::map<key, system_call> all;
    for (const auto& each : from.seen.calls) all.emplace(key{each.process, text_of(each), each.index}, each);
    return all;
  }

  activate_outcome run(const activate_scenario& which, const activate_fault& fault) {
    return run_activate(which, directory_, fault, usual_);
  }

  static words verdict_without_failure(const activate_scenario& which, const activate_outcome& got) {
    auto all = got.violations;
    if (got.status != which.status) all.push_back("ends with status " + std::to_string(got.status) + ": " + got.errors);
    if (got.clients_without_reply != 0) all.emplace_back("does not serve a client");
    return all;
  }

  void inject(const activate_scenario& which, const system_call& call, int error) {
    const auto text = text_of(call);
    const auto name = name_of_error(error);
    const auto number = text + " #" + std::to_string(call.index);
    if (is_left_out(number, name)) return;
    const fault failure{call.process, call.index, error, text};
    constexpr int attempts = 4;
    activate_outcome got;
    for (int i = 0; i < attempts && !got.seen.injected; ++i) got = run(which, {failure});
    ++injections_;
    if (call.process > 0) ++in_children_;
    const auto where =
        number + (call.process > 0 ? " of child " + std::to_string(call.process) : "") + " fails with " + name;
    if (!got.seen.injected) {
      ++not_reached_;
      if (is_verbose_) std::cout << which.name << ": " << where << ": did not occur\n";
      return;
    }
    const bool is_message = call.number == SYS_write && call.arguments[0] == STDERR_FILENO;
    auto all = verdict(which, got, is_message ? 0 : error);
    if (error == EINTR && is_unusual(which, got)) all.emplace_back("does not make the call again");
    all.erase(std::remove_if(all.begin(), all.end(),
                             [&](const std::string& each) { return is_permitted(number, name, each); }),
              all.end());
    report(which, where, all, got.errors);
    if (is_verbose_) print(which, where, got);
  }

  /// Lets one allocation fail from each place from which no other one has failed yet.
  void fail_allocations(const activate_scenario& which) {
    const auto usual = run(which, {{}, INT_MAX});
    if (usual.allocations.empty()) return report(which, "without a failure", {"allocates nothing"});
    std::vector<int> numbers;
    for (const auto& [number, place] : usual.allocations) {
      if (places_.insert(place).second) numbers.push_back(number);
    }
    constexpr std::size_t tried_quickly = 20;
    const auto step = is_quick_ ? numbers.size() / tried_quickly + 1 : 1;
    for (std::size_t i = 0; i < numbers.size(); i += step) {
      const auto got = run(which, {{}, numbers[i]});
      const auto where = "allocation " + std::to_string(numbers[i]) + " fails";
      if (got.allocations_left >= 0) {
        ++not_reached_;
        continue;
      }
      ++allocations_;
      report(which, where, verdict(which, got, ENOMEM), got.errors);
      if (is_verbose_) print(which, where, got);
    }
  }

  static bool is_unusual(const activate_scenario& which, const activate_outcome& got) {
    return got.status != which.status || got.clients_without_reply != 0;
  }

  /// Counts how sd-activate has ended. Returns what must not happen after a failure.
  ///
  /// @param error The errno whose text sd-activate reports if it refuses a client or ends. 0 if it cannot report it.
  words verdict(const activate_scenario& which, const activate_outcome& got, int error) {
    auto all = got.violations;
    if (got.status >= 128) all.push_back("is killed by signal " + std::to_string(got.status - 128));
    if (got.status == 0 && (which.status != 0 || got.has_ended_early)) all.emplace_back("ends without an error");
    const bool is_reported = got.errors.find(std::generic_category().message(error)) != std::string::npos;
    if (is_unusual(which, got) && error != 0 && !is_reported) all.emplace_back("does not report the failure");
    ++(got.status != which.status ? ended_ : got.clients_without_reply != 0 ? refused_ : served_);
    return all;
  }

  static void print(const activate_scenario& which, const std::string& where, const activate_outcome& got) {
    std::cout << "  " << which.name << ": " << where << ": status " << got.status << ", " << got.clients_without_reply
              << " without reply: " << got.errors << '\n';
  }

  void report(const activate_scenario& which, const std::string& where, const words& violations,
              const std::string& errors = "") {
    for (const auto& each : violations) {
      ++failures_;
      std::cout << which.name << ": " << where << ": " << each << '\n';
    }
    if (!violations.empty() && !errors.empty()) std::cout << errors;
    std::cout.flush();
  }

  bool is_quick_;
  bool is_verbose_;
  bool fails_calls_;  ///< or only allocations
  std::string directory_;
  std::vector<words> usual_;
  int scenarios_ = 0;
  int calls_ = 0;
  int injections_ = 0;
  int in_children_ = 0;
  int allocations_ = 0;
  std::set<std::uint64_t> places_;
  int ended_ = 0;
  int refused_ = 0;
  int served_ = 0;
  int not_reached_ = 0;
  int failures_ = 0;
};

}  // namespace

}  // namespace sd::test

int main(int argc, char** argv) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  return sd::test::enumerate_by<sd::test::activate_enumerator>(sd::test::scenarios(), argc, argv);
}
