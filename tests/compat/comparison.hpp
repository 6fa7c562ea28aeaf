#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace sd::test {

/// What a call did: its result, and everything else that it can be seen by.
using observation = std::map<std::string, std::string>;

/// The value of a variable of the environment; `nullopt`: it is not set.
using variable = std::optional<std::string>;

void set(const char* name, const variable& value);

/// What the variable is now, under its name.
void observe(observation& seen, const char* name);

/// A difference that the library's page lists, by the words in which it does.
struct documented {
  std::string difference;
  std::optional<int> result = std::nullopt;  ///< what ours is, where it is not compared otherwise
};

/// Sees that the libraries differ where the page says so, and nowhere else.
class comparison {
 public:
  /// The call in words, what was seen of each library, and the difference that is allowed there, if any.
  void compare(const std::function<std::string()>& call, const observation& theirs, const observation& ours,
               const std::optional<documented>& allowed = std::nullopt);

  /// Fails where fewer were compared, and where the differences that were seen are not these.
  void expect(long cases, const std::set<std::string>& differences = {}) const;

 private:
  long cases_ = 0;
  int failures_ = 0;
  std::map<std::string, long> seen_;
};

/// The differences that the page lists.
std::set<std::string> listed_differences();

}  // namespace sd::test
