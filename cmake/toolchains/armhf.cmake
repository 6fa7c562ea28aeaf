# SPDX-License-Identifier: MIT OR Apache-2.0
# 32-bit ARM: Debian's g++-arm-linux-gnueabihf and qemu-user.
set(processor arm)
set(triple arm-linux-gnueabihf)
include(${CMAKE_CURRENT_LIST_DIR}/linux-qemu.cmake)
