#include "merge/agreement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "common/nearest.hpp"
#include "merge/numbers.hpp"
#include "merge/wrapper_prefix.hpp"

namespace tutti::merge {
namespace {

constexpr std::size_t kMostNamed = 5;
constexpr std::size_t kCompareBytes = 1 << 20;

/// The tensors of one checkpoint, by the name that is compared.
struct Names {
  const MergeInput* input;
  std::map<std::string, std::string, std::less<>> by_alias;

  const TensorForm& form(const std::string& alias) const { return input->checkpoint->form(by_alias.at(alias)); }
  Column column(const std::string& alias) const {
    const std::string& name = by_alias.at(alias);
    return {input->checkpoint.get(), name, input->checkpoint->form(name).dtype};
  }
};

void check_supported(const MergeInput& input, const std::string& name) {
  const Dtype dtype = input.checkpoint->form(name).dtype;
  if (is_supported(dtype)) return;
  throw Error(ErrorKind::usage, "cannot merge the checkpoints: the type of a tensor is not supported",
              fmt::format("{} of {} has type {}", name, input.name, dtype_name(dtype)),
              "merge the float32, float16 or bfloat16 form of the model");
}

Names names_of(const MergeInput& input) {
  Names names{&input, {}};
  for (const std::string& name : input.checkpoint->names()) {
    std::string alias = input.alias == nullptr ? name : input.alias(name);
    if (alias.empty()) continue;
    check_supported(input, name);
    const auto [place, is_new] = names.by_alias.emplace(std::move(alias), name);
    if (!is_new)
      throw Error(ErrorKind::usage,
                  fmt::format("{} has two tensors for {}", input.checkpoint->path().string(), place->first),
                  fmt::format("{} and {}", place->second, name));
  }
  return names;
}

bool ends_with(std::string_view name, std::string_view end) {
  return name == end || (name.size() > end.size() && name.ends_with(end) && name[name.size() - end.size() - 1] == '.');
}

/// Models that transformers before 4.31 wrote hold this constant; later ones compute it.
bool is_constant(const Names& names, const std::string& alias) {
  return ends_with(alias, "position_ids") && !is_floating(names.form(alias).dtype);
}

std::string joined(const std::vector<std::string>& texts) {
  const std::size_t shown = std::min(texts.size(), kMostNamed);
  std::string text =
      fmt::format("{}", fmt::join(texts.begin(), texts.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  if (texts.size() > shown) text += fmt::format(" and {} more", texts.size() - shown);
  return text;
}

std::string tensors(std::size_t count) { return counted(count, "tensor"); }

/// Collects how one checkpoint differs from the first.
class Comparison {
 public:
  Comparison(const Names& first, const Names& other) : first_(first), other_(other) {}

  /// The base may hold more than the members if they are part of a larger model (the image tower of CLIP).
  void compare(bool may_have_more) {
    for (const auto& row : first_.by_alias)
      if (other_.by_alias.contains(row.first))
        compare_forms(row.first);
      else if (!is_constant(first_, row.first))
        missing_.push_back(row.first);
    for (const auto& row : other_.by_alias)
      if (!may_have_more && !first_.by_alias.contains(row.first) && !is_constant(other_, row.first))
        extra_.push_back(row.first);
  }

  std::vector<std::string> lines() const {
    const std::string& first = first_.input->name;
    const std::string& other = other_.input->name;
    std::vector<std::string> lines;
    if (!missing_.empty() && missing_.size() == first_.by_alias.size()) {
      lines.push_back(fmt::format("{} has none of the {} of {}, such as {}; it has {}", other, tensors(missing_.size()),
                                  first, missing_.front(), extra_.empty() ? "none" : joined(extra_)));
      for (const Names* names : {&first_, &other_})
        if (const std::string wrapped = wrapper_text(names->input->checkpoint->names()); !wrapped.empty())
          lines.push_back(fmt::format("{}: {}", names->input->name, wrapped));
      return lines;
    }
    if (!missing_.empty())
      lines.push_back(fmt::format("{} lacks {} of {}: {}", other, tensors(missing_.size()), first, missing_text()));
    if (!extra_.empty())
      lines.push_back(fmt::format("{} has {} that {} lacks: {}", other, tensors(extra_.size()), first, joined(extra_)));
    if (!shapes_.empty())
      lines.push_back(fmt::format("{} has {} of another shape: {}", other, tensors(shapes_.size()), joined(shapes_)));
    if (!dtypes_.empty())
      lines.push_back(fmt::format("{} has {} of another type: {}", other, tensors(dtypes_.size()), joined(dtypes_)));
    return lines;
  }

 private:
  void compare_forms(const std::string& alias) {
    const TensorForm& wanted = first_.form(alias);
    const TensorForm& found = other_.form(alias);
    if (wanted.shape != found.shape)
      shapes_.push_back(fmt::format("{} {} instead of {}", alias, shape_text(found.shape), shape_text(wanted.shape)));
    // Floating types may differ: all become float32 or float64 before anything is computed.
    else if (wanted.dtype != found.dtype && !(is_floating(wanted.dtype) && is_floating(found.dtype)))
      dtypes_.push_back(fmt::format("{} {} instead of {}", alias, dtype_name(found.dtype), dtype_name(wanted.dtype)));
  }

  std::string missing_text() const {
    std::vector<std::string> candidates;
    for (const auto& row : other_.by_alias)
      if (!first_.by_alias.contains(row.first)) candidates.push_back(row.first);
    std::vector<std::string> texts;
    for (const std::string& name : missing_) {
      const std::string close = texts.size() < kMostNamed ? nearest(name, candidates) : std::string{};
      texts.push_back(close.empty() ? name : fmt::format("{} (it has {})", name, close));
    }
    return joined(texts);
  }

  const Names& first_;
  const Names& other_;
  std::vector<std::string> missing_;
  std::vector<std::string> extra_;
  std::vector<std::string> shapes_;
  std::vector<std::string> dtypes_;
};

void check_same_tensors(const std::vector<Names>& inputs, const std::optional<Names>& base) {
  std::vector<std::string> lines;
  const auto compare = [&](const Names& other, bool may_have_more) {
    Comparison comparison(inputs.front(), other);
    comparison.compare(may_have_more);
    for (std::string& line : comparison.lines()) lines.push_back(std::move(line));
  };
  for (std::size_t i = 1; i < inputs.size(); ++i) compare(inputs[i], false);
  if (base) compare(*base, true);
  if (lines.empty()) return;
  throw Error(ErrorKind::usage, "cannot merge the checkpoints: they do not have the same architecture",
              fmt::format("{}", fmt::join(lines, "\n")),
              "merge checkpoints of the same architecture, fine-tuned from the same base");
}

bool same_bytes(const Column& one, const Column& other, std::uint64_t bytes) {
  std::vector<std::byte> a(std::min<std::uint64_t>(bytes, kCompareBytes));
  std::vector<std::byte> b(a.size());
  for (std::uint64_t at = 0; at < bytes; at += a.size()) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(a.size(), bytes - at));
    one.checkpoint->read(one.name, at, std::span(a).first(count));
    other.checkpoint->read(other.name, at, std::span(b).first(count));
    if (!std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(count), b.begin())) return false;
  }
  return true;
}

/// Sorts the tensors of the first input into those that are computed and those that are kept.
class Assembly {
 public:
  Assembly(const std::vector<Names>& inputs, const std::optional<Names>& base) : inputs_(inputs), base_(base) {}

