#pragma once

#include <string>
#include <string_view>

#include "clients/cli/cli.hpp"
#include "clients/cpp/client.hpp"

namespace CLI {
class App;
}

/// What every client verb shares: how it finds a broker, how long it tries, how it prints and how it fails.
namespace weir::cli {

enum class Format { table, json, ndjson, raw };

struct Invocation {
  explicit Invocation(ExitCode& code) : exit_code(code) {}

  std::string server;            ///< --server or WEIR_SERVER; empty: discover
  std::string format = "table";  ///< -o
  double timeout_s = 10;         ///< --timeout
  ExitCode& exit_code;

  [[nodiscard]] Format output() const;
};

/// The options above, on one verb. They stand after the verb: an option of the root would let a payload that happens to
/// be called like a verb be taken for one.
void add_shared_options(CLI::App& verb, Invocation& invocation);

/// The servers found and the time limit, as the library wants them.
[[nodiscard]] client::Result<client::ClientOptions> client_options(const Invocation& invocation);

/// Data, to stdout. Whether it arrived is seen by `flush_data`.
void print_data(std::string_view data);

/// `code`, unless stdout could not be written: then that is said, and the code is `refused`.
[[nodiscard]] ExitCode flush_data(ExitCode code);

/// One line of words, to stderr.
void say(std::string_view words);

/// Says what went wrong; answers the exit code that belongs to it.
ExitCode report(const client::Error& error);

enum class Stream { data, words };
[[nodiscard]] bool is_terminal(Stream stream);

}  // namespace weir::cli
