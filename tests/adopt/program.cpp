// SPDX-License-Identifier: MIT OR Apache-2.0
#include "program.hpp"

#include <sd/activation.hpp>
#include <sd/address.hpp>
#include <sd/socket.hpp>
#include <sd/unique_fd.hpp>

#include "check.hpp"
#include "client.hpp"
#include "descriptor_limit.hpp"
#include "free_port.hpp"
#include "process.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <optional>
#include <regex>
#include <sstream>

namespace sd::adopt::test {

using sd::test::check;

std::string contents_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

program::program(const words& steps, const std::vector<listen_fd>& fds, const environment& more) {
  const auto command = sd::test::command(STEPS, steps);
  sd::activation started(command, fds, more);
  const sd::unique_fd output(create("output"));
  const sd::unique_fd errors(create("errors"));
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);  // what the test has inherited
  const sd::test::descriptor_limit raised(sd::test::descriptor_limit::current().rlim_max);
  pid_ = started.spawn([&]() noexcept {
    return ::dup2(output.get(), STDOUT_FILENO) < 0 || ::dup2(errors.get(), STDERR_FILENO) < 0 ? errno : 0;
  });
}

program::~program() {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
  if (pid_ > 0) sd::test::wait_for(pid_);
}

words program::results(std::size_t skipped) {
  const int status = sd::test::wait_for(std::exchange(pid_, 0));
  EXPECT_EQ(status, 0) << contents_of(directory_ / "errors");
  words all;
  std::istringstream lines(contents_of(directory_ / "output"));
  for (std::string line; std::getline(lines, line);) all.push_back(line);
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(skipped, all.size())));
  return all;
}

std::string program::errors() const {
  return std::regex_replace(contents_of(directory_ / "errors"), std::regex("(==|--)[0-9]+(==|--)[^\n]*\n"), "");
}

std::string program::output() const { return contents_of(directory_ / "output"); }

int program::create(const std::string& name) const {
  return check(::open((directory_ / name).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), name);
}

const environment with_library = {{"LD_PRELOAD", LIBRARY}};
const environment verbose = {{"LD_PRELOAD", LIBRARY}, {"SD_ADOPT_VERBOSE", "1"}};

listen_fd bound(const std::string& where, int type, const std::vector<std::pair<int, int>>& options) {
  const sd::address address(where);
  listen_fd result{std::nullopt, sd::unique_fd(check(::socket(address.family(), type | SOCK_CLOEXEC, 0), "socket"))};
  const int on = 1;
  for (const auto& [level, name] : options) {
    check(::setsockopt(result.fd.get(), level, name, &on, sizeof on), "setsockopt");
  }
  const auto* const data = static_cast<const sockaddr*>(address.data());
  check(::bind(result.fd.get(), data, static_cast<socklen_t>(address.size())), "bind to " + where);
  return result;
}

std::string address_of(const listen_fd& passed) { return to_string(sd::describe(passed.fd.get()).local); }

std::string port_of(const listen_fd& passed) { return std::to_string(sd::describe(passed.fd.get()).local.port()); }

reports::reports() : reports("@sd-adopt-reports-" + std::to_string(::getpid())) {}

environment reports::enabled() const { return {{"LD_PRELOAD", LIBRARY}, {"SD_ADOPT_NOTIFY", where_}}; }

words reports::all() const {
  words received;
  char text[64];
  for (ssize_t size = 0; (size = ::recv(socket_.fd.get(), text, sizeof text, MSG_DONTWAIT)) >= 0;) {
    received.emplace_back(text, static_cast<std::size_t>(size));
  }
  return received;
}

void reports::fill() const {
  const auto sender = sd::test::connect(where_, SOCK_DGRAM);
  while (::send(sender.get(), "text", 4, MSG_DONTWAIT) >= 0) continue;
}

words same_results(kind type, const std::string& where, const words& steps) {
  const auto port = sd::test::free_port(type, where);
  words with_port;
  for (auto each : steps) {
    const auto at = each.find("PORT");
    if (at != std::string::npos) each.replace(at, 4, port);
    with_port.push_back(std::move(each));
  }
  const auto plain = program(with_port, {}).results();
  const auto fds = list(sd::testing::open(type, where + ':' + port));
  program adopting(with_port, fds, verbose);
  const auto adopted = adopting.results();
  EXPECT_EQ(adopted, plain);
  EXPECT_THAT(adopting.errors(), ::testing::HasSubstr("adopted the passed socket"));
  return adopted;
}

}  // namespace sd::adopt::test
