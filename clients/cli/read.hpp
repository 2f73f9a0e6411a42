#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "clients/cli/invocation.hpp"

namespace weir::cli {

struct ReadOptions {
  std::string topic;
  std::uint64_t offset = 0;
  std::string id;
  std::string source;
};

struct RaftLogOptions {
  std::optional<std::uint64_t> from;
  std::optional<std::uint64_t> limit;
};

/// The parents of verbs of two words, so that several files can add to them.
struct Parents {
  CLI::App& topic;
  CLI::App& group;
  CLI::App& cluster;
  CLI::App& raft;
};

/// `get`, `id` and `topic ls`.
void add_reading(CLI::App& root, const Parents& parents, Invocation& invocation, ReadOptions& options);

/// `cluster status` and `raft log`.
void add_cluster(const Parents& parents, Invocation& invocation, RaftLogOptions& options);

/// One GET by a client of its own: found, asked and given up as `invocation` says.
[[nodiscard]] client::Result<client::HttpResponse> fetch(const Invocation& invocation, std::string_view target,
                                                         std::string_view accept);

/// A JSON answer for -o json, or the items of its array `name` for -o ndjson, one per line.
void print_json(std::string_view body, std::string_view name, Format format);

}  // namespace weir::cli
