#include "bench/options.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "bench/protocols.hpp"

namespace weir::bench {

namespace {

constexpr std::array<std::pair<Protocol, std::string_view>, 4> kProtocols = {
    {{Protocol::http, "http"}, {Protocol::ndjson, "ndjson"}, {Protocol::ws, "ws"}, {Protocol::bin, "bin"}}};
constexpr std::array<std::pair<Work, std::string_view>, 4> kWorks = {
    {{Work::pub, "pub"}, {Work::sub, "sub"}, {Work::e2e, "e2e"}, {Work::fanout, "fanout"}}};

}  // namespace

std::string_view to_string(Work work) {
  return std::ranges::find(kWorks, work, &std::pair<Work, std::string_view>::first)->second;
}

std::string_view to_string(Protocol protocol) {
  return std::ranges::find(kProtocols, protocol, &std::pair<Protocol, std::string_view>::first)->second;
}

std::optional<Protocol> protocol_of(std::string_view name) {
  const auto* const found = std::ranges::find(kProtocols, name, &std::pair<Protocol, std::string_view>::second);
  if (found == kProtocols.end()) return std::nullopt;
  return found->first;
}

const Target& Targets::leader() const {
  const auto found = std::ranges::find(nodes, true, &Target::leads);
  return found == nodes.end() ? nodes.front() : *found;
}

std::unique_ptr<PublishProtocol> make_publish_protocol(Protocol protocol, const client::Endpoint& server,
                                                       std::shared_ptr<Topics> topics) {
  if (protocol == Protocol::http) return make_single_publish(server, std::move(topics));
  if (protocol == Protocol::ndjson) return make_ndjson_publish(server, std::move(topics));
  if (protocol == Protocol::bin) return make_bin_publish(server, std::move(topics));
  return make_json_publish(server, std::move(topics));
}

std::unique_ptr<ReadProtocol> make_read_protocol(Protocol protocol, const client::Endpoint& server,
                                                 const std::string& topic, ReadFrom from) {
  if (protocol == Protocol::bin) return make_bin_read(server, topic, from);
  if (protocol == Protocol::ws) return make_json_read(server, topic, from);
  return make_ndjson_read(server, topic, from);
}

}  // namespace weir::bench
