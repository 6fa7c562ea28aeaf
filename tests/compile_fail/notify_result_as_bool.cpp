// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/notify.hpp>

// The absence of a service manager is not a failure.
bool start() {
#ifdef MISUSE
  if (!sd::notify(sd::state::ready())) return false;
#else
  if (sd::notify(sd::state::ready()) == sd::notify_result::no_listener) return true;
#endif
  return true;
}
