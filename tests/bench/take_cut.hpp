// Readers of bytes that come in pieces.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/protocol.hpp"

namespace weir::bench::test {

/// Gives `bytes` to a protocol, as `make` has made it each time, in two pieces, cut at each place in turn, and expects
/// the same answers each time.
[[nodiscard]] std::vector<Answer> take_cut(const std::function<std::unique_ptr<PublishProtocol>()>& make,
                                           const std::string& bytes);

}  // namespace weir::bench::test
