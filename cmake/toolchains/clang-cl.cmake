# SPDX-License-Identifier: MIT OR Apache-2.0
# clang-cl, to see which options it is given. Debian has no headers for it, so nothing is compiled.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_CXX_COMPILER clang-cl-19)
set(CMAKE_LINKER lld-link-19)
set(CMAKE_MT true)
set(CMAKE_CXX_COMPILER_WORKS ON)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
