// zeromq-client ADDRESS: asks the server at 127.0.0.1:80, [::1]:80 or /run/web, and prints its answer.

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

    zmq::message_t answer;
    if (!server.recv(answer)) throw std::runtime_error("no answer");
    std::cout << answer.to_string();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "zeromq-client: " << error.what() << '\n';
    return 1;
  }
}
