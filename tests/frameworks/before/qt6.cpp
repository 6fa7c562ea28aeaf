// SPDX-License-Identifier: MIT OR Apache-2.0
#include <QHostAddress>
#include <QTcpServer>

void before() {
  QTcpServer server;
  server.listen(QHostAddress::Any, 8080);
}
