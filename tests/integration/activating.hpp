// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/activation.hpp>
#include <sd/listen_fds.hpp>

#include "check.hpp"
#include "errors.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

// Shared by the tests of sd::activation: descriptors to pass, programs to start, and the state of this process.

namespace sd::test {

using words = std::vector<std::string>;

/// Returns the inode number of an open file.
std::string inode(int fd);

listen_fd socket_named(std::optional<std::string> name = std::nullopt);

/// Returns unnamed sockets.
std::vector<listen_fd> sockets(int count);

words lines_of(const std::string& text);

std::string contents_of(const std::string& path);

/// Returns the open descriptors of this process, each with its inode number and whether it is close-on-exec.
std::map<int, std::string> open_descriptors();

bool has_children();

/// The command of a program that reports the descriptors and variables that it was started with.
words reporter();

/// Calls spawn() in both forms, `with_code` and `throwing`, and checks that they fail with the same error and message
/// and leave no child and no descriptor. Returns the error.
std::error_code failure_of(const std::function<int(std::error_code&)>& with_code, const std::function<int()>& throwing,
                           const std::string& message);

std::error_code failure_of(sd::activation& program, const std::string& message);

template <class Preparation>
std::error_code failure_of(sd::activation& program, const std::string& message, Preparation prepare) {
  return failure_of([&](std::error_code& ec) { return program.spawn(prepare, ec); },
                    [&] { return program.spawn(prepare); }, message);
}

}  // namespace sd::test
