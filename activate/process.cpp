// SPDX-License-Identifier: MIT OR Apache-2.0
#include "process.hpp"

#include <sd/activation.hpp>
#include <sd/unique_fd.hpp>

#include "detail/os/descriptors.hpp"
#include "detail/os/processes.hpp"
#include "detail/os/result.hpp"
#include "detail/os/sockets.hpp"
#include "detail/program_start.hpp"
#include "environment_file.hpp"
#include "names_in.hpp"
#include "sockets.hpp"
#include "specifiers.hpp"
#include "trusted_file.hpp"
#include "values.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <random>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

namespace sd::activate {

namespace {

namespace fs = std::filesystem;

/// The limit of descriptors that services get, if this process has raised its own.
std::optional<rlimit> limit_of_services;

// --- the child -------------------------------------------------------------------------------------------------------

/// Makes a system call without the C library, which would change the other threads of this process as well. Returns
/// whether it failed.
template <class... Arguments>
bool fails(long number, Arguments... arguments) noexcept {
  return ::syscall(number, arguments...) < 0;
}
#if defined(SYS_setresuid32)  // the variants with 32-bit ids
constexpr long set_groups = SYS_setgroups32, set_group = SYS_setresgid32, set_user = SYS_setresuid32;
#else
constexpr long set_groups = SYS_setgroups, set_group = SYS_setresgid, set_user = SYS_setresuid;
#endif

/// What a child does before it executes the command. Everything is computed beforehand: the child shares the memory of
/// this process, and may only call async-signal-safe functions.
struct preparation {
  std::array<int, 3> standard_streams{};  ///< -1: as they are
  const service_unit* unit = nullptr;
  bool has_user = false;
  unsigned user = 0;
  unsigned group = 0;
  const std::vector<unsigned>* groups = nullptr;
  const char* working_directory = nullptr;
  std::string oom_score_adjust;
  bool is_sigpipe_ignored = false;              ///< already
  const char* volatile* failed_step = nullptr;  ///< in memory that the child shares with this process
  int parent = 0;
  const rlimit* descriptor_limit = nullptr;  ///< null: as it is

  int operator()() const noexcept {
    return begin(::setsid() < 0, "setsid") || set_limits() || set_streams() || set_identity() || set_directory() ||
                   set_signals()
               ? errno
               : 0;
  }

 private:
  /// Records the step if it failed, and returns whether it did.
  bool begin(bool failed, const char* step) const noexcept {
    if (failed) *failed_step = step;
    return failed;
  }

