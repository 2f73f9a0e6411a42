// The command line in this process, and what it printed. One test at a time: stdout and stderr are captured.
#pragma once

#include <string>
#include <vector>

#include "clients/cpp/endpoint.hpp"

namespace weir::test {

struct Ran {
  int code = 0;
  std::string out;
  std::string err;
};

/// `words`: what follows `weir`.
[[nodiscard]] Ran run_cli(std::vector<std::string> words);
/// `weir VERB WORDS --server SERVER`.
[[nodiscard]] Ran run_cli_at(const client::Endpoint& server, const std::string& verb, std::vector<std::string> words);

}  // namespace weir::test
