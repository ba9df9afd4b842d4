// The half of the control messages that reads them: every field is checked before it is used.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <type_traits>

#include <tutti/error.hpp>

#include "common/json.hpp"
#include "common/wire/control.hpp"

namespace tutti::control {
namespace {

[[noreturn]] void refuse(std::string reason) {
  throw Error(ErrorKind::failed, "control message is malformed", std::move(reason));
}

template <class Float>
std::optional<Float> from_text(std::string_view text) {
  Float number{};
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || rest != end || !std::isfinite(number)) return std::nullopt;
  return number;
}

/// A value of the type and within the range of T, or nothing.
template <class T>
std::optional<T> value_in(const json::value& value) {
  if constexpr (std::is_same_v<T, bool>) {
    if (value.is_bool()) return value.get_bool();
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (value.is_string()) return std::string(value.get_string());
  } else if constexpr (std::is_floating_point_v<T>) {
    if (value.is_string()) return from_text<T>(value.get_string());
  } else if constexpr (std::is_enum_v<T>) {
    if (value.is_string()) return from_name<T>(std::string_view(value.get_string()));
  } else {
    json::error_code code;
    const T number = value.to_number<T>(code);  // fails on fractions and on values outside T
    if (!code) return number;
  }
  return std::nullopt;
}

/// Reads the fields of one object, checking type and range of each.
class Fields {
 public:
  explicit Fields(const json::value& value) {
    if (!value.is_object()) refuse("an object is expected");
    object_ = &value.get_object();
  }

  const json::value& at(std::string_view key) const {
    const json::value* value = object_->if_contains(key);
    if (value == nullptr) refuse(fmt::format("field '{}' is missing", key));
    return *value;
  }
  template <class T>
  T get(std::string_view key) const {
    const json::value& value = at(key);
    if (auto found = value_in<T>(value)) return std::move(*found);
    refuse(
        fmt::format("field '{}' has the wrong type or is out of range: {}", key, json::serialize(value).substr(0, 80)));
  }
  const json::array& array(std::string_view key) const {
    const json::value& value = at(key);
    if (!value.is_array()) refuse_item(key);
    return value.get_array();
  }
  template <class T>
  std::vector<T> list(std::string_view key) const {
    std::vector<T> items;
    for (const json::value& value : array(key)) {
      auto item = value_in<T>(value);
      if (!item) refuse_item(key);
      items.push_back(std::move(*item));
    }
    return items;
  }

 private:
  [[noreturn]] static void refuse_item(std::string_view key) {
    refuse(fmt::format("field '{}' has the wrong type or is out of range", key));
  }

