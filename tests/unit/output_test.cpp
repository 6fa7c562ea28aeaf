// SPDX-License-Identifier: MIT OR Apache-2.0
// The stream operators of <sd/address.hpp> and <sd/socket.hpp>, which do not include <ostream>.

#include <sd/address.hpp>
#include <sd/socket.hpp>

#include <iosfwd>
#include <type_traits>

namespace {

template <class Type, class = void>
struct is_complete : std::false_type {};
template <class Type>
struct is_complete<Type, std::void_t<decltype(sizeof(Type))>> : std::true_type {};

#if defined(__GLIBCXX__)
static_assert(!is_complete<std::ostream>::value, "a header of the library includes <ostream>");
#endif

}  // namespace

#include <gtest/gtest.h>

#include <iomanip>
#include <sstream>

namespace {

template <class Value>
std::string printed(const Value& value) {
  std::ostringstream out;
  out << std::setw(3) << value << '.';
  return out.str();
}

TEST(output, address) {
  EXPECT_EQ(printed(sd::address("127.0.0.1:80")), "127.0.0.1:80.");
  EXPECT_EQ(printed(sd::address()), "   .");
  EXPECT_EQ(testing::PrintToString(sd::address("/run/x")), "/run/x");
}

TEST(output, kind) {
  EXPECT_EQ(printed(sd::kind::message_queue), "message-queue.");
  EXPECT_EQ(testing::PrintToString(sd::kind::stream), "stream");
}

TEST(output, description) {
  sd::description what;
  what.kind = sd::kind::fifo;
  what.path = "/run/x";
  EXPECT_EQ(printed(what), "fifo /run/x.");
  EXPECT_EQ(testing::PrintToString(what), "fifo /run/x");
}

}  // namespace
