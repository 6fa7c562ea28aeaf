// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

// The system calls that the library makes, in thin wrappers that tests replace to inject failures. Only the files in
// this directory know the platform. Each wrapper returns the result of its call, or the negated errno. A call that a
// signal handler can interrupt is made again, except close(2), whose descriptor must not be closed a second time.

/// Whether the platform can pass descriptors to a program. If not, sockets and paths are not compiled.
#if defined(_WIN32) || defined(__wasi__) || defined(__EMSCRIPTEN__)
#define SD_HAS_DESCRIPTORS 0  // NOLINT(cppcoreguidelines-macro-usage): the preprocessor tests it
#else
#define SD_HAS_DESCRIPTORS 1  // NOLINT(cppcoreguidelines-macro-usage)
#endif
