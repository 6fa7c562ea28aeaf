// SPDX-License-Identifier: MIT OR Apache-2.0
// grpc-client ADDRESS: calls grpc-hello at ADDRESS, which is IPV4:PORT, [IPV6]:PORT or a path, and prints the reply.

#include <grpcpp/grpcpp.h>
#include <hello.grpc.pb.h>

#include <chrono>
#include <iostream>
#include <string>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: grpc-client ADDRESS\n";
    return 2;
  }
  const std::string where = argv[1];
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  const auto channel = grpc::CreateCustomChannel(where.front() == '/' ? "unix:" + where : where,
                                                 grpc::InsecureChannelCredentials(), arguments);

  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  hello::Reply reply;
  const auto status = hello::Greeter::NewStub(channel)->Greet(&context, {}, &reply);
  if (!status.ok()) {
    std::cerr << "grpc-client: " << status.error_message() << '\n';
    return 1;
  }
  std::cout << reply.text() << '\n';
}
