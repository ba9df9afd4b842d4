// The settings that a strategy is tried with, and how one of them is chosen.
#include "bench/comparison/strategies.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace tutti::bench {
namespace {

using Settings = std::vector<Setting>;

TEST_CASE("sequential has one setting for one thread and one for all cores") {
  CHECK(settings_to_try(Contender::sequential_one, 8, 4, 20) == Settings{{1, 1, 20}});
  CHECK(settings_to_try(Contender::sequential, 8, 4, 20) == Settings{{8, 1, 20}});
}

TEST_CASE("threads share the cores in every way and may be one per member") {
  CHECK(settings_to_try(Contender::threads, 2, 4, 1) == Settings{{2, 1, 1}, {1, 2, 1}, {1, 4, 1}});
  CHECK(settings_to_try(Contender::branches, 2, 4, 1) == settings_to_try(Contender::threads, 2, 4, 1));
  CHECK(settings_to_try(Contender::threads, 1, 1, 1) == Settings{{1, 1, 1}});
  CHECK(settings_to_try(Contender::threads, 2, 1, 1) == Settings{{2, 1, 1}});
}

TEST_CASE("no way to share asks for more than the cores but one thread per member") {
  for (const std::uint32_t cores : {1U, 2U, 3U, 6U, 64U}) {
    for (const std::uint32_t members : {1U, 3U, 8U, 100U}) {
      const Settings settings = settings_to_try(Contender::threads, cores, members, 1);
      REQUIRE_FALSE(settings.empty());
      for (const Setting& setting : settings) {
        CHECK(setting.between <= members);
        const bool fits = setting.within * setting.between <= cores;
        const bool one_each = setting.within == 1 && setting.between == members;
        CHECK((fits || one_each));
      }
      const bool all_used = std::any_of(settings.begin(), settings.end(), [&](const Setting& setting) {
        return setting.within * setting.between == cores;
      });
      CHECK(all_used);
    }
  }
}

TEST_CASE("fused has threads only inside and the pool threads per worker") {
  CHECK(settings_to_try(Contender::fused, 6, 4, 1) == Settings{{1, 1, 1}, {2, 1, 1}, {4, 1, 1}, {6, 1, 1}});
  CHECK(settings_to_try(Contender::multiprocess, 2, 4, 1) == Settings{{1, 4, 1}, {2, 4, 1}});
}

TEST_CASE("on a GPU threads are streams and nothing has threads inside") {
  CHECK(settings_on_gpu(Contender::threads, 6, 20) == Settings{{1, 1, 20}, {1, 2, 20}, {1, 4, 20}, {1, 6, 20}});
  CHECK(settings_on_gpu(Contender::branches, 6, 20) == Settings{{1, 6, 20}});
  CHECK(settings_on_gpu(Contender::multiprocess, 6, 20) == Settings{{1, 6, 20}});
  for (const Contender contender : {Contender::sequential_one, Contender::sequential, Contender::fused})
    CHECK(settings_on_gpu(contender, 6, 20) == Settings{{1, 1, 20}});
}

TEST_CASE("on a GPU sequential has one row") {
  for (const auto& entry : enum_names(Contender{}))
    CHECK(is_repeated_on_gpu(entry.value) == (entry.value == Contender::sequential));
}

TEST_CASE("the fastest setting is chosen and of equal ones the first") {
  const Settings settings{{1, 1, 1}, {2, 1, 1}, {4, 1, 1}};
  CHECK(fastest(settings, [](const Setting& setting) { return setting.within == 2 ? 1.0 : 2.0; }) == settings[1]);
  CHECK(fastest(settings, [](const Setting&) { return 1.0; }) == settings[0]);
}

TEST_CASE("nothing is tried if there is no choice") {
  bool tried = false;
  fastest({{3, 1, 1}}, [&](const Setting&) {
    tried = true;
    return 1.0;
  });
  CHECK_FALSE(tried);
}

TEST_CASE("a setting is described in the terms of its strategy") {
  CHECK(to_text(Contender::threads, {1, 2, 4}) == "2 at once, 1 thread each");
  CHECK(to_text(Contender::multiprocess, {2, 4, 4}) == "2 threads per worker");
  CHECK(to_text(Contender::fused, {1, 1, 4}) == "1 thread");
  CHECK(to_text(Contender::fused, {1, 1, 4}, true) == "1 stream");
  CHECK(to_text(Contender::branches, {1, 4, 4}, true) == "4 streams");
  CHECK(to_text(Contender::multiprocess, {1, 4, 4}, true) == "1 thread per worker");
}

TEST_CASE("chosen strategies come in their own order and once") {
  CHECK(parse_contenders("multiprocess,threads,threads") == std::vector{Contender::threads, Contender::multiprocess});
}

TEST_CASE("pools whose members share workers are compared only if they are named") {
  CHECK(parse_contenders("").back() == Contender::multiprocess);
  CHECK(parse_contenders("shared-fused,shared") == std::vector{Contender::shared, Contender::shared_fused});
  CHECK(settings_to_try(Contender::shared, 2, 32, 4) == Settings{{1, 2, 4}});
  CHECK(settings_to_try(Contender::shared_threads, 2, 32, 4) == Settings{{1, 1, 4}});
  CHECK(to_text(Contender::shared_threads, {1, 1, 4}) == "1 worker, 1 thread each");
  CHECK(to_text(Contender::shared_fused, {1, 2, 4}) == "2 workers, 1 thread each");
}

TEST_CASE("every strategy has a title and a form in one process") {
  for (const auto& entry : enum_names(Contender{})) CHECK(title(entry.value) != "?");
  CHECK(strategy_of(Contender::sequential_one) == Strategy::sequential);
  CHECK(strategy_of(Contender::sequential) == Strategy::sequential);
  CHECK(strategy_of(Contender::threads) == Strategy::threads);
  CHECK(strategy_of(Contender::branches) == Strategy::branches);
  CHECK(strategy_of(Contender::fused) == Strategy::fused);
}

TEST_CASE("where the batch is to be measured every strategy tries those that the pool tries") {
  config::EnsembleSpec spec;
  spec.segment_images = 20;
  CHECK(batches_to_try(spec, {}, false).empty());
  CHECK(batches_to_try(spec, {7}, false) == std::vector<std::uint32_t>{7});
  spec.measure_batch_images = true;
  CHECK(batches_to_try(spec, {}, false) == std::vector<std::uint32_t>{4, 8, 20});
  spec.segment_images = 2048;
  CHECK(batches_to_try(spec, {}, false).back() == 128);
  CHECK(batches_to_try(spec, {}, true).back() == 1024);
  CHECK(batches_to_try(spec, {7}, false) == std::vector<std::uint32_t>{7});
}

}  // namespace
}  // namespace tutti::bench
