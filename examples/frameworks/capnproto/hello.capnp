# SPDX-License-Identifier: MIT OR Apache-2.0
@0xc783aeeb9f5f193c;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("hello");

interface Greeter {
  greet @0 () -> (text :Text);
}
