// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/config.hpp>

// The function of a plug-in: takes the descriptors with the plug-in's own copy of the library. Returns the number of
// descriptors, or the negated value of the error.
extern "C" SD_EXPORT int take();
