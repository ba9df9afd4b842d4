// The half of the control messages that writes them.
#include "common/wire/control.hpp"

#include <fmt/format.h>

#include <optional>

#include <tutti/error.hpp>

#include "common/json.hpp"
#include "common/utf8.hpp"

namespace tutti::control {
namespace {

/// A number with a fraction travels as text: Boost.JSON up to 1.83 may read one a unit in its last place off.
template <class Float>
json::string to_text(Float number) {
  return json::string(fmt::format("{}", number));  // the shortest text that reads back as the same number
}

json::object to_json(const TensorLayout& layout) {
  return {{"dtype", to_name(layout.dtype)}, {"dims", json::array(layout.dims.begin(), layout.dims.end())}};
}

json::object to_json(const NamedLayout& named) { return {{"name", named.name}, {"layout", to_json(named.layout)}}; }

json::object to_json(const ScriptedFault& fault) {
  json::object out{{"kind", to_name(fault.kind)}, {"phase", to_name(fault.phase)}, {"at_batch", fault.at_batch}};
  out["at_value"] = fault.at_value ? json::value(to_text(*fault.at_value)) : json::value();
  return out;
}

json::object to_json(const View& view) {
  return {{"kind", to_name(view.kind)},
          {"crops", view.crops},
          {"height", view.height},
          {"width", view.width},
          {"scale", to_text(view.scale)}};
}

json::object to_json(const Resize& resize) {
  return {{"rule", to_name(resize.rule)},
          {"height", resize.height},
          {"width", resize.width},
          {"crop_height", resize.crop_height},
          {"crop_width", resize.crop_width},
          {"interpolation", to_name(resize.interpolation)},
          {"crop_rounding", to_name(resize.crop_rounding)}};
}

json::value to_json(float number) { return to_text(number); }
json::value to_json(const std::vector<float>& numbers) {
  json::array out;
  for (const float number : numbers) out.push_back(to_json(number));
  return out;
}

json::value to_json(const std::optional<MemberInput>& input) {
  if (!input) return nullptr;
  return json::object{{"resize", to_json(input->resize)}, {"mean", to_json(input->mean)}, {"std", to_json(input->std)}};
}

json::object to_json(const TakenTensor& taken) {
  return {{"as", taken.as},
          {"array", taken.array},
          {"stored", to_json(taken.stored)},
          {"input", to_json(taken.input)},
          {"seen", to_json(taken.seen)}};
}

json::value to_json(const Arguments& arguments) { return json::value(arguments.json); }

json::array to_json(const LayerRange& part) { return {part.from, part.to, part.inputs}; }

template <class Value>
json::value to_json(const Value& value) {
  if constexpr (std::is_enum_v<Value>)
    return json::value(to_name(value));
  else
    return json::value(value);
}
template <class Item>
json::value to_json(const std::vector<Item>& items) {
  json::array out;
  for (const Item& item : items) out.push_back(to_json(item));
  return out;
}

json::object to_json(const ModelKind& kind) {
  json::object out{{"kind", kind_name(kind)}};
  for_each_field(kind, [&](std::string_view key, const auto& value, const auto&) { out[key] = to_json(value); });
  return out;
}

json::value to_json(const std::vector<Step>& steps) {
  json::array all;
  for (const Step& step : steps) {
    json::object out{{"step", step_name(step)}};
    for_each_step_field(step, [&](std::string_view key, const auto& value, const auto&) { out[key] = to_json(value); });
    all.push_back(std::move(out));
  }
  return all;
}

json::value to_json(const std::optional<SavedRows>& saved) {
  if (!saved) return nullptr;
  json::object out;
  SavedRows::fields(*saved, [&](std::string_view key, const auto& value) { out[key] = to_json(value); });
  return out;
}

json::object to_json(const MemberRequest& member) {
  return {{"name", member.name},
          {"model", to_json(member.model)},
          {"weights", member.weights},
          {"saved", to_json(member.saved)},
          {"seed", member.seed},
          {"takes", to_json(member.takes)},
          {"fed_by", member.fed_by},
          {"fed_rows", member.fed_rows},
          {"picture", member.picture ? json::value(to_json(*member.picture)) : json::value()},
          {"views", to_json(member.views)},
          {"steps", to_json(member.steps)},
          {"step_places", to_json(member.step_places)},
          {"batch_images", member.batch_images},
          {"warm_up_batches", json::array(member.warm_up_batches.begin(), member.warm_up_batches.end())},
          {"output", to_name(member.output)},
          {"over", to_name(member.over)},
          {"axis", member.axis},
          {"activation", to_name(member.activation)},
          {"copy_input", member.copy_input},
          {"max_memory", member.max_memory},
          {"cuda", member.cuda},
          {"threads", member.threads},
          {"train_batch_images", member.train_batch_images},
          {"learning_rate", to_text(member.learning_rate)},
          {"bootstrap", member.bootstrap},
          {"learns", to_name(member.learns)}};
}

/// A text that people read, short enough for a message with two of them: escapes may lengthen it sixfold.
std::string cut(const std::string& text) {
  constexpr std::size_t kText = kMaxBytes / 16;
  return as_utf8(std::string_view(text).substr(0, kText)) + (text.size() <= kText ? "" : " [cut]");
}

struct Encoder {
  json::object operator()(const Hello& m) const { return {{"type", "hello"}, {"build_id", m.build_id}}; }
  json::object operator()(const Preload& m) const { return {{"type", "preload"}, {"cuda", m.cuda}}; }
  json::object operator()(const Load& m) const {
    return {{"type", "load"}, {"member", to_json(m.member)}, {"more", m.more}, {"mode", to_name(m.mode)}};
  }
  json::object operator()(const Ready& m) const {
    return {{"type", "ready"},
            {"output", json::array(m.output.begin(), m.output.end())},
            {"load_seconds", to_text(m.load_seconds)},
            {"warm_up_seconds", to_text(m.warm_up_seconds)},
            {"parameters", m.parameters},
            {"backend", m.backend},
            {"batch_seconds", to_text(m.batch_seconds)},
            {"note", cut(m.note)},
            {"parts", to_json(m.parts)}};
  }
  json::object operator()(const Start& m) const {
    return {{"type", "start"},
            {"generation", m.generation.value()},
            {"widths", to_json(m.widths)},
            {"slots", m.arena.slots},
            {"images", m.arena.images},
            {"arrays", to_json(m.arena.arrays)},
            {"later_rounds", m.arena.later_rounds},
            {"allow_nan", m.allow_nan},
            {"rows", to_json(m.rows)}};
  }
  json::object operator()(const Feed& m) const {
    return {{"type", "feed"},
            {"number", m.number},
            {"widths", to_json(m.widths)},
            {"seat", m.seat.value()},
            {"rows", to_json(m.rows)}};
  }
  json::object operator()(const Forget& m) const { return {{"type", "forget"}, {"number", m.number}}; }
  json::object operator()(const CheckpointFile& m) const {
    return {{"type", "checkpoint_file"}, {"seat", m.seat.value()}, {"file", m.file}};
  }
  json::object operator()(const BeginTraining& m) const {
    return {{"type", "begin_training"}, {"seat", m.seat.value()}};
  }
  json::object operator()(const Restore& m) const {
    return {{"type", "restore"}, {"seat", m.seat.value()}, {"file", m.file}};
  }
  json::object operator()(const Save& m) const {
    return {{"type", "save"}, {"seat", m.seat.value()}, {"path", m.path}};
  }
  json::object operator()(const Stop&) const { return {{"type", "stop"}}; }
  json::object operator()(const Done& m) const {
    return {{"type", "done"}, {"seat", m.seat.value()}, {"problem", cut(m.problem)}, {"hint", cut(m.hint)}};
  }
  json::object operator()(const Failure& m) const {
    return {{"type", "failure"}, {"text", cut(m.text)}, {"hint", cut(m.hint)}, {"usage", m.usage}};
  }
};

}  // namespace

Failure failure_of(const Error& error) {
  const std::string& detail = error.detail();
  return {detail.empty() ? error.message() : fmt::format("{}: {}", error.message(), detail), error.hint(),
          error.kind() == ErrorKind::usage};
}

std::string encode(const Message& message) {
  std::string text = json::serialize(std::visit(Encoder{}, message));
  if (text.size() > kMaxBytes)
    throw Error(ErrorKind::usage, "a message to a worker is too long",
                fmt::format("{} bytes, at most {}: {}", text.size(), kMaxBytes, text.substr(0, 120)),
                "shorten the member's description: names, paths, faults");
  return text;
}

}  // namespace tutti::control
