// The protocols of bench/protocol.hpp, one by one. Private to bench/*.cpp.
#pragma once

#include <memory>
#include <string>

#include "bench/protocol.hpp"

namespace weir::bench {

[[nodiscard]] std::unique_ptr<PublishProtocol> make_single_publish(const client::Endpoint& server,
                                                                   std::shared_ptr<Topics> topics);
[[nodiscard]] std::unique_ptr<PublishProtocol> make_ndjson_publish(const client::Endpoint& server,
                                                                   std::shared_ptr<Topics> topics);
[[nodiscard]] std::unique_ptr<PublishProtocol> make_json_publish(const client::Endpoint& server,
                                                                 std::shared_ptr<Topics> topics);
[[nodiscard]] std::unique_ptr<PublishProtocol> make_bin_publish(const client::Endpoint& server,
                                                                std::shared_ptr<Topics> topics);
[[nodiscard]] std::unique_ptr<ReadProtocol> make_ndjson_read(const client::Endpoint& server, const std::string& topic,
                                                             ReadFrom from);
[[nodiscard]] std::unique_ptr<ReadProtocol> make_json_read(const client::Endpoint& server, const std::string& topic,
                                                           ReadFrom from);
[[nodiscard]] std::unique_ptr<ReadProtocol> make_bin_read(const client::Endpoint& server, const std::string& topic,
                                                          ReadFrom from);

}  // namespace weir::bench
