// Speaks as tutti-bench-single does (bench/protocol.hpp), with fake members and no LibTorch. PRETEND="fused=lie" makes
// the strategy `fused` answer wrongly; also: refuse (while preparing), die, nonsense (instead of an answer), silence.
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "bench/protocol.hpp"
#include "common/json.hpp"
#include "common/wire/shared_memory.hpp"
#include "coordinator/decide/accumulator.hpp"
#include "worker/fake.hpp"
#include "worker/preprocess.hpp"

namespace {

using namespace tutti;

class Pretender {
 public:
  std::string answer(const std::string& line) {
    const json::value question = parse_json(line, "a question");
    const json::object& object = question.get_object();
    if (object.contains("prepare")) return prepare(object.at("prepare"));
    if (object.contains("train")) return R"({"trained":{"seconds":0.5}})";
    if (told("die")) ::raise(SIGKILL);
    if (told("nonsense")) return R"({"sung":{}})";
    if (told("silence")) ::pause();
    return run();
  }

 private:
  bool told(const std::string& what) const {
    const char* words = std::getenv("PRETEND");
    return words != nullptr && words == std::string(to_name(job_.strategy)) + "=" + what;
  }

  std::string prepare(const json::value& content) {
    job_ = bench::decode_job(json::serialize(content));
    if (told("refuse")) return R"({"failed":{"text":"these members cannot be fused","hint":""}})";
    for (const MemberRequest& member : job_.members) models_.push_back(worker::make_fake_model(member));
    return R"({"ready":{"seconds":0.25,"backend":"fake"}})";
  }

  std::string run() {
    const Mapping images(MemoryFile(UniqueFd(::dup(bench::kImagesFd))), Access::read_only, "images");
    const TensorLayout& stored = job_.members.front().takes.front().stored;
    SlotView<const std::byte> all;
    all.dtype = stored.dtype;
    all.bytes = {images.data(), job_.images * stored.bytes()};
    const std::uint64_t width = elements_of(models_.front()->output());
    std::vector<std::vector<float>> answers(models_.size(), std::vector<float>(job_.images * width));
    std::vector<std::span<const float>> members;
    for (std::size_t m = 0; m < models_.size(); ++m) {
      worker::Preprocess preprocess(job_.members[m]);
      for (std::uint32_t image = 0; image < job_.images; ++image)
        models_[m]->predict(preprocess.samples(all, image, 1), 1, std::span(answers[m]).subspan(image * width, width));
      members.emplace_back(answers[m]);
    }
    const Accumulator accumulator(job_.combine, job_.weights);
    auto values =
        accumulator.combine(members, static_cast<std::uint32_t>(job_.images), static_cast<std::uint32_t>(width)).values;
    if (told("lie")) values.back() += 0.5F;
    const auto bytes = static_cast<ssize_t>(values.size() * sizeof(float));
    const bool written = ::pwrite(bench::kAnswersFd, values.data(), values.size() * sizeof(float), 0) == bytes;
    return written ? R"({"ran":{"seconds":0.125,"member_seconds":[]}})" : R"({"failed":{"text":"no room"}})";
  }

  bench::SingleJob job_;
  std::vector<std::unique_ptr<worker::Model>> models_;
};

}  // namespace

int main() {
  Pretender pretender;
  for (std::string line; std::getline(std::cin, line);) std::cout << pretender.answer(line) << std::endl;
}
