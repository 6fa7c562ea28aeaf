// SPDX-License-Identifier: MIT OR Apache-2.0
#include <pistache/endpoint.h>
#include <pistache/http.h>

struct answer : Pistache::Http::Handler {
  HTTP_PROTOTYPE(answer)
  void onRequest(const Pistache::Http::Request&, Pistache::Http::ResponseWriter) override {}
};

void before() {
  Pistache::Http::Endpoint server(Pistache::Address(Pistache::Ipv6::any(true), 8080));
  server.init();
  server.setHandler(Pistache::Http::make_handler<answer>());
  server.serve();
}
