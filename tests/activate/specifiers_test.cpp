// SPDX-License-Identifier: MIT OR Apache-2.0
#include "specifiers.hpp"

#include "directory.hpp"
#include "failing_call.hpp"
#include "shell.hpp"

#include <grp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace {

using namespace std::string_literals;
using sd::activate::directories_of_manager;
using sd::activate::escape_unit_name;
using sd::activate::expand;
using sd::activate::names_instance;
using sd::activate::parse_unit_name;
using sd::activate::unescape_unit_name;
using sd::activate::unit_name;

// --- names -----------------------------------------------------------------------------------------------------------

TEST(unit_name, parts_are_told_apart) {
  struct {
    std::string_view text;
    std::string prefix;
    std::optional<std::string> instance;
    std::string type;
  } const rows[] = {
      {"web.socket", "web", std::nullopt, "socket"},
      {"web@.service", "web", "", "service"},
      {"web@8080.socket", "web", "8080", "socket"},
      {"a-b_c:d\\x2d.service", "a-b_c:d\\x2d", std::nullopt, "service"},
      {"org.example.web.socket", "org.example.web", std::nullopt, "socket"},
      {"web@1-127.0.0.1:80-10.0.0.1:5.service", "web", "1-127.0.0.1:80-10.0.0.1:5", "service"},
      {"web@a@b.socket", "web", "a@b", "socket"},
  };
  for (const auto& [text, prefix, instance, type] : rows) {
    const auto name = parse_unit_name(text);
    ASSERT_TRUE(name) << text;
    EXPECT_EQ(name->prefix, prefix) << text;
    EXPECT_EQ(name->instance, instance) << text;
    EXPECT_EQ(name->type, type) << text;
    EXPECT_EQ(name->full(), text);
    EXPECT_EQ(name->is_template(), instance == "") << text;
  }
}

TEST(unit_name, other_texts_are_no_names) {
  for (const char* text : {"", "web", ".socket", "@.socket", "@1.socket", "a b.socket", "a/b.socket", "w@a/b.socket",
                           "\u00e4.socket", "a%.socket", "web."}) {
    EXPECT_FALSE(parse_unit_name(text)) << text;
  }
}

TEST(unit_name, has_at_most_255_bytes) {
  const std::string type = ".socket";
  EXPECT_TRUE(parse_unit_name(std::string(255 - type.size(), 'a') + type));
  EXPECT_FALSE(parse_unit_name(std::string(256 - type.size(), 'a') + type));
}

TEST(unit_name, template_of_an_instance_is_named) {
  const unit_name name = {"web", "8080", "socket"};
  EXPECT_EQ(name.template_name(), "web@.socket");
  EXPECT_EQ(name.without_type(), "web@8080");
  EXPECT_EQ((unit_name{"web", std::nullopt, "socket"}.without_type()), "web");
}

// --- escaping --------------------------------------------------------------------------------------------------------

TEST(unit_name, text_is_escaped_as_by_systemd_escape) {
  const std::pair<std::string_view, std::string> rows[] = {
      {"", ""},
      {"abc", "abc"},
      {"a/b", "a-b"},
      {"/run/x", "-run-x"},
      {"a-b", "a\\x2db"},
      {"a b", "a\\x20b"},
      {".hidden", "\\x2ehidden"},
      {"a.b", "a.b"},
      {"a:b_c", "a:b_c"},
      {"a\\b", "a\\x5cb"},
      {"a@b", "a\\x40b"},
      {"\u00e4", "\\xc3\\xa4"},
      {"\n", "\\x0a"},
  };
  for (const auto& [text, escaped] : rows) {
    EXPECT_EQ(escape_unit_name(text), escaped) << text;
    EXPECT_EQ(unescape_unit_name(escaped), text) << escaped;
  }
}

TEST(unit_name, malformed_escapes_are_kept) {
  for (const char* text : {"\\", "\\x", "\\x2", "\\xzz", "\\y2d", "a\\x4g"}) EXPECT_EQ(unescape_unit_name(text), text);
  EXPECT_EQ(unescape_unit_name(std::string_view(R"(\x2d)", 3)), R"(\x2)");
}

// --- specifiers ------------------------------------------------------------------------------------------------------

