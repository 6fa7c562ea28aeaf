// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/listen_fds.hpp>

#include "detail/os/descriptors.hpp"
#include "detail/receive.hpp"
#include "detail/text.hpp"

#include <cstddef>
#include <string>

namespace sd {
inline namespace v0 {

namespace {

/// Releases the claim on destruction, unless `keep()` was called.
class claim_guard {
 public:
  claim_guard() noexcept = default;
  claim_guard(const claim_guard&) = delete;
  claim_guard& operator=(const claim_guard&) = delete;
  ~claim_guard() {
    if (!kept_) detail::claimed.store(0, std::memory_order_release);
  }
  void keep() noexcept { kept_ = true; }

 private:
  bool kept_ = false;
};

std::vector<listen_fd> adopt(const detail::offer& offered, detail::fault& why) {
  claim_guard claim;
  // Everything that can throw comes before the descriptors change their owner.
  std::vector<listen_fd> fds(static_cast<std::size_t>(offered.range.count));
  detail::name_list names(offered.env.listen_fdnames);
  for (auto& entry : fds) {
    const auto name = names.next();
    if (!name) break;
    entry.name.emplace(*name);
  }
  detail::mark(offered, why);
  if (why) return {};
  int fd = offered.range.first;
  for (auto& entry : fds) entry.fd.reset(fd++);
  claim.keep();
  return fds;
}

bool has(listen_options options, listen_options option) noexcept { return (options & option) != listen_options::none; }

/// Returns the error for an empty list with `listen_options::required`. It names the variable that made the list empty.
detail::fault required(const detail::offer& offered) noexcept {
  detail::fault why;
  why.code = offered.empty == detail::emptiness::taken ? errc::already_taken : errc::not_activated;
  why.variable = offered.variable;
  why.value = detail::os::get_environment(offered.variable);
  return why;
}

std::vector<listen_fd> receive(listen_options options, detail::fault& why) {
  std::vector<listen_fd> fds;
  const detail::offer offered = detail::claim(options, detail::ownership::exclusive, why);
  if (offered.range.count > 0) fds = adopt(offered, why);
  if (!why && fds.empty() && has(options, listen_options::required)) why = required(offered);
  if (!why && has(options, listen_options::unset_environment)) detail::unset_environment();
  return fds;
}

std::error_code to_error_code(const detail::fault& why) noexcept {
  if (!why) return {};
  if (why.error != 0) return {why.error, std::generic_category()};
  return why.code;
}

#if SD_HAS_EXCEPTIONS

/// Returns the text of an error: NAME="value", followed by the descriptor or the process id if the error has one.
std::string text_of(const detail::fault& why) {
  std::string text = why.variable;
  if (why.value != nullptr) {
    text += '=';
    text += detail::quoted(why.value);
  } else {
    text += " is not set";
  }
  if (why.descriptor >= 0) {
    text += ", descriptor ";
    detail::append_decimal(text, why.descriptor);
  }
  if (why.code == errc::not_activated) {
    text += ", own pid ";
    detail::append_decimal(text, detail::os::process_id());
  }
  return text;
}

#endif

}  // namespace

std::vector<listen_fd> listen_fds(listen_options options, std::error_code& ec) {
  detail::fault why;
  auto fds = receive(options, why);
  ec = to_error_code(why);
  return fds;
}

#if SD_HAS_EXCEPTIONS
std::vector<listen_fd> listen_fds(listen_options options) {
  detail::fault why;
  auto fds = receive(options, why);
  if (why) throw std::system_error(to_error_code(why), text_of(why));
  return fds;
}
#endif

}  // namespace v0
}  // namespace sd
