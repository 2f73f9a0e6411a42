// Raft's values in words, for logs, the console and transcripts. Pure functions: no thread rule.
#pragma once

#include <string>
#include <string_view>

#include "raft/message.hpp"
#include "raft/output.hpp"
#include "raft/progress.hpp"

namespace weir::raft {

[[nodiscard]] std::string_view to_string(ProgressState state);
[[nodiscard]] std::string_view to_string(VoteKind kind);
[[nodiscard]] std::string_view to_string(VoteAnswer answer);

/// "1->2 AppendEntries term 2 prev 3@1 commit 3 entries [4@2 5@2]": an entry is index@term.
[[nodiscard]] std::string describe(const Message& message);
/// "became leader in term 2".
[[nodiscard]] std::string describe(const Event& event);
/// "4@2 SET sally" with data as it is if it is printable, else its size.
[[nodiscard]] std::string describe(const Entry& entry);

}  // namespace weir::raft
