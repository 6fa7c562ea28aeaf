// SPDX-License-Identifier: MIT OR Apache-2.0
// thrift-client ADDRESS: calls thrift-hello at ADDRESS, which is IPV4:PORT, [IPV6]:PORT or a path, and prints the
// reply.

#include <greeter.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSocket.h>

#include <exception>
#include <iostream>
#include <memory>
#include <string>

namespace {

using apache::thrift::transport::TSocket;

std::shared_ptr<TSocket> socket_to(const std::string& where) {
  if (where.front() == '/') return std::make_shared<TSocket>(where);
  const auto colon = where.rfind(':');
  auto host = where.substr(0, colon);
  if (host.front() == '[') host = host.substr(1, host.size() - 2);
  return std::make_shared<TSocket>(host, std::stoi(where.substr(colon + 1)));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 2) {
      std::cerr << "usage: thrift-client ADDRESS\n";
      return 2;
    }
    const auto socket = socket_to(argv[1]);
    socket->setRecvTimeout(10000);
    const auto transport = std::make_shared<apache::thrift::transport::TBufferedTransport>(socket);
    hello::greeterClient client(std::make_shared<apache::thrift::protocol::TBinaryProtocol>(transport));
    transport->open();
    std::string text;
    client.greet(text);
    std::cout << text << '\n';
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "thrift-client: " << error.what() << '\n';
    return 1;
  }
}
