// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

// The C++ blocks of the documents stand word for word in this directory, so that they compile and run.

#include <sd/address.hpp>
#include <sd/listen_fds.hpp>
#include <sd/unique_fd.hpp>

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace sd::test {

/// A test in network and mount namespaces of its own, because the documents use fixed ports and paths in /run. It is
/// skipped if the namespaces cannot be created.
class docs : public ::testing::Test {
 protected:
  void SetUp() override;
};

/// Registers code from a page that takes the descriptors of its process, and therefore runs in a process of its own.
class fragment {
 public:
  fragment(const char* name, void (*code)());
};

/// Starts this program with the descriptors and has it run the fragment. Returns the exit status, which is 1 if the
/// fragment throws or one of its expectations fails.
int run_fragment(const std::string& name, const std::vector<listen_fd>& fds,
                 const std::map<std::string, std::string>& environment = {});

/// A service manager that receives the messages of a fragment.
class manager {
 public:
  manager();
  /// Returns the variables with which a service sends its messages here.
  [[nodiscard]] std::map<std::string, std::string> environment() const;
  /// Returns the next message, and an empty text if there is none.
  [[nodiscard]] std::string next() const;

 private:
  unique_fd fd_;
};

/// Sends the words to the server at the address, and returns what it sends back.
std::string ask(const address& where, const std::string& words);

}  // namespace sd::test
