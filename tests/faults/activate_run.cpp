// SPDX-License-Identifier: MIT OR Apache-2.0
#include "activate_run.hpp"

#include "client.hpp"
#include "memory_file.hpp"
#include "waiting.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace sd::test {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto patience = 10s;               ///< of the client
constexpr unsigned patience_of_tracer = 60;  ///< in seconds
constexpr auto interval = 2ms;
constexpr int highest_descriptor = 64;

bool eventually(const std::function<bool()>& condition) { return holds_within(patience, interval, condition); }

/// Includes those that have ended, but were not waited for.
std::vector<int> children_of(int pid) {
  const auto task = "/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid);
  std::ifstream file(task + "/children");
  return {std::istream_iterator<int>(file), {}};
}

/// Returns what the descriptors of a process are, without numbers, sorted.
words descriptors_of(int pid) {
  words all;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd", ec)) {
    auto target = fs::read_symlink(entry, ec).string();
    if (target.compare(0, 1, "/") != 0)
      target.erase(std::remove_if(target.begin(), target.end(), ::isdigit), target.end());
    if (!ec) all.push_back(std::move(target));
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::set<std::string> entries(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) names.insert(entry.path().filename());
  return names;
}

std::string joined(const words& all) {
  std::string text;
  for (const auto& each : all) text += (text.empty() ? "" : ", ") + each;
  return text;
}

/// Waits for the processes that the run has left, which become children of this one.
void check_rest(session& each) {
  const bool has_none = eventually([] { return ::waitpid(-1, nullptr, WNOHANG | __WALL) < 0 && errno == ECHILD; });
  if (has_none) return;
  each.violation("leaves processes");
  for (const int pid : children_of(::getpid())) ::kill(pid, SIGKILL);
  eventually([] { return ::waitpid(-1, nullptr, WNOHANG | __WALL) < 0 && errno == ECHILD; });
}

}  // namespace

std::string session::ask(const std::string& request, const std::string& expected) {
  constexpr int attempts = 2;
  for (int i = 0; i < attempts; ++i) {
    unique_fd connection;
    const bool is_decided = eventually([&] {
      if (has_ended) return true;
      try {
        connection = connect(directory_ + "/s");
        return true;
      } catch (const std::system_error&) {
        return false;  // The socket may not be open yet.
      }
    });
    if (!is_decided) violation("accepts no clients");
    if (!is_decided || !connection) return "";
    const auto reply = reply_on(connection, request);
    if (!reply.empty()) {
      if (!expected.empty() && reply != expected) violation("replies \"" + reply + "\" to \"" + request + '"');
      return reply;
    }
    ++without_reply_;
  }
  // Its service may have accepted the last connection while it ended.
  if (!holds_within(500ms, interval, [&] { return has_ended.load(); })) violation("does not serve the next client");
  return "";
}

std::string session::reply_on(const unique_fd& connection, const std::string& request) {
  try {
    return converse(connection, request);
  } catch (const std::system_error& error) {
    const bool is_late = error.code() == std::errc::resource_unavailable_try_again;
    if (is_late) violation("does not serve a client, and does not refuse it");
    return "";
  }
}

void session::ask_twice(const std::string& request) {
  std::vector<unique_fd> both(2);
  for (auto& each : both) {
    try {
      each = connect(directory_ + "/s");
    } catch (const std::system_error&) {  // refused
    }
  }
  for (const auto& each : both) {
    if (!each || reply_on(each, request).empty()) ++without_reply_;
  }
}

void session::end_service(const std::string& request) try {
  reply_on(connect(directory_ + "/s"), request);
} catch (const std::system_error&) {  // refused
}

void session::signal(int number) const {
  if (!has_ended) ::kill(pid, number);
}

void session::await_end(const std::string& process) const {
  if (process.empty()) return;
  holds_within(500ms, 1ms, [&] { return has_ended || ::kill(std::stoi(process), 0) < 0; });
}

