# SPDX-License-Identifier: MIT OR Apache-2.0
# 32-bit PowerPC, big-endian: Debian's g++-powerpc-linux-gnu and qemu-user.
set(processor ppc)
set(triple powerpc-linux-gnu)
include(${CMAKE_CURRENT_LIST_DIR}/linux-qemu.cmake)
