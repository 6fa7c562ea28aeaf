# SPDX-License-Identifier: MIT OR Apache-2.0
# 64-bit, big-endian: Debian's g++-s390x-linux-gnu and qemu-user.
set(processor s390x)
set(triple s390x-linux-gnu)
include(${CMAKE_CURRENT_LIST_DIR}/linux-qemu.cmake)
