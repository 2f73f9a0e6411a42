#include "clients/cpp/members.hpp"

#include <algorithm>
#include <utility>

namespace weir::client {
namespace {

void add_new(std::vector<Endpoint>& all, const Endpoint& endpoint) {
  if (all.size() < Members::kMembersMax && std::ranges::find(all, endpoint) == all.end()) all.push_back(endpoint);
}

}  // namespace

Members::Members(std::vector<Endpoint> given) : given_(std::move(given)) {
  for (const auto& endpoint : given_) add_new(all_, endpoint);
}

void Members::learn(const std::vector<Endpoint>& cluster) {
  const Endpoint here = current();
  all_.clear();
  for (const auto& endpoint : given_) add_new(all_, endpoint);
  for (const auto& endpoint : cluster) add_new(all_, endpoint);
  prefer(here);
}

void Members::prefer(const Endpoint& endpoint) {
  add_new(all_, endpoint);
  const auto found = std::ranges::find(all_, endpoint);
  if (found != all_.end())
    current_ = static_cast<std::size_t>(found - all_.begin());
  else
    current_ = 0;
}

}  // namespace weir::client
