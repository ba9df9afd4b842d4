// Samples of several arrays in files, streamed.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "common/array_path.hpp"
#include "common/counted.hpp"
#include "common/tensor_text.hpp"
#include "images/archive.hpp"
#include "images/arrays.hpp"
#include "images/label_array.hpp"
#include "images/sources.hpp"

namespace tutti::images {
namespace {

constexpr std::string_view kTensorWhat = "a tensor";
/// How NumPy writes the types that a tensor may have; float64 becomes float32.
constexpr std::array<std::string_view, 8> kTensorTypes{"<f4", "<f2", kBfloat16, "|u1", "<i4", "<i8", "|b1", kFloat64};
constexpr std::array kTensorDtypes{Dtype::float32, Dtype::float16, Dtype::bfloat16, Dtype::uint8,
                                   Dtype::int32,   Dtype::int64,   Dtype::boolean,  Dtype::float32};

/// The call that makes a tensor of the array, if there is one.
std::string tensor_hint(const NpyHeader& header) {
  const auto saved = [](std::string_view values) {
    return fmt::format("save it with numpy.save(path, numpy.ascontiguousarray({}))", values);
  };
  if (std::ranges::find(kTensorTypes, header.descr) != kTensorTypes.end()) return saved("x");
  if (header.descr == kUntyped) return kUntypedHint;
  switch (kind_of_elements(header)) {
    case 'f':
      return saved("x.astype('float32')");
    case 'i':
    case 'u':
      return saved("x.astype('int64')");
    case 'c':
      return "save its parts as two arrays, x.real.astype('float32') and x.imag.astype('float32')";
    default:
      return "a tensor holds numbers or truths: save an array of float32, int64 or bool";
  }
}

}  // namespace

/// The first axis of the array counts the samples.
TensorLayout layout_of_rows(const OpenArray& array) {
  const std::vector<std::uint64_t>& shape = array.header.shape;
  const auto refuse = [&](std::string_view why, std::string_view hint) {
    refuse_array(array.file.path(), kTensorWhat, fmt::format("its shape is {}, and {}", array.header.shape_text(), why),
                 hint);
  };
  if (shape.empty()) refuse("its first axis must count the samples", "save an array with one entry per sample");
  if (shape.size() > kMaxRank + 1)
    refuse(fmt::format("a sample has at most {} axes", kMaxRank), "save it with fewer axes: x.reshape(len(x), -1)");
  TensorLayout layout;
  for (std::size_t axis = 1; axis < shape.size(); ++axis) {
    if (shape[axis] == 0 || shape[axis] > std::numeric_limits<std::uint32_t>::max())
      refuse("a sample needs values", "save an array whose axes are all longer than 0");
    layout.dims.push_back(static_cast<std::uint32_t>(shape[axis]));
  }
  const auto type = std::ranges::find(kTensorTypes, array.header.descr);
  if (type != kTensorTypes.end())
    layout.dtype = kTensorDtypes.at(static_cast<std::size_t>(type - kTensorTypes.begin()));
  return layout;
}

RecordFile open_tensors(OpenArray array) {
  const std::string hint = tensor_hint(array.header);
  const std::size_t rank = array.header.shape.size();
  return open_rows(std::move(array), kTensorWhat, kTensorTypes, rank, hint);
}

std::string float64_remark(const std::filesystem::path& path) {
  return fmt::format("{} holds float64, which becomes float32", path.string());
}

void narrow(const std::filesystem::path& path, std::uint64_t sample, std::span<const std::byte> wide,
            std::span<std::byte> out) {
  for (std::size_t place = 0; place < wide.size() / sizeof(double); ++place) {
    double value;
    std::memcpy(&value, &wide[place * sizeof value], sizeof value);
    const auto narrowed = static_cast<float>(value);
    if (std::isinf(narrowed) && std::isfinite(value))
      refuse_array(path, kTensorWhat, fmt::format("sample {} holds {}, which float32 cannot hold", sample, value),
                   "scale the values");
    std::memcpy(&out[place * sizeof narrowed], &narrowed, sizeof narrowed);
  }
}

void make_truths(std::span<std::byte> bytes) {
  for (std::byte& truth : bytes) truth = truth == std::byte{0} ? std::byte{0} : std::byte{1};
}

namespace {

/// One tensor of all samples.
class TensorArray {
 public:
  TensorArray(std::string name, OpenArray array)
      : tensor_{std::move(name), layout_of_rows(array)},
        from_float64_(array.header.descr == kFloat64),
        remark_(std::move(array.remark)),
        rows_(open_tensors(std::move(array))) {}

