// SPDX-License-Identifier: MIT OR Apache-2.0
namespace cpp hello

service greeter {
  string greet()
}
