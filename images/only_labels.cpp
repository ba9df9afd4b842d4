#include "images/only_labels.hpp"

#include <optional>

#include "images/label_array.hpp"

namespace tutti::images {
namespace {

class OnlyLabels final : public TensorSource {
 public:
  OnlyLabels(const LabelFile& labels, std::uint64_t count, ReadLabels read)
      : name_(labels.file.string()), count_(count) {
    if (read == ReadLabels::yes) labels_.emplace(labels.file, count, "prediction", labels.classes);
  }

  std::string name() const override { return name_; }
  std::uint64_t count() const override { return count_; }
  std::uint32_t classes() const override { return labels_ ? labels_->classes() : 0; }
  bool labelled() const override { return labels_.has_value(); }
  std::string class_name(std::uint32_t label) const override {
    return labels_ ? labels_->class_name(label) : std::string();
  }
  std::vector<NamedLayout> tensors() const override { return {}; }
  void read_tensors(std::span<const std::uint64_t> indices, std::span<const std::span<std::byte>> /*tensors*/,
                    std::span<std::int64_t> labels) override {
    if (labels_ && !labels.empty()) labels_->read(indices, labels);
  }

 private:
  std::string name_;
  std::uint64_t count_;
  std::optional<LabelArray> labels_;
};

}  // namespace

std::unique_ptr<Source> only_labels(const LabelFile& labels, std::uint64_t count) {
  return with_labels(labels, [&](ReadLabels read) { return std::make_unique<OnlyLabels>(labels, count, read); });
}

}  // namespace tutti::images