  const json::object* object_;
};

TensorLayout read_layout(const json::value& value) {
  const Fields fields(value);
  TensorLayout layout{fields.get<Dtype>("dtype"), fields.list<std::uint32_t>("dims")};
  if (layout.dims.size() > kMaxRank) refuse(fmt::format("a tensor has more than {} sizes", kMaxRank));
  return layout;
}

Resize read_resize(const json::value& value) {
  const Fields fields(value);
  return {fields.get<ResizeRule>("rule"),           fields.get<std::uint32_t>("height"),
          fields.get<std::uint32_t>("width"),       fields.get<std::uint32_t>("crop_height"),
          fields.get<std::uint32_t>("crop_width"),  fields.get<Interpolation>("interpolation"),
          fields.get<CropRounding>("crop_rounding")};
}

std::optional<MemberInput> read_input(const json::value& value) {
  if (value.is_null()) return std::nullopt;
  const Fields fields(value);
  return MemberInput{read_resize(fields.at("resize")), fields.list<float>("mean"), fields.list<float>("std")};
}

TakenTensor read_taken(const json::value& value) {
  const Fields fields(value);
  return {fields.get<std::string>("as"), fields.get<std::uint32_t>("array"), read_layout(fields.at("stored")),
          read_input(fields.at("input")), read_layout(fields.at("seen"))};
}

View read_view(const json::value& value) {
  const Fields fields(value);
  return {fields.get<ViewKind>("kind"), fields.get<std::uint32_t>("crops"), fields.get<std::uint32_t>("height"),
          fields.get<std::uint32_t>("width"), fields.get<double>("scale")};
}

ScriptedFault read_fault(const Fields& fields) {
  ScriptedFault fault{fields.get<FaultKind>("kind"), fields.get<FaultPhase>("phase"),
                      fields.get<std::uint64_t>("at_batch")};
  if (!fields.at("at_value").is_null()) fault.at_value = fields.get<float>("at_value");
  return fault;
}

template <class Value>
void read(const Fields& fields, std::string_view key, Value& value) {
  value = fields.get<Value>(key);
}
template <class Item>
void read(const Fields& fields, std::string_view key, std::vector<Item>& items) {
  items = fields.list<Item>(key);
}
void read(const Fields& fields, std::string_view key, Arguments& arguments) {
  arguments.json = fields.get<std::string>(key);
  if (!parse_json(arguments.json, "the arguments of a factory").is_object()) refuse("arguments are an object");
}
void read(const Fields& fields, std::string_view key, LayerRange& part) {
  const auto numbers = fields.list<std::uint64_t>(key);
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
  if (numbers.size() != 3 || numbers[0] > kMost || numbers[1] > kMost || (numbers[1] > 0 && numbers[1] <= numbers[0]))
    refuse("a part of a network has no such layers");
  part = {static_cast<std::uint32_t>(numbers[0]), static_cast<std::uint32_t>(numbers[1]), numbers[2]};
}
void read(const Fields& fields, std::string_view key, std::vector<ScriptedFault>& faults) {
  for (const json::value& value : fields.array(key)) faults.push_back(read_fault(Fields(value)));
}

void read(const Fields& fields, std::string_view key, Resize& resize) { resize = read_resize(fields.at(key)); }

ModelKind read_model(const json::value& value) {
  const Fields fields(value);
  const auto name = fields.get<std::string>("kind");
  std::optional<ModelKind> model = kind_called(name);
  if (!model) refuse(fmt::format("unknown model kind '{}'", name.substr(0, 80)));
  for_each_field(*model, [&](std::string_view key, auto& field, const auto&) { read(fields, key, field); });
  return std::move(*model);
}

Step read_step(const json::value& value) {
  const Fields fields(value);
  const auto name = fields.get<std::string>("step");
  std::optional<Step> step = step_called(name);
  if (!step) refuse(fmt::format("unknown step '{}'", name.substr(0, 80)));
  for_each_step_field(*step, [&](std::string_view key, auto& field, const auto&) { read(fields, key, field); });
  return std::move(*step);
}

std::optional<SavedRows> read_saved(const json::value& value) {
  if (value.is_null()) return std::nullopt;
  const Fields fields(value);
  SavedRows saved;
  SavedRows::fields(saved, [&](std::string_view key, auto& field) { read(fields, key, field); });
  return saved;
}

MemberRequest read_member(const json::value& value) {
  const Fields fields(value);
  MemberRequest member;
  member.name = fields.get<std::string>("name");
  member.model = read_model(fields.at("model"));
  member.weights = fields.get<std::string>("weights");
  member.saved = read_saved(fields.at("saved"));
  member.seed = fields.get<std::uint64_t>("seed");
  for (const json::value& taken : fields.array("takes")) member.takes.push_back(read_taken(taken));
  if (member.takes.empty() || member.takes.size() > kMaxTaken)
    refuse(fmt::format("a member takes {} tensors, from 1 to {} are possible", member.takes.size(), kMaxTaken));
  member.fed_by = fields.get<std::string>("fed_by");
  member.fed_rows = fields.get<std::uint32_t>("fed_rows");
  if (!fields.at("picture").is_null()) member.picture = read_taken(fields.at("picture"));
  for (const json::value& view : fields.array("views")) member.views.push_back(read_view(view));
  for (const json::value& step : fields.array("steps")) member.steps.push_back(read_step(step));
  member.step_places = fields.list<std::string>("step_places");
  member.batch_images = fields.get<std::uint32_t>("batch_images");
  member.warm_up_batches = fields.list<std::uint32_t>("warm_up_batches");
  member.output = fields.get<OutputKind>("output");
  member.over = fields.get<OutputKind>("over");
  member.axis = fields.get<std::int32_t>("axis");
  member.activation = fields.get<Activation>("activation");
  member.copy_input = fields.get<bool>("copy_input");
  member.max_memory = fields.get<std::uint64_t>("max_memory");
  member.cuda = fields.get<bool>("cuda");
  member.threads = fields.get<std::uint32_t>("threads");
  member.train_batch_images = fields.get<std::uint32_t>("train_batch_images");
  member.learning_rate = fields.get<double>("learning_rate");
  member.bootstrap = fields.get<bool>("bootstrap");
  member.learns = fields.get<Learns>("learns");
  return member;
}

Ready read_ready(const Fields& fields) {
  Ready ready{fields.list<std::uint32_t>("output"),  fields.get<double>("load_seconds"),
              fields.get<double>("warm_up_seconds"), fields.get<std::uint64_t>("parameters"),
              fields.get<std::string>("backend"),    fields.get<double>("batch_seconds"),
              fields.get<std::string>("note")};
  for (const json::value& part : fields.array("parts")) {
    const Fields of_part(part);
    ready.parts.push_back({of_part.get<std::string>("name"), read_layout(of_part.at("layout"))});
  }
  return ready;
}

Start read_start(const Fields& fields) {
  Start start{Generation(fields.get<std::uint32_t>("generation")),
              fields.list<std::uint32_t>("widths"),
              {},
              fields.get<bool>("allow_nan")};
  start.arena.slots = fields.get<std::uint32_t>("slots");
  start.arena.images = fields.get<std::uint32_t>("images");
  for (const json::value& array : fields.array("arrays")) start.arena.arrays.push_back(read_layout(array));
  start.arena.later_rounds = fields.get<std::uint32_t>("later_rounds");
  start.rows = fields.list<std::uint32_t>("rows");
  return start;
}

Seat read_seat(const Fields& fields) { return Seat(fields.get<std::uint32_t>("seat")); }

Feed read_feed(const Fields& fields) {
  Feed feed{fields.get<std::uint32_t>("number"), fields.list<std::uint32_t>("widths"), read_seat(fields),
            fields.list<std::uint32_t>("rows")};
  if (feed.number == 0) refuse("0 is not the number of a feed");
  if (feed.seat.value() >= feed.widths.size()) refuse("a feed is of a seat that its channel does not have");
  return feed;
}

}  // namespace

