#pragma once

#include <string>
#include <string_view>

namespace sd::detail {

/// In quotes, fit for a log whatever the value holds: on one line, printable, and cut where it is long.
std::string quoted(std::string_view value);

/// The same without the quotes, and all of it: for values whose length has a limit.
std::string escaped(std::string_view value);

}  // namespace sd::detail
