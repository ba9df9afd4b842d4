#include "bench/single/torch/recorded.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/softmax.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <map>
#include <system_error>
#include <utility>

#include <tutti/error.hpp>

#include "bench/single/members.hpp"
#include "bench/single/torch/device.hpp"
#include "bench/single/torch/networks.hpp"
#include "bench/single/torch/streams.hpp"
#include "common/program_folder.hpp"
#include "worker/torch/fused_network.hpp"
#include "worker/torch/torch_errors.hpp"
#include "worker/warm_up.hpp"

namespace tutti::bench {
namespace {

using worker::Network;

/// From [count, channels, height, width] to [members, count, width], both on the device. Does not wait.
using Work = std::function<void(Streams& streams, const at::Tensor& images, const at::Tensor& answers)>;

class Recorded final : public Computation {
 public:
  Recorded(const SingleJob& job, const GraphDevice& device, std::size_t lanes, std::uint32_t width, Work work)
      : images_(job),
        like_(job.members.front()),
        members_(job.members.size()),
        width_(width),
        batch_images_(common_batch(job)),
        device_(device.device),
        streams_(device.device, lanes),
        work_(std::move(work)) {
    const c10::InferenceMode guard;
    streams_.on_main([&] {
      for (const std::uint32_t size : batch_sizes(like_)) batches_.emplace(size, recorded(size, device.record));
    });
  }

  std::uint32_t width() const override { return width_; }

  std::vector<double> predict(const Input& input, MemberAnswers& answers) override {
    const c10::InferenceMode guard;
    streams_.on_main([&] {
      for_each_segment(input, [&](const Run& segment) {
        for_each_batch(segment, batch_images_, [&](const Run& batch) { compute(input, batch, answers); });
      });
    });
    return {};
  }

 private:
  struct Batch {
    at::Tensor images;
    at::Tensor answers;
    std::unique_ptr<Recording> recording;  ///< none: it is computed without a recording
  };

  Batch unrecorded(std::uint32_t size) const {
    return {made_up(like_, size).to(device_),
            at::empty({std::int64_t(members_), size, width_}, at::TensorOptions(at::kFloat).device(device_)),
            {}};
  }

  Batch recorded(std::uint32_t size, const Recorder& record) {
    Batch batch = unrecorded(size);
    const std::function<void()> work = [this, images = batch.images, answers = batch.answers] {
      work_(streams_, images, answers);
    };
    // On the streams that are recorded afterwards: objects made once for a stream or a size (the matrix library's
    // workspace, kernels that are loaded at their first call) are then outside the recording, and stay.
    for (int call = 0; call < worker::kWarmUpCalls; ++call) work();
    streams_.wait();
    batch.recording = record(work);
    for (int call = 0; call < worker::kWarmUpCalls; ++call) batch.recording->replay();
    streams_.wait();
    return batch;
  }

  // The main stream keeps the order: images, computation, outputs; a copy waits for the stream. A batch of an
  // unexpected size is computed without a recording, which would cost more than it saves.
  void compute(const Input& input, const Run& run, MemberAnswers& answers) {
    const auto found = batches_.find(run.count);
    const Batch once = found == batches_.end() ? unrecorded(run.count) : Batch{};
    const Batch& batch = found == batches_.end() ? once : found->second;
    batch.images.copy_(images_(input, run));
    if (batch.recording)
      batch.recording->replay();
    else
      work_(streams_, batch.images, batch.answers);
    const at::Tensor here = batch.answers.cpu();
    for (std::size_t m = 0; m < members_; ++m) keep(here.select(0, std::int64_t(m)), run, answers[m]);
  }

  CommonImages images_;
  const MemberRequest like_;
  const std::size_t members_;
  const std::uint32_t width_;
  const std::uint32_t batch_images_;
  const c10::Device device_;
  Streams streams_;
  const Work work_;
  std::map<std::uint32_t, Batch> batches_;  // by the number of images
};

std::vector<Network> networks_on(c10::Device device, const SingleJob& job) {
  std::vector<Network> networks = load_networks(job);
  for (Network& network : networks) network = worker::moved(network, device);
  return networks;
}

/// `logits` as the members output them; classes are the last dimension.
at::Tensor answer_of(const at::Tensor& logits, bool softmax) { return softmax ? at::softmax(logits, -1) : logits; }

/// Memory for a lane's kernels is allocated and freed on that lane; memory that lanes share (images, outputs, weights)
/// exists before and stays. So no memory moves between streams, and the allocator need not be told.
Work branches_of(const std::vector<Network>& networks, bool softmax) {
  return [networks, softmax](Streams& streams, const at::Tensor& images, const at::Tensor& answers) {
    streams.side_by_side([&](std::size_t m) {
      answers.select(0, std::int64_t(m)).copy_(answer_of(worker::forward(networks[m], images), softmax));
    });
  };
}

template <class Make>
std::unique_ptr<Computation> made(Make make) {
  return worker::explained(ErrorKind::failed, "LibTorch could not record the members as one graph", "", make);
}

}  // namespace

GraphDevice graphs_of_gpu() {
  require_cuda();
  return {c10::Device(c10::kCUDA, 0), open_recorder(program_folder(), kCudaRecorder)};
}

std::unique_ptr<Computation> make_recorded_branches(const SingleJob& job, const GraphDevice& device) {
  return made([&] {
    const std::vector<Network> networks = networks_on(device.device, job);
    return std::make_unique<Recorded>(job, device, networks.size(), common_classes(job, networks),
                                      branches_of(networks, wants_softmax(job.members.front())));
  });
}

std::unique_ptr<Computation> make_recorded_fused(const SingleJob& job, const GraphDevice& device) {
  return made([&] {
    const std::vector<Network> networks = networks_on(device.device, job);
    constexpr std::size_t kNoLanes = 0;
    return std::make_unique<Recorded>(
        job, device, kNoLanes, common_classes(job, networks),
        [network = worker::FusedNetwork(networks), softmax = wants_softmax(job.members.front())](
            Streams&, const at::Tensor& images, const at::Tensor& answers) {
          answers.copy_(answer_of(network(images), softmax));
        });
  });
}

}  // namespace tutti::bench
