#pragma once

#include <optional>
#include <string>
#include <vector>

#include "clients/cli/invocation.hpp"

namespace weir::cli {

/// What was asked of `weir pub`.
struct PubOptions {
  std::string topic;
  std::optional<std::string> data;  ///< none: standard input or `from_file`
  std::string id;
  std::string id_template;
  std::string key;
  std::string content_type;
  std::vector<std::string> headers;  ///< "Name: value"
  std::string from_file;
  bool lines = false;
  bool quiet = false;
  double rate = 0;  ///< events per second; 0: as fast as it goes
};

void add_pub(CLI::App& root, Invocation& invocation, PubOptions& options);

/// Every line of an open file as one event, in atomic batches. `pattern` holds what all of them share.
ExitCode publish_lines(int descriptor, const PubOptions& options, const client::OutgoingEvent& pattern,
                       const Invocation& invocation);

/// How `pub` shows one result.
void print_published(const client::Published& published, std::chrono::nanoseconds took, Format format);

}  // namespace weir::cli
