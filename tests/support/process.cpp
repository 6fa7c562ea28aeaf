// SPDX-License-Identifier: MIT OR Apache-2.0
#include "process.hpp"

#include <sd/unique_fd.hpp>

#include "check.hpp"
#include "descriptor_limit.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <sstream>

namespace sd::test {

namespace {

constexpr int first_descriptor = 3;

std::uint64_t inode(int fd) {
  struct stat status;
  check(::fstat(fd, &status), "fstat");
  return status.st_ino;
}

using file = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

file temporary_file() {
  file temporary(std::tmpfile(), &std::fclose);
  check(temporary ? 0 : -1, "tmpfile");
  return temporary;
}

std::string contents(std::FILE* from) {
  std::string text;
  std::array<char, 4096> buffer;
  std::rewind(from);
  while (const auto n = std::fread(buffer.data(), 1, buffer.size(), from)) text.append(buffer.data(), n);
  return text;
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const auto at = text.find(what);
  return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

/// Removes the lines that valgrind wrote, and writes them to the standard error of this process.
std::string without_valgrind(const std::string& errors) {
  std::string rest;
  std::istringstream lines(errors);
  for (std::string line; std::getline(lines, line);) {
    const auto mark = line.substr(0, 2);
    if (mark == "==" || mark == "--") {
      std::cerr << line << '\n';
    } else {
      rest += line + '\n';
    }
  }
  return rest;
}

void set_environment(const activation& program) {
  auto environment = program.environment;
  environment.emplace("LISTEN_PID", "{pid}");
  environment.emplace("LISTEN_FDS", std::to_string(program.descriptors));
  const auto own = pidfd_inode(::getpid());
  for (const auto& [name, value] : environment) {
    if (!value) {
      ::unsetenv(name.c_str());
      continue;
    }
    auto text = replaced(*value, "{pid}", std::to_string(::getpid()));
    text = replaced(text, "{pidfdid}", std::to_string(own.value_or(0)));
    ::setenv(name.c_str(), text.c_str(), 1);
  }
}

void place_descriptors(const activation& program, std::vector<unique_fd>& sockets) {
  const int end = first_descriptor + program.descriptors;
  for (auto& socket : sockets) socket.reset(check(::fcntl(socket.get(), F_DUPFD_CLOEXEC, end), "F_DUPFD_CLOEXEC"));
  int fd = first_descriptor;
  for (const auto& socket : sockets) check(::dup2(socket.get(), fd++), "dup2");
  for (const int hole : program.holes) ::close(hole);
  for (; fd < 4096; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);  // including the descriptors that this process inherited
}

[[noreturn]] void become(const activation& program, std::vector<unique_fd>& sockets, int output, int errors) {
  try {
    check(::dup2(output, STDOUT_FILENO), "dup2");
    check(::dup2(errors, STDERR_FILENO), "dup2");
    set_environment(program);
    place_descriptors(program, sockets);
    std::vector<char*> arguments;
    for (const auto& argument : program.command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    check(::execvp(arguments.front(), arguments.data()), arguments.front());
  } catch (const std::exception& error) {
    static_cast<void>(std::fprintf(stderr, "cannot start the program: %s\n", error.what()));
  }
  ::_exit(127);
}

}  // namespace

outcome run(const activation& program) {
  const descriptor_limit raised(descriptor_limit::current().rlim_max);
  outcome result;
  std::vector<unique_fd> sockets;
  for (int i = 0; i < program.descriptors; ++i) {
    sockets.emplace_back(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    result.sockets.push_back(inode(sockets.back().get()));
  }
  const auto output = temporary_file();
  const auto errors = temporary_file();

  const pid_t child = check(::fork(), "fork");
  if (child == 0) become(program, sockets, ::fileno(output.get()), ::fileno(errors.get()));
  result.status = wait_for(child);
  result.output = contents(output.get());
  result.errors = without_valgrind(contents(errors.get()));
  return result;
}

int wait_for(int pid) {
  int status = 0;
  check(::waitpid(pid, &status, 0), "waitpid");
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::vector<std::string> command(const std::string& program, const std::vector<std::string>& arguments) {
  std::vector<std::string> words;
  std::istringstream emulator_words(emulator());
  for (std::string word; emulator_words >> word;) words.push_back(word);
  words.push_back(program);
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

std::string emulator() { return SD_TEST_EMULATOR; }

bool on_valgrind() { return emulator().find("valgrind") != std::string::npos; }

int raw_clone() {
#if defined(__s390__)  // which has the stack first
  return static_cast<int>(::syscall(SYS_clone, nullptr, SIGCHLD, nullptr, nullptr, nullptr));
#else
  return static_cast<int>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
#endif
}

std::optional<std::uint64_t> pidfd_inode(int pid) {
  constexpr std::uint32_t pidfs_magic = 0x50494446;
  const unique_fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  struct statfs fs;
  if (!pidfd || ::fstatfs(pidfd.get(), &fs) < 0 || static_cast<std::uint32_t>(fs.f_type) != pidfs_magic) return {};
  return inode(pidfd.get());
}

}  // namespace sd::test
