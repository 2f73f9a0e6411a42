// Which messages have a meaning at all, whoever sent them (FAULTS 88, 39). Pure functions: no thread rule.
#pragma once

#include "raft/message.hpp"

namespace weir::raft {

/// What is wrong with a message in itself, as a string literal; nullptr if it is well formed. Looks at nothing but the
/// message: no correct member ever sends one that fails.
[[nodiscard]] const char* defect_of(const Message& message);

}  // namespace weir::raft
