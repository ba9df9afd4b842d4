// What a lease is worth: samples that are written straight to where the workers read them, compared with the same
// samples written into a buffer of the caller and submitted, which copies them. Calls of both kinds alternate. One row
// per figure, with the aim.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <tutti/ensemble.hpp>

#include "bench/measuring_program.hpp"
#include "bench/rows.hpp"
#include "common/standard_streams.hpp"

namespace {

using namespace tutti;
using namespace tutti::bench;
using Clock = std::chrono::steady_clock;

struct Request {
  ImageShape shape;
  std::size_t images = 1;
  int calls = 1;  ///< per sample of a row
};

/// One member, which computes nothing and reads nothing: what is left is the call.
Spec spec_for(const Request& request) {
  return parse_spec(members_yaml("{kind: fake, reads_input: false}", 1) +
                    fmt::format("segment_images: {0}\nbatch_images: {0}\ninput: {{shape: [{1}, {2}, {3}]}}\n",
                                request.images, request.shape.channels, request.shape.height, request.shape.width));
}

class Contest {
 public:
  explicit Contest(const Request& request)
      : request_(request),
        ensemble_(spec_for(request)),
        source_(request.images * request.shape.elements(), 0.5F),
        buffer_(source_.size()) {}

  /// Microseconds of the median call.
  double submitted() {
    return median_of([this] {
      make(std::as_writable_bytes(std::span(buffer_)));
      ensemble_.submit(Images(std::span<const float>(buffer_), request_.shape)).get();
    });
  }
  double leased() {
    return median_of([this] {
      Lease lease = ensemble_.lease(request_.images);
      make(std::as_writable_bytes(lease.values<float>()));
      ensemble_.submit(lease).get();
    });
  }

 private:
  /// Stands for what a decoder or a camera writes.
  void make(std::span<std::byte> to) const { std::memcpy(to.data(), source_.data(), to.size()); }

  template <class Call>
  double median_of(const Call& call) const {
    std::vector<double> taken;
    for (int i = 0; i < request_.calls; ++i) {
      const auto begin = Clock::now();
      call();
      taken.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
    }
    std::ranges::sort(taken);
    return taken[taken.size() / 2];
  }

  const Request request_;
  Ensemble ensemble_;
  const std::vector<float> source_;
  std::vector<float> buffer_;
};

void compare(Rows& out, const Request& request, int repeats, const std::string& aim) {
  Contest contest(request);
  contest.submitted();  // the first ones do not count
  contest.leased();
  std::vector<double> submitted;
  std::vector<double> leased;
  std::vector<double> ratio;
  for (int i = 0; i < repeats; ++i) {
    submitted.push_back(contest.submitted());
    leased.push_back(contest.leased());
    ratio.push_back(submitted.back() / leased.back());
  }
  out.add(
      fmt::format("{} of {}: written and submitted",
                  request.images == 1 ? "one image" : fmt::format("{} images", request.images), request.shape.text()),
      submitted, "us", "");
  out.add("... written into a lease, and submitted", leased, "us", "");
  out.add("... speed of the lease, of that of submit()", ratio, "", aim);
}

void measure(Rows& out, int repeats) {
  compare(out, {{3, 8, 8}, 1, 500}, repeats, ">= 0.9");
  compare(out, {{3, 224, 224}, 1, 200}, repeats, ">= 1");
  compare(out, {{3, 224, 224}, 32, 20}, repeats, ">= 1.2");
}

}  // namespace

int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  return measuring_program(argc, argv, "leases", "What a lease is worth, compared with submit()", measure);
}
