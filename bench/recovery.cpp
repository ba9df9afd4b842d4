// What a killed worker costs: the time until its tasks are handed out again and until its replacement predicts, the
// others' throughput meanwhile, and the time of the whole run. One row per figure, with the aim.
#include <fmt/format.h>
#include <signal.h>

#include <chrono>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <tutti/ensemble.hpp>

#include "bench/measuring_program.hpp"
#include "bench/rows.hpp"
#include "common/standard_streams.hpp"

namespace {

using namespace tutti;
using namespace tutti::bench;
using Clock = std::chrono::steady_clock;

double ms(Clock::duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

template <class Condition>
void wait_until(Condition condition) {
  while (!condition()) std::this_thread::sleep_for(std::chrono::microseconds(20));
}

const std::string kPolicy = "restarts: {limit: off, back_off_s: 0.001}\n";

/// Kills m0 while it computes; returns the milliseconds until its generation changes: its process is gone, its
/// completions were read, and its tasks wait for the replacement, which is started.
double kill_to_handed_out(Ensemble& ensemble, const std::vector<float>& pixels, const ImageShape& shape) {
  auto answer = ensemble.submit({std::span<const float>(pixels), shape});
  const MemberStatus before = ensemble.status().members[0];
  wait_until([&] { return ensemble.status().members[0].segments_answered > before.segments_answered; });
  const auto begin = Clock::now();
  ::kill(before.pid, SIGKILL);
  wait_until([&] { return ensemble.status().members[0].generation != before.generation; });
  const double result = ms(Clock::now() - begin);
  answer.get();
  return result;
}

void measure_handing_out(Rows& out, const std::string& name, const std::string& model, double gigabytes, int repeats) {
  const ImageShape shape{3, 32, 32};
  const Spec spec = parse_spec(members_yaml(model, 1) + kPolicy +
                               "input: {shape: [3, 32, 32]}\nsegment_images: 4\nbatch_images: 4\n");
  Ensemble ensemble(spec);
  const std::vector<float> pixels(400 * shape.elements(), 0.5F);
  std::vector<double> samples;
  for (int i = 0; i < repeats; ++i) samples.push_back(kill_to_handed_out(ensemble, pixels, shape));
  out.add(name + ": kill -9 to tasks handed out again", samples, "ms", fmt::format("<= {:.0f}", 5 + 70 * gigabytes));
}

/// Measures until the replacement's first completion.
void measure_first_answer(Rows& out, const std::string& spares, int repeats) {
  const ImageShape shape{3, 32, 32};
  const Spec spec = parse_spec(members_yaml("{kind: small-cnn}", 2) + kPolicy +
                               "input: {shape: [3, 32, 32]}\nsegment_images: 4\nbatch_images: 4\nspares: " + spares);
  Ensemble ensemble(spec);
  const std::vector<float> pixels(8000 * shape.elements(), 0.5F);
  std::vector<double> samples;
  for (int i = 0; i < repeats; ++i) {
    // Long enough for a new spare to be warm.
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    auto answer = ensemble.submit({std::span<const float>(pixels), shape});
    const MemberStatus before = ensemble.status().members[0];
    wait_until([&] { return ensemble.status().members[0].segments_answered > before.segments_answered + 20; });
    const auto begin = Clock::now();
    ::kill(before.pid, SIGKILL);
    wait_until([&] { return ensemble.status().members[0].generation != before.generation; });
    const std::uint64_t answered = ensemble.status().members[0].segments_answered;
    wait_until([&] { return ensemble.status().members[0].segments_answered > answered; });
    samples.push_back(ms(Clock::now() - begin));
    answer.get();
  }
  out.add("spares: " + spares + ": kill -9 to the replacement's first answer", samples, "ms",
          spares == "member" ? "< 50" : "");
}

/// The others' rate while m0 is being replaced, as a share of their rate before, in pairs.
void measure_others(Rows& out, int repeats) {
  const Spec spec = parse_spec(members_yaml("{kind: fake, delay_ms: 5, load_delay_ms: 300}", 3) + kPolicy +
                               "input: {shape: [1, 1, 1]}\nsegment_images: 1\nbatch_images: 1\nslots: 64\n");
  Ensemble ensemble(spec);
  const std::vector<float> pixels(300, 0.5F);
  const auto others = [&] {
    const Status status = ensemble.status();
    return status.members[1].segments_answered + status.members[2].segments_answered;
  };
  const auto rate = [&] {
    const auto begin = Clock::now();
    const std::uint64_t before = others();
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    return static_cast<double>(others() - before) / ms(Clock::now() - begin);
  };
  std::vector<double> shares;
  for (int i = 0; i < repeats; ++i) {
    auto answer = ensemble.submit({std::span<const float>(pixels), {1, 1, 1}});
    const std::uint64_t seen = others();
    wait_until([&] { return others() > seen + 20; });
    const double before = rate();
    ::kill(ensemble.status().members[0].pid, SIGKILL);
    shares.push_back(rate() / before * 100);
    answer.get();
  }
  out.add("the others' throughput while a worker is replaced (slots left)", shares, "%", ">= 95");
}

/// The whole run with one kill in its middle and without, in pairs, and the times that may explain the difference.
void measure_run(Rows& out, int repeats) {
  const ImageShape shape{3, 32, 32};
  const Spec spec = parse_spec(members_yaml("{kind: small-cnn}", 2) + kPolicy +
                               "input: {shape: [3, 32, 32]}\nsegment_images: 200\nbatch_images: 20\n");
  Ensemble ensemble(spec);
  const std::vector<float> pixels(20000 * shape.elements(), 0.5F);
  const Images images{std::span<const float>(pixels), shape};
  std::vector<double> calm;
  std::vector<double> disturbed;
  std::vector<double> extra;
  std::vector<double> allowed;
  for (int i = 0; i < repeats; ++i) {
    auto begin = Clock::now();
    ensemble.predict(images);
    calm.push_back(ms(Clock::now() - begin));
    begin = Clock::now();
    const Status before = ensemble.status();
    auto answer = ensemble.submit(images);
    // At long intervals, since polling all the time would take a core from the workers.
    while (ensemble.status().members[0].segments_answered < before.members[0].segments_answered + 40)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ::kill(before.members[0].pid, SIGKILL);
    answer.get();
    disturbed.push_back(ms(Clock::now() - begin));
    const Status after = ensemble.status();
    const MemberStatus& member = after.members[0];
    extra.push_back(disturbed.back() - calm.back());
    // The replacement's start-up (the process, loading, warm-up) and a segment computed again.
    allowed.push_back(after.start_up_seconds * 1e3 +
                      member.busy_seconds / static_cast<double>(member.segments_answered) * 1e3);
  }
  out.add("small-cnn, 2 members, 100 segments: undisturbed run", calm, "ms", "");
  out.add("... with one kill -9 in the middle", disturbed, "ms", "");
  out.add("... costs", extra, "ms", "");
  out.add("... start-up of a pool and one segment again", allowed, "ms", "the bound");
}

}  // namespace

int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  return measuring_program(argc, argv, "recovery", "What a killed worker costs", [](Rows& out, int repeats) {
    measure_handing_out(out, "fake worker (3 MB)", "{kind: fake, delay_ms: 1}", 0, repeats);
    measure_handing_out(out, "small-cnn worker", "{kind: small-cnn}", 0.2, repeats);
    measure_handing_out(out, "mlp worker of 1 GB", "{kind: mlp, layers: [16384, 13312, 10]}", 1.2, repeats);
    for (const char* spares : {"none", "process", "member"}) measure_first_answer(out, spares, repeats);
    measure_others(out, repeats);
    measure_run(out, repeats);
  });
}
