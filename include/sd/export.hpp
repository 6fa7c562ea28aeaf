#pragma once

// SD_EXPORT marks what a shared libsd-listen-fds offers; the library is compiled with hidden visibility. A static one
// (SD_STATIC, while it is compiled) offers nothing beyond the module that it is linked into.
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