  const NamedLayout& tensor() const { return tensor_; }
  const std::filesystem::path& path() const { return rows_.path(); }
  std::uint64_t count() const { return rows_.count(); }
  std::vector<std::string> remarks() const {
    std::vector<std::string> all;
    if (!remark_.empty()) all.push_back(remark_);
    if (from_float64_) all.push_back(float64_remark(path()));
    return all;
  }

  void read(std::span<const std::uint64_t> indices, std::span<std::byte> out) {
    assert(out.size() == indices.size() * tensor_.layout.bytes());
    const std::size_t bytes = tensor_.layout.bytes();
    if (from_float64_)
      return rows_.read(indices, 0, [&](std::size_t i, std::span<const std::byte> record) {
        narrow(path(), indices[i], record, out.subspan(i * bytes, bytes));
      });
    rows_.copy(indices, out);
    if (tensor_.layout.dtype == Dtype::boolean) make_truths(out);
  }

 private:
  NamedLayout tensor_;
  bool from_float64_;
  std::string remark_;
  RecordFile rows_;
};

class Arrays final : public TensorSource {
 public:
  /// `labels` may be empty.
  Arrays(std::vector<TensorArray> arrays, std::string name, const std::filesystem::path& labels, std::uint32_t classes)
      : arrays_(std::move(arrays)), name_(std::move(name)), classes_(classes) {
    const TensorArray& first = arrays_.front();
    for (const TensorArray& array : arrays_)
      if (array.count() != first.count())
        throw Error(ErrorKind::usage, "the arrays of 'inputs' differ in their number of samples",
                    fmt::format("{} has {}, and {} has {}", first.path().string(), first.count(), array.path().string(),
                                array.count()),
                    "the first axis of every array counts the samples");
    if (!labels.empty()) labels_.emplace(labels, first.count(), "sample", classes);
  }

  std::string name() const override { return name_; }
  std::uint64_t count() const override { return arrays_.front().count(); }
  std::uint32_t classes() const override { return labels_ ? labels_->classes() : classes_; }
  bool labelled() const override { return labels_.has_value(); }
  std::string class_name(std::uint32_t label) const override { return labels_ ? labels_->class_name(label) : ""; }
  std::vector<std::string> remarks() const override {
    std::vector<std::string> all;
    for (const TensorArray& array : arrays_) std::ranges::copy(array.remarks(), std::back_inserter(all));
    return all;
  }

  std::vector<NamedLayout> tensors() const override {
    std::vector<NamedLayout> all;
    for (const TensorArray& array : arrays_) all.push_back(array.tensor());
    return all;
  }
  void read_tensors(std::span<const std::uint64_t> indices, std::span<const std::span<std::byte>> tensors,
                    std::span<std::int64_t> labels) override {
    assert(tensors.size() == arrays_.size());
    for (std::size_t t = 0; t < arrays_.size(); ++t) arrays_[t].read(indices, tensors[t]);
    if (!labels.empty()) labels_->read(indices, labels);
  }

 private:
  std::vector<TensorArray> arrays_;
  std::string name_;
  std::optional<LabelArray> labels_;
  std::uint32_t classes_;
};

/// All arrays of an archive but the one that holds the labels.
std::vector<TensorArray> arrays_in(const std::filesystem::path& file, const ArrayPath& labels) {
  std::vector<TensorArray> all;
  Archive archive(file);
  for (const std::string& name : archive.arrays())
    if (file != labels.file || name != labels.entry) all.emplace_back(name, archive.open(name));
  if (all.empty())
    throw Error(ErrorKind::usage, fmt::format("{} holds no array besides the labels", file.string()), {},
                "save the tensors in it, too: numpy.savez(path, image=x, labels=y)");
  return all;
}

}  // namespace

std::unique_ptr<Source> make_arrays(const std::vector<ArrayInput>& inputs, const std::filesystem::path& labels,
                                    std::uint32_t classes, ReadLabels read) {
  const ArrayPath label_path = array_path(labels);
  std::vector<TensorArray> arrays;
  std::vector<std::string> files;
  for (const ArrayInput& input : inputs) {
    files.push_back(input.file.string());
    if (input.name.empty()) {
      for (TensorArray& array : arrays_in(input.file, label_path)) arrays.push_back(std::move(array));
      continue;
    }
    const bool beside_labels = array_path(input.file).file == label_path.file;
    arrays.emplace_back(input.name, open_array(input.file, beside_labels ? label_path.entry : ""));
  }
  return std::make_unique<Arrays>(std::move(arrays), fmt::format("npy {}", and_list(files)),
                                  read == ReadLabels::yes ? labels : std::filesystem::path(), classes);
}

}  // namespace tutti::images
