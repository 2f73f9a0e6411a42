#pragma once

#include <cstdint>
#include <string>

#include "clients/cli/invocation.hpp"

namespace weir::cli {

struct SubOptions {
  std::string pattern;
  std::string from;
  std::string group;
  std::uint64_t count = 0;  ///< 0: until stopped
};

void add_sub(CLI::App& root, Invocation& invocation, SubOptions& options);

}  // namespace weir::cli
