#include "bench/protocol.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <type_traits>
#include <utility>
#include <variant>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "common/json.hpp"
#include "common/wire/control.hpp"

namespace tutti::bench {
namespace {

[[noreturn]] void refuse(std::string reason) {
  throw Error(ErrorKind::failed, "a job for tutti-bench-single is malformed", std::move(reason));
}

/// One field of an object, checked for type and range.
template <class T>
T field(const json::object& object, std::string_view key) {
  const json::value* const value = object.if_contains(key);
  if (value == nullptr) refuse(fmt::format("field '{}' is missing", key));
  if constexpr (std::is_same_v<T, bool>) {
    if (value->is_bool()) return value->get_bool();
  } else if constexpr (std::is_same_v<T, json::array>) {
    if (value->is_array()) return value->get_array();
  } else if constexpr (std::is_same_v<T, json::object>) {
    if (value->is_object()) return value->get_object();
  } else if constexpr (std::is_enum_v<T>) {
    if (value->is_string())
      if (const auto found = from_name<T>(std::string_view(value->get_string()))) return *found;
  } else {
    json::error_code code;
    const T number = value->to_number<T>(code);  // fails on fractions and on values outside T
    if (!code) return number;
  }
  refuse(
      fmt::format("field '{}' has the wrong type or is out of range: {}", key, json::serialize(*value).substr(0, 80)));
}

// Numbers with a fraction are sent as text, as in the control messages, so that each arrives unchanged.
float read_weight(const json::value& value) {
  if (value.is_string()) {
    const std::string_view text = value.get_string();
    float weight{};
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), weight);
    if (error == std::errc{} && rest == text.data() + text.size() && std::isfinite(weight)) return weight;
  }
  refuse(fmt::format("{} is not a weight", json::serialize(value).substr(0, 80)));
}

// A member is sent as the control message `load`, whose code writes and checks it.
json::value to_json(const MemberRequest& member) {
  return parse_json(control::encode(control::Load{member}), "a member");
}

MemberRequest read_member(const json::value& value) {
  const control::Message message = control::decode(json::serialize(value));
  if (const auto* load = std::get_if<control::Load>(&message)) return load->member;
  throw Error(ErrorKind::failed, "a member of the job is another message than `load`");
}

json::object to_json(const config::CombineSpec& combine) {
  return {{"rule", to_name(combine.rule)},
          {"over", to_name(combine.over)},
          {"normalize", combine.normalize},
          {"axis", combine.axis},
          {"activation", to_name(combine.activation)},
          {"accumulate_f64", combine.accumulate_f64}};
}

config::CombineSpec read_combine(const json::object& object) {
  config::CombineSpec combine;
  combine.rule = field<CombineRule>(object, "rule");
  combine.over = field<OutputKind>(object, "over");
  combine.normalize = field<bool>(object, "normalize");
  combine.axis = field<std::int32_t>(object, "axis");
  combine.activation = field<Activation>(object, "activation");
  combine.accumulate_f64 = field<bool>(object, "accumulate_f64");
  return combine;
}

void check(const SingleJob& job) {
  if (job.between == 0) refuse("'between' is 0: at least one thread is needed");
  if (job.images == 0 || job.segment_images == 0) refuse("there are no images, or none in a segment");
  if (job.members.empty()) refuse("there are no members");
  if (job.weights.size() != job.members.size())
    refuse(fmt::format("{} for {}", counted(job.weights.size(), "weight"), counted(job.members.size(), "member")));
  for (const MemberRequest& member : job.members) {
    if (member.threads == 0 || member.batch_images == 0 || member.train_batch_images == 0)
      refuse(fmt::format("member '{}' has no threads, or no images in a batch", member.name));
    if (member.takes.size() != 1 || !image_shape(stored_images(member)))
      refuse(fmt::format("member '{}' does not take images alone", member.name));
    const MemberRequest& first = job.members.front();
    if (stored_images(member) != stored_images(first))
      refuse(fmt::format("member '{}' takes images of {} ({}), the first one of {} ({})", member.name,
                         shape_in_memory(member).text(), to_name(stored_images(member).dtype),
                         shape_in_memory(first).text(), to_name(stored_images(first).dtype)));
  }
}

}  // namespace

std::string encode(const SingleJob& job) {
  json::array weights;
  for (const float weight : job.weights) weights.push_back(json::string(fmt::format("{}", weight)));
  json::array members;
  for (const MemberRequest& member : job.members) members.push_back(to_json(member));
  return json::serialize(json::object{{"strategy", to_name(job.strategy)},
                                      {"between", job.between},
                                      {"images", job.images},
                                      {"segment_images", job.segment_images},
                                      {"combine", to_json(job.combine)},
                                      {"weights", std::move(weights)},
                                      {"members", std::move(members)}});
}

SingleJob decode_job(std::string_view text) {
  const json::value value = parse_json(text, "a job for tutti-bench-single");
  if (!value.is_object()) refuse("an object is expected");
  const json::object& object = value.get_object();
  SingleJob job;
  job.strategy = field<Strategy>(object, "strategy");
  job.between = field<std::uint32_t>(object, "between");
  job.images = field<std::uint64_t>(object, "images");
  job.segment_images = field<std::uint32_t>(object, "segment_images");
  job.combine = read_combine(field<json::object>(object, "combine"));
  for (const json::value& weight : field<json::array>(object, "weights")) job.weights.push_back(read_weight(weight));
  for (const json::value& member : field<json::array>(object, "members")) job.members.push_back(read_member(member));
  check(job);
  return job;
}

}  // namespace tutti::bench
