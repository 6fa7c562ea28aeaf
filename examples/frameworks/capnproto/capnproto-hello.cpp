// SPDX-License-Identifier: MIT OR Apache-2.0
// A Cap'n Proto server. Its socket unit may describe any stream socket: TCP over IPv4 or IPv6, or unix.

#include <sd/listen_fds.hpp>
#include <sd/take.hpp>

#include <capnp/rpc-twoparty.h>
#include <hello.capnp.h>
#include <kj/async-io.h>
#include <kj/async-unix.h>
#include <kj/io.h>

#include <csignal>
#include <exception>
#include <iostream>

namespace {

// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): kj::Own calls the right destructor
class greeter final : public hello::Greeter::Server {
  kj::Promise<void> greet(GreetContext context) override {
    context.getResults().setText("hello");
    return kj::READY_NOW;
  }
};

/// Serves all clients. listen() fails when no descriptor is left for a connection; this tries again after a pause.
kj::Promise<void> serve(capnp::TwoPartyServer& server, kj::ConnectionReceiver& listener, kj::Timer& timer) {
  return kj::evalNow([&] { return server.listen(listener); }).catch_([&](kj::Exception&& error) -> kj::Promise<void> {
    if (error.getType() != kj::Exception::Type::OVERLOADED) return kj::mv(error);
    return timer.afterDelay(100 * kj::MILLISECONDS).then([&] { return serve(server, listener, timer); });
  });
}

}  // namespace

int main() {
  try {
    kj::UnixEventPort::captureSignal(SIGTERM);
    auto fds = sd::listen_fds(sd::listen_options::required);
    auto passed = sd::take(fds, sd::kind::stream).fd;

    auto io = kj::setupAsyncIo();
    auto listener = io.lowLevelProvider->wrapListenSocketFd(kj::AutoCloseFd(passed.release()));
    capnp::TwoPartyServer server(kj::heap<greeter>());
    auto stop = io.unixEventPort.onSignal(SIGTERM).ignoreResult();
    serve(server, *listener, io.provider->getTimer()).exclusiveJoin(kj::mv(stop)).wait(io.waitScope);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "capnproto-hello: " << error.what() << '\n';
    return 1;
  }
}
