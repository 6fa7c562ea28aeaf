// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/take.hpp>

#include <cstddef>
#include <string>
#include <system_error>
#include <vector>

// The search that `take()` and `take_or_bind()` share.
namespace sd::detail {

/// Returns the index of the one descriptor that is selected. Meaningful only if `ec` is clear afterwards.
/// @par Errors
/// Those of `take()`.
std::size_t choose_one(const std::vector<listen_fd>& fds, kind wanted, const selector& which, std::error_code& ec);

/// Describes all descriptors that are selected, of any kind.
std::vector<description> describe_selected(const std::vector<listen_fd>& fds, const selector& which);

/// Removes one descriptor from the list and returns it.
listen_fd take_at(std::vector<listen_fd>& fds, std::size_t index);

/// Returns the text for an error of `choose_one()`: what is missing, what was passed, and what to write in the unit.
std::string explain(const std::vector<listen_fd>& fds, kind wanted, const selector& which, const std::error_code& ec);

}  // namespace sd::detail
