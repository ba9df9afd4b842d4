// How fast checkpoints are merged, compared with a program that only reads them and writes one of them.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/micro/benches.hpp"
#include "common/atomic_file.hpp"
#include "common/nameless_file.hpp"
#include "common/random.hpp"
#include "merge/merging.hpp"

namespace tutti::bench::micro {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kCheckpoints = 8;
constexpr std::size_t kPiece = 1 << 20;

std::filesystem::path folder() {
  const char* const wanted = std::getenv("TMPDIR");
  return wanted != nullptr && *wanted != '\0' ? wanted : "/tmp";
}

struct Shape {
  std::string name;
  std::vector<std::int64_t> extents;
};

/// The image tower of CLIP ViT-B/32: 87.5 million values in 199 tensors.
std::vector<Shape> tower() {
  std::vector<Shape> shapes{{"embeddings.class_embedding", {768}},
                            {"embeddings.patch_embedding.weight", {768, 3, 32, 32}},
                            {"embeddings.position_embedding.weight", {50, 768}}};
  const auto add_pair = [&](const std::string& name, std::vector<std::int64_t> extents) {
    shapes.push_back({name + ".bias", {extents.front()}});
    shapes.push_back({name + ".weight", std::move(extents)});
  };
  add_pair("pre_layrnorm", {768});
  add_pair("post_layernorm", {768});
  for (int layer = 0; layer < 12; ++layer) {
    const std::string prefix = fmt::format("encoder.layers.{}.", layer);
    for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"})
      add_pair(prefix + "self_attn." + name, {768, 768});
    add_pair(prefix + "mlp.fc1", {3072, 768});
    add_pair(prefix + "mlp.fc2", {768, 3072});
    add_pair(prefix + "layer_norm1", {768});
    add_pair(prefix + "layer_norm2", {768});
  }
  return shapes;
}

/// Checkpoints in files without names, so that nothing is left of them. Their values do not matter: each repeats the
/// same numbers, shifted.
class Checkpoints {
 public:
  Checkpoints() {
    for (std::size_t i = 0; i < kCheckpoints; ++i) {
      files_.push_back(nameless_file(folder(), O_RDWR));
      if (!files_.back()) throw write_error(folder() / "a checkpoint", errno);
      fill(files_.back().get(), i);
      const auto path = fmt::format("/proc/self/fd/{}", files_.back().get());
      inputs_.push_back(
          {fmt::format("m{}", i), std::make_shared<const merge::Checkpoint>(merge::Checkpoint::open(path))});
    }
  }
  const std::vector<UniqueFd>& files() const { return files_; }
  const std::vector<merge::MergeInput>& inputs() const { return inputs_; }

 private:
  static void fill(int fd, std::uint64_t seed) {
    std::vector<float> numbers(std::size_t{3072} * 1024);
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = unit_float(random_at(seed, i)) - 0.5F;
    const std::vector<Shape> shapes = tower();
    std::vector<merge::TensorView> tensors;
    for (const Shape& shape : shapes) {
      std::size_t count = 1;
      for (const std::int64_t extent : shape.extents) count *= static_cast<std::size_t>(extent);
      tensors.push_back({shape.name, merge::Dtype::f32, shape.extents, std::as_bytes(std::span(numbers).first(count))});
    }
    merge::write_safetensors(
        [fd](std::span<const std::byte> bytes) {
          while (!bytes.empty()) {
            const ssize_t count = ::write(fd, bytes.data(), bytes.size());
            if (count < 0) throw write_error(folder() / "a checkpoint", errno);
            bytes = bytes.subspan(static_cast<std::size_t>(count));
          }
        },
        "a checkpoint", tensors);
  }

  std::vector<UniqueFd> files_;
  std::vector<merge::MergeInput> inputs_;
};

/// Reads all files, one after the other, and writes the last, as a merge writes its result: complete and synced.
void read_and_write(const Checkpoints& checkpoints, const std::filesystem::path& out) {
  AtomicFile file(out);
  std::vector<std::byte> piece(kPiece);
  for (const UniqueFd& from : checkpoints.files()) {
    const bool is_last = &from == &checkpoints.files().back();
    for (off_t at = 0;;) {
      const ssize_t count = ::pread(from.get(), piece.data(), piece.size(), at);
      if (count < 0) throw write_error("a checkpoint", errno);
      if (count == 0) break;
      at += count;
      if (is_last) file.write(std::span(piece).first(static_cast<std::size_t>(count)));
    }
  }
  file.commit();
}

template <class Work>
double seconds_of(Work&& work) {
  const Clock::time_point begin = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Runs all ways in each round, one after the other, so that other work of the disk affects all of them.
void merge_and_copy(benchmark::State& state, std::shared_ptr<std::optional<Checkpoints>> checkpoints) {
  if (!*checkpoints) {
    checkpoints->emplace();
    ::sync();  // pending writes would be measured too
  }
  const auto out = folder() / fmt::format("tutti-bench-merge-{}", ::getpid());
  double merging = 0;
  double alone = 0;
  double copying = 0;
  merge::MergeSettings one_thread;
  one_thread.threads = 1;
  for (auto _ : state) {
    copying += seconds_of([&] { read_and_write(**checkpoints, out); });
    std::filesystem::remove(out);
    merging += seconds_of([&] { merge::merge_checkpoints({}, (*checkpoints)->inputs(), nullptr, out); });
    std::filesystem::remove(out);
    alone += seconds_of([&] { merge::merge_checkpoints(one_thread, (*checkpoints)->inputs(), nullptr, out); });
    std::filesystem::remove(out);
  }
  const double rounds = static_cast<double>(state.iterations());
  state.counters["merge s"] = merging / rounds;
  state.counters["read and write s"] = copying / rounds;
  state.counters["rate"] = copying / merging;
  state.counters["rate of one thread"] = copying / alone;
}

}  // namespace

void add_merge(Suite& suite) {
  const json::object conditions{{"checkpoints", kCheckpoints}, {"values", 87'456'000}, {"dtype", "F32"}};
  suite.add(
      "merge: average of ViT-B/32",
      {{{.conditions = conditions, .unit = "s"}, "merge s"},
       {{.name = "merge: reading and writing alone", .conditions = conditions, .unit = "s"}, "read and write s"},
       {{.name = "merge: part of the rate of reading and writing",
         .conditions = conditions,
         .higher_is_better = true,
         .aim = ">= 0.6"},
        "rate"}},
      [checkpoints = std::make_shared<std::optional<Checkpoints>>()](benchmark::State& state) {
        merge_and_copy(state, checkpoints);
      },
      1);
}

}  // namespace tutti::bench::micro
