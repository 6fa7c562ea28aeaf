# SPDX-License-Identifier: MIT OR Apache-2.0
# 32-bit ARM without 8-byte atomic instructions: Debian's g++-arm-linux-gnueabi and qemu-user.
set(processor arm)
set(triple arm-linux-gnueabi)
include(${CMAKE_CURRENT_LIST_DIR}/linux-qemu.cmake)
