// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// @file
/// Finds out what the compiler offers.

// The public names are in the inline namespace sd::v0, so that a program linked with an incompatible version fails to
// link instead of misbehaving. Write sd::listen_fds, not sd::v0::listen_fds.

/// Whether the code is compiled with exceptions. Without them, only the `std::error_code&` overloads exist.
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define SD_HAS_EXCEPTIONS 1  // NOLINT(cppcoreguidelines-macro-usage): the preprocessor tests it
#else
#define SD_HAS_EXCEPTIONS 0  // NOLINT(cppcoreguidelines-macro-usage)
#endif

// SD_EXPORT marks what a shared libsd-listen-fds exports; the library is compiled with hidden visibility. A static
// library (SD_STATIC is defined while it is compiled) exports nothing beyond the module that it is linked into.
#if defined(__GNUC__) && !defined(_WIN32)
#define SD_VISIBLE __attribute__((visibility("default")))
#else
#define SD_VISIBLE
#endif

#if defined(SD_STATIC)
#define SD_EXPORT
#else
#define SD_EXPORT SD_VISIBLE
#endif

// Marks a parameter to which the result refers. Clang then warns if the result outlives a temporary argument.
#if defined(__clang__)
#define SD_LIFETIMEBOUND [[clang::lifetimebound]]
#else
#define SD_LIFETIMEBOUND
#endif

// Marks a private member that some platforms do not use. Clang warns of those, and gcc before 11 warns of the
// attribute.
#if defined(__clang__)
#define SD_UNUSED_MEMBER [[maybe_unused]]
#else
#define SD_UNUSED_MEMBER
#endif
