# SPDX-License-Identifier: MIT OR Apache-2.0
# 64-bit RISC-V: Debian's g++-riscv64-linux-gnu and qemu-user.
set(processor riscv64)
set(triple riscv64-linux-gnu)
include(${CMAKE_CURRENT_LIST_DIR}/linux-qemu.cmake)
