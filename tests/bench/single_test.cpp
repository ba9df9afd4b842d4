// Tests of the strategies of tutti-bench-single: all give the outputs of a plain loop over the members, and report what
// they cannot do.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include <tutti/error.hpp>

#include "bench/single/session.hpp"
#include "common/random.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/places.hpp"
#include "tests/torch/requests.hpp"
#include "worker/fake.hpp"
#include "worker/torch/models.hpp"

namespace tutti::bench {
namespace {

using test::contains;

constexpr std::uint32_t kImages = 103;  // segments of 50, 50 and 3: the last batches are short
constexpr std::uint32_t kSegment = 50;
constexpr std::uint32_t kClasses = 10;

std::vector<std::int64_t> some_labels() {
  std::vector<std::int64_t> labels(kImages);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int64_t>(i * i % kClasses);
  return labels;
}

SingleJob job_of(Strategy strategy, const ModelKind& kind, std::uint32_t batch) {
  SingleJob job;
  job.strategy = strategy;
  job.between = 2;
  job.images = kImages;
  job.segment_images = kSegment;
  job.combine.rule = CombineRule::weighted;
  for (std::uint32_t m = 0; m < 3; ++m) {
    MemberRequest request = test::request_for(kind, m);
    request.name = fmt::format("m{}", m);
    request.batch_images = batch;
    request.warm_up_batches = {kSegment % batch == 0 ? batch : kSegment % batch, 3};
    request.train_batch_images = 16;
    job.members.push_back(request);
    job.weights.push_back(1.0F + 0.3F * static_cast<float>(m));
  }
  return job;
}

FakeModel fake(std::uint64_t delay_us = 0) {
  FakeModel model;
  model.classes = kClasses;
  model.delay_us = delay_us;
  return model;
}

template <class T>
MemoryFile file_of(std::span<const T> values, std::size_t more_bytes = 0) {
  MemoryFile file = MemoryFile::create("test");
  file.allocate(values.size_bytes() + more_bytes, "a test");
  std::memcpy(Mapping(file, Access::read_write, "a test").data(), values.data(), values.size_bytes());
  return file;
}

MemoryFile images_file(const ImageShape& shape = {3, 32, 32}) {
  const std::vector<float> pixels = test::some_images(kImages, shape);
  const std::vector<std::int64_t> labels = some_labels();
  MemoryFile file = file_of(std::span<const float>(pixels), labels.size() * sizeof(std::int64_t));
  std::memcpy(Mapping(file, Access::read_write, "a test").data() + pixels.size() * sizeof(float), labels.data(),
              labels.size() * sizeof(std::int64_t));
  return file;
}

MemoryFile answers_file(std::uint32_t width = kClasses) {
  return file_of(std::span<const float>(std::vector<float>(kImages * width, -1.0F)));
}

std::vector<float> floats_of(int fd) {
  const Mapping mapping(MemoryFile(UniqueFd(::dup(fd))), Access::read_only, "a test");
  std::vector<float> values(kImages * kClasses);
  std::memcpy(values.data(), mapping.data(), values.size() * sizeof(float));
  return values;
}

std::string prepare(const SingleJob& job) { return fmt::format("{{\"prepare\":{}}}", encode(job)); }

/// The combined predictions of a separate session, which must not fail.
std::vector<float> answers_of(const SingleJob& job) {
  MemoryFile answers = answers_file();
  const int fd = ::dup(answers.fd());
  Session session(images_file(images_of(job.members.front())), std::move(answers));
  const std::string ready = session.answer(prepare(job));
  REQUIRE_MESSAGE(contains(ready, "{\"ready\":{\"seconds\":"), ready);
  const std::string ran = session.answer("{\"run\":{}}");
  REQUIRE_MESSAGE(contains(ran, "{\"ran\":{\"seconds\":"), ran);
  // A second time into the same memory.
  REQUIRE(contains(session.answer("{\"run\":{}}"), "\"ran\""));
  std::vector<float> values = floats_of(fd);
  ::close(fd);
  return values;
}

/// The outputs of a plain loop over the members.
std::vector<float> expected(const SingleJob& job) {
  const std::vector<float> pixels = test::some_images(kImages, images_of(job.members.front()));
  const std::size_t elements = job.members.front().seen().elements();
  const Accumulator accumulator(job.combine, job.weights);
  std::vector<float> all;
  for (std::uint32_t first = 0; first < kImages; first += kSegment) {
    const std::uint32_t count = std::min(kSegment, kImages - first);
    std::vector<std::vector<float>> answers;
    for (const MemberRequest& request : job.members) {
      const auto model = std::holds_alternative<FakeModel>(request.model) ? worker::make_fake_model(request)
                                                                          : worker::make_torch_model(request);
      const auto images = std::span(pixels).subspan(first * elements, count * elements);
      answers.push_back(test::answers(*model, images, count, request.batch_images));
    }
    const std::vector<std::span<const float>> members(answers.begin(), answers.end());
    const auto combined = accumulator.combine(members, count, kClasses).values;
    all.insert(all.end(), combined.begin(), combined.end());
  }
  return all;
}

void check_same_bytes(Strategy strategy) {
  for (const ModelKind& kind : {ModelKind(SmallCnnModel{}), ModelKind(MlpModel{{16, 12, kClasses}})})
    for (const std::uint32_t batch : {4U, 20U})
      for (const OutputKind over : {OutputKind::probabilities, OutputKind::logits}) {
        CAPTURE(batch);
        SingleJob job = job_of(strategy, kind, batch);
        for (MemberRequest& member : job.members) member.over = over;
        job.combine.over = over;
        CHECK(answers_of(job) == expected(job));
      }
}

TEST_CASE("members in a row give the bytes of a plain loop") { check_same_bytes(Strategy::sequential); }

TEST_CASE("members in threads give the bytes of a plain loop") { check_same_bytes(Strategy::threads); }

TEST_CASE("members as branches of a graph give the bytes of a plain loop") { check_same_bytes(Strategy::branches); }

// Two threads share out the sum of a matrix product, so that the last bits are others than those of one thread.
TEST_CASE("with two threads within an operation the bytes are those of a loop with two") {
  for (const Strategy strategy : {Strategy::sequential, Strategy::threads}) {
    SingleJob job = job_of(strategy, SmallCnnModel{}, 20);
    for (MemberRequest& member : job.members) member.threads = 2;
    CHECK(answers_of(job) == expected(job));
  }
}

TEST_CASE("equal members fused into one network give the same up to the stated tolerance") {
  for (const ModelKind& kind :
       {ModelKind(SmallCnnModel{}), ModelKind(MlpModel{{16, 12, kClasses}}), ModelKind(MlpModel{{kClasses}})})
    for (const std::uint32_t batch : {4U, 20U})
      for (const OutputKind over : {OutputKind::probabilities, OutputKind::logits}) {
        SingleJob job = job_of(Strategy::fused, kind, batch);
        for (MemberRequest& member : job.members) member.over = over;
        job.combine.over = over;
        const std::vector<float> found = answers_of(job);
        const std::vector<float> wanted = expected(job);
        float worst = 0;
        for (std::size_t i = 0; i < wanted.size(); ++i)
          worst = std::max(
              worst, std::abs(found[i] - wanted[i]) / (over == OutputKind::logits ? 1 + std::abs(wanted[i]) : 1.0F));
        CHECK(worst <= kTolerance);
      }
}

TEST_CASE("fake members give the bytes of a plain loop in a row and in threads and in the inter-op pool") {
  for (const Strategy strategy : {Strategy::sequential, Strategy::threads, Strategy::branches}) {
    const SingleJob job = job_of(strategy, fake(5), 4);
    CHECK(answers_of(job) == expected(job));
  }
}

TEST_CASE("members of different kinds are still branches") {
  SingleJob job = job_of(Strategy::branches, SmallCnnModel{}, 20);
  job.members[1].model = fake();
  job.members[2].model = MlpModel{{kClasses}};
  CHECK(answers_of(job) == expected(job));
  job.members[1].model = MlpModel{{8, kClasses}};
  CHECK(answers_of(job) == expected(job));
}

TEST_CASE("weights of files are those that are computed with") {
  const test::TemporaryFolder folder;
  for (const Strategy strategy : {Strategy::branches, Strategy::sequential}) {
    SingleJob job = job_of(strategy, MlpModel{{kClasses}}, 20);
    const std::string file = (folder.path() / "m.safetensors").string();
    worker::make_torch_model(test::request_for(MlpModel{{kClasses}}, 99))->trainable()->save(file);
    const std::vector<float> from_seeds = expected(job);
    for (MemberRequest& member : job.members) member.weights = file;
    CHECK(answers_of(job) == expected(job));
    CHECK(answers_of(job) != from_seeds);
  }
}

TEST_CASE("seconds of members are reported if members can be told apart") {
  for (const auto& [strategy, name] : enum_names(Strategy{})) {
    Session session(images_file(), answers_file());
    REQUIRE(contains(session.answer(prepare(job_of(strategy, MlpModel{{kClasses}}, 20))),
                     fmt::format("\"backend\":\"torch {}\"", worker::torch_version())));
    const json::value ran = parse_json(session.answer("{\"run\":{}}"), "an answer").at("ran");
    const bool apart = strategy == Strategy::sequential || strategy == Strategy::threads;
    CHECK(ran.at("member_seconds").as_array().size() == (apart ? 3 : 0));
    CHECK(ran.at("seconds").as_double() > 0);
    for (const json::value& seconds : ran.at("member_seconds").as_array()) {
      CHECK(seconds.as_double() > 0);
      CHECK(seconds.as_double() <= ran.at("seconds").as_double());
    }
  }
}

TEST_CASE("members learn what a loop of training teaches them") {
  SingleJob job = job_of(Strategy::sequential, MlpModel{{12, kClasses}}, 20);
  job.members[2].bootstrap = true;
  const std::vector<float> pixels = test::some_images(kImages);
  const std::vector<std::int64_t> labels = some_labels();
  const auto lesson = [&](worker::Model& model, const MemberRequest& request) {
    model.trainable()->begin_training();
    for (int epoch = 0; epoch < 2; ++epoch)
      for (std::uint32_t first = 0; first < kImages; first += kSegment) {
        std::vector<std::uint32_t> rows;
        for (std::uint32_t row = 0; row < std::min(kSegment, kImages - first); ++row)
          rows.insert(rows.end(), request.bootstrap ? poisson_one(request.seed, first + row) : 1U, row);
        for (std::size_t at = 0; at < rows.size(); at += request.train_batch_images)
          model.trainable()->train(
              pixels.data() + first * request.seen().elements(),
              std::span(labels).subspan(first, std::min(kSegment, kImages - first)),
              std::span(rows).subspan(at, std::min<std::size_t>(request.train_batch_images, rows.size() - at)));
      }
  };
  MemoryFile answers = answers_file();
  const int fd = ::dup(answers.fd());
  Session session(images_file(), std::move(answers));
  REQUIRE(contains(session.answer(prepare(job)), "ready"));
  CHECK(contains(session.answer("{\"train\":{\"epochs\":2}}"), "{\"trained\":{\"seconds\":"));
  REQUIRE(contains(session.answer("{\"run\":{}}"), "ran"));
  // The predictions show the weights: those of models that were trained alone, saved and loaded.
  const test::TemporaryFolder folder;
  for (MemberRequest& member : job.members) {
    auto model = worker::make_torch_model(member);
    lesson(*model, member);
    member.weights = (folder.path() / member.name).string();
    model->trainable()->save(member.weights);
  }
  CHECK(floats_of(fd) == expected(job));
  ::close(fd);
}

/// The text and hint of a job that cannot be prepared.
std::string why_not(const SingleJob& job, MemoryFile images = images_file(), MemoryFile answers = answers_file()) {
  Session session(std::move(images), std::move(answers));
  const std::string answer = session.answer(prepare(job));
  REQUIRE_MESSAGE(contains(answer, "{\"failed\":{\"text\":"), answer);
  return answer;
}

TEST_CASE("members that are not equal are not fused") {
  SingleJob job = job_of(Strategy::fused, MlpModel{{8, kClasses}}, 4);
  job.members[2].model = MlpModel{{9, kClasses}};
  const std::string text = why_not(job);
  CHECK(contains(text, "members that are not equal cannot be fused: 'm2' is another network than 'm0'"));
  CHECK(contains(text, "use 'branches'"));
  const std::string fakes = why_not(job_of(Strategy::fused, fake(), 4));
  CHECK(contains(fakes, "members that are not equal cannot be fused: only members of the kind small-cnn or mlp can"));
}

TEST_CASE("one graph says which members it cannot hold") {
  for (const Strategy strategy : {Strategy::branches, Strategy::fused}) {
    SingleJob job = job_of(strategy, MlpModel{{kClasses}}, 4);
    job.members[1].batch_images = 20;
    CHECK(contains(
        why_not(job),
        fmt::format("'{}' needs the same batch for all members: 4 images for 'm0', 20 for 'm1'", to_name(strategy))));
    job = job_of(strategy, MlpModel{{kClasses}}, 4);
    job.members[2].over = OutputKind::logits;
    CHECK(contains(why_not(job),
                   "gives either logits or probabilities for all members: 'm2' should give logits "
                   "from logits"));
    job = job_of(strategy, MlpModel{{kClasses}}, 4);
    job.members[1].cuda = true;
    CHECK(contains(why_not(job), fmt::format("'{}' needs all members on one device: 'm0' is on the CPU, 'm1' on a GPU",
                                             to_name(strategy))));
  }
}

TEST_CASE("members with outputs of different widths cannot be combined") {
  for (const Strategy strategy : {Strategy::sequential, Strategy::threads, Strategy::branches}) {
    SingleJob job = job_of(strategy, MlpModel{{kClasses}}, 4);
    job.members[1].model = MlpModel{{7}};
    CHECK(contains(why_not(job), "cannot combine the members' predictions: 'm0' gives 10 values per image, 'm1' 7"));
  }
}

TEST_CASE("without a GPU members on one are rejected") {
  for (const auto& [strategy, name] : enum_names(Strategy{})) {
    SingleJob job = job_of(strategy, MlpModel{{kClasses}}, 4);
    for (MemberRequest& member : job.members) member.cuda = true;
    Session session(images_file(), answers_file());
    const std::string answer = session.answer(prepare(job));
    if (contains(answer, "ready")) {
      std::puts("SKIPPED: there is a GPU");
      return;
    }
    CHECK_MESSAGE(contains(answer, "{\"failed\":{\"text\":\"there is no usable GPU"), answer);
  }
}

TEST_CASE("files that are too small are rejected before they are read") {
  const SingleJob job = job_of(Strategy::sequential, MlpModel{{kClasses}}, 4);
  CHECK(contains(why_not(job, file_of(std::span<const float>(std::vector<float>(kImages * 3072)))),
                 fmt::format("the file of the images is too small: {} bytes, {} are needed for 103 images of 3x32x32 "
                             "and their labels",
                             kImages * 3072 * 4, kImages * (3072 * 4 + 8))));
  CHECK(contains(why_not(job, images_file(), answers_file(kClasses - 1)),
                 "the file of the answers is too small: 3708 bytes, 4120 are needed for 103 images with 10 values"));
}

TEST_CASE("the rule none has no predictions to compare") {
  SingleJob job = job_of(Strategy::sequential, MlpModel{{kClasses}}, 4);
  job.combine.rule = CombineRule::none;
  CHECK(contains(why_not(job), "the rule 'none' combines nothing"));
}

TEST_CASE("a request out of turn is rejected and the next one is accepted") {
  Session session(images_file(), answers_file());
  CHECK(contains(session.answer("{\"run\":{}}"), "{\"failed\":{\"text\":\"nothing is prepared yet\""));
  CHECK(contains(session.answer("{\"dance\":{}}"), "unknown request 'dance'"));
  CHECK(contains(session.answer("[1]"), "a request must be an object with one field"));
  CHECK(contains(session.answer("run"), "a request to tutti-bench-single is not valid JSON"));
  CHECK(contains(session.answer("{\"prepare\":{}}"), "a job for tutti-bench-single is malformed"));
  const std::string good = prepare(job_of(Strategy::fused, MlpModel{{kClasses}}, 4));
  CHECK(contains(session.answer(good), "ready"));
  CHECK(contains(session.answer(good), "a strategy is already prepared"));
  CHECK(contains(session.answer("{\"train\":{}}"), "'train' needs 'epochs', 1 or more"));
  CHECK(contains(session.answer("{\"train\":{\"epochs\":0}}"), "'train' needs 'epochs', 1 or more"));
  CHECK(contains(session.answer("{\"train\":{\"epochs\":1}}"), "this strategy cannot train"));
  CHECK(contains(session.answer("{\"run\":{}}"), "ran"));
}

TEST_CASE("a member that throws or predicts NaN fails the run and not the program") {
  for (const Strategy strategy : {Strategy::sequential, Strategy::threads, Strategy::branches}) {
    SingleJob job = job_of(strategy, fake(), 50);
    std::get<FakeModel>(job.members[1].model).faults = {{FaultKind::exception, FaultPhase::predict, 0, {}},
                                                        {FaultKind::nan, FaultPhase::predict, 2, {}}};
    Session session(images_file(), answers_file());
    REQUIRE(contains(session.answer(prepare(job)), "\"backend\":\"fake\""));
    CHECK(contains(session.answer("{\"run\":{}}"), "{\"failed\":{\"text\":\"scripted fault: exception\""));
    // The run before ended at its first batch: the third is the second of this one.
    CHECK(contains(session.answer("{\"run\":{}}"), "'m1' predicts NaN or infinity: image 50"));
    CHECK(contains(session.answer("{\"run\":{}}"), "ran"));
  }
}

TEST_CASE("the program replies line by line and leaves at the end of its input") {
  const test::TemporaryFolder folder;
  SingleJob job = job_of(Strategy::branches, SmallCnnModel{}, 20);
  for (MemberRequest& member : job.members) member.threads = 2;
  {
    const MemoryFile images = images_file();
    const Mapping bytes(images, Access::read_only, "a test");
    std::ofstream(folder.path() / "images")
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    std::ofstream(folder.path() / "answers") << std::string(kImages * kClasses * sizeof(float), '\0');
    std::ofstream(folder.path() / "questions") << prepare(job) << "\n{\"run\":{}}\n";
  }
  const std::string command =
      fmt::format("cd '{}' && '{}' 3<images 4<>answers <questions >said", folder.path().string(), test::kBenchSingle);
  REQUIRE(std::system(command.c_str()) == 0);
  const std::string said = test::bytes_of(folder.path() / "said");
  CHECK(contains(said, "{\"ready\":"));
  CHECK(contains(said, "\n{\"ran\":"));
  CHECK(said.back() == '\n');
  const std::string bytes = test::bytes_of(folder.path() / "answers");
  std::vector<float> values(kImages * kClasses);
  REQUIRE(bytes.size() == values.size() * sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  CHECK(values == expected(job));
}

TEST_CASE("matrices are multiplied without anything being prepared") {
  Session session(images_file(), answers_file());
  const json::value answer = parse_json(session.answer("{\"multiply\":{\"seconds\":0.001}}"), "an answer");
  CHECK(answer.at("multiplied").at("gflops").to_number<double>() > 0);
  CHECK(contains(session.answer("{\"multiply\":{}}"), "'multiply' needs its seconds, a number"));
  CHECK(contains(session.answer("{\"multiply\":3}"), "'multiply' needs its seconds, a number"));
}

}  // namespace
}  // namespace tutti::bench
