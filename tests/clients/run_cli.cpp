#include "tests/clients/run_cli.hpp"

#include <gtest/gtest.h>

#include "clients/cli/cli.hpp"

namespace weir::test {

Ran run_cli(std::vector<std::string> words) {
  words.insert(words.begin(), "weir");
  std::vector<char*> pointers;
  pointers.reserve(words.size());
  for (auto& word : words) pointers.push_back(word.data());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Ran ran;
  ran.code = cli::run(static_cast<int>(pointers.size()), pointers.data(), {});
  ran.out = ::testing::internal::GetCapturedStdout();
  ran.err = ::testing::internal::GetCapturedStderr();
  return ran;
}

Ran run_cli_at(const client::Endpoint& server, const std::string& verb, std::vector<std::string> words) {
  words.insert(words.begin(), verb);
  words.insert(words.end(), {"--server", server.text()});
  return run_cli(std::move(words));
}

}  // namespace weir::test
