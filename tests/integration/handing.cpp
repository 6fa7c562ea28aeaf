// SPDX-License-Identifier: MIT OR Apache-2.0
// A wrapper that passes descriptors to another program with exec() or spawn(). Called as "handing report", it is that
// other program, and prints the descriptors and variables that it was started with.

#include <sd/activation.hpp>
#include <sd/listen_fds.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves it to the program to declare it

namespace {

int check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

std::uint64_t inode(int fd) {
  struct stat status;
  return ::fstat(fd, &status) == 0 ? status.st_ino : 0;
}

/// Returns the open descriptors past standard error: the number and the inode of each, and "c" if it is close-on-exec.
std::string open_descriptors() {
  std::set<int> numbers;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    numbers.insert(std::stoi(entry.path().filename()));
  }
  std::string text;
  for (const int fd : numbers) {
    const int flags = fd > STDERR_FILENO ? ::fcntl(fd, F_GETFD) : -1;  // the directory's own is closed by now
    if (flags < 0) continue;
    text += ' ' + std::to_string(fd) + '=' + std::to_string(inode(fd)) + ((flags & FD_CLOEXEC) != 0 ? "c" : "");
  }
  return text;
}

void say(const std::string& line) {
  std::fputs((line + '\n').c_str(), stdout);
  std::fflush(stdout);
}

int report() {
  say("pid " + std::to_string(::getpid()));
  say("open" + open_descriptors());
  std::set<std::string_view> names;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const auto name = text.substr(0, text.find('='));
    if (!names.insert(name).second) say("twice " + std::string(name));
    if (name.substr(0, 7) == "LISTEN_" || name.substr(0, 8) == "SD_TEST_") say(std::string(text));
  }
  return 0;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream from(text);
  for (std::string part; std::getline(from, part, ',');) parts.push_back(part);
  return parts;
}

/// Parses NUMBER[@ELSEWHERE][=NAME], and moves the descriptor to the number ELSEWHERE.
sd::listen_fd descriptor_of(const std::string& text) {
  const auto equals = text.find('=');
  const auto at = text.find('@');
  sd::listen_fd result;
  if (equals != std::string::npos) result.name = text.substr(equals + 1);
  int fd = std::stoi(text);
  if (at != std::string::npos) {
    const int elsewhere = std::stoi(text.substr(at + 1));
    check(::dup3(fd, elsewhere, O_CLOEXEC), "dup3");
    check(::close(fd), "close");
    fd = elsewhere;
  }
  result.fd.reset(fd);
  return result;
}

/// The descriptors to pass. They are not closed here.
class descriptors {
 public:
  explicit descriptors(const std::string& list) {
    if (list == "-") return;
    for (const auto& text : split(list)) fds_.push_back(descriptor_of(text));
  }
  descriptors(const descriptors&) = delete;
  descriptors& operator=(const descriptors&) = delete;
  ~descriptors() {
    for (auto& [name, fd] : fds_) static_cast<void>(fd.release());
  }
  [[nodiscard]] const std::vector<sd::listen_fd>& get() const { return fds_; }

 private:
  std::vector<sd::listen_fd> fds_;
};

/// Starts the program, with a preparation if `mode` is "prepare", between two failing writes that mark it in a trace.
int start(sd::activation& program, const std::string& mode) {
  [[maybe_unused]] auto marked = ::write(-1, "begin", 5);
  const int pid = mode == "prepare" ? program.spawn([]() noexcept { return 0; }) : program.spawn();
  marked = ::write(-1, "end", 3);
  return pid;
}

/// Prints how the program ended or why it could not be started, and whether spawn() left a child or a descriptor
/// behind.
int spawn(sd::activation& program, const std::string& mode, bool twice) {
  const auto before = open_descriptors();
  int status = 0;
  try {
    if (twice) check(::waitpid(start(program, mode), nullptr, 0), "waitpid");
    check(::waitpid(start(program, mode), &status, 0), "waitpid");
    say("child " + std::to_string(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status)));
  } catch (const std::system_error& error) {
    say("error " + std::to_string(error.code().value()) + ' ' + error.what());
    status = 1;
  }
  if (::waitpid(-1, nullptr, WNOHANG) != -1 || errno != ECHILD) say("a child is left");
  const auto after = open_descriptors();
  if (after != before) say("open before:" + before + " after:" + after);
  return status == 0 ? 0 : 1;
}

int exec(sd::activation& program) {
  const char* const name = "SD_TEST_OWN";
  ::setenv(name, "unchanged", 1);
  const auto error = program.exec();
  const char* const value = std::getenv(name);
  say("error " + std::to_string(error.value()) + ' ' + error.message());
  say(std::string("environment ") + (value != nullptr ? value : "changed"));
  return 1;
}

/// Applies the option limit:N, which lowers the limit of open files of this process.
void limit_descriptors(const std::set<std::string>& options) {
  for (const auto& option : options) {
    if (option.substr(0, 6) != "limit:") continue;
    const rlim_t most = std::stoul(option.substr(6));
    const rlimit limit{most, most};
    check(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
  }
}

int hand_on(const std::string& mode, const std::set<std::string>& options, const std::string& list,
            std::vector<std::string> command) {
  std::vector<sd::listen_fd> taken;
  if (options.count("take") != 0) taken = sd::listen_fds();
  if (options.count("pid") != 0) say("pid " + std::to_string(::getpid()));
  if (options.count("clearenv") != 0) ::clearenv();
  std::map<std::string, std::string> environment;
  for (const auto& option : options) {
    const auto equals = option.find('=');
    if (equals != std::string::npos) environment[option.substr(0, equals)] = option.substr(equals + 1);
  }
  const descriptors fds(list);
  limit_descriptors(options);
  sd::activation program(std::move(command), fds.get(), environment);
  const int status = mode == "exec" ? exec(program) : spawn(program, mode, options.count("twice") != 0);
  for (auto& [name, fd] : taken) static_cast<void>(fd.release());  // the wrapper may have closed or moved them
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments == std::vector<std::string>{"report"}) return report();
  if (arguments.size() < 4 || std::set<std::string>{"exec", "prepare", "spawn"}.count(arguments[0]) == 0) {
    std::fputs("usage: handing report | handing exec|prepare|spawn OPTION,...|- FD[@FD][=NAME],...|- COMMAND...\n",
               stderr);
    return 2;
  }
  try {
    // strace counts calls per process, so a failure for the n-th call of the child hits the n-th one of this process,
    // too: it must be one of these.
    for (int i = 0; i < 8; ++i) ::fcntl(-1, F_GETFD);
    const auto options = split(arguments[1]);
    return hand_on(arguments[0], {options.begin(), options.end()}, arguments[2],
                   {arguments.begin() + 3, arguments.end()});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "handing: %s\n", error.what());
    return 3;
  }
}
