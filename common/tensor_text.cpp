#include "common/tensor_text.hpp"

#include <fmt/format.h>

#include <tutti/images.hpp>

#include "common/values.hpp"

namespace tutti {

std::string layout_text(const TensorLayout& layout) {
  return fmt::format("{} of {}", layout.dims.empty() ? "a number" : dims_text(layout.dims), to_name(layout.dtype));
}

std::string sample_text(std::span<const NamedLayout> tensors) {
  if (tensors.size() == 1 && tensors[0].name == kImageTensor && tensors[0].layout.dims.size() == 3)
    return dims_text(tensors[0].layout.dims);
  std::vector<std::string> texts;
  for (const NamedLayout& tensor : tensors)
    texts.push_back(fmt::format("{} ({})", tensor.name, layout_text(tensor.layout)));
  return and_list(texts);
}

std::string and_list(std::span<const std::string> names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i)
    text += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  return text;
}

std::vector<std::string> names_of(std::span<const NamedLayout> tensors) {
  std::vector<std::string> names;
  for (const NamedLayout& tensor : tensors) names.push_back(tensor.name);
  return names;
}

}  // namespace tutti