const unit_name plain = {"my-web\\x2dserver", std::nullopt, "socket"};
const unit_name instance = {"web", "a-b\\x2dc", "service"};
const unit_name template_unit = {"web", "", "service"};

/// Returns the text with its specifiers replaced, or the problem and its offset.
std::string expanded(std::string_view text, const unit_name& unit = plain, const std::string& path = "/etc/units/x") {
  const auto result = expand(text, unit, path);
  return result.problem.empty() ? result.text : std::to_string(result.offset) + ": " + result.problem;
}

TEST(specifiers, text_without_specifiers_stays) {
  EXPECT_EQ(expanded(""), "");
  EXPECT_EQ(expanded("a b\\n$A"), "a b\\n$A");
}

TEST(specifiers, names_of_units) {
  EXPECT_EQ(expanded("%n|%N|%p|%P|%j|%J|%i|%I|%f"),
            "my-web\\x2dserver.socket|my-web\\x2dserver|my-web\\x2dserver|my/web-server|web\\x2dserver|web-server|||"
            "/my/web-server");
}

TEST(specifiers, names_of_instances) {
  EXPECT_EQ(expanded("%n|%N|%p|%P|%j|%J|%i|%I|%f", instance),
            "web@a-b\\x2dc.service|web@a-b\\x2dc|web|web|web|web|a-b\\x2dc|a/b-c|/a/b-c");
}

TEST(specifiers, names_of_templates) {
  EXPECT_EQ(expanded("%n|%N|%p|%i|%I|%f", template_unit), "web@.service|web@|web|||/web");
}

TEST(specifiers, path_of_the_unit) {
  EXPECT_EQ(expanded("%y|%Y"), "/etc/units/x|/etc/units");
  EXPECT_EQ(expanded("%y", plain, ""), "0: unknown specifier \"%y\"; write \"%%\" for a percent sign");
  EXPECT_EQ(expanded("a%Y", plain, ""), "1: unknown specifier \"%Y\"; write \"%%\" for a percent sign");
}

TEST(specifiers, percent_signs) {
  EXPECT_EQ(expanded("%%"), "%");
  EXPECT_EQ(expanded("%%i%%%i|", instance), "%i%a-b\\x2dc|");
  EXPECT_EQ(expanded("100%%"), "100%");
}

TEST(specifiers, replaced_text_is_not_expanded_again) { EXPECT_EQ(expanded("%y", plain, "/a/%i"), "/a/%i"); }

TEST(specifiers, unknown_ones_are_reported_where_they_are) {
  EXPECT_EQ(expanded("%Z"), "0: unknown specifier \"%Z\"; write \"%%\" for a percent sign");
  EXPECT_EQ(expanded("ab %z"), "3: unknown specifier \"%z\"; write \"%%\" for a percent sign");
  EXPECT_EQ(expanded("%%%"), "2: unknown specifier \"%\"; write \"%%\" for a percent sign");
  EXPECT_EQ(expanded("a% b"), "1: unknown specifier \"% \"; write \"%%\" for a percent sign");
  EXPECT_EQ(expanded(std::string_view("%n", 1)), "0: unknown specifier \"%\"; write \"%%\" for a percent sign");
}

TEST(specifiers, those_that_depend_on_the_instance_are_found) {
  for (const char* text : {"%i", "%I", "%f", "%n", "%N", "a%i", "%%%i", "%p%i"}) {
    EXPECT_TRUE(names_instance(text)) << text;
  }
  for (const char* text : {"", "i", "%", "%p", "%%", "%%i", "a%%n", "%p n", "%j%"}) {
    EXPECT_FALSE(names_instance(text)) << text;
  }
  EXPECT_FALSE(names_instance(std::string_view("%i", 1)));
}

