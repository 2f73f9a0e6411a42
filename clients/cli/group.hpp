#pragma once

#include <string>

#include "clients/cli/invocation.hpp"
#include "clients/cli/read.hpp"

namespace weir::cli {

struct GroupOptions {
  std::string group;
  std::string cursor;
};

/// `group ls`, `info`, `seek` and `rm`.
void add_groups(const Parents& parents, Invocation& invocation, GroupOptions& options);

}  // namespace weir::cli
