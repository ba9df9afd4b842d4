#include "worker/torch/arguments.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "common/nearest.hpp"

namespace tutti::worker {
namespace {

struct Signature {
  std::vector<std::string> names;
  std::vector<bool> needed;  ///< without a default value
  std::string text;          ///< "forward(image, mask=...)"
};

Signature signature_of(const torch::jit::Method& forward) {
  Signature found;
  std::vector<std::string> texts;
  for (const c10::Argument& argument : forward.function().getSchema().arguments()) {
    found.names.push_back(argument.name());
    found.needed.push_back(!argument.default_value().has_value());
    texts.push_back(argument.name() + (found.needed.back() ? "" : "=..."));
  }
  const auto drop_self = [](auto& all) {
    if (!all.empty()) all.erase(all.begin());
  };
  drop_self(found.names);
  drop_self(found.needed);
  drop_self(texts);
  found.text = fmt::format("forward({})", fmt::join(texts, ", "));
  return found;
}

}  // namespace

void check_arguments(const torch::jit::Module& module, const std::string& path, const std::vector<TakenTensor>& takes) {
  const auto forward = module.find_method("forward");
  if (!forward || takes.empty()) return;
  const Signature signature = signature_of(*forward);
  const auto refuse = [&](std::string message, std::string hint) {
    throw Error(ErrorKind::usage, std::move(message), fmt::format("the model is {}", signature.text), std::move(hint));
  };
  if (takes.size() > signature.names.size())
    refuse(fmt::format("'{}' has {}, and the member gives it {}", path, counted(signature.names.size(), "argument"),
                       counted(takes.size(), "tensor")),
           "name those that the model takes in 'takes'");
  std::vector<bool> given(signature.names.size());
  for (std::size_t t = 0; t < takes.size(); ++t) {
    if (takes[t].as.empty()) {
      given[t] = true;
      continue;
    }
    const auto found = std::ranges::find(signature.names, takes[t].as);
    if (found == signature.names.end()) {
      const std::string near = nearest(takes[t].as, signature.names);
      refuse(fmt::format("'{}' has no argument '{}'", path, takes[t].as),
             near.empty() ? "name its arguments in 'takes'" : fmt::format("did you mean '{}'?", near));
    }
    given[static_cast<std::size_t>(found - signature.names.begin())] = true;
  }
  for (std::size_t i = 0; i < given.size(); ++i)
    if (!given[i] && signature.needed[i])
      refuse(fmt::format("'{}' needs the argument '{}', which the member does not give it", path, signature.names[i]),
             "name a tensor for it in 'takes'");
}

}  // namespace tutti::worker
