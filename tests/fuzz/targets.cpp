#include "tests/fuzz/targets.hpp"

#include <algorithm>
#include <array>

namespace weir::fuzz {
namespace {

constexpr std::array kTargets{
    Target{"peer_frame", run_peer_frame, peer_frame_seeds},
    Target{"publish_entry", run_publish_entry, publish_entry_seeds},
    Target{"small_entries", run_small_entries, small_entries_seeds},
    Target{"http_request", run_http_request, http_request_seeds},
    Target{"json", run_json, json_seeds},
    Target{"chunked", run_chunked, chunked_seeds},
    Target{"ws_frame", run_ws_frame, ws_frame_seeds},
};

}  // namespace

std::span<const Target> targets() {
  return kTargets;
}

const Target* find_target(std::string_view name) {
  const auto* const found = std::ranges::find(kTargets, name, &Target::name);
  return found == kTargets.end() ? nullptr : found;
}

}  // namespace weir::fuzz