void session::settle(std::size_t children) {
  const auto index = descriptors_.size();
  const bool is_usual = usual_descriptors_.size() <= index;
  words now;
  words more;
  std::size_t count = 0;
  const bool is_settled = eventually([&] {
    if (has_ended) return true;
    count = children_of(pid).size();
    now = descriptors_of(pid);
    more.clear();
    if (is_usual) return count == children;
    std::set_difference(now.begin(), now.end(), usual_descriptors_[index].begin(), usual_descriptors_[index].end(),
                        std::back_inserter(more));
    return count == children && more.empty();
  });
  if (is_usual && !has_ended) {
    std::this_thread::sleep_for(50ms);
    now = descriptors_of(pid);
  }
  descriptors_.push_back(now);
  if (is_settled) return;
  violation(more.empty() ? "has " + std::to_string(count) + " children" : "keeps the descriptors " + joined(more));
}

void session::stop() {
  has_ended_early_ = has_ended;
  signal(SIGTERM);
  if (eventually([&] { return has_ended.load(); })) return;
  violation("does not end");
  signal(SIGKILL);
}

activate_outcome run_activate(const activate_scenario& which, const std::string& parent, const activate_fault& fault,
                              const std::vector<words>& usual_descriptors) {
  const auto allocations = parent + "/allocations";
  fs::remove(allocations);
  if (fault.allocation) std::ofstream(allocations) << *fault.allocation << '\n';
  const auto directory = parent + "/run";
  fs::remove_all(directory);
  fs::create_directory(directory);
  fs::permissions(directory, fs::perms(0755));
  for (const auto& [name, text] : which.files) {
    fs::create_directories(fs::path(directory + '/' + name).parent_path());
    std::ofstream(directory + '/' + name) << replaced(text, "DIR", directory);
  }
  const auto files = entries(directory);
  const auto errors = memory_file();
  // In memory that the child shares.
  auto* const shared_pid = static_cast<std::atomic<int>*>(
      ::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  words command = {TRACED_ACTIVATE};
  for (const auto& each : which.options) command.push_back(replaced(each, "DIR", directory));

  session client(directory, usual_descriptors);
  std::thread script([&] {
    sigset_t alarm;
    ::sigemptyset(&alarm);
    ::sigaddset(&alarm, SIGALRM);
    ::pthread_sigmask(SIG_BLOCK, &alarm, nullptr);
    eventually([&] { return (client.pid = shared_pid->load()) != 0; });
    if (which.script) {
      which.script(client);
      client.stop();
    }
  });
  activate_outcome result;
  std::string failure;
  try {
    result.seen = run_traced_program(
        [&] {
          *shared_pid = ::getpid();
          ::dup2(errors.get(), STDOUT_FILENO);
          ::dup2(errors.get(), STDERR_FILENO);
          ::close_range(STDERR_FILENO + 1, highest_descriptor, 0);
          if (::chdir(directory.c_str()) < 0) ::_exit(4);
          if (fault.allocation) ::setenv("SD_TEST_ALLOCATIONS", allocations.c_str(), 1);
          execute_traced(command);
        },
        fault.call, directory, patience_of_tracer);
  } catch (const std::exception& error) {
    client.signal(SIGKILL);
    failure = error.what();
  }
  client.has_ended = true;
  script.join();
  ::munmap(shared_pid, sizeof *shared_pid);
  check_rest(client);
  if (!failure.empty()) throw std::runtime_error(failure);

  const int status = result.seen.status;
  result.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  result.violations = client.violations();
  result.violations.insert(result.violations.end(), result.seen.violations.begin(), result.seen.violations.end());
  for (const auto& each : entries(directory)) {
    const bool is_expected = std::count(which.new_files.begin(), which.new_files.end(), each) != 0;
    if (files.count(each) == 0 && !is_expected) result.violations.push_back("leaves the file " + each);
  }
  result.errors = contents(errors.get());
  result.descriptors = client.descriptors();
  result.has_ended_early = client.has_ended_early();
  result.clients_without_reply = client.clients_without_reply();
  std::ifstream file(allocations);
  int number = 0;
  if (fault.allocation && result.status < 128 && file >> number) result.allocations_left = number;
  for (std::uint64_t place = 0; file >> number >> place;) result.allocations.emplace_back(number, place);
  return result;
}

}  // namespace sd::test
