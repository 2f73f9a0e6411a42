// What happens in the core, as log lines; members by name. Called on the core strand. The log outlives it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "broker/core/node.hpp"
#include "broker/log.hpp"

namespace weir::broker {

class NodeLog {
 public:
  NodeLog(const Log& log, const std::vector<std::string>& members);

  void raft(const raft::Event& event) const;
  void phase(Phase phase, const std::string& why) const;
  void notice(const std::string& text) const;

 private:
  [[nodiscard]] std::string name(raft::NodeId node) const;

  const Log& log_;
  std::map<raft::NodeId, std::string> names_;
};

}  // namespace weir::broker
