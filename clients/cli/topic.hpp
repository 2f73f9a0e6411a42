#pragma once

#include <string>

#include "clients/cli/invocation.hpp"
#include "clients/cli/read.hpp"
#include "clients/cpp/topics.hpp"

namespace weir::cli {

struct TopicOptions {
  std::string topic;
  client::TopicSettings settings;
};

/// `topic create`, `info`, `set` and `rm`.
void add_topics(const Parents& parents, Invocation& invocation, TopicOptions& options);

}  // namespace weir::cli
