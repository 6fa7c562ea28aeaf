# SPDX-License-Identifier: MIT OR Apache-2.0
# 64-bit ARM: Debian's g++-aarch64-linux-gnu and qemu-user.
set(processor aarch64)
set(triple aarch64-linux-gnu)
include(${CMAKE_CURRENT_LIST_DIR}/linux-qemu.cmake)