  [[nodiscard]] bool set_limits() const noexcept {
    if (descriptor_limit != nullptr && begin(::setrlimit(RLIMIT_NOFILE, descriptor_limit) < 0, "set a limit")) {
      return true;
    }
    for (const auto& [resource, soft, hard] : unit->limits) {
      // glibc has a type of its own for the resource, and musl has not.
      const auto number = static_cast<decltype(RLIMIT_NOFILE)>(resource);
      rlimit limit{soft, hard};
      rlimit most{};
      // Without the privilege to exceed the hard limit, that is what the service gets.
      if (::setrlimit(number, &limit) == 0) continue;
      if (begin(::getrlimit(number, &most) < 0, "set a limit")) return true;
      limit = {std::min(soft, most.rlim_max), std::min(hard, most.rlim_max)};
      if (begin(::setrlimit(number, &limit) < 0, "set a limit")) return true;
    }
    if (unit->nice && begin(::setpriority(PRIO_PROCESS, 0, *unit->nice) < 0, "set the nice value")) return true;
    if (!oom_score_adjust.empty()) {
      const unique_fd file(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
      const auto size = oom_score_adjust.size();
      const bool is_written = file && ::write(file.get(), oom_score_adjust.data(), size) == static_cast<ssize_t>(size);
      // A service does without it, as under systemd, if this process lacks the privilege.
      if (begin(!is_written && errno != EACCES && errno != EPERM, "set the OOM score")) return true;
    }
    if (unit->umask) ::umask(*unit->umask);
    return false;
  }

  [[nodiscard]] bool set_streams() const noexcept {
    for (int number = 0; number < 3; ++number) {
      const int fd = standard_streams[static_cast<std::size_t>(number)];
      if (fd >= 0 && begin(detail::os::duplicate_to(fd, number) < 0, "set a standard stream")) return true;
    }
    return false;
  }

  [[nodiscard]] bool set_identity() const noexcept {
    const bool is_other_user = has_user && user != ::geteuid();
    if (has_user) {
      if (begin(fails(set_groups, groups->size(), groups->data()), "set the groups")) return true;
      if (begin(fails(set_group, group, group, group), "set the group")) return true;
      if (begin(fails(set_user, user, user, user), "set the user")) return true;
    }
    if (is_other_user) {
      // Another user has no right to these. Containers may forbid keyrings, and old kernels lack ambient capabilities.
      fails(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
      ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    }
    // A change of user clears it.
    if (unit->may_be_killed()) {
      if (begin(::prctl(PR_SET_PDEATHSIG, SIGKILL) < 0, "set the parent-death signal")) return true;
      if (::getppid() != parent) ::_exit(1);
    }
    return unit->no_new_privileges && begin(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0, "set no-new-privileges");
  }

  [[nodiscard]] bool set_directory() const noexcept {
    if (*working_directory == '\0' || ::chdir(working_directory) == 0) return false;
    return begin(!unit->may_lack_working_directory, "change to the working directory");
  }

  [[nodiscard]] bool set_signals() const noexcept {
    if (!unit->ignores_sigpipe || is_sigpipe_ignored) return false;
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    return begin(::sigaction(SIGPIPE, &ignore, nullptr) < 0, "ignore SIGPIPE");
  }
};

/// A pointer in memory that a child shares with this process even on emulators, which fork.
class shared_pointer_to_text {
 public:
  shared_pointer_to_text()
      : memory_(::mmap(nullptr, sizeof(const char*), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (memory_ == MAP_FAILED) fail(errno, "mmap");
  }
  shared_pointer_to_text(const shared_pointer_to_text&) = delete;
  shared_pointer_to_text& operator=(const shared_pointer_to_text&) = delete;
  ~shared_pointer_to_text() { ::munmap(memory_, sizeof(const char*)); }

  [[nodiscard]] const char* volatile* get() const noexcept { return static_cast<const char* volatile*>(memory_); }

 private:
  void* memory_;
};

// --- standard streams ------------------------------------------------------------------------------------------------

/// The descriptors that the standard streams of a process become, and the files that are opened for them.
class standard_streams {
 public:
  standard_streams(const service_unit& unit, const process_details& details) : details_(details) {
    files_.reserve(numbers_.size());  // Without memory for it, a new descriptor would be lost.
    numbers_[0] = open(unit.input, O_RDONLY, -1);
    const auto& input = unit.input.where;
    const bool is_passed = input == stream_kind::socket || input == stream_kind::named_fd;
    numbers_[1] =
        unit.output.where == stream_kind::unset && is_passed ? numbers_[0] : open(unit.output, O_WRONLY, numbers_[0]);
    numbers_[2] = unit.error.where == stream_kind::unset ? numbers_[1] : open(unit.error, O_WRONLY, numbers_[1]);
  }

  [[nodiscard]] const std::array<int, 3>& numbers() const noexcept { return numbers_; }

 private:
  int open(const stream& how, int access, int inherited) {
    switch (how.where) {
      case stream_kind::unset:
      case stream_kind::activator:
        return -1;
      case stream_kind::inherit:
        return inherited;
      case stream_kind::null:
        return open_null(access);
      case stream_kind::file:
        return open_file(how.name, access == O_RDONLY ? access : access | O_CREAT);
      case stream_kind::append:
        return open_file(how.name, access | O_CREAT | O_APPEND);
      case stream_kind::truncate:
        return open_file(how.name, access | O_CREAT | O_TRUNC);
      case stream_kind::socket:
        if (details_.socket < 0) fail(ENOTCONN, "there is no socket for a standard stream");
        return details_.socket;
      case stream_kind::named_fd:
        return find(how.name);
    }
    return -1;
  }

  int open_null(int access) {
    const auto open = [&] { return ::open("/dev/null", access | O_CLOEXEC); };
    files_.emplace_back(std::max(-1, detail::os::uninterrupted(open)));
    if (!files_.back()) {
      if (errno != ENOENT || access != O_RDONLY) fail(errno, "/dev/null");
      // A container may lack it. A pipe that nobody writes to reads the same.
      std::array<int, 2> ends{};
      if (::pipe2(ends.data(), O_CLOEXEC) < 0) fail(errno, "pipe");
      ::close(ends[1]);
      files_.back().reset(ends[0]);
    }
    return files_.back().get();
  }

  int open_file(const std::string& path, int flags) {
    constexpr mode_t mode = 0666;
    // A FIFO would wait for a process at its other end.
    files_.push_back(open_trusted(path, flags | O_NOCTTY | O_NONBLOCK, mode));
    if (!files_.back()) fail(errno, path);
    detail::os::set_nonblocking(files_.back().get(), false);
    return files_.back().get();
  }

  [[nodiscard]] int find(const std::string& name) const {
    if (details_.fds != nullptr) {
      for (const auto& each : *details_.fds) {
        if (each.name == name) return each.fd.get();
      }
    }
    fail(ENOENT, "there is no descriptor named " + name + " for a standard stream");
  }

  const process_details& details_;
  std::vector<unique_fd> files_;
  std::array<int, 3> numbers_{};
};

// --- environment -----------------------------------------------------------------------------------------------------

void read_environment_file(const environment_file& file, environment_map& variables) try {
  const auto contents = read_trusted(file.path);
  for (auto& [name, value] : parse_environment_file(contents.text)) variables[name] = std::move(value);
} catch (const std::system_error& error) {
  if (!file.may_be_missing) fail(error.code().value(), "EnvironmentFile=" + file.path);
}

// --- users -----------------------------------------------------------------------------------------------------------

/// Returns whether a user of this shell can log in.
bool is_login_shell(const fs::path& shell) {
  const auto name = shell.filename();
  return !name.empty() && name != "nologin" && name != "false" && name != "true";
}

/// Returns the identity of a service. Sets `entry` to that of its user in the database, which stays valid until the
/// next user is looked up, or to null if there is none.
identity look_up(const service_unit& service, const passwd*& entry) {
  auto result = own_identity();
  entry = nullptr;
  if (!service.user.empty()) {
    result.user = user_id("User", service.user);
    entry = ::getpwuid(result.user);
    if (entry != nullptr) result.group = entry->pw_gid;
  }
  if (!service.group.empty()) result.group = group_id("Group", service.group);
  return result;
}

}  // namespace

std::string random_id() {
  static std::random_device random;  // Its constructor asks the processor, which is slow in a virtual machine.
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

void raise_descriptor_limit() noexcept {
  rlimit limit{};
  if (limit_of_services || ::getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit_of_services = limit;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void keep_descriptors_from_services() noexcept {
  if (detail::os::set_close_on_exec_range(STDERR_FILENO + 1, INT_MAX) >= 0) return;
  // Before Linux 5.11.
  std::error_code ec;
  for (const auto& name : names_in("/proc/self/fd", ec)) {
    const auto fd = parse_number(name, INT_MAX);
    if (fd && *fd > STDERR_FILENO) detail::os::set_close_on_exec(static_cast<int>(*fd), true);
  }
}

identity own_identity() noexcept { return {::geteuid(), ::getegid()}; }

identity identity_of(const service_unit& service) {
  const passwd* ignored = nullptr;
  return look_up(service, ignored);
}

process_starter::process_starter(service_unit unit, environment_map inherited, listen_pid pid)
    : unit_(std::move(unit)), variables_(std::move(inherited)), sets_listen_pid_(pid == listen_pid::set) {
  for (const auto& name : unit_.pass_environment) {
    if (const char* const value = std::getenv(name.c_str())) variables_[name] = value;
  }
  variables_.try_emplace("PATH", default_path);
  resolve_user();
  make_directories();
  for (const auto& [name, value] : unit_.environment) variables_[name] = value;
  for (const auto& file : unit_.environment_files) {
    environment_map ignored;
    read_environment_file(file, ignored);  // Each start reads it again. This one shows whether it is there.
  }
}

void process_starter::resolve_user() {
  has_user_ = !unit_.user.empty() || !unit_.group.empty() || !unit_.supplementary_groups.empty();
  if (!has_user_) return;
  const passwd* entry = nullptr;
  const auto self = look_up(unit_, entry);
  user_ = self.user;
  group_ = self.group;
  if (entry != nullptr) {
    home_ = std::string_view(entry->pw_name) == "nobody" ? "/" : entry->pw_dir;
    variables_["USER"] = entry->pw_name;
    variables_["LOGNAME"] = entry->pw_name;
    if (home_ != "/" && !home_.empty()) variables_["HOME"] = home_;
    if (is_login_shell(entry->pw_shell)) variables_["SHELL"] = entry->pw_shell;
  }
  if (!unit_.user.empty()) groups_ = {group_};
  if (entry != nullptr) {
    int count = 0;
    ::getgrouplist(entry->pw_name, group_, nullptr, &count);
    groups_.resize(static_cast<std::size_t>(count));
    ::getgrouplist(entry->pw_name, group_, groups_.data(), &count);
  }
  for (const auto& name : unit_.supplementary_groups) groups_.push_back(group_id("SupplementaryGroups", name));
  // Without the privilege to change them, they may only be what they are.
  const bool is_own = user_ == ::geteuid() && group_ == ::getegid() && unit_.supplementary_groups.empty();
  if (is_own && ::geteuid() != 0) has_user_ = false;
}

void process_starter::make_directories() {
  const auto roots = directories_of_manager();
  const std::string* const root_of[] = {&roots.runtime, &roots.state, &roots.cache, &roots.logs, &roots.configuration};
  constexpr const char* variable_of[] = {"RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CACHE_DIRECTORY", "LOGS_DIRECTORY",
                                         "CONFIGURATION_DIRECTORY"};
  for (const auto& [kind, name] : unit_.directories) {
    const auto path = *root_of[kind] + '/' + name;
    bool is_new = false;
    // The user of the service may have put a symbolic link in the place of one of its directories.
    const auto where = make_directory(*root_of[kind], name, is_new);
    if (!where) fail(errno, "make directory " + path);
    if (is_new || kind != service_directory::configuration) {
      const unique_fd directory(::openat(where.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!directory) fail(errno, "open " + path);
      if (::fchmod(directory.get(), unit_.directory_modes[kind]) < 0) fail(errno, "change the mode of " + path);
      if (has_user_ && ::fchown(directory.get(), user_, group_) < 0) fail(errno, "change the owner of " + path);
    }
    auto& value = variables_[variable_of[kind]];
    value += (value.empty() ? "" : ":") + path;
    // One that was there before may be somebody else's, such as /run/systemd/system.
    if (kind == service_directory::runtime && is_new) runtime_directories_.push_back(path);
  }
}

void process_starter::remove_runtime_directories() const noexcept {
  if (unit_.keeps_runtime_directory) return;
  for (const auto& path : runtime_directories_) remove_directory(path);
}

environment_map process_starter::variables_for(const process_details& details) const {
  auto variables = variables_;
  for (const auto& file : unit_.environment_files) read_environment_file(file, variables);
  for (const auto& [name, value] : details.variables) variables[name] = value;
  if (unit_.adopts() && details.fds != nullptr) {
    auto& preloaded = variables["LD_PRELOAD"];
    preloaded = preloaded.empty() ? unit_.adopt_library : unit_.adopt_library + ' ' + preloaded;
  }
  for (const auto& each : unit_.unset_environment) {
    const auto equals = each.text.find('=');
    const auto found = variables.find(each.text.substr(0, equals));
    if (found == variables.end()) continue;
    if (equals == std::string::npos || found->second == each.text.substr(equals + 1)) variables.erase(found);
  }
  return variables;
}

int process_starter::start(const command& line, const process_details& details) const {
  const auto variables = variables_for(details);
  auto words = expand_variables(line, [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
  const standard_streams streams(unit_, details);
  static const shared_pointer_to_text failed_step;
  *failed_step.get() = nullptr;
  static const auto own_actions = detail::os::read_signal_actions();  // sd-activate has set all of them by now
  constexpr auto sigpipe = std::uint64_t{1} << (SIGPIPE - 1U);
  preparation prepare;
  prepare.standard_streams = streams.numbers();
  prepare.unit = &unit_;
  prepare.has_user = has_user_ && !line.is_privileged;
  prepare.user = user_;
  prepare.group = group_;
  prepare.groups = &groups_;
  prepare.working_directory = (unit_.working_directory_is_home ? home_ : unit_.working_directory).c_str();
  if (unit_.oom_score_adjust) prepare.oom_score_adjust = std::to_string(*unit_.oom_score_adjust);
  prepare.failed_step = failed_step.get();
  static const int self = ::getpid();
  prepare.parent = self;
  if (limit_of_services) prepare.descriptor_limit = &*limit_of_services;

  static const std::vector<listen_fd> none;
  const bool is_inetd = unit_.input.where == stream_kind::socket;
  const auto& passed = details.fds == nullptr || is_inetd ? none : *details.fds;
  activation_options options;
  options.program = line.program;
  options.inherits_environment = false;
  options.sets_listen_pid = sets_listen_pid_;
  if (sets_listen_pid_) options.pid_variable = details.pid_variable;
  activation program(std::move(words), passed, variables, options);
  std::error_code ec;
  detail::program_start::preparation before{};
  before.prepare = [](void* argument) noexcept { return (*static_cast<const preparation*>(argument))(); };
  before.argument = &prepare;
  before.may_share_memory = true;
  before.actions = own_actions;
  prepare.is_sigpipe_ignored = (own_actions.ignored & sigpipe) != 0;
  if (unit_.ignores_sigpipe) before.actions.ignored &= ~sigpipe;
  const int pid = detail::program_start::spawn(program, before, ec);
  if (!ec) return pid;
  const char* const step = *failed_step.get();
  throw std::system_error(ec, step == nullptr ? "start " + line.program : std::string(step) + " of " + line.program);
}

namespace {

/// Waits for the end of a process, and kills it when the time is over. Returns the status of waitpid(2).
int wait_for_end(int pid, period timeout) {
  constexpr auto step = std::chrono::milliseconds(5);
  for (period waited{}; waited < timeout; waited += step) {
    int status = 0;
    if (::waitpid(pid, &status, WNOHANG) == pid) return status;
    std::this_thread::sleep_for(step);
  }
  ::kill(-pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status;
}

}  // namespace

void run_to_end(const std::vector<command>& commands, const process_details& details,
                const environment_map& environment, period timeout) {
  if (commands.empty()) return;
  const process_starter starter(service_unit(), environment, listen_pid::set);
  auto invocation = details;
  invocation.variables["INVOCATION_ID"] = random_id();
  for (const auto& line : commands) {
    const int status = wait_for_end(starter.start(line, invocation), timeout);
    if (status != 0 && !line.ignores_failure) fail(ECANCELED, fmt::format("{} failed", line.program));
  }
}

}  // namespace sd::activate
