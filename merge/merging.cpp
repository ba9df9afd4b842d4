#include "merge/merging.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <tutti/error.hpp>

#include "common/atomic_file.hpp"
#include "common/counted.hpp"
#include "common/usable_cores.hpp"
#include "common/weight_sum.hpp"
#include "merge/agreement.hpp"
#include "merge/method.hpp"
#include "merge/passes.hpp"
#include "merge/safetensors_format.hpp"

namespace tutti::merge {
namespace {

[[noreturn]] void refuse(std::string message, std::string hint = {}) {
  throw Error(ErrorKind::usage, std::move(message), {}, std::move(hint));
}

bool needs_base(MergeMethod method) { return method == MergeMethod::task_arithmetic || method == MergeMethod::ties; }

void check(const MergeSettings& settings, std::size_t inputs, bool has_base) {
  const std::string_view method = to_name(settings.method);
  if (inputs == 0) refuse("there is nothing to merge");
  if (needs_base(settings.method) && !has_base) refuse(fmt::format("{} needs a base", method));
  if (settings.method == MergeMethod::slerp && inputs != 2)
    refuse(fmt::format("slerp merges two checkpoints, not {}", inputs));
  if (settings.method == MergeMethod::weighted && settings.weights.size() != inputs)
    refuse(fmt::format("{} given for {}", counted(settings.weights.size(), "weight"), counted(inputs, "checkpoint")));
  if (!(settings.density > 0 && settings.density <= 1))
    refuse(fmt::format("the density must be above 0 and at most 1, not {}", settings.density));
  if (!std::isfinite(settings.scaling) || !std::isfinite(settings.t))
    refuse(fmt::format("scaling and t must be finite, not {} and {}", settings.scaling, settings.t));
}

/// Float64 is not rounded to float32 unless the user asks for it.
void check_precision(const Agreement& agreement) {
  const auto is_f64 = [](const Column& column) { return column.dtype == Dtype::f64; };
  for (const MergedTensor& tensor : agreement.tensors)
    if (std::ranges::any_of(tensor.inputs, is_f64) || (tensor.base && is_f64(*tensor.base)))
      refuse(fmt::format("tensor {} is F64, which float32 cannot hold", tensor.name),
             "set 'accumulate: float64' for the merge");
}

std::vector<Chunk> cut(const Agreement& agreement, bool kept_too) {
  std::vector<Chunk> chunks;
  for (std::size_t i = 0; i < agreement.tensors.size(); ++i) {
    const MergedTensor& tensor = agreement.tensors[i];
    if (tensor.kept && !kept_too) continue;
    for (std::uint64_t at = 0; at < tensor.count; at += kChunkValues)
      chunks.push_back({i, at, static_cast<std::size_t>(std::min<std::uint64_t>(kChunkValues, tensor.count - at))});
  }
  return chunks;
}

/// The bytes that one pass reads.
std::uint64_t bytes_of(const Agreement& agreement, bool with_base) {
  std::uint64_t bytes = 0;
  for (const MergedTensor& tensor : agreement.tensors) {
    for (const Column& column : tensor.inputs) bytes += tensor.count * size_of(column.dtype);
    if (with_base && tensor.base) bytes += tensor.count * size_of(tensor.base->dtype);
  }
  return bytes;
}

/// A value of at least this magnitude becomes infinite when it is rounded to `dtype`.
double limit_of(Dtype dtype) {
  if (dtype == Dtype::f16) return 65520;
  if (dtype == Dtype::bf16) return 0x1.ffp127;
  return dtype == Dtype::f32 ? 0x1.ffffffp127 : std::numeric_limits<double>::infinity();
}

template <class Real>
std::uint64_t not_finite(std::span<const Real> values, double limit) {
  const auto most = static_cast<Real>(std::min(limit, double{std::numeric_limits<Real>::infinity()}));
  std::uint64_t count = 0;
  for (const Real value : values) count += std::fabs(value) < most ? 0 : 1;
  return count;
}

template <class Real>
class Merging {
 public:
  Merging(const MergeSettings& settings, const Agreement& agreement, std::size_t inputs, const MergeProgress& progress)
      : settings_(settings),
        agreement_(agreement),
        chunks_(cut(agreement, true)),
        progress_(progress),
        threads_(settings.threads > 0 ? settings.threads : std::min(usable_cores(), kMaxMergeThreads)),
        lanes_(threads_),
        written_(threads_),
        lost_(threads_),
        overflowed_(threads_),
        results_(threads_) {
    total_ = bytes_of(agreement, needs_base(settings.method)) * (1 + passes_before());
    const std::vector<Chunk> computed = cut(agreement, false);
    method_ = make(
        {agreement.tensors, computed, inputs, threads_, [&](const ScanWork<Real>& look) { scan(computed, look); }});
  }

