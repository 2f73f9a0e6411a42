// The first lines of every thread that the broker starts.
#pragma once

#include <pthread.h>

#include <csignal>

namespace weir::storage {

/// Names the calling thread (15 bytes at most) and leaves SIGINT and SIGTERM to the main thread, which handles
/// them.
inline void begin_thread(const char* name) {
  ::pthread_setname_np(::pthread_self(), name);
  sigset_t handled;
  ::sigemptyset(&handled);
  ::sigaddset(&handled, SIGINT);
  ::sigaddset(&handled, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &handled, nullptr);
}

}  // namespace weir::storage
