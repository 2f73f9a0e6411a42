#pragma once

#include <string>

#include "clients/cli/read.hpp"

namespace weir::cli {

struct MemberOptions {
  std::string name;
  std::string raft;
  std::string http;
  bool learner = false;  ///< --learner: it stays one
  bool end = false;      ///< --end: back into service
};

/// `cluster add`, `promote`, `remove`, `transfer`, `drain` and `verify`.
void add_members(const Parents& parents, Invocation& invocation, MemberOptions& options);

}  // namespace weir::cli
