// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

// The examples of examples/frameworks, and how a client talks to each.

#include "client.hpp"
#include "shell.hpp"

#include <gtest/gtest.h>

#include <cctype>
#include <sstream>
#include <string>
#include <vector>

namespace sd::test {

enum class protocol {
  echo,
  http,  ///< replies to `GET /` with "hello\n"
  own,   ///< spoken by the example's client, which prints "hello\n"
};

struct example {
  std::string framework;  ///< the directory
  std::string program;
  protocol speaks;
  std::string client = {};  ///< the client's program, for protocol::own
  bool adopts_unix = true;  ///< whether the library can adopt a unix socket

  [[nodiscard]] std::string path() const { return EXAMPLES "/" + framework + '/' + program; }
};

/// Returns the examples that are part of this build.
inline std::vector<example> built_examples() {
  const std::vector<example> all = {
      {"asio", "asio-echo", protocol::echo},
      {"beast", "beast-hello", protocol::http},
      {"capnproto", "capnproto-hello", protocol::own, "capnproto-client"},
      {"cpp-httplib", "cpp-httplib-hello", protocol::http},
      {"glib", "glib-echo", protocol::echo},
      {"grpc", "grpc-hello", protocol::own, "grpc-client"},
      {"h2o", "h2o-hello", protocol::http},
      {"libev", "libev-echo", protocol::echo},
      {"libevent", "libevent-echo", protocol::echo},
      {"libuv", "libuv-echo", protocol::echo},
      {"libwebsockets", "libwebsockets-hello", protocol::http},
      {"microhttpd", "microhttpd-hello", protocol::http},
      {"pistache", "pistache-hello", protocol::http},
      {"poco", "poco-echo", protocol::echo},
      {"poll", "poll-echo", protocol::echo},
      {"qt6", "qt6-echo", protocol::echo},
      {"thrift", "thrift-hello", protocol::own, "thrift-client"},
      {"zeromq", "zeromq-hello", protocol::own, "zeromq-client"},
  };
  std::vector<example> built;
  std::istringstream words(FRAMEWORKS);
  for (std::string word; words >> word;) {
    for (const auto& each : all) {
      if (each.framework == word) built.push_back(each);
    }
  }
  return built;
}

/// Replaces the characters that the name of a test may not contain.
inline std::string test_name(std::string text) {
  for (char& c : text) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return text;
}

/// Has a client talk to the server at the address, and expects the right reply.
inline void talk(const example& server, const std::string& where) {
  if (server.speaks == protocol::echo) {
    EXPECT_EQ(ask(where, "hello\n"), "hello\n");
  } else if (server.speaks == protocol::http) {
    // curl takes the path of a unix socket as an option.
    const auto url = where.front() == '/' ? "--unix-socket " + where + " http://localhost/" : "http://" + where + '/';
    EXPECT_EQ(run("curl --silent --show-error --max-time 20 --noproxy '*' " + url).output, "hello\n");
  } else {
    EXPECT_EQ(run(EXAMPLES "/" + server.framework + '/' + server.client + ' ' + where).output, "hello\n");
  }
}

}  // namespace sd::test