TEST(specifiers, this_process_and_its_host) {
  std::array<char, 256> host{};
  ASSERT_EQ(::gethostname(host.data(), host.size() - 1), 0);
  const std::string name = host.data();
  utsname kernel{};
  ASSERT_EQ(::uname(&kernel), 0);
  EXPECT_EQ(expanded("%H"), name);
  EXPECT_EQ(expanded("%l"), name.substr(0, name.find('.')));
  EXPECT_EQ(expanded("%v"), kernel.release);
  EXPECT_EQ(expanded("%U"), std::to_string(::geteuid()));
  EXPECT_EQ(expanded("%G"), std::to_string(::getegid()));
  if (const auto* const user = ::getpwuid(::geteuid())) {
    EXPECT_EQ(expanded("%u"), user->pw_name);
    EXPECT_EQ(expanded("%s"), user->pw_shell);
  }
  if (const auto* const group = ::getgrgid(::getegid())) {
    EXPECT_EQ(expanded("%g"), group->gr_name);
  }
#if defined(__x86_64__)
  EXPECT_EQ(expanded("%a"), "x86-64");
#endif
  std::ifstream boot("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(boot, id);
  std::erase(id, '-');
  EXPECT_EQ(expanded("%b"), id);
}

#if defined(__x86_64__)
TEST(specifiers, architecture_is_that_of_the_personality) {
  const auto prepare = [] {
    utsname kernel{};
    return ::personality(PER_LINUX32) < 0 || ::uname(&kernel) < 0 || kernel.machine != "i686"s ? -1 : 0;
  };
  const auto name = sd::test::run_after(prepare, [] { return expanded("%a"); });
  if (!name) GTEST_SKIP() << "SKIPPED: personality() has no effect";
  EXPECT_EQ(*name, "x86");
}
#endif

/// Returns the value of a variable that a shell reads from a file. Empty if it is not there.
std::string read_by_shell(const std::string& path, const std::string& name) {
  const std::string command = "unset " + name + "; [ ! -e " + path + " ] || . " + path + "; printf %s \"$" + name + '"';
  const auto [status, text] = sd::test::run(command);
  EXPECT_EQ(status, 0) << command;
  return text;
}

TEST(specifiers, operating_system_is_that_of_os_release) {
  const std::pair<const char*, const char*> rows[] = {{"%o", "ID"},       {"%w", "VERSION_ID"},    {"%W", "VARIANT_ID"},
                                                      {"%M", "IMAGE_ID"}, {"%A", "IMAGE_VERSION"}, {"%B", "BUILD_ID"}};
  for (const auto& [specifier, name] : rows) {
    EXPECT_EQ(expanded(specifier), read_by_shell("/etc/os-release", name)) << name;
  }
}

TEST(specifiers, machine) {
  std::string id;
  std::ifstream("/etc/machine-id") >> id;
  EXPECT_EQ(expanded("%m"), id);
  const auto pretty = read_by_shell("/etc/machine-info", "PRETTY_HOSTNAME");
  EXPECT_EQ(expanded("%q"), pretty.empty() ? expanded("%l") : pretty);
}

/// Returns the expanded text in a child process whose root is another directory. Nothing if that is not permitted.
std::optional<std::string> expanded_in(const std::string& root, std::string_view text) {
  const auto prepare = [&] {
    if (::geteuid() != 0 && ::unshare(CLONE_NEWUSER) < 0) return -1;
    return ::chroot(root.c_str());
  };
  return sd::test::run_after(prepare, [&] { return expanded(text); });
}

TEST(specifiers, files_of_the_machine) {
  const sd::test::directory root;
  std::filesystem::create_directory(root / "etc");
  std::ofstream(root / "etc/machine-id") << "0123456789abcdef\n";
  std::ofstream(root / "etc/machine-info") << "PRETTY_HOSTNAME=\"Anna's \\\"web\\\" server\"\n";
  std::ofstream(root / "etc/os-release")
      << "ID_LIKE=x\n# ID=y\nID=\"a b\"\nVERSION_ID='1'\nVARIANT_ID=z\nVARIANT_ID=\n";
  const auto text = expanded_in(root.path(), "%m|%q|%o|%w|%W|%M");
  if (!text) GTEST_SKIP() << "SKIPPED: chroot() is not permitted";
  EXPECT_EQ(*text, "0123456789abcdef|Anna's \"web\" server|a b|1||");
}

TEST(specifiers, files_that_are_missing_have_empty_values) {
  const sd::test::directory root;
  const auto text = expanded_in(root.path(), "%m|%q|%o|%b");
  if (!text) GTEST_SKIP() << "SKIPPED: chroot() is not permitted";
  EXPECT_EQ(*text, '|' + expanded("%l") + "||");
}

/// The number of a user and of a group without a name.
constexpr unsigned unnamed = 54321;

/// Sets a variable of the environment, and restores it on destruction.
class variable {
 public:
  variable(const char* name, const char* value) : name_(name) {
    if (const char* const before = std::getenv(name)) before_ = before;
    set(value);
  }
  variable(const variable&) = delete;
  variable& operator=(const variable&) = delete;
  ~variable() { set(before_ ? before_->c_str() : nullptr); }

 private:
  void set(const char* value) const { value == nullptr ? ::unsetenv(name_) : ::setenv(name_, value, 1); }

  const char* name_;
  std::optional<std::string> before_;
};

TEST(specifiers, temporary_directories) {
  const variable first("TMPDIR", nullptr);
  const variable second("TEMP", nullptr);
  const variable third("TMP", nullptr);
  EXPECT_EQ(expanded("%T|%V"), "/tmp|/var/tmp");
  const variable last("TMP", "/c");
  EXPECT_EQ(expanded("%T|%V"), "/c|/c");
  const variable middle("TEMP", "/b");
  EXPECT_EQ(expanded("%T|%V"), "/b|/b");
  const variable strongest("TMPDIR", "/a");
  EXPECT_EQ(expanded("%T|%V"), "/a|/a");
  const variable empty("TMPDIR", "");
  EXPECT_EQ(expanded("%T|%V"), "/b|/b");
}

TEST(specifiers, directories_of_the_manager) {
  const auto all = directories_of_manager();
  EXPECT_EQ(expanded("%t|%S|%C|%L|%E"),
            all.runtime + '|' + all.state + '|' + all.cache + '|' + all.logs + '|' + all.configuration);
}

TEST(specifiers, directories_of_root_are_those_of_the_system) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const variable home("HOME", "/h");
  EXPECT_EQ(expanded("%t|%S|%C|%L|%E|%h"), "/run|/var/lib|/var/cache|/var/log|/etc|/root");
}

