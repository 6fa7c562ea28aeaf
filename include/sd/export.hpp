#pragma once

// SD_EXPORT marks what a shared libsd-listen-fds offers; the library itself is compiled with hidden visibility.
#if defined(__GNUC__) && !defined(_WIN32)
#define SD_EXPORT __attribute__((visibility("default")))
#else
#define SD_EXPORT
#endif
