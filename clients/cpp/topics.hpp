#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "clients/cpp/client.hpp"
#include "clients/cpp/views.hpp"

/// Topics that are created, changed and removed. A lost answer is errc::outcome_unknown: doing it again is harmless
/// unless somebody else has changed the topic since.
namespace weir::client {

/// As people write them: "7d", "1GiB", "1000", "off", or "default" for what the broker does by itself. Empty: not
/// named.
struct TopicSettings {
  std::string age;
  std::string bytes;
  std::string count;
  std::string dedup;
};

/// What the broker answered, and what it says.
struct TopicAnswer {
  TopicView topic;
  std::string json;
};

/// Of a topic that is there with other settings: errc::refused.
[[nodiscard]] Result<TopicAnswer> create_topic(Client& client, std::string_view topic, const TopicSettings& settings);
/// All of its settings: what is not named is the default. Creates the topic if need be.
[[nodiscard]] Result<TopicAnswer> put_topic(Client& client, std::string_view topic, const TopicSettings& settings);
/// Those that are named.
[[nodiscard]] Result<TopicAnswer> change_topic(Client& client, std::string_view topic, const TopicSettings& settings);
[[nodiscard]] Result<TopicAnswer> topic_info(Client& client, std::string_view topic);
/// With all its events and ids. `topic.next_offset` is what its next event gets, should it come back.
[[nodiscard]] Result<TopicAnswer> remove_topic(Client& client, std::string_view topic);

}  // namespace weir::client
