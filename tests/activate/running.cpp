// SPDX-License-Identifier: MIT OR Apache-2.0
#include "running.hpp"

#include <sd/activation.hpp>

#include "check.hpp"
#include "memory_file.hpp"
#include "waiting.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace sd::activate::test {

using sd::test::check;
using sd::test::contents;
using sd::test::memory_file;

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr auto patience = 20s;
constexpr auto interval = 5ms;
constexpr int number_of_events = 100;  ///< of the descriptor in sd-activate
constexpr unsigned nobody = 65534;

/// Returns the state of a process as /proc has it, or that of a dead one if it is not there.
char state_of(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const auto end = text.rfind(')');
  return end != std::string::npos && text.size() > end + 2 ? text[end + 2] : 'X';
}

}  // namespace

bool eventually(const std::function<bool()>& condition) {
  return sd::test::holds_within(patience, interval, condition);
}

bool is_running(int pid) {
  const char state = state_of(pid);
  return state != 'Z' && state != 'X';
}

std::size_t count_descriptors(int pid) {
  const std::filesystem::directory_iterator all("/proc/" + std::to_string(pid) + "/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

bool has_ipv6() {
  const unique_fd probe(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return probe || errno != EAFNOSUPPORT;
}

bool can_fail_calls() {
  return sd::test::run_with({SYS_getpid, 0, 0, EPERM}, [] { return std::string(); }).has_value();
}

activator::activator(const words& arguments, const circumstances& how)
    : output_(memory_file()), errors_(memory_file()) {
  std::array<int, 2> ends{};
  check(::pipe2(ends.data(), O_CLOEXEC), "pipe");
  events_ = unique_fd(ends[0]);
  const unique_fd write_end(ends[1]);
  words command = how.program;
  if (how.has_events) command.insert(command.end(), {"--json", std::to_string(number_of_events)});
  command.insert(command.end(), arguments.begin(), arguments.end());
  activation program(command, {}, how.environment);
  pid_ = program.spawn([&]() noexcept -> int {
    // Nothing but what the test passes is inherited.
    if (::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0) return errno;
    if (::dup2(output_.get(), STDOUT_FILENO) < 0 || ::dup2(errors_.get(), STDERR_FILENO) < 0) return errno;
    if (how.has_events && ::dup2(write_end.get(), number_of_events) < 0) return errno;
    if (how.descriptor_limit) {
      const rlimit limit{*how.descriptor_limit, *how.descriptor_limit};
      if (::setrlimit(RLIMIT_NOFILE, &limit) < 0) return errno;
    }
    if (how.ignores_sigchld) ::signal(SIGCHLD, SIG_IGN);
    if (how.is_unprivileged && ::geteuid() == 0) {
      if (::setresgid(nobody, nobody, nobody) < 0 || ::setresuid(nobody, nobody, nobody) < 0) return errno;
    }
    if (how.failing_call && sd::test::install(*how.failing_call) < 0) return errno;
    return 0;
  });
}

activator::~activator() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

nlohmann::json activator::event(const std::string& name) {
  const auto deadline = clock::now() + patience;
  while (true) {
    for (std::size_t end = 0; (end = received_.find('\n')) != std::string::npos;) {
      auto found = nlohmann::json::parse(received_.substr(0, end));
      received_.erase(0, end + 1);
      if (found.at("event") == name) return found;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now()).count();
    pollfd ready{events_.get(), POLLIN, 0};
    std::array<char, 4096> buffer;
    const bool has_more = left > 0 && ::poll(&ready, 1, static_cast<int>(left)) > 0;
    const auto size = has_more ? ::read(events_.get(), buffer.data(), buffer.size()) : 0;
    if (size <= 0) {
      ADD_FAILURE() << "there was no event \"" << name << "\"; the errors are:\n" << errors();
      return nlohmann::json::object();
    }
    received_.append(buffer.data(), static_cast<std::size_t>(size));
  }
}

words activator::remaining_events() {
  wait();
  std::array<char, 4096> buffer;
  for (ssize_t size = 0; (size = ::read(events_.get(), buffer.data(), buffer.size())) > 0;) {
    received_.append(buffer.data(), static_cast<std::size_t>(size));
  }
  words names;
  for (std::size_t end = 0; (end = received_.find('\n')) != std::string::npos; received_.erase(0, end + 1)) {
    names.push_back(nlohmann::json::parse(received_.substr(0, end)).at("event"));
  }
  return names;
}

words activator::addresses(std::size_t count) {
  words all;
  while (all.size() < count) all.push_back(event("listening").value("address", "there is no such socket"));
  return all;
}

bool activator::has_ended() {
  if (pid_ == 0) return true;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
  pid_ = 0;
  status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return true;
}

void activator::suspend() const {
  send(SIGSTOP);
  EXPECT_TRUE(eventually([this] { return state_of(pid_) == 'T'; }));
  send(SIGWINCH);
}

int activator::wait() {
  if (eventually([this] { return has_ended(); })) return status_;
  ADD_FAILURE() << "sd-activate does not end; the errors are:\n" << errors();
  send(SIGKILL);
  eventually([this] { return has_ended(); });
  return -1;
}

std::string activator::output() const { return contents(output_.get()); }
std::string activator::errors() const { return contents(errors_.get()); }

bool activator::reports(const std::string& text) const {
  return eventually([&] { return errors().find(text) != std::string::npos; });
}

result run(const words& arguments, const circumstances& how) {
  activator program(arguments, how);
  const int status = program.wait();
  return {status, program.output(), program.errors()};
}

words service(const words& options) {
  words command = {ACTIVATED_SERVICE};
  command.insert(command.end(), options.begin(), options.end());
  return command;
}

words with_service(words options, const words& service_options) {
  options.emplace_back("--");
  for (auto& each : service(service_options)) options.push_back(std::move(each));
  return options;
}

std::string without(const std::string& path, std::string text) {
  for (std::size_t at = 0; (at = text.find(path, at)) != std::string::npos;) text.replace(at, path.size(), "DIR");
  return text;
}

}  // namespace sd::activate::test
