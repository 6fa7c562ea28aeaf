// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/notify.hpp>

// A state refers to the text that it was made from.
void report(const std::string& name) {
#ifdef MISUSE
  const auto status = sd::state::status("serving " + name);
  sd::notify(status);
#else
  const auto text = "serving " + name;
  const auto status = sd::state::status(text);
  sd::notify(status);
  sd::notify(sd::state::status("serving"));
#endif
}
