#include "raft/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace weir::raft {

void check_failed(const char* expression, const char* file, int line, const char* names, const std::string& values) {
  const std::string_view separator = values.empty() ? "" : ": ";
  std::fprintf(stderr, "%s:%d: broken invariant: %s%.*s%s%s%s\n", file, line, expression,
               static_cast<int>(separator.size()), separator.data(), names, values.empty() ? "" : " = ",
               values.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace weir::raft
