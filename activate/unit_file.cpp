// SPDX-License-Identifier: MIT OR Apache-2.0
#include "unit_file.hpp"

#include "trusted_file.hpp"
#include "values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace sd::activate {

namespace {

constexpr std::size_t longest_line = 1U << 20U;

bool is_comment(std::string_view line) {
  const auto text = trimmed(line);
  return text.starts_with('#') || text.starts_with(';');
}

/// Returns whether a backslash at the end of the line continues it. A doubled backslash does not.
bool is_continued(std::string_view line) {
  bool result = false;
  for (; line.ends_with('\\'); line.remove_suffix(1)) result = !result;
  return result;
}

/// A line of the source with its continuations.
struct logical_line {
  std::string text;
  std::vector<segment> segments;
};

class parser {
 public:
  parser(std::shared_ptr<const source> text, diagnostics& problems) : source_(std::move(text)), problems_(problems) {}

  std::vector<assignment> run() {
    const auto& lines = source_->lines;
    for (std::size_t at = 0; at < lines.size();) parse_line(join(at));
    return std::move(assignments_);
  }

 private:
  /// Joins a line and its continuations without the comments before and among them, and moves `at` past them.
  logical_line join(std::size_t& at) {
    const auto& lines = source_->lines;
    logical_line whole;
    bool continued = true;
    while (continued && at < lines.size()) {
      std::string_view line = lines[at];
      const auto number = ++at;
      if (is_comment(line)) continue;
      continued = is_continued(line);
      if (continued) line.remove_suffix(1);
      whole.segments.push_back({whole.text.size(), number, 1});
      whole.text += line;
      if (continued) whole.text += ' ';
    }
    return whole;
  }

  void parse_line(const logical_line& line) {
    const std::string_view all = line.text;
    const auto text = trimmed(all);
    if (text.empty()) return;
    const auto begin = static_cast<std::size_t>(text.data() - all.data());
    if (all.size() > longest_line) return problems_.error(at(line, begin), "the line is longer than 1 MiB");
    if (const auto nul = all.find('\0'); nul != std::string_view::npos) {
      return problems_.error(at(line, nul), "the line contains a NUL byte");
    }
    if (text.front() == '[') {
      parse_section(line, text, begin);
    } else {
      parse_assignment(line, text, begin);
    }
  }

  void parse_section(const logical_line& line, std::string_view text, std::size_t begin) {
    in_section_ = text.back() == ']' && text.size() > 2;
    section_ = text.substr(1, text.size() - 2);
    if (!in_section_) problems_.error(at(line, begin), "the section header is not [NAME]");
  }

  void parse_assignment(const logical_line& line, std::string_view text, std::size_t begin) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) return problems_.error(at(line, begin), "neither NAME=VALUE nor [SECTION]");
    const auto name = trimmed(text.substr(0, equals));
    if (name.empty()) return problems_.error(at(line, begin), "there is no name before \"=\"");
    if (!in_section_) return problems_.error(at(line, begin), fmt::format("{}= is not in a section", name));
    const auto value = trimmed(text.substr(equals + 1));
    const auto offset = static_cast<std::size_t>(value.data() - line.text.data());
    assignments_.push_back(
        {section_, std::string(name), std::string(value), at(line, begin), segments_from(line, offset)});
  }

  /// Returns the segments of the text from the offset on.
  static std::vector<segment> segments_from(const logical_line& line, std::size_t offset) {
    auto first = std::upper_bound(line.segments.begin(), line.segments.end(), offset,
                                  [](std::size_t wanted, const segment& each) { return wanted < each.offset; });
    --first;
    std::vector<segment> rest = {{0, first->line, first->column + offset - first->offset}};
    for (++first; first != line.segments.end(); ++first) {
      rest.push_back({first->offset - offset, first->line, first->column});
    }
    return rest;
  }

  [[nodiscard]] location at(const logical_line& line, std::size_t offset) const {
    const auto place = segments_from(line, offset).front();
    return {source_, place.line, place.column};
  }

  std::shared_ptr<const source> source_;
  diagnostics& problems_;
  std::string section_;
  bool in_section_ = false;
  std::vector<assignment> assignments_;
};

}  // namespace

location assignment::value_at(std::size_t offset) const {
  auto place = segments.front();
  for (const auto& each : segments) {
    if (each.offset <= offset) place = each;
  }
  return {at.text, place.line, place.column + offset - place.offset};
}

std::shared_ptr<const source> make_source(std::string name, std::string_view text) {
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  source result{std::move(name), {}};
  while (!text.empty()) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    result.lines.emplace_back(line);
  }
  return std::make_shared<const source>(std::move(result));
}

std::shared_ptr<const source> read_source(const std::string& path, diagnostics& problems) {
  const auto file = read_trusted(path);
  auto text = make_source(path, file.text);
  if (!file.other_writers.empty()) problems.warning({text}, fmt::format("can be changed by {}", file.other_writers));
  return text;
}

std::vector<assignment> parse(const std::shared_ptr<const source>& text, diagnostics& problems) {
  return parser(text, problems).run();
}

}  // namespace sd::activate
