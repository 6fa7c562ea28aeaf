// SPDX-License-Identifier: MIT OR Apache-2.0
#include "unit.hpp"

#include "directory.hpp"
#include "reading.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace {

using sd::activate::diagnostics;
using sd::activate::read_unit;
using sd::activate::to_string;
using sd::activate::unit;
using sd::activate::unit_exists;
using testing::ElementsAre;
using testing::IsEmpty;

using lines = std::vector<std::string>;

/// A directory with unit files.
class unit_directory : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = there_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }

  /// Returns the values of a unit, as `NAME=VALUE`.
  [[nodiscard]] lines values_of(const std::string& name) const {
    diagnostics problems;
    lines values;
    for (const auto& each : read_unit(there_ / name, problems).assignments) {
      values.push_back(each.name + '=' + each.value);
    }
    EXPECT_THAT(sd::activate::test::lines_of(problems), IsEmpty());
    return values;
  }

  /// Returns the problems of a unit, without the path of the directory.
  [[nodiscard]] lines problems_of(const std::string& name) const {
    diagnostics problems;
    const auto whole = read_unit(there_ / name, problems);
    EXPECT_EQ(whole.path, there_ / name);
    EXPECT_THAT(whole.assignments, IsEmpty());
    lines all;
    for (const auto& each : problems.all()) {
      auto text = to_string(each);
      const auto path = there_.path() + '/';
      if (text.starts_with(path)) text.erase(0, path.size());
      all.push_back(text);
    }
    return all;
  }

  sd::test::directory there_;
};

TEST_F(unit_directory, unit_is_its_file) {
  write("web.socket", "[Socket]\nA=1\n");
  diagnostics problems;
  const auto whole = read_unit(there_ / "web.socket", problems);
  EXPECT_EQ(whole.name.full(), "web.socket");
  EXPECT_EQ(whole.path, there_ / "web.socket");
  ASSERT_TRUE(whole.text);
  EXPECT_THAT(whole.text->lines, ElementsAre("[Socket]", "A=1"));
  ASSERT_EQ(whole.assignments.size(), 1U);
  EXPECT_EQ(whole.assignments[0].at.text, whole.text);
}

TEST_F(unit_directory, drop_ins_follow_in_the_order_of_their_names) {
  write("web.socket", "[Socket]\nA=1\n");
  write("web.socket.d/20-b.conf", "[Socket]\nA=3\n");
  write("web.socket.d/10-a.conf", "[Socket]\nA=2\n");
  write("web.socket.d/30-c", "[Socket]\nA=4\n");
  write("web.service.d/40-d.conf", "[Socket]\nA=5\n");
  write("web@.socket.d/50-e.conf", "[Socket]\nA=6\n");
  EXPECT_THAT(values_of("web.socket"), ElementsAre("A=1", "A=2", "A=3"));
}

TEST_F(unit_directory, section_of_the_file_does_not_extend_into_a_drop_in) {
  write("web.socket", "[Socket]\nA=1\n");
  write("web.socket.d/a.conf", "B=2\n");
  diagnostics problems;
  EXPECT_EQ(read_unit(there_ / "web.socket", problems).assignments.size(), 1U);
  ASSERT_EQ(problems.all().size(), 1U);
  EXPECT_EQ(to_string(problems.all()[0]), (there_ / "web.socket.d/a.conf") +
                                              ":1:1: error: B= is not in a section\n"
                                              "    1 | B=2\n"
                                              "      | ^\n");
}

TEST_F(unit_directory, drop_in_can_reset_a_list) {
  write("web.socket", "[Socket]\nListenStream=80\n");
  write("web.socket.d/a.conf", "[Socket]\nListenStream=\nListenStream=81\n");
  diagnostics problems;
  const auto whole = read_unit(there_ / "web.socket", problems);
  EXPECT_EQ(whole.text->name, there_ / "web.socket");
  const auto socket = sd::activate::read_socket_unit(whole, problems);
  ASSERT_EQ(socket.listens.size(), 1U);
  EXPECT_EQ(socket.listens[0].where, "81");
  EXPECT_EQ(socket.listens[0].at.text->name, there_ / "web.socket.d/a.conf");
}

TEST_F(unit_directory, hidden_and_empty_drop_ins_do_no_harm) {
  write("web.socket", "[Socket]\nA=1\n");
  write("web.socket.d/a.conf", "");
  write("web.socket.d/.conf", "[Socket]\nA=2\n");
  EXPECT_THAT(values_of("web.socket"), ElementsAre("A=1"));
}

TEST_F(unit_directory, drop_ins_that_cannot_be_read_are_reported) {
  for (const std::string name : {"web.socket", "web@.socket"}) {
    write(name, "");
    std::filesystem::create_directory_symlink(name + ".d", there_ / (name + ".d"));
    EXPECT_THAT(problems_of(name), ElementsAre(name + ".d: error: Too many levels of symbolic links\n"));
  }
}

