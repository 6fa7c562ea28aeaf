// SPDX-License-Identifier: MIT OR Apache-2.0
#include <thrift/transport/TServerSocket.h>

#include <memory>

void before() { auto listener = std::make_shared<apache::thrift::transport::TServerSocket>(9090); }
