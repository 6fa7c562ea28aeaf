// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

// The address of a vsock socket. musl comes without the kernel's headers, and its own do not define it.
#if defined(__linux__)
#include <sys/socket.h>
#if __has_include(<linux/vm_sockets.h>)
#include <linux/vm_sockets.h>
#else
// The layout of vsock(7).
struct sockaddr_vm {
  unsigned short svm_family;
  unsigned short svm_reserved1;
  unsigned svm_port;
  unsigned svm_cid;
  unsigned char svm_zero[4];
};
// NOLINTBEGIN(cppcoreguidelines-macro-usage): as in the kernel's header
#define VMADDR_CID_ANY 0xffffffffU
#define VMADDR_PORT_ANY 0xffffffffU
// NOLINTEND(cppcoreguidelines-macro-usage)
#endif
#endif
