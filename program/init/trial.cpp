#include "program/init/trial.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "config/input.hpp"

namespace tutti::program {
namespace {

using config::Tree;

// The first is what pictures have without `resize`; then from small to large.
constexpr std::array<std::uint32_t, 10> kUsualSides{config::kFolderSide, 28, 32, 64, 96, 128, 256, 299, 384, 512};

std::vector<std::uint32_t> sides_of(const FoundModel& model, const FoundImages& images) {
  if (!images.pictures || model.input || model.prepares_itself) return {0};
  if (model.side != 0) return {model.side};
  return {kUsualSides.begin(), kUsualSides.end()};
}

/// What an error says and what to do about it, on one line.
std::string reason_of(const Error& error) {
  std::string text = error.detail().empty() ? error.message() : fmt::format("{}: {}", error.message(), error.detail());
  if (!error.hint().empty()) text += fmt::format(" ({})", error.hint());
  std::ranges::replace(text, '\n', ' ');
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

Trial try_model(const FoundModel& model, const FoundImages& images, const std::string& device, const Start& start) {
  Trial trial;
  for (const std::uint32_t side : sides_of(model, images)) {
    try {
      trial.output = start(description_of_one(model, images, device, side));
      trial.side = side;
      trial.problem.clear();
      return trial;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::interrupted) throw;
      if (trial.problem.empty()) trial.problem = reason_of(error);
    }
  }
  return trial;
}

}  // namespace

Tree description_of_one(const FoundModel& model, const FoundImages& images, const std::string& device,
                        std::uint32_t side) {
  Tree member = Tree::map();
  member.set("name", Tree::text(model.name));
  member.set("model", model.model);
  if (model.input) member.set("input", *model.input);
  Tree members = Tree::list();
  members.items.push_back(std::move(member));
  Tree root = Tree::map();
  root.set("members", std::move(members));
  root.set("assignment", Tree::text(device));
  Tree input = images.input;
  if (side != 0) input.set("resize", Tree::plain(std::to_string(side)));
  root.set("input", std::move(input));
  Tree combine = Tree::map();  // whatever it outputs: probabilities would need two classes
  combine.set("rule", Tree::plain("none"));
  combine.set("over", Tree::plain(model.is_tower() ? "features" : "logits"));
  root.set("combine", std::move(combine));
  // Two, since a model that was traced with one image may take no other number.
  for (const char* key : {"segment_images", "batch_images"}) root.set(key, Tree::plain("2"));
  root.set("slots", Tree::plain("1"));
  return root;
}

std::vector<Trial> try_models(const Found& found, const std::vector<std::string>& devices, const Start& start) {
  std::vector<Trial> trials;
  for (std::size_t i = 0; i < found.models.size(); ++i)
    trials.push_back(try_model(found.models[i], found.images, devices[i], start));
  return trials;
}

}  // namespace tutti::program
