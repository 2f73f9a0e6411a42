// WEIR_CHECK: an invariant that, once broken, leaves nothing safe to do but stop. Always on, in every build.
// Callable from any thread.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "raft/types.hpp"

namespace weir::raft {

/// Writes one line to stderr (expression, place, values) and aborts.
[[noreturn]] void check_failed(const char* expression, const char* file, int line, const char* names,
                               const std::string& values);

namespace check_detail {

template <class Tag>
std::string text_of(Number<Tag> number) {
  return std::to_string(number.value);
}
inline std::string text_of(std::string_view text) {
  return std::string(text);
}
template <class T>
  requires std::integral<T> || std::is_enum_v<T>
std::string text_of(T value) {
  if constexpr (std::is_enum_v<T>) {
    return std::to_string(std::to_underlying(value));
  } else {
    return std::to_string(value);
  }
}

template <class... Values>
std::string join(const Values&... values) {
  std::string text;
  ((text += (text.empty() ? "" : ", ") + text_of(values)), ...);
  return text;
}

}  // namespace check_detail
}  // namespace weir::raft

/// WEIR_CHECK(a <= b, a, b): aborts unless the condition holds, and says what a and b were.
#define WEIR_CHECK(condition, ...)                                                               \
  (static_cast<bool>(condition)                                                                  \
       ? static_cast<void>(0)                                                                    \
       : ::weir::raft::check_failed(#condition, __FILE__, __LINE__, "" __VA_OPT__(#__VA_ARGS__), \
                                    ::weir::raft::check_detail::join(__VA_ARGS__)))
