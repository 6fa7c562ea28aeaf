// The program that hands descriptors on: it activates another one by exec() or spawn() as its arguments say. It is also
// that other one, which reports, in lines, what it found before it touches anything.

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

/// What is open past standard error: numbers, inodes, and a c for close-on-exec.
std::string open_descriptors() {
  std::set<int> numbers;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    numbers.insert(std::stoi(entry.path().filename()));
  }
  std::string text;
  for (const int fd : numbers) {
    const int flags = fd > STDERR_FILENO ? ::fcntl(fd, F_GETFD) : -1;  // the directory is closed again
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

/// Of NUMBER[@ELSEWHERE][=NAME]: the descriptor, first moved elsewhere if it is to be.
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

/// What is handed on, and not closed here.
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

/// An error on the way ends it: both forms have told it. What it leaves behind is told, too.
int spawn(sd::activation& program) {
  const auto before = open_descriptors();
  int status = 0;
  try {
    [[maybe_unused]] auto marked = ::write(-1, "begin", 5);
    const int pid = program.spawn();
    marked = ::write(-1, "end", 3);
    check(::waitpid(pid, &status, 0), "waitpid");
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

/// The option limit:N, which is for what is done here alone.
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
  const int status = mode == "exec" ? exec(program) : spawn(program);
  for (auto& [name, fd] : taken) static_cast<void>(fd.release());  // the list may have moved them
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments == std::vector<std::string>{"report"}) return report();
  if (arguments.size() < 4 || (arguments[0] != "exec" && arguments[0] != "spawn")) {
    std::fputs("usage: handing report | handing exec|spawn OPTION,...|- FD[@FD][=NAME],...|- COMMAND...\n", stderr);
    return 2;
  }
  try {
    // A failure that strace injects into a child's n-th call hits the n-th one here, too: let it be one of these.
    for (int i = 0; i < 8; ++i) ::fcntl(-1, F_GETFD);
    const auto options = split(arguments[1]);
    return hand_on(arguments[0], {options.begin(), options.end()}, arguments[2],
                   {arguments.begin() + 3, arguments.end()});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "handing: %s\n", error.what());
    return 3;
  }
}
