#pragma once

#include <sd/config.hpp>

// What a plug-in offers: the answer of its own copy of the library, as a number of descriptors or minus the error's
// value.
extern "C" SD_EXPORT int take();