  /// Gives the data of the file to `sink`, piece by piece and in order.
  MergeOutcome run(const ByteSink& sink) {
    run_pass(
        chunks_.size(), threads_, [&](std::size_t index, unsigned thread) { compute(chunks_[index], thread); },
        [&](std::size_t index, unsigned thread) {
          if (overflowed_[thread]) refuse_overflow(agreement_.tensors[chunks_[index].tensor]);
          sink(written_[thread]);
          outcome_.bytes_written += written_[thread].size();
          if (lost_[thread] > 0) add_lost(agreement_.tensors[chunks_[index].tensor], lost_[thread]);
          advance(thread);
        });
    for (const MergedTensor& tensor : agreement_.tensors) outcome_.values += tensor.kept ? 0 : tensor.count;
    outcome_.tensors = agreement_.tensors.size();
    outcome_.notes = agreement_.notes;
    if (!agreement_.statistics.empty() && !settings_.statistics_follow) outcome_.notes.push_back(agreement_.statistics);
    if (lost_values_ > 0)
      outcome_.notes.push_back(
          fmt::format("not finite in the result: {}, the first in {}", counted(lost_values_, "value"), first_lost_));
    return std::move(outcome_);
  }

 private:
  std::uint64_t passes_before() const {
    if (settings_.method == MergeMethod::slerp) return 1;
    return settings_.method == MergeMethod::ties && settings_.density < 1 ? sizeof(Real) / 2 : 0;
  }

  std::unique_ptr<Method<Real>> make(const Workload<Real>& work) const {
    switch (settings_.method) {
      case MergeMethod::average:
      case MergeMethod::greedy_soup:
        break;
      case MergeMethod::weighted:
        return make_weighted<Real>(weight_factors(settings_));
      case MergeMethod::task_arithmetic:
        return make_task_arithmetic<Real>(settings_.scaling);
      case MergeMethod::ties:
        return make_ties<Real>(work, settings_);
      case MergeMethod::slerp:
        return make_slerp<Real>(work, settings_.t);
    }
    return make_average<Real>();
  }

  void scan(const std::vector<Chunk>& chunks, const ScanWork<Real>& look) {
    run_pass(
        chunks.size(), threads_,
        [&](std::size_t index, unsigned thread) { look(index, chunks[index], lanes_[thread], thread); },
        [&](std::size_t, unsigned thread) { advance(thread); });
  }

  void compute(const Chunk& chunk, unsigned thread) {
    const MergedTensor& tensor = agreement_.tensors[chunk.tensor];
    std::vector<std::byte>& written = written_[thread];
    const std::size_t size = size_of(tensor.dtype);
    written.resize(chunk.count * size);
    lost_[thread] = 0;
    overflowed_[thread] = false;
    if (tensor.kept) return tensor.kept->checkpoint->read(tensor.kept->name, chunk.first * size, written);
    std::vector<Real>& values = results_[thread];
    values.resize(chunk.count);
    method_->compute(tensor, chunk, lanes_[thread], values);
    lost_[thread] = not_finite<Real>(values, limit_of(tensor.dtype));
    overflowed_[thread] = lost_[thread] > 0 && inputs_are_finite(tensor, chunk, lanes_[thread]);
    encode<Real>(tensor.dtype, values, written);
  }

  /// Whether nothing that the chunk was made of is infinite or NaN. Reads the chunk again.
  bool inputs_are_finite(const MergedTensor& tensor, const Chunk& chunk, Lane<Real>& lane) const {
    constexpr double kAny = std::numeric_limits<double>::infinity();
    const auto is_finite = [&](const Column& column) {
      return not_finite<Real>(lane.values(column, chunk), kAny) == 0;
    };
    return std::ranges::all_of(tensor.inputs, is_finite) &&
           (!needs_base(settings_.method) || !tensor.base || is_finite(*tensor.base));
  }

  [[noreturn]] static void refuse_overflow(const MergedTensor& tensor) {
    throw Error(
        ErrorKind::failed, fmt::format("the merge gives NaN or infinity in tensor {}", tensor.name),
        fmt::format("the checkpoints are finite there, but the result is too large for {}", dtype_name(tensor.dtype)),
        "use smaller weights or a smaller 'scaling'");
  }