  Agreement assemble() {
    for (const auto& row : inputs_.front().by_alias) add(row.first);
    std::ranges::sort(made_.tensors, {}, &MergedTensor::name);
    if (!differing_.empty())
      throw Error(
          ErrorKind::usage,
          fmt::format("cannot merge the checkpoints: {} of integers or booleans differ", tensors(differing_.size())),
          joined(differing_), "name a 'base': its values are then used, since an average has no meaning");
    add_notes();
    return std::move(made_);
  }

 private:
  bool all_have(const std::string& alias) const {
    return std::ranges::all_of(inputs_, [&](const Names& names) { return names.by_alias.contains(alias); });
  }

  void add(const std::string& alias) {
    if (!all_have(alias)) {  // a constant: anything else that is missing was rejected
      left_out_.push_back(alias);
      return;
    }
    const Names& first = inputs_.front();
    const TensorForm& form = first.form(alias);
    MergedTensor tensor{first.by_alias.at(alias), form.dtype, form.shape, form.bytes / size_of(form.dtype), {}, {}, {}};
    if (is_floating(form.dtype))
      add_columns(alias, tensor);
    else
      keep(alias, form.bytes, tensor);
    made_.tensors.push_back(std::move(tensor));
  }

  void add_columns(const std::string& alias, MergedTensor& tensor) {
    bool mixed = false;
    for (const Names& names : inputs_) {
      tensor.inputs.push_back(names.column(alias));
      mixed = mixed || tensor.inputs.back().dtype != tensor.dtype;
    }
    if (base_) tensor.base = base_->column(alias);
    if (mixed || (tensor.base && tensor.base->dtype != tensor.dtype)) mixed_.push_back(alias);
    if (ends_with(alias, "running_mean") || ends_with(alias, "running_var")) statistics_.push_back(alias);
  }

