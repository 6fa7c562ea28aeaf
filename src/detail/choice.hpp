#pragma once

#include <sd/take.hpp>

#include <cstddef>
#include <string>
#include <system_error>
#include <vector>

namespace sd::detail {

/// Where in the list the one descriptor is that is asked for. Meaningful where `ec` is clear.
/// Errors:  those of `take()`.
std::size_t choose_one(const std::vector<listen_fd>& fds, kind kind, const which& which, std::error_code& ec);

/// What all those are that bear the mark.
std::vector<description> all_marked(const std::vector<listen_fd>& fds, const which& which);

/// Takes it out of the list.
unique_fd remove(std::vector<listen_fd>& fds, std::size_t index);

/// For the error of such a choice: what was asked for, what there is, and what to write in the unit.
std::string explain(const std::vector<listen_fd>& fds, kind kind, const which& which, const std::error_code& ec);

}  // namespace sd::detail
