// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/listen_fds.hpp>

#include "enumeration.hpp"

#include <string>
#include <vector>

// The scenarios of the library, by subject, and their common parts.
namespace sd::test {

std::vector<scenario> receiving();  ///< `<sd/listen_fds.hpp>`, `<sd/take.hpp>`, `<sd/socket.hpp>`, `<sd/address.hpp>`
std::vector<scenario> binding();    ///< `<sd/take_or_bind.hpp>`
std::vector<scenario> reporting();  ///< `<sd/notify.hpp>`, `<sd/store.hpp>`, `<sd/watchdog.hpp>`, `<sd/idle.hpp>`
std::vector<scenario>
starting();  ///< `<sd/activation.hpp>`, `<sd/testing.hpp>`, `<sd/unique_fd.hpp>`, `<sd/booted.hpp>`

using exceptions = std::vector<exception>;

inline std::string ok() { return "ok"; }

/// Calls a function, and destroys its result after it has returned.
template <class Function>
void test_result(run& each, const Function& function) {
  each.test([&] {
    const auto result = function();
    run::returned();
    return ok();
  });
}

/// Returns descriptors as if they had been passed: a stream socket `web`, a datagram socket `log`, and a FIFO `fifo`.
std::vector<listen_fd> passed(const run& each);

/// `describe()` leaves out what it cannot read, and the kind is then `other` or, without a peer, `unconnected`.
/// `take()` and the like then do not find the descriptor, or find one of another kind.
exceptions reading(const std::string& results);
exceptions reading_files(const std::string& results);

/// Returns the unusual results of functions that bind the path `s` in the working directory.
exceptions binding_new_path();

inline const std::string not_selected = "sd:no such descriptor was passed|sd:wrong kind of descriptor";

}  // namespace sd::test