  void advance(unsigned thread) {
    outcome_.bytes_read += lanes_[thread].take_bytes_read();
    if (progress_) progress_(std::min(outcome_.bytes_read, total_), total_);
  }

  void add_lost(const MergedTensor& tensor, std::uint64_t count) {
    if (lost_values_ == 0) first_lost_ = tensor.name;
    lost_values_ += count;
  }

  const MergeSettings& settings_;
  const Agreement& agreement_;
  const std::vector<Chunk> chunks_;
  const MergeProgress& progress_;
  const unsigned threads_;
  std::uint64_t total_ = 0;
  std::vector<Lane<Real>> lanes_;                ///< by thread, like the next four
  std::vector<std::vector<std::byte>> written_;  ///< the bytes of its chunk
  std::vector<std::uint64_t> lost_;              ///< values of its chunk that are not finite
  std::vector<char> overflowed_;                 ///< whether such values come from finite ones
  std::vector<std::vector<Real>> results_;
  std::unique_ptr<Method<Real>> method_;
  MergeOutcome outcome_;
  std::uint64_t lost_values_ = 0;
  std::string first_lost_;
};

std::string front(const Agreement& agreement, const std::map<std::string, std::string>& metadata) {
  std::vector<TensorRow> rows;
  for (const MergedTensor& tensor : agreement.tensors)
    rows.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.count * size_of(tensor.dtype)});
  return front_of_file(rows, metadata);
}

}  // namespace

std::vector<double> weight_factors(const MergeSettings& settings) {
  for (const double weight : settings.weights)
    if (!std::isfinite(weight)) refuse(fmt::format("a weight must be a finite number, not {}", weight));
  std::vector<double> factors = settings.weights;
  if (!settings.normalize) return factors;
  if (const WeightSum sum = weight_sum(factors, settings.accumulate_f64); !sum.divides)
    refuse(fmt::format("the weights cannot be normalized: they sum to {}", sum.total),
           "change them or set normalize: false");
  const double total = weight_sum<double>(factors).total;
  for (double& factor : factors) factor /= total;
  return factors;
}

namespace {

Agreement agreement_of(const MergeSettings& settings, std::span<const MergeInput> inputs, const MergeInput* base) {
  check(settings, inputs.size(), base != nullptr);
  if (settings.method == MergeMethod::weighted) weight_factors(settings);
  Agreement agreement = agree(inputs, base);
  if (!settings.accumulate_f64) check_precision(agreement);
  return agreement;
}

MergeOutcome write(const MergeSettings& settings, const Agreement& agreement, std::size_t inputs, const ByteSink& sink,
                   const std::map<std::string, std::string>& metadata, const MergeProgress& progress) {
  const std::string head = front(agreement, metadata);
  sink(std::as_bytes(std::span(head)));
  MergeOutcome outcome = settings.accumulate_f64 ? Merging<double>(settings, agreement, inputs, progress).run(sink)
                                                 : Merging<float>(settings, agreement, inputs, progress).run(sink);
  outcome.bytes_written += head.size();
  return outcome;
}

}  // namespace

void check_merge(const MergeSettings& settings, std::span<const MergeInput> inputs, const MergeInput* base) {
  agreement_of(settings, inputs, base);
}

MergeOutcome merge_checkpoints(const MergeSettings& settings, std::span<const MergeInput> inputs,
                               const MergeInput* base, const ByteSink& sink,
                               const std::map<std::string, std::string>& metadata, const MergeProgress& progress) {
  return write(settings, agreement_of(settings, inputs, base), inputs.size(), sink, metadata, progress);
}

MergeOutcome merge_checkpoints(const MergeSettings& settings, std::span<const MergeInput> inputs,
                               const MergeInput* base, const std::filesystem::path& file,
                               const std::map<std::string, std::string>& metadata, const MergeProgress& progress) {
  const Agreement agreement = agreement_of(settings, inputs, base);
  AtomicFile out(file);
  MergeOutcome outcome = write(
      settings, agreement, inputs.size(), [&](std::span<const std::byte> bytes) { out.write(bytes); }, metadata,
      progress);
  out.commit();
  return outcome;
}

std::string clip_tower_alias(std::string_view tensor) {
  static constexpr std::array<std::string_view, 3> kOthers{"text_model.", "text_projection.", "logit_scale"};
  static constexpr std::string_view kPrefix = "vision_model.";
  if (std::ranges::any_of(kOthers, [&](std::string_view other) { return tensor.starts_with(other); })) return {};
  return std::string(tensor.starts_with(kPrefix) ? tensor.substr(kPrefix.size()) : tensor);
}

}  // namespace tutti::merge