  void keep(const std::string& alias, std::uint64_t bytes, MergedTensor& tensor) {
    tensor.kept = inputs_.front().column(alias);
    const bool in_base = base_ && base_->by_alias.contains(alias);
    bool same = !in_base || same_bytes(*tensor.kept, base_->column(alias), bytes);
    for (std::size_t i = 1; same && i < inputs_.size(); ++i)
      same = same_bytes(*tensor.kept, inputs_[i].column(alias), bytes);
    if (same) return;
    if (in_base) {
      tensor.kept = base_->column(alias);
      from_base_.push_back(alias);
    } else if (ends_with(alias, "num_batches_tracked")) {
      counters_.push_back(alias);
    } else {
      differing_.push_back(alias);
    }
  }

  void add_notes() {
    const auto note = [&](const std::vector<std::string>& names, const std::string& text) {
      if (!names.empty()) made_.notes.push_back(fmt::format("{}: {}", text, joined(names)));
    };
    const std::string& first = inputs_.front().input->name;
    note(mixed_, fmt::format("{} not in the precision of {}, which the result keeps", tensors(mixed_.size()), first));
    note(from_base_, fmt::format("{} of integers or booleans differ; the result has those of the base",
                                 tensors(from_base_.size())));
    note(counters_,
         fmt::format("{} that count batches differ; the result has those of {}", tensors(counters_.size()), first));
    note(left_out_,
         fmt::format("{} that only some checkpoints have are constants and left out", tensors(left_out_.size())));
    if (!statistics_.empty())
      made_.statistics = fmt::format(
          "the merged model has averaged BatchNorm statistics ({}): estimate them again before you "
          "use it, with 'batch_norm: estimate' or torch.optim.swa_utils.update_bn: {}",
          tensors(statistics_.size()), joined(statistics_));
  }

  const std::vector<Names>& inputs_;
  const std::optional<Names>& base_;
  Agreement made_;
  std::vector<std::string> mixed_;
  std::vector<std::string> statistics_;
  std::vector<std::string> from_base_;
  std::vector<std::string> counters_;
  std::vector<std::string> left_out_;
  std::vector<std::string> differing_;
};

}  // namespace

Agreement agree(std::span<const MergeInput> inputs, const MergeInput* base) {
  std::vector<Names> names;
  for (const MergeInput& input : inputs) names.push_back(names_of(input));
  if (names.front().by_alias.empty())
    throw Error(ErrorKind::usage,
                fmt::format("{} has no tensors to merge", inputs.front().checkpoint->path().string()));
  std::optional<Names> base_names;
  if (base != nullptr) base_names = names_of(*base);
  check_same_tensors(names, base_names);
  return Assembly(names, base_names).assemble();
}

}  // namespace tutti::merge
