# SPDX-License-Identifier: MIT OR Apache-2.0
# Emscripten, run by node: Debian's emscripten. Its own toolchain file does the work.
include(/usr/share/emscripten/cmake/Modules/Platform/Emscripten.cmake)
# Programs without a file beside them: Emscripten 3.1.6 would load it with fetch(), which takes no path in Node.js 18 and later.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-sSINGLE_FILE=1")
