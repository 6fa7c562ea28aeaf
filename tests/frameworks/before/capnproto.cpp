// SPDX-License-Identifier: MIT OR Apache-2.0
#include <capnp/ez-rpc.h>
#include <hello.capnp.h>

class greeter final : public hello::Greeter::Server {};

void before() {
  capnp::EzRpcServer server(kj::heap<greeter>(), "*:5923");
  kj::NEVER_DONE.wait(server.getWaitScope());
}
