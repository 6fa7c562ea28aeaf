# SPDX-License-Identifier: MIT OR Apache-2.0
# 32-bit x86 on a 64-bit machine: Debian's g++-12-multilib. (g++-multilib without a version would remove the cross compilers.)
set(CMAKE_C_COMPILER gcc-12)
set(CMAKE_CXX_COMPILER g++-12)
# The headers of the system itself come last: they are the same for both, but for those that the 32-bit ones replace.
set(CMAKE_C_FLAGS_INIT "-m32 -idirafter /usr/include/x86_64-linux-gnu")
set(CMAKE_CXX_FLAGS_INIT "${CMAKE_C_FLAGS_INIT}")
# What is installed is for 64 bits.
set(CMAKE_DISABLE_FIND_PACKAGE_GTest ON)
