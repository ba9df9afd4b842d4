#include "merge/wrapper_prefix.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace tutti::merge {
namespace {

struct Wrapper {
  std::string_view attribute;
  std::string_view maker;
};
constexpr std::array kWrappers{Wrapper{"module", "torch.nn.DataParallel"}, Wrapper{"_orig_mod", "torch.compile"}};

bool begins(std::string_view name, std::string_view attribute) {
  return name.starts_with(attribute) && name.substr(attribute.size()).starts_with('.');
}

}  // namespace

std::string wrapper_text(std::span<const std::string> names) {
  for (const auto& wrapper : kWrappers) {
    const auto is_inside = [&](const std::string& name) { return begins(name, wrapper.attribute); };
    if (!names.empty() && std::ranges::all_of(names, is_inside))
      return fmt::format("all names begin with '{}.', which {} puts there: save model.{}.state_dict()",
                         wrapper.attribute, wrapper.maker, wrapper.attribute);
  }
  return {};
}

}  // namespace tutti::merge