/// Returns the expanded text in a child process of this user and group, or of those of this process if they are not
/// root's. Nothing if that is impossible.
std::optional<std::string> expanded_as(unsigned number, std::string_view text) {
  const auto prepare = [&] {
    if (::geteuid() != 0) return 0;
    return ::setegid(number) < 0 ? -1 : ::seteuid(number);
  };
  return sd::test::run_after(prepare, [&] { return expanded(text); });
}

TEST(specifiers, directories_of_other_users_are_their_own) {
  const variable home("HOME", "/h");
  const variable runtime("XDG_RUNTIME_DIR", "/r");
  const variable state("XDG_STATE_HOME", nullptr);
  const variable cache("XDG_CACHE_HOME", "/c");
  const variable configuration("XDG_CONFIG_HOME", nullptr);
  const auto text = expanded_as(unnamed, "%t|%S|%C|%L|%E|%h");
  if (!text) GTEST_SKIP() << "SKIPPED: root cannot become another user";
  EXPECT_EQ(*text, "/r|/h/.local/state|/c|/h/.local/state/log|/h/.config|/h");
}

TEST(specifiers, user_and_group_without_a_name) {
  if (::getpwuid(unnamed) != nullptr || ::getgrgid(unnamed) != nullptr) GTEST_SKIP() << "the numbers have names";
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const variable home("HOME", nullptr);
  const variable runtime("XDG_RUNTIME_DIR", nullptr);
  const auto text = expanded_as(unnamed, "%u|%U|%g|%G|%s|%h|%t");
  if (!text) GTEST_SKIP() << "SKIPPED: root cannot become another user";
  const auto number = std::to_string(unnamed);
  EXPECT_EQ(*text, number + '|' + number + '|' + number + '|' + number + "|/bin/sh|/|/run/user/" + number);
}

TEST(specifiers, home_of_a_user_is_that_of_the_database_without_a_variable) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const variable home("HOME", nullptr);
  const auto* const nobody = ::getpwnam("nobody");
  if (nobody == nullptr) GTEST_SKIP() << "there is no user nobody";
  const auto text = expanded_as(nobody->pw_uid, "%u|%s|%h");
  if (!text) GTEST_SKIP() << "SKIPPED: root cannot become another user";
  EXPECT_EQ(*text, "nobody|"s + nobody->pw_shell + '|' + nobody->pw_dir);
}

}  // namespace
