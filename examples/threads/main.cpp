// A service with 64 threads, each of which submits single images and waits for their classes. All share one ensemble,
// which needs no lock around it. With `coalesce`, the images of several threads are computed as one batch. The queue is
// bounded: a thread that finds it full waits for room. As many calls as it holds fill a segment, so a full segment does
// not wait for `max_delay_us`. The members are `fake`, which compute without LibTorch.
#include <atomic>
#include <cstdio>
#include <exception>
#include <thread>
#include <vector>

#include <tutti/ensemble.hpp>

namespace {

constexpr int kThreads = 64;
constexpr int kImagesPerThread = 20;
const tutti::ImageShape kShape{3, 8, 8};

std::vector<float> image(int number) {
  return std::vector<float>(kShape.elements(), 0.01F * static_cast<float>(number));
}

}  // namespace

int main() try {
  tutti::Options options;
  options.most_submissions = 32;
  tutti::Ensemble ensemble(tutti::parse_spec(R"(
    members:
      - {name: a, model: {kind: fake, classes: 5}}
      - {name: b, model: {kind: fake, classes: 5}}
    assignment: cpu
    input: {shape: [3, 8, 8]}
    segment_images: 32
    batch_images: 32
    coalesce: {max_delay_us: 200}
  )"),
                           options);

  // What each thread must get: the class of its image if nobody else predicts.
  std::vector<std::int64_t> alone;
  for (int number = 0; number < kThreads; ++number) {
    const std::vector<float> pixels = image(number);
    alone.push_back(ensemble.predict(tutti::Images(pixels, kShape)).predicted[0]);
  }

  std::atomic<int> right = 0;
  std::atomic<int> failed = 0;
  std::vector<std::thread> threads;
  for (int number = 0; number < kThreads; ++number) {
    threads.emplace_back([&, number] {
      const std::vector<float> pixels = image(number);
      for (int i = 0; i < kImagesPerThread; ++i) {
        try {
          const tutti::Predictions p = ensemble.submit(tutti::Images(pixels, kShape)).get();
          if (p.predicted[0] == alone[static_cast<std::size_t>(number)]) ++right;
        } catch (const tutti::Error& error) {
          if (failed++ == 0) std::fprintf(stderr, "%s\n", error.what());
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  const int all = kThreads * kImagesPerThread;
  std::printf("%d threads: %d of %d images predicted, %d as alone\n", kThreads, all - failed, all, right.load());
  return right == all ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
