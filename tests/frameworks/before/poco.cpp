// SPDX-License-Identifier: MIT OR Apache-2.0
#include <Poco/Net/ServerSocket.h>

void before() { Poco::Net::ServerSocket listener(8080); }
