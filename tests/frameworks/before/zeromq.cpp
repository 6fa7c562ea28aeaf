// SPDX-License-Identifier: MIT OR Apache-2.0
#include <zmq.hpp>

void before(zmq::socket_t& server) { server.bind("tcp://[::]:8080"); }