TEST_F(unit_directory, instance_is_read_from_its_template) {
  write("web@.service", "[Service]\nA=%i\n");
  diagnostics problems;
  const auto whole = read_unit(there_ / "web@8080.service", problems);
  EXPECT_EQ(whole.name.full(), "web@8080.service");
  EXPECT_EQ(whole.name.instance, "8080");
  ASSERT_EQ(whole.assignments.size(), 1U);
  EXPECT_EQ(whole.assignments[0].value, "%i");
  ASSERT_TRUE(whole.text);
  EXPECT_EQ(whole.text->name, there_ / "web@.service");
}

TEST_F(unit_directory, instance_can_have_a_file_of_its_own) {
  write("web@.service", "[Service]\nA=template\n");
  write("web@1.service", "[Service]\nA=own\n");
  EXPECT_THAT(values_of("web@1.service"), ElementsAre("A=own"));
  EXPECT_THAT(values_of("web@2.service"), ElementsAre("A=template"));
  EXPECT_THAT(values_of("web@.service"), ElementsAre("A=template"));
}

TEST_F(unit_directory, unit_that_is_a_symbolic_link_has_the_drop_ins_of_both_names) {
  write("rsyslog.service", "[Service]\nUMask=1\n");
  write("rsyslog.service.d/a.conf", "[Service]\nUMask=2\n");
  write("syslog.service.d/b.conf", "[Service]\nUMask=3\n");
  std::filesystem::create_symlink("rsyslog.service", there_ / "syslog.service");
  EXPECT_THAT(values_of("syslog.service"), ElementsAre("UMask=1", "UMask=2", "UMask=3"));
}

TEST_F(unit_directory, symbolic_link_without_a_target_has_no_other_drop_ins) {
  write(".d/a.conf", "[Socket]\nA=1\n");
  std::filesystem::create_symlink("missing", there_ / "web.socket");
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(there_.path());
  EXPECT_THAT(problems_of("web.socket"), ElementsAre("web.socket: error: No such file or directory\n"));
  std::filesystem::current_path(before);
}

TEST_F(unit_directory, drop_ins_of_an_instance_replace_those_of_the_template_with_the_same_name) {
  write("web@.service", "[Service]\nA=1\n");
  write("web@.service.d/10-a.conf", "[Service]\nA=2\n");
  write("web@.service.d/20-b.conf", "[Service]\nA=3\n");
  write("web@1.service.d/10-a.conf", "[Service]\nA=4\n");
  write("web@1.service.d/30-c.conf", "[Service]\nA=5\n");
  EXPECT_THAT(values_of("web@1.service"), ElementsAre("A=1", "A=4", "A=3", "A=5"));
  EXPECT_THAT(values_of("web@2.service"), ElementsAre("A=1", "A=2", "A=3"));
}

TEST_F(unit_directory, instance_is_expanded_in_its_settings) {
  write("web@.socket", "[Socket]\nListenStream=127.0.0.1:%i\n");
  diagnostics problems;
  const auto socket = sd::activate::read_socket_unit(read_unit(there_ / "web@8080.socket", problems), problems);
  ASSERT_EQ(socket.listens.size(), 1U);
  EXPECT_EQ(socket.listens[0].where, "127.0.0.1:8080");
}

TEST_F(unit_directory, missing_file_is_an_error) {
  EXPECT_THAT(problems_of("web.socket"), ElementsAre("web.socket: error: No such file or directory\n"));
  EXPECT_THAT(problems_of("web@1.socket"), ElementsAre("web@.socket: error: No such file or directory\n"));
}

TEST_F(unit_directory, directory_is_not_a_unit) {
  std::filesystem::create_directory(there_ / "web.socket");
  EXPECT_THAT(problems_of("web.socket"), ElementsAre("web.socket: error: Is a directory\n"));
}

TEST_F(unit_directory, name_of_the_file_must_be_that_of_a_unit) {
  write("web", "[Socket]\nA=1\n");
  write("a b.socket", "[Socket]\nA=1\n");
  EXPECT_THAT(problems_of("web"), ElementsAre("web: error: not the name of a unit\n"));
  EXPECT_THAT(problems_of("a b.socket"), ElementsAre("a b.socket: error: not the name of a unit\n"));
}

TEST_F(unit_directory, unit_exists_if_its_file_or_that_of_its_template_does) {
  write("web.socket", "");
  write("web@.service", "");
  EXPECT_TRUE(unit_exists(there_ / "web.socket"));
  EXPECT_TRUE(unit_exists(there_ / "web@.service"));
  EXPECT_TRUE(unit_exists(there_ / "web@1.service"));
  EXPECT_FALSE(unit_exists(there_ / "web.service"));
  EXPECT_FALSE(unit_exists(there_ / "other@1.service"));
  EXPECT_FALSE(unit_exists(there_ / "web"));
}

TEST_F(unit_directory, relative_path_works) {
  write("web.socket", "[Socket]\nA=1\n");
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(there_.path());
  diagnostics problems;
  const auto whole = read_unit("web.socket", problems);
  std::filesystem::current_path(before);
  EXPECT_EQ(whole.assignments.size(), 1U);
  EXPECT_TRUE(problems.all().empty());
}

}  // namespace
