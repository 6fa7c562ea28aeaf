// SPDX-License-Identifier: MIT OR Apache-2.0
// Uses the two files of scripts/amalgamate, or with -DMODULE the module. The program binds a socket, starts itself with
// that socket, and connects. The started program replies with the address of the socket, which the first one verifies.

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>
#include <sstream>
#include <string>
#include <system_error>
#include <unordered_set>
#include <utility>
#include <vector>

#if defined(MODULE)
import sd;
#else
#include "sd.hpp"
#endif

namespace {

// Writes the address of the passed socket to the first client.
int serve() {
  auto fds = sd::listen_fds(sd::listen_options::required | sd::listen_options::unset_environment);
  std::error_code ec;
  static_cast<void>(sd::take(fds, sd::kind::datagram, sd::named("greeting"), ec));
  if (ec != sd::errc::wrong_kind) return 2;
  const sd::listen_fd socket = sd::take(fds, sd::kind::stream, sd::named("greeting"));
  sd::require_all_taken(fds);
  sd::notify({sd::state::ready(), sd::state::status("ready")});
  const sd::unique_fd client(accept(socket.fd.get(), nullptr, nullptr));
  std::ostringstream text;
  text << sd::describe(socket.fd.get()).local;
  return write(client.get(), text.str().data(), text.str().size()) < 0 ? 3 : 0;
}

std::string greeting_from(const sd::address& where) {
  const sd::unique_fd server(socket(where.family(), SOCK_STREAM, 0));
  if (connect(server.get(), static_cast<const sockaddr*>(where.data()), static_cast<socklen_t>(where.size())) != 0)
    return "";
  std::string text(100, '\0');
  const auto size = read(server.get(), text.data(), text.size());
  text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) return serve();
  std::vector<sd::listen_fd> fds;
  sd::server_socket bound = sd::take_or_bind(fds, sd::address("127.0.0.1:0"));
  const sd::address where = sd::describe(bound.get()).local;
  fds.push_back({"greeting", bound.release_fd()});
  sd::activation service({argv[0], "serve"}, fds);
  const int pid = service.spawn();
  fds.clear();  // so that a program that ends early does not leave a client in the queue
  const std::string greeting = greeting_from(where);
  int status = -1;
  if (waitpid(pid, &status, 0) != pid || status != 0) return 1;
  const std::unordered_set<sd::address> known{where};
  if (known.count(sd::address(greeting)) == 0) return 1;
  std::cout << "the program was passed the socket\n";
  return 0;
}
