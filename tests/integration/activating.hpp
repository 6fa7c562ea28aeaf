#pragma once

#include <sd/activation.hpp>
#include <sd/listen_fds.hpp>

#include "check.hpp"

#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

// What the tests of sd::activation have in common: descriptors to pass, programs to start, and looks at what is left.

namespace sd::test {

using words = std::vector<std::string>;

/// The inode number of what is open there.
std::string inode(int fd);

listen_fd socket_named(std::optional<std::string> name = std::nullopt);

/// Without names.
std::vector<listen_fd> sockets(int count);

words lines_of(const std::string& text);

/// What the file says.
std::string all_of(const std::string& path);

/// What is open, with what, and how.
std::map<int, std::string> open_descriptors();

bool has_children();

/// The exit status, or 128 + signal.
int wait_for(int pid);

/// The program that says what it finds.
words reporter();

/// The error of spawn() in both forms; nothing is left of it.
std::error_code failure_of(sd::activation& program, const std::string& what,
                           sd::activation::preparation prepare = nullptr, void* argument = nullptr);

std::error_code system_error(int error);

}  // namespace sd::test
