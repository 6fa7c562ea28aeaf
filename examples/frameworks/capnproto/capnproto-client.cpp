// SPDX-License-Identifier: MIT OR Apache-2.0
// capnproto-client ADDRESS: calls capnproto-hello at ADDRESS, which is IPV4:PORT, [IPV6]:PORT or a path, and prints the
// reply.

#include <capnp/ez-rpc.h>
#include <hello.capnp.h>

#include <exception>
#include <iostream>
#include <string>

int main(int argc, char** argv) {
  try {
    if (argc != 2) {
      std::cerr << "usage: capnproto-client ADDRESS\n";
      return 2;
    }
    const std::string where = argv[1];
    capnp::EzRpcClient client(where.front() == '/' ? "unix:" + where : where);
    auto reply = client.getMain<hello::Greeter>().greetRequest().send().wait(client.getWaitScope());
    std::cout << reply.getText().cStr() << '\n';
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "capnproto-client: " << error.what() << '\n';
    return 1;
  }
}
