// SPDX-License-Identifier: MIT OR Apache-2.0
// What mutated sources call. scripts/mutate includes it in copies of the sources.
//
// All mutants are compiled into one program. A file that is mapped into memory before main() holds the number of the
// one that is in effect, so that a child with an empty environment finds it, too. A process records in the same file
// which mutants would have changed what it did. All functions are async-signal-safe.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <type_traits>

namespace sd_mutation {

struct memory {
  volatile unsigned chosen;
  volatile unsigned char reached[65532];
};

// One for each module. The descriptors of a process are as they were when main() starts.
[[gnu::visibility("hidden")]] inline memory unmapped = {};
[[gnu::visibility("hidden")]] inline memory* shared = &unmapped;

[[gnu::constructor(101)]] static void map() noexcept {
  if (shared != &unmapped) return;
  const int error = errno;
  const long fd = ::syscall(SYS_openat, AT_FDCWD, SD_MUTATION_FILE, O_RDWR | O_CLOEXEC);
  if (fd >= 0) {
    void* const mapped = ::mmap(nullptr, sizeof(memory), PROT_READ | PROT_WRITE, MAP_SHARED, static_cast<int>(fd), 0);
    if (mapped != MAP_FAILED) shared = static_cast<memory*>(mapped);
    ::syscall(SYS_close, fd);
  }
  errno = error;
}

/// Whether the mutant is in effect, where it would make a difference.
inline bool is(unsigned mutant) noexcept {
  shared->reached[mutant] = 1;
  return shared->chosen == mutant;
}

/// The mutant is "true", and the next one "false".
inline bool boolean(unsigned mutant, bool value) noexcept { return value ? !is(mutant + 1) : is(mutant); }

template <class Value>
Value choose(unsigned mutant, Value value, Value changed) noexcept {
  return value != changed && is(mutant) ? changed : value;
}

/// Another value of this type: the negation, null, or the next number.
template <class Value>
Value other(unsigned mutant, Value value) noexcept {
  if constexpr (std::is_same_v<Value, bool>) {
    return choose(mutant, value, !value);
  } else if constexpr (std::is_pointer_v<Value>) {
    return choose(mutant, value, Value(nullptr));
  } else if constexpr (std::is_enum_v<Value>) {
    return choose(mutant, value, static_cast<Value>(static_cast<std::underlying_type_t<Value>>(value) + 1));
  } else {
    return choose(mutant, value, static_cast<Value>(value + 1));
  }
}

template <class Value>
auto minus(unsigned mutant, Value value) noexcept {
  return choose(mutant, -value, +value);
}

/// A comparison, or another one that differs for equal operands.
template <char Operator, class Left, class Right>
bool compare(unsigned mutant, const Left& left, const Right& right) noexcept {
  if constexpr (Operator == '<') return choose(mutant, left < right, left <= right);
  if constexpr (Operator == '>') return choose(mutant, left > right, left >= right);
  if constexpr (Operator == 'l') return choose(mutant, left <= right, left < right);
  if constexpr (Operator == 'g') return choose(mutant, left >= right, left > right);
}

/// An operation on numbers, or another one.
template <char Operator, class Left, class Right>
auto compute(unsigned mutant, Left left, Right right) noexcept {
  if constexpr (Operator == '+') return choose(mutant, left + right, left - right);
  if constexpr (Operator == '-') return choose(mutant, left - right, left + right);
  if constexpr (Operator == '*') return choose(mutant, left * right, left + right);
  if constexpr (Operator == '/') return choose(mutant, left / right, left * right);
  if constexpr (Operator == '%') return choose(mutant, left % right, left * right);
  if constexpr (Operator == '&') return choose(mutant, left & right, left | right);
  if constexpr (Operator == '|') return choose(mutant, left | right, left & right);
}

}  // namespace sd_mutation
