#include "tests/chaos/graph.hpp"

#include "config/load.hpp"

namespace tutti::test {
namespace {

constexpr const char* kGraph = R"(
members:
  - {name: thread-0, model: {kind: fake, classes: 4, delay_us: 300}}
  - {name: thread-1, model: {kind: fake, classes: 4, delay_us: 300}}
  - {name: loop-0, model: {kind: fake, classes: 4, delay_us: 300}}
  - {name: loop-1, model: {kind: fake, classes: 4, delay_us: 300}}
  - name: chain
    stages:
      - {model: {kind: fake, classes: 12, delay_us: 300}, replicas: 2}
      - softmax
      - {step: top_k, k: 6}
      - {model: {kind: fake, classes: 5, delay_us: 300}}
      - {step: normalize, std: 2}
      - {model: {kind: fake, classes: 4, delay_us: 300}, replicas: 2}
  - name: rows
    stages:
      - {model: {kind: fake, classes: 6, per_class: [5], delay_us: 300}, replicas: 2}
      - {step: crop_boxes, max: 3, above: 1, channels: 1, resize: [4, 4]}
      - {model: {kind: fake, classes: 6, delay_us: 300}}
      - {model: {kind: fake, classes: 4, delay_us: 300}, replicas: 2}
      - reduce
  - {name: doubtful, model: {kind: fake, classes: 4, delay_us: 300}}
  - name: doubtful-chain
    stages:
      - {model: {kind: fake, classes: 8, delay_us: 300}}
      - l2_normalize
      - {model: {kind: fake, classes: 4, delay_us: 300}}
      - softmax
workers:
  - {members: [thread-0, thread-1], mode: threads, replicas: 2}
  - {members: [loop-0, loop-1], mode: loop}
  - {members: [doubtful], replicas: 2}
cascade:
  - {after: [thread-0, thread-1, loop-0, loop-1, chain], when: {confidence_below: 0.33}, then: [doubtful]}
  - {after: [thread-0, thread-1, loop-0, loop-1, chain, doubtful], when: {margin_below: 0.05}, then: [doubtful-chain]}
assignment: cpu
input: {shape: [1, 8, 8]}
segment_images: 8
batch_images: 3
)";

}  // namespace

config::EnsembleSpec graph_spec() { return config::load_text(kGraph, "the graph of tutti-chaos"); }

}  // namespace tutti::test
