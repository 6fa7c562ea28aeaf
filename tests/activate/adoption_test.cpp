// SPDX-License-Identifier: MIT OR Apache-2.0
// Which programs --adopt refuses.
#include "adoption.hpp"

#include "diagnostics.hpp"
#include "directory.hpp"

#include <elf.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

constexpr uid_t nobody = 65534;
const std::string is_static = "is linked statically, so that no library can be preloaded";
const std::string is_go = "is written in Go, whose programs do not call the C library";
const std::string gains_privileges = "gains privileges, so that no library is preloaded";

template <class Value>
void append(std::string& text, const Value& value) {
  text.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// A part of a program that is loaded or read when the program starts.
struct part {
  unsigned type;
  std::string content;
};

std::string note(const std::string& name) {
  Elf64_Nhdr header{};
  header.n_namesz = static_cast<unsigned>(name.size());
  std::string text;
  append(text, header);
  return text + name;
}

const part code = {PT_LOAD, "code"};
const part loader = {PT_INTERP, "/lib/ld.so"};
const part note_of_go = {PT_NOTE, note(std::string("Go\0\0", 4))};

/// Returns a program with these parts, which begins like a real one.
template <class Header, class Segment>
std::string program(unsigned char size, const std::vector<part>& parts) {
  Header header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = size;
  header.e_phoff = sizeof header;
  header.e_phnum = static_cast<Elf64_Half>(parts.size());
  std::string headers;
  append(headers, header);
  std::string contents;
  const auto begin = sizeof header + parts.size() * sizeof(Segment);
  for (const auto& each : parts) {
    Segment segment{};
    segment.p_type = each.type;
    segment.p_offset = static_cast<decltype(segment.p_offset)>(begin + contents.size());
    append(headers, segment);
    contents += each.content;
  }
  return headers + contents;
}

std::string program64(const std::vector<part>& parts) { return program<Elf64_Ehdr, Elf64_Phdr>(ELFCLASS64, parts); }
std::string program32(const std::vector<part>& parts) { return program<Elf32_Ehdr, Elf32_Phdr>(ELFCLASS32, parts); }

class check_adoption : public testing::Test {
 protected:
  /// Writes an executable file. Returns its path.
  [[nodiscard]] std::string file(const std::string& name, const std::string& content) const {
    std::ofstream(there_ / name) << content;
    fs::permissions(there_ / name, fs::perms{0755});
    return there_ / name;
  }

  /// Returns what is wrong with a program. Empty if it can adopt sockets.
  [[nodiscard]] static std::string obstacle_of(const std::string& name, const std::string& path = "",
                                               sd::activate::service_unit service = {}, bool is_privileged = false) {
    sd::activate::diagnostics problems;
    auto& line = service.start.emplace_back();
    line.program = name;
    line.is_privileged = is_privileged;
    sd::activate::check_adoption(service, path, problems);
    const auto& all = problems.all();
    if (all.empty()) return "";
    EXPECT_EQ(all.size(), 1U);
    const auto prefix = "--adopt: " + name + ' ';
    EXPECT_EQ(all[0].message.substr(0, prefix.size()), prefix);
    return all[0].message.substr(prefix.size());
  }

  /// A service without a program, as this user and group.
  [[nodiscard]] static sd::activate::service_unit running_as(const std::string& user, const std::string& group = "") {
    sd::activate::service_unit service;
    service.user = user;
    service.group = group;
    return service;
  }

  sd::test::directory there_;
};

TEST_F(check_adoption, dynamically_linked_program_is_accepted) {
  EXPECT_EQ(obstacle_of(file("64", program64({code, loader}))), "");
  EXPECT_EQ(obstacle_of(file("32", program32({code, loader, code}))), "");
}

TEST_F(check_adoption, statically_linked_program_is_refused) {
  EXPECT_EQ(obstacle_of(file("64", program64({code}))), is_static);
  EXPECT_EQ(obstacle_of(file("32", program32({code, code}))), is_static);
  EXPECT_EQ(obstacle_of(file("none", program64({}) + "more")), is_static);
}

TEST_F(check_adoption, program_in_go_is_refused) {
  EXPECT_EQ(obstacle_of(file("64", program64({code, note_of_go}))), is_go);
  EXPECT_EQ(obstacle_of(file("32", program32({note_of_go, code, loader}))), is_go);
  const part no_note{PT_LOAD, note_of_go.content};
  EXPECT_EQ(obstacle_of(file("code", program64({no_note, loader}))), "");
  for (const auto& name : {std::string("GNU\0", 4), std::string("Go\0\0o\0\0\0", 8), std::string("Gox\0", 4)}) {
    EXPECT_EQ(obstacle_of(file("other", program64({{PT_NOTE, note(name)}, loader}))), "");
  }
}

TEST_F(check_adoption, damaged_programs_are_left_to_the_kernel) {
  const auto whole = program64({code, loader});
  EXPECT_EQ(obstacle_of(file("header", whole.substr(0, EI_NIDENT + 4))), "");
  EXPECT_EQ(obstacle_of(file("segments", program64({code}).substr(0, sizeof(Elf64_Ehdr) + 1))), "");
  EXPECT_EQ(obstacle_of(file("short", "ELF")), "");
  EXPECT_EQ(obstacle_of(file("zeros", std::string(1000, '\0'))), "");
  // The note is beyond the end of the file.
  EXPECT_EQ(obstacle_of(file("note", program64({loader, {PT_NOTE, ""}}))), "");
  EXPECT_EQ(obstacle_of(file("notes", program64({{PT_NOTE, ""}, {PT_LOAD, ""}}))), is_static);
  EXPECT_EQ(obstacle_of(there_ / "missing"), "");
}

TEST_F(check_adoption, interpreter_of_a_script_is_examined) {
  const auto interpreter = file("interpreter", program64({code}));
  const auto script = file("script", "#! " + interpreter + " -x\necho hello\n");
  EXPECT_EQ(obstacle_of(script), "is run by " + interpreter + ", which " + is_static);
  EXPECT_EQ(obstacle_of(file("nested", "#!" + script + "\n")),
            "is run by " + script + ", which is run by " + interpreter + ", which " + is_static);
  EXPECT_EQ(obstacle_of(file("dynamic", "#!" + file("shell", program64({loader})) + "\necho\n")), "");
}

TEST_F(check_adoption, interpreter_that_env_finds_is_not_examined) {
  const auto script = file("script", "#!" + file("env", program64({code})) + " sh\n");
  EXPECT_EQ(obstacle_of(script), "");
}

TEST_F(check_adoption, interpreters_are_followed_as_deep_as_linux_does) {
  auto last = file("0", program64({code}));
  for (const auto* name : {"1", "2", "3", "4"}) last = file(name, "#!" + last + "\n");
  EXPECT_NE(obstacle_of(last), "");
  EXPECT_EQ(obstacle_of(file("5", "#!" + last + "\n")), "");
  const auto circle = there_ / "circle";
  EXPECT_EQ(obstacle_of(file("circle", "#!" + circle + "\n")), "");
}

TEST_F(check_adoption, program_without_a_slash_is_searched_for) {
  for (const auto* name : {"a", "b", "c"}) fs::create_directory(there_ / name);
  std::ofstream(there_ / "a/server") << program64({loader});  // not executable
  static_cast<void>(file("b/server", program64({code})));
  static_cast<void>(file("c/server", program64({code, note_of_go})));
  const auto a = there_ / "a";
  const auto b = there_ / "b";
  const auto c = there_ / "c";
  EXPECT_EQ(obstacle_of("server", a + ':' + b + ':' + c), is_static);
  EXPECT_EQ(obstacle_of("server", c + ':' + b), is_go);
  EXPECT_EQ(obstacle_of("server", a), "");
  EXPECT_EQ(obstacle_of("server"), "");
}

TEST_F(check_adoption, program_that_changes_its_user_or_group_is_refused) {
  if (::geteuid() != 0) GTEST_SKIP() << "SKIPPED: this takes root";
  const auto path = file("server", program64({loader}));
  // With the bits of its own user and group, it gains nothing.
  ASSERT_EQ(::chmod(path.c_str(), 06755), 0);
  EXPECT_EQ(obstacle_of(path), "");
  ASSERT_EQ(::chown(path.c_str(), nobody, nobody), 0);
  EXPECT_EQ(obstacle_of(path), "");  // chown(2) has removed the bits
  for (const mode_t mode : {04755U, 02755U}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    EXPECT_EQ(obstacle_of(path), gains_privileges);
    EXPECT_EQ(obstacle_of(path, "", running_as("65534")), "");
  }
  ASSERT_EQ(::chown(path.c_str(), 0, 0), 0);
  ASSERT_EQ(::chmod(path.c_str(), 06755), 0);
  EXPECT_EQ(obstacle_of(path, "", running_as("65534")), gains_privileges);
  EXPECT_EQ(obstacle_of(path, "", running_as("0")), "");
  ASSERT_EQ(::chmod(path.c_str(), 02755), 0);
  EXPECT_EQ(obstacle_of(path, "", running_as("65534")), gains_privileges);
  EXPECT_EQ(obstacle_of(path, "", running_as("65534", "0")), "");
  EXPECT_EQ(obstacle_of(path, "", running_as("nobody-of-this-name")), "");
  // With the prefix "+", the user of the service does not matter.
  EXPECT_EQ(obstacle_of(path, "", running_as("65534"), true), "");
}

TEST_F(check_adoption, program_with_file_capabilities_is_refused_unless_run_by_root) {
  if (::geteuid() != 0) GTEST_SKIP() << "SKIPPED: this takes root";
  const auto path = file("server", program64({loader}));
  const vfs_cap_data capabilities = {VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
                                     {{1U << CAP_NET_BIND_SERVICE, 0}, {}}};
  const auto result = ::setxattr(path.c_str(), "security.capability", &capabilities, sizeof capabilities, 0);
  if (result < 0) GTEST_SKIP() << "SKIPPED: the temporary directory cannot store capabilities";
  EXPECT_EQ(obstacle_of(path), "");
  EXPECT_EQ(obstacle_of(path, "", running_as("65534")), gains_privileges);
  EXPECT_EQ(obstacle_of(file("plain", program64({loader})), "", running_as("65534")), "");
}

}  // namespace
