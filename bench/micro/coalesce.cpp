// What waits becomes one log entry. The arguments: requests, events of each.
#include <vector>

#include "bench/micro/samples.hpp"

namespace weir::bench::micro {
namespace {

void merge_requests(benchmark::State& state) {
  const auto requests = static_cast<std::size_t>(state.range(0));
  const auto events = static_cast<std::size_t>(state.range(1));
  EventMaker maker = maker_of(Ids::every_event);
  std::vector<wire::PublishView> views;
  for (std::size_t i = 0; i < requests; ++i) views.push_back(view_of(request_of(maker.make(events, kTimeMs))));
  std::size_t bytes = 0;
  for (auto _ : state) bytes = wire::merge(views, kTimeMs).size();
  report(state, requests * events, bytes);
}
BENCHMARK(merge_requests)->ArgsProduct({{1, 10, 100}, {1, 100}});

}  // namespace
}  // namespace weir::bench::micro
