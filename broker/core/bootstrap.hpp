// How empty nodes become a cluster, once (DESIGN §5, Bootstrap).
// Runs on the core strand. Pure: says what to do, does nothing itself.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "wire/peer_message.hpp"

namespace weir::broker {

/// Knows who was met and whether the cluster may be founded: only when every member listed has answered, is empty (and
/// not because it lost what it had) and names the same members, and only by the one with the lowest name.
class Bootstrap {
 public:
  explicit Bootstrap(wire::Hello self);

  void met(const wire::Hello& peer);
  void lost(const std::string& peer) { met_.erase(peer); }

  /// This node is the one to found the cluster, and may now.
  [[nodiscard]] bool may_found() const;
  /// The CONFIG entry's content. Requires may_found(). `seed` makes cluster id and epoch.
  [[nodiscard]] wire::ConfigEntry compose(std::uint64_t seed) const;
  /// A founder's CONFIG names this node, in this life.
  [[nodiscard]] std::expected<void, std::string> accepts(const wire::ConfigEntry& config) const;
  /// A member of an existing cluster was met that will not give us its CONFIG: we are not in it.
  [[nodiscard]] std::optional<std::string> cluster_met() const;
  /// One line on what is missing.
  [[nodiscard]] std::string waiting_for() const;

 private:
  [[nodiscard]] bool agrees(const wire::Hello& peer) const;

  wire::Hello self_;
  std::map<std::string, wire::Hello> met_;  ///< by name, the latest of each
};

/// With which a log that was restored or recovered goes on: one voter, and cluster id and epoch drawn from `seed`.
/// Where it is reached it adds itself once it leads (Node::Impl::tend_members).
[[nodiscard]] wire::ConfigEntry config_of_new_life(const std::string& name, std::uint64_t incarnation,
                                                   std::uint64_t seed);

/// `letters` characters of base32 (lower case, a-z2-7) drawn from `seed`.
[[nodiscard]] std::string base32_name(std::uint64_t seed, std::size_t letters);

}  // namespace weir::broker
