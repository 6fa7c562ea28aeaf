// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// @file
/// States the version of the library. CMake reads it from here.

// NOLINTBEGIN(cppcoreguidelines-macro-usage): for the preprocessor
#define SD_LISTEN_FDS_VERSION_MAJOR 0  ///< Changes with incompatible changes, from 1 on.
#define SD_LISTEN_FDS_VERSION_MINOR 1  ///< Changes with new features, and before version 1 with incompatible changes.
#define SD_LISTEN_FDS_VERSION_PATCH 0  ///< Changes with fixes.
// NOLINTEND(cppcoreguidelines-macro-usage)