Message decode(std::string_view text) {
  if (text.size() > kMaxBytes) refuse(fmt::format("{} bytes, at most {}", text.size(), kMaxBytes));
  const json::value value = parse_json(text, "control message");
  const Fields fields(value);
  const auto type = fields.get<std::string>("type");
  if (type == "hello") return Hello{fields.get<std::string>("build_id")};
  if (type == "preload") return Preload{fields.get<bool>("cuda")};
  if (type == "load")
    return Load{read_member(fields.at("member")), fields.get<bool>("more"), fields.get<UnitMode>("mode")};
  if (type == "ready") return read_ready(fields);
  if (type == "start") return read_start(fields);
  if (type == "feed") return read_feed(fields);
  if (type == "forget") return Forget{fields.get<std::uint32_t>("number")};
  if (type == "checkpoint_file") return CheckpointFile{read_seat(fields), fields.get<std::uint32_t>("file")};
  if (type == "begin_training") return BeginTraining{read_seat(fields)};
  if (type == "restore") return Restore{fields.get<std::uint32_t>("file"), read_seat(fields)};
  if (type == "save") return Save{fields.get<std::string>("path"), read_seat(fields)};
  if (type == "stop") return Stop{};
  if (type == "done")
    return Done{fields.get<std::string>("problem"), fields.get<std::string>("hint"), read_seat(fields)};
  if (type == "failure")
    return Failure{fields.get<std::string>("text"), fields.get<std::string>("hint"), fields.get<bool>("usage")};
  refuse(fmt::format("unknown type '{}'", type.substr(0, 80)));
}

}  // namespace tutti::control
