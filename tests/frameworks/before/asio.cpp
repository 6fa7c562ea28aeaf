// SPDX-License-Identifier: MIT OR Apache-2.0
#include <asio.hpp>

void before(asio::io_context& io) { asio::ip::tcp::acceptor listener(io, {asio::ip::tcp::v6(), 8080}); }
