// SPDX-License-Identifier: MIT OR Apache-2.0
// zeromq-client ADDRESS: sends a request to zeromq-hello at ADDRESS, which is IPV4:PORT, [IPV6]:PORT or a path, and
// prints the reply.

#include <zmq.hpp>

#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw std::invalid_argument("usage: zeromq-client ADDRESS");
    const std::string address = argv[1];

    zmq::context_t context;
    zmq::socket_t server(context, zmq::socket_type::req);
    server.set(zmq::sockopt::linger, 0);
    server.set(zmq::sockopt::rcvtimeo, 10000);
    server.set(zmq::sockopt::ipv6, true);
    server.connect((address.find('/') == 0 ? "ipc://" : "tcp://") + address);
    server.send(zmq::str_buffer("hello?"), zmq::send_flags::none);

    zmq::message_t reply;
    if (!server.recv(reply)) throw std::runtime_error("no reply");
    std::cout << reply.to_string();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "zeromq-client: " << error.what() << '\n';
    return 1;
  }
}
