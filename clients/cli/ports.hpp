#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

namespace weir::cli {

struct NodePorts {
  std::uint16_t http = 0;
  std::uint16_t raft = 0;
};

/// Two ports of 127.0.0.1 per node: `http`, `http` + 2, … and `raft`, `raft` + 2, …; free ones where the first is 0. An
/// error names the port that is taken.
[[nodiscard]] std::expected<std::vector<NodePorts>, std::string> choose_ports(unsigned nodes, std::uint16_t http,
                                                                              std::uint16_t raft);

}  // namespace weir::cli
