// SPDX-License-Identifier: MIT OR Apache-2.0
#include "daemon.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <system_error>

namespace sd::test {

namespace {

// The directory at which CMakeLists.txt mounts the libraries. Services do not see the build directory.
const std::string libraries = "/usr/local/lib/";
const char* const fifo = "/run/sd-daemon.trace";
const char* const events = "/run/sd-activate.events";

void check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
}

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// Returns the last event of sd-activate that has this name, or an empty object.
nlohmann::json last_event(const std::string& name) {
  auto found = nlohmann::json::object();
  std::ifstream file(events);
  for (std::string line; std::getline(file, line) && !file.eof();) {
    auto event = nlohmann::json::parse(line);
    if (event.at("event") == name) found = std::move(event);
  }
  return found;
}

}  // namespace

void daemons::SetUp() {
  under_sd_activate_ = content("/run/systemd/container") == "without-systemd\n";
  if (under_sd_activate_) return;
  under_systemd::SetUp();
  ::unlink(fifo);
  check(::mkfifo(fifo, 0), fifo);
  check(::chmod(fifo, 0666), fifo);
  // Opened for writing, too, so that it always has a reader.
  fifo_.reset(::open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  check(fifo_.get(), fifo);
  // Allows to compare with the daemon without libsd-daemon.
  const char* const other = std::getenv("SD_DAEMONS_LIBRARY");
  use_library(other != nullptr ? other : "libsd-daemon.so.0");
}

void daemons::start(const std::string& units) {
  if (!under_sd_activate_) return systemctl("start " + units);
  std::string sockets;
  bool has_service = false;
  std::istringstream words(units);
  for (std::string unit; words >> unit;) {
    if (unit.find(".socket") != std::string::npos) {
      sockets += ' ' + unit;
    } else if (sockets.empty()) {
      sockets = " unused@" + unit.substr(0, unit.find(".service")) + ".socket";
      has_service = true;
    } else {
      has_service = true;
    }
  }
  const auto command = std::string("cd /etc/systemd/system && exec " SD_ACTIVATE " --verbose --json 3") +
                       (has_service ? " --now" : "") + sockets + " 3>" + events + " >" + log_path + " 2>&1";
  pid_ = ::fork();
  check(pid_, "fork");
  if (pid_ == 0) {
    ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    ::_exit(127);
  }
  // All sockets have been opened before the first of them is reported.
  EXPECT_TRUE(eventually([] { return !last_event("listening").empty(); })) << content(log_path);
  EXPECT_TRUE(!has_service || active(units));  // systemctl waits as well
}

void daemons::signal(int number) const { check(::kill(pid_, number), "kill"); }

void daemons::stop_sd_activate() {
  if (pid_ == 0) return;
  signal(SIGTERM);
  int status = -1;
  EXPECT_TRUE(eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; })) << "sd-activate does not end";
  EXPECT_EQ(status, 0);
  EXPECT_THAT(content(log_path), testing::Not(testing::HasSubstr("sd-activate: error")));
}

bool daemons::active(const std::string& service) const {
  if (!under_sd_activate_) return eventually_is(service, "ActiveState", "active");
  return eventually([] { return !last_event("ready").empty(); }) && last_event("exited").empty();
}

std::string daemons::status_text(const std::string& service) const {
  return under_sd_activate_ ? last_event("status").value("text", "") : property(service, "StatusText");
}

void daemons::use_library(const std::string& library) {
  library_ = library;
  const auto ours = library == "libsd-daemon.so.0" ? ":" + libraries + library : "";
  systemctl("set-environment LD_PRELOAD=" + libraries + "libtrace.so" + ours);
}

int daemons::calls(const std::string& program, const std::string& function, int result) {
  std::array<char, 4096> buffer;
  for (ssize_t size = 0; (size = ::read(fifo_.get(), buffer.data(), buffer.size())) > 0;) {
    trace_.append(buffer.data(), static_cast<std::size_t>(size));
  }
  const auto wanted = ' ' + program + ' ' + function + ' ' + std::to_string(result) + ' ' + library_;
  std::istringstream lines(trace_);
  int count = 0;
  for (std::string line; std::getline(lines, line);) count += line.find(wanted) != std::string::npos ? 1 : 0;
  return count;
}

bool daemons::called(const std::string& program, const std::string& function, int result) {
  if (under_sd_activate_) {
    return eventually([] {
      const auto maps = content("/proc/" + std::to_string(last_event("started").value("pid", 0)) + "/maps");
      return maps.find("/libsystemd") != std::string::npos && maps.find("libsd-daemon") == std::string::npos;
    });
  }
  return eventually([&] { return calls(program, function, result) > 0; });
}

void daemons::TearDown() {
  if (IsSkipped()) return;
  if (under_sd_activate_) {
    stop_sd_activate();
    if (HasFailure()) std::cout << "the log:\n" << content(log_path) << '\n';
    return;
  }
  calls("", "", 0);
  // In every test, no other library may have handled a call.
  std::istringstream lines(trace_);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_EQ(line.find(library_, line.rfind(' ')), line.rfind(' ') + 1) << line;
  }
  std::cout << "the trace:\n" << trace_;
  if (HasFailure()) std::cout << "the log of the daemon:\n" << content(log_path) << '\n';
  under_systemd::TearDown();
}

std::string client(const std::string& command) {
  const auto result = run("timeout 10 " + command + " 2>&1");
  EXPECT_EQ(result.status, 0) << command << '\n' << result.output;
  return result.output;
}

bool installed(std::initializer_list<const char*> programs) {
  for (const auto* const program : programs) {
    if (::access(program, X_OK) == 0) continue;
    std::cout << program << " is not installed\n";
    return false;
  }
  return true;
}

}  // namespace sd::test
