# SPDX-License-Identifier: MIT OR Apache-2.0
# Emscripten, run by node: Debian's emscripten. Its own toolchain file does the work.
include(/usr/share/emscripten/cmake/Modules/Platform/Emscripten.cmake)
