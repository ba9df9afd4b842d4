// The control messages: each survives the way through JSON, and a malformed one is rejected with its reason.
#include "common/wire/control.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include <tutti/error.hpp>

#include "common/random.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/wire/every_step.hpp"

namespace tutti::test {
namespace {

using namespace control;

template <class T>
T round_trip(const T& message) {
  const Message decoded = decode(encode(message));
  REQUIRE(std::holds_alternative<T>(decoded));
  return std::get<T>(decoded);
}

MemberRequest full_request() {
  MemberRequest member;
  member.name = "cnn-0 \"\\ \n ü";
  member.model = SmallCnnModel{12};
  member.weights = "runs/a b.safetensors";
  member.saved = SavedRows{SavedType::float64, {3, 4}, 1ULL << 40, 128, 7, 1ULL << 41, -5};
  member.seed = std::numeric_limits<std::uint64_t>::max();
  member.takes = {
      {.as = "pixel_values",
       .array = 5,
       .stored = {Dtype::uint8, {3, 64, 48}},
       .input = MemberInput{{ResizeRule::exact, 40, 41, 32, 31, Interpolation::bilinear, CropRounding::floor},
                            {0.1F, 0.2F, -3e38F},
                            {1.0F / 3}},
       .seen = {Dtype::float32, {3, 32, 31}}},
      TakenTensor::unchanged({Dtype::bfloat16, {}}, 1),
      TakenTensor::unchanged({Dtype::boolean, {2, 3, 4, 5, 6}}, 2)};
  member.views = {{.kind = ViewKind::transpose},
                  {.kind = ViewKind::crops, .crops = 10, .height = 24, .width = 25},
                  {.kind = ViewKind::scale, .scale = 1.0 / 3}};
  member.batch_images = 4;
  member.warm_up_batches = {4, 3, 1};
  member.output = OutputKind::features;
  member.over = OutputKind::logits;
  member.axis = -2;
  member.activation = Activation::sigmoid;
  member.copy_input = true;
  member.cuda = true;
  member.threads = 7;
  member.train_batch_images = 9;
  member.learning_rate = 1.0 / 3;
  member.bootstrap = true;
  member.learns = Learns::statistics;
  member.max_memory = 123456789012;
  return member;
}

TEST_CASE("hello and ready arrive as they were sent") {
  const Hello hello = round_trip(Hello{"0.1.0-abc"});
  CHECK(hello.build_id == "0.1.0-abc");
  const Ready ready = round_trip(Ready{{10, 7},
                                       0.125,
                                       1e-9,
                                       123456789012,
                                       "torch 2.11.0",
                                       0.25,
                                       "its outputs are Half",
                                       {{"logits", {Dtype::float32, {10}}}, {"boxes", {Dtype::float32, {15, 4}}}}});
  REQUIRE(ready.parts.size() == 2);
  CHECK(ready.parts[1] == NamedLayout{"boxes", {Dtype::float32, {15, 4}}});
  CHECK(ready.note == "its outputs are Half");
  CHECK(ready.output == Dims{10, 7});
  CHECK(ready.load_seconds == 0.125);
  CHECK(ready.warm_up_seconds == 1e-9);
  CHECK(ready.parameters == 123456789012);
  CHECK(ready.backend == "torch 2.11.0");
  CHECK(ready.batch_seconds == 0.25);
}

TEST_CASE("a request for a member arrives field by field") {
  const MemberRequest sent = full_request();
  const MemberRequest member = round_trip(Load{sent}).member;
  CHECK(member.name == sent.name);
  CHECK(member.model == sent.model);
  CHECK(member.weights == sent.weights);
  CHECK(member.saved == sent.saved);
  CHECK(member.seed == sent.seed);
  CHECK(member.max_memory == sent.max_memory);
  CHECK(member.takes == sent.takes);
  CHECK(member.views == sent.views);
  CHECK(member.batch_images == sent.batch_images);
  CHECK(member.warm_up_batches == sent.warm_up_batches);
  CHECK(member.output == sent.output);
  CHECK(member.over == sent.over);
  CHECK(member.axis == sent.axis);
  CHECK(member.activation == sent.activation);
  CHECK(member.copy_input == sent.copy_input);
  CHECK(member.cuda == sent.cuda);
  CHECK(member.threads == sent.threads);
  CHECK(member.train_batch_images == sent.train_batch_images);
  CHECK(member.learning_rate == sent.learning_rate);
  CHECK(member.bootstrap == sent.bootstrap);
  CHECK(member.learns == sent.learns);
}

TEST_CASE("every kind of model arrives as it was sent") {
  const FakeModel fake{.classes = 3,
                       .delay_us = 1,
                       .load_delay_ms = 1ULL << 60,
                       .reads_input = false,
                       .writes_input = true,
                       .faults = {{FaultKind::nan, FaultPhase::predict, 5},
                                  {FaultKind::hang, FaultPhase::load, 0},
                                  {FaultKind::stop, FaultPhase::train, 0, 0.1F},
                                  {FaultKind::kill, FaultPhase::warm_up, 0, -3e38F}}};
  for (const ModelKind& model : {ModelKind{SmallCnnModel{100}}, ModelKind{MlpModel{{64, 32, 10}}},
                                 ModelKind{TorchScriptModel{"models/a.pt", false, {"pooler_output", "0"}}},
                                 ModelKind{AotiModel{{"a.pt2", "b.pt2"}, {"0"}}},
                                 ModelKind{ClipVitModel{"tower", ClipOutput::logits, "h.safetensors"}},
                                 ModelKind{SavedModel{"x.npy"}}, ModelKind{fake}}) {
    MemberRequest member = full_request();
    member.model = model;
    CHECK(round_trip(Load{member}).member.model == model);
  }
}

TEST_CASE("every step arrives as it was sent and an unknown one is refused") {
  MemberRequest member = full_request();
  member.steps = unusual_steps();
  member.step_places = {"e.yaml:3:5", ""};
  const MemberRequest arrived = round_trip(Load{member}).member;
  CHECK(arrived.steps == member.steps);
  CHECK(arrived.step_places == member.step_places);
  std::string text = encode(Load{member});
  text.replace(text.find("\"top_k\""), 7, "\"top_q\"");
  const auto error = error_of([&] { decode(text); });
  REQUIRE(error);
  CHECK(error->detail() == "unknown step 'top_q'");
}

TEST_CASE("what a stage is to know about rows and pictures arrives as it was sent") {
  MemberRequest member = full_request();
  CHECK(round_trip(Load{member}).member.fed_rows == 0);
  CHECK_FALSE(round_trip(Load{member}).member.picture);
  member.fed_rows = 12;
  member.picture = member.takes.front();
  const MemberRequest arrived = round_trip(Load{member}).member;
  CHECK(arrived.fed_rows == 12);
  CHECK(arrived.picture == member.picture);
  Start start{3, {10, 7}, {4, 500, {{Dtype::uint8, {3, 32, 31}}}}, true, {0, 12}};
  CHECK(round_trip(start).rows == start.rows);
  CHECK(round_trip(Feed{1, {10, 7}, Seat(1), {0, 12}}).rows == start.rows);
}

TEST_CASE("the start arrives as it was sent") {
  const Start start =
      round_trip(Start{3, {10, 7}, {4, 500, {{Dtype::uint8, {3, 32, 31}}, {Dtype::float32, {7}}}}, true});
  CHECK(start.generation == Generation(3));
  CHECK(start.widths == std::vector<std::uint32_t>{10, 7});
  CHECK(start.arena.slots == 4);
  CHECK(start.arena.images == 500);
  REQUIRE(start.arena.arrays.size() == 2);
  CHECK(start.arena.arrays[0] == TensorLayout{Dtype::uint8, {3, 32, 31}});
  CHECK(start.arena.arrays[1] == TensorLayout{Dtype::float32, {7}});
  CHECK(start.allow_nan);
}

TEST_CASE("what a stage is told of another arrives as it was sent") {
  const Feed feed = round_trip(Feed{7, {12, 4}, Seat(1)});
  CHECK(feed.number == 7);
  CHECK(feed.widths == std::vector<std::uint32_t>{12, 4});
  CHECK(feed.seat == Seat(1));
  CHECK(round_trip(Forget{7}).number == 7);
  MemberRequest member = full_request();
  member.fed_by = "cnn-0/0";
  CHECK(round_trip(Load{member}).member.fed_by == "cnn-0/0");
}

TEST_CASE("the short messages arrive as they were sent") {
  CHECK(round_trip(BeginTraining{Seat(3)}).seat == Seat(3));
  const CheckpointFile file = round_trip(CheckpointFile{Seat(2), 1});
  CHECK(file.seat == Seat(2));
  CHECK(file.file == 1);
  round_trip(Stop{});
  CHECK(round_trip(Preload{true}).cuda);
  CHECK_FALSE(round_trip(Preload{false}).cuda);
  const Restore restore = round_trip(Restore{1, Seat(4)});
  CHECK(restore.file == 1);
  CHECK(restore.seat == Seat(4));
  CHECK(round_trip(Done{"", "", Seat(5)}).seat == Seat(5));
  const Save save = round_trip(Save{"runs/x.safetensors", Seat(6)});
  CHECK(save.path == "runs/x.safetensors");
  CHECK(save.seat == Seat(6));
  const Failure failure = round_trip(Failure{"no \"memory\"\n\t\x01", "buy some", true});
  CHECK(failure.text == "no \"memory\"\n\t\x01");
  CHECK(failure.hint == "buy some");
  CHECK(failure.usage);
}

TEST_CASE("a failure with a long text is cut to fit") {
  for (const char* letter : {"x", "\x01", "ü", "\"", "\xFF"}) {
    std::string text;
    while (text.size() < 10 * kMaxBytes) text += letter;
    const std::string encoded = encode(Failure{text, text, false});
    CHECK(encoded.size() <= kMaxBytes);
    const auto failure = std::get<Failure>(decode(encoded));
    CHECK(failure.text.size() > 1000);
    CHECK(failure.text.ends_with(" [cut]"));
    CHECK(failure.hint.ends_with(" [cut]"));
  }
}

// A model's exception may hold anything, and a cut may fall into the middle of a letter; the words must still arrive.
TEST_CASE("a failure whose text is not UTF-8 still arrives") {
  CHECK(round_trip(Failure{"bad \xFF\xC3 byte", "", false}).text == "bad ?? byte");
  CHECK(round_trip(Failure{"gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x8E\xB5", "", false}).text ==
        "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x8E\xB5");
  CHECK(round_trip(Failure{"over\xC0\x80long \xED\xA0\x80 \xF5\x80\x80\x80 \xE2\x82", "", false}).text ==
        "over??long ??? ???? ??");
}

TEST_CASE("a message that is too long is rejected by its sender") {
  MemberRequest member = full_request();
  member.weights = std::string(2 * kMaxBytes, 'w');
  const auto error = error_of([&] { encode(Load{member}); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "a message to a worker is too long");
  CHECK(contains(error->detail(), "load"));
  CHECK(contains(error->hint(), "shorten"));
}

/// The reason why a text is rejected.
std::string reason(const std::string& text) {
  const auto error = error_of([&] { decode(text); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  return error->message() + ": " + error->detail();
}

/// A whole message with one piece replaced.
std::string changed(const Message& message, const std::string& from, const std::string& to) {
  std::string text = encode(message);
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST_CASE("a text that is no object is rejected") {
  CHECK(reason("[]") == "control message is malformed: an object is expected");
  CHECK(reason("17") == "control message is malformed: an object is expected");
}

TEST_CASE("a text that is not JSON is rejected with the place") {
  CHECK(contains(reason(""), "control message is not valid JSON: "));
  CHECK(contains(reason("{\"type\": \"stop\""), "control message is not valid JSON: "));
  CHECK(contains(reason("{\"type\": \"stop\"} x"), "at byte 17"));
  CHECK(contains(reason(std::string("\0\xFF\x80", 3)), "at byte 0"));
}

TEST_CASE("a text that is nested too deeply is rejected") {
  std::string text = "{\"type\": ";
  text.append(20'000, '[');
  CHECK(contains(reason(text), "control message is not valid JSON: "));
}

TEST_CASE("a text that is too long is rejected before it is read") {
  CHECK(reason(std::string(kMaxBytes + 1, '{')) == "control message is malformed: " + std::to_string(kMaxBytes + 1) +
                                                       " bytes, at most " + std::to_string(kMaxBytes));
}

TEST_CASE("an unknown type is rejected with its name") {
  CHECK(reason(R"({"type": "shout"})") == "control message is malformed: unknown type 'shout'");
  CHECK(reason(R"({"kind": "stop"})") == "control message is malformed: field 'type' is missing");
  CHECK(reason(R"({"type": 5})") ==
        "control message is malformed: field 'type' has the wrong type or is out of range: 5");
  CHECK(reason("{\"type\": \"" + std::string(5000, 'x') + "\"}").size() < 200);
}

TEST_CASE("a missing field is rejected with its name") {
  CHECK(contains(reason(changed(Ready{.output = {}, .backend = {}, .note = {}}, "\"output\"", "\"put\"")),
                 "field 'output' is missing"));
  CHECK(contains(reason(changed(Start{}, "\"arrays\"", "\"rays\"")), "field 'arrays' is missing"));
  const Start start{3, {10}, {4, 500, {3, 32, 31}, Dtype::uint8}, true};
  CHECK(contains(reason(changed(start, "\"dims\"", "\"form\"")), "field 'dims' is missing"));
  CHECK(contains(reason(changed(start, "\"uint8\"", "\"int3\"")), "field 'dtype' has the wrong type"));
  CHECK(contains(reason(changed(Load{full_request()}, "\"bootstrap\"", "\"boots\"")), "field 'bootstrap' is missing"));
  CHECK(contains(reason(R"({"type": "save"})"), "field 'path' is missing"));
}

TEST_CASE("a field of the wrong type is rejected with its value") {
  CHECK(contains(reason(R"({"type": "save", "path": null})"),
                 "field 'path' has the wrong type or is out of range: null"));
  CHECK(
      contains(reason(changed(Start{}, "\"allow_nan\":false", "\"allow_nan\":0")), "field 'allow_nan' has the wrong"));
  CHECK(contains(reason(changed(Start{}, "\"generation\":0", "\"generation\":\"0\"")),
                 "field 'generation' has the wrong"));
  CHECK(contains(
      reason(changed(Ready{.output = {}, .backend = {}, .note = {}}, "\"load_seconds\":\"0\"", "\"load_seconds\":[]")),
      "field 'load_seconds' has"));
  CHECK(
      contains(reason(changed(Load{full_request()}, "\"model\":{", "\"model\":[],\"x\":{")), "an object is expected"));
  CHECK(contains(reason(changed(Load{full_request()}, "[4,3,1]", "4")), "field 'warm_up_batches' has the wrong type"));
  CHECK(
      contains(reason(changed(Load{full_request()}, "[4,3,1]", "[4,\"3\"]")), "field 'warm_up_batches' has the wrong"));
}

TEST_CASE("a number out of range is rejected") {
  CHECK(contains(reason(encode(Feed{0, {4}, {}})), "0 is not the number of a feed"));
  CHECK(contains(reason(encode(Feed{1, {4}, Seat(1)})), "a feed is of a seat that its channel does not have"));
  for (const char* value : {"-1", "4294967296", "1.5", "1e300"})
    CHECK(contains(reason(changed(Start{}, "\"generation\":0", "\"generation\":" + std::string(value))),
                   "field 'generation' has the wrong type or is out of range"));
  CHECK(contains(reason(changed(Load{full_request()}, "[4,3,1]", "[-4]")), "'warm_up_batches'"));
  CHECK(contains(reason(changed(Start{}, "\"widths\":[]", "\"widths\":[-1]")), "field 'widths' has"));
  for (const char* value : {"\"1e999\"", "\"inf\"", "\"nan\"", "\"0.5s\"", "\"\"", "0.5"})
    CHECK(contains(reason(changed(Ready{.output = {}, .backend = {}, .note = {}}, "\"load_seconds\":\"0\"",
                                  "\"load_seconds\":" + std::string(value))),
                   "field 'load_seconds' has the wrong type or is out of range"));
}

TEST_CASE("every fraction arrives as it was sent") {
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const Ready sent{.output = {},
                     .load_seconds = std::ldexp(static_cast<double>(random_at(7, i) >> 11U), -90),
                     .warm_up_seconds = std::ldexp(static_cast<double>(random_at(8, i) >> 11U), -20),
                     .backend = {},
                     .note = {}};
    const auto came = std::get<Ready>(decode(encode(sent)));
    REQUIRE(came.load_seconds == sent.load_seconds);
    REQUIRE(came.warm_up_seconds == sent.warm_up_seconds);
  }
}

TEST_CASE("a value that no image can hold is rejected") {
  MemberRequest member = full_request();
  member.model = FakeModel{.faults = {{FaultKind::hang, FaultPhase::predict, 0, 0.5F}}};
  const std::string sent = "\"at_value\":\"0.5\"";
  for (const char* value : {"\"4E38\"", "\"-4E38\"", "0.5", "[]"})
    CHECK(contains(reason(changed(Load{member}, sent, "\"at_value\":" + std::string(value))),
                   "field 'at_value' has the wrong type or is out of range"));
  CHECK(contains(reason(changed(Load{member}, sent, "\"at\":0")), "field 'at_value' is missing"));
}

TEST_CASE("an unknown name of a kind is rejected") {
  CHECK(contains(reason(changed(Load{full_request()}, "small-cnn", "big-cnn")), "unknown model kind 'big-cnn'"));
  CHECK(contains(reason(changed(Load{full_request()}, "\"features\"", "\"futures\"")), "field 'output' has the wrong"));
  MemberRequest member = full_request();
  member.model = FakeModel{.faults = {{FaultKind::hang, FaultPhase::predict, 0}}};
  CHECK(contains(reason(changed(Load{member}, "\"hang\"", "\"hung\"")), "field 'kind' has the wrong"));
  CHECK(
      contains(reason(changed(Load{member}, "\"faults\":[", "\"faults\":3,\"x\":[")), "field 'faults' has the wrong"));
}

TEST_CASE("tensors of every type arrive, but not more than a member may take") {
  MemberRequest sent = full_request();
  sent.takes.clear();
  for (const auto& [dtype, name] : enum_names(Dtype{})) sent.takes.push_back(TakenTensor::unchanged({dtype, {3, 1}}));
  CHECK(round_trip(Load{sent}).member.takes == sent.takes);
  CHECK(contains(reason(changed(Load{sent}, "[3,1]", "[1,1,1,1,1,1]")), "a tensor has more than 5 sizes"));
  sent.takes.resize(kMaxTaken + 1);
  CHECK(contains(reason(encode(Load{sent})), "a member takes 9 tensors"));
  sent.takes.clear();
  CHECK(contains(reason(encode(Load{sent})), "a member takes 0 tensors"));
}

}  // namespace
}  // namespace tutti::test
