#include "broker/core/status.hpp"

namespace weir::broker {

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::forming:
      return "forming";
    case Phase::waiting:
      return "waiting";
    case Phase::running:
      return "running";
    case Phase::draining:
      return "draining";
    case Phase::failed:
      return "failed";
  }
  return "unknown";
}

std::string_view to_string(EntryState state) {
  switch (state) {
    case EntryState::uncommitted:
      return "uncommitted";
    case EntryState::committed:
      return "committed";
    case EntryState::applied:
      return "applied";
  }
  return "unknown";
}

}  // namespace weir::broker
