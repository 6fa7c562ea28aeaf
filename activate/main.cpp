// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/listen_fds.hpp>

#include "activator.hpp"
#include "diagnostics.hpp"
#include "events.hpp"
#include "options.hpp"
#include "process.hpp"
#include "show.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/auxv.h>
#include <unistd.h>

#if defined(__GLIBC__)
#include <nss.h>
#endif

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <system_error>

namespace {

using namespace sd::activate;

/// Writes the diagnostics to standard error. Returns whether they allow to go on.
bool report(const diagnostics& problems, bool is_strict) {
  const bool with_colors = ::isatty(STDERR_FILENO) == 1;
  for (const auto& each : problems.all()) fmt::print(stderr, "{}", to_string(each, with_colors));
  return !problems.has_errors() && !(is_strict && problems.has_warnings());
}

/// Has a static program find users in /etc/passwd and /etc/group alone: the modules that /etc/nsswitch.conf names need
/// the shared C library that belongs to the one in the program, and loading another one aborts the program.
void ignore_nsswitch_if_static() {
#if defined(__GLIBC__)
  const bool has_dynamic_linker = ::getauxval(AT_BASE) != 0;
  if (has_dynamic_linker) return;
  for (const char* const database : {"passwd", "group", "initgroups"}) ::__nss_configure_lookup(database, "files");
#endif
}

/// Allocates no memory. Returns the exit status.
int report_failure(const char* reason) noexcept {
  static_cast<void>(std::fprintf(stderr, "sd-activate: error: %s\n", reason));
  return exit_failure;
}

}  // namespace

int main(int argc, char** argv) try {
  ignore_nsswitch_if_static();
  auto options = parse_options(argc, argv);
  if (options.exits) return options.exit_status;
  if (options.shows) return show();
  diagnostics problems;
  const auto what = make_plan(options, problems);
  if (!report(problems, options.is_strict)) return exit_invalid_unit;
  if (options.checks) return exit_success;
  keep_descriptors_from_services();
  if (options.json_fd >= 0 && ::fcntl(options.json_fd, F_SETFD, FD_CLOEXEC) < 0) {
    fmt::print(stderr, "sd-activate: --json {}: {}\n", options.json_fd, std::generic_category().message(errno));
    return exit_usage;
  }
  return run(what, event_log(options.level, options.json_fd));
} catch (const std::bad_alloc&) {
  return report_failure(std::strerror(ENOMEM));
} catch (const std::exception& error) {
  return report_failure(error.what());
}
