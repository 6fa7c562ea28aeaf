// SPDX-License-Identifier: MIT OR Apache-2.0
// An echo server with Qt 6, for whatever stream socket its unit describes: TCP over IPv4 and IPv6, or unix.

#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include <QtCore/QCoreApplication>
#include <QtCore/QSocketNotifier>
#include <QtCore/QTimer>
#include <QtNetwork/QLocalSocket>
#include <QtNetwork/QTcpServer>
#include <QtNetwork/QTcpSocket>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace {

int check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

/// Qt closes a socket both ways when the client ends its side, and drops the data that it has not written by then: so
/// flush. The server reads and writes by turns, so that a client that never reads cannot fill the memory.
template <class Socket>
void echo(Socket* client) {
  client->setReadBufferSize(4096);  // how much Qt reads ahead
  const auto read = [=] {
    if (client->bytesToWrite() > 0) return;
    client->write(client->readAll());
    client->flush();
  };
  QObject::connect(client, &Socket::readyRead, client, read);
  QObject::connect(client, &Socket::bytesWritten, client, read);
  QObject::connect(client, &Socket::disconnected, client, &Socket::deleteLater);
}

void serve_tcp(sd::unique_fd fd, QObject* parent) {
  auto* const server = new QTcpServer(parent);
  if (!server->setSocketDescriptor(fd.get())) throw std::runtime_error(server->errorString().toStdString());
  static_cast<void>(fd.release());  // the server closes it from here on
  QObject::connect(server, &QTcpServer::newConnection, server, [=] {
    while (auto* const client = server->nextPendingConnection()) echo(client);
  });
  // After an error, for example when no descriptors are left, QTcpServer accepts no client until it is told to resume.
  QObject::connect(server, &QTcpServer::acceptError, server,
                   [=] { QTimer::singleShot(100, server, &QTcpServer::resumeAccepting); });
}

/// Does without QLocalServer, which unlinks the path when it closes.
void serve_unix(const sd::unique_fd& listener, QObject* parent) {
  const int flags = check(::fcntl(listener.get(), F_GETFL), "F_GETFL");
  check(::fcntl(listener.get(), F_SETFL, flags | O_NONBLOCK), "F_SETFL");
  auto* const readable = new QSocketNotifier(listener.get(), QSocketNotifier::Read, parent);
  QObject::connect(readable, &QSocketNotifier::activated, readable, [=, &listener] {
    sd::unique_fd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
      if (errno == EAGAIN) return;
      // For example, no descriptors are left. Trying again at once would only waste CPU time, so wait.
      readable->setEnabled(false);
      return QTimer::singleShot(100, readable, [=] { readable->setEnabled(true); });
    }
    auto* const client = new QLocalSocket(readable);
    echo(client);
    if (!client->setSocketDescriptor(fd.get())) return client->deleteLater();
    static_cast<void>(fd.release());
  });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    sigset_t sigterm;
    sigemptyset(&sigterm);
    sigaddset(&sigterm, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &sigterm, nullptr);
    const sd::unique_fd terminations(check(::signalfd(-1, &sigterm, SFD_CLOEXEC), "signalfd"));

    auto fds = sd::listen_fds(sd::listen_options::required);
    auto fd = sd::take(fds, sd::kind::stream).fd;

    QCoreApplication application(argc, argv);  // destroyed before the descriptors, together with the servers
    QSocketNotifier stop(terminations.get(), QSocketNotifier::Read);
    QObject::connect(&stop, &QSocketNotifier::activated, &application, &QCoreApplication::quit);

    if (sd::describe(fd.get()).family == AF_UNIX) {
      serve_unix(fd, &application);
    } else {
      serve_tcp(std::move(fd), &application);
    }
    return QCoreApplication::exec();
  } catch (const std::exception& error) {
    std::cerr << "qt6-echo: " << error.what() << '\n';
    return 1;
  }
}
