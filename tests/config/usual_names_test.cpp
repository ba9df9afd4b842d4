// Words that other tools use: they are not accepted, but the message names Tutti's word.
#include "config/usual_names.hpp"

#include <doctest/doctest.h>

#include "tests/common/error_of.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

TEST_CASE("keys that other tools use are answered with the key of this map") {
  CHECK(problem(kOneMember + "batch_size: 4") == "e.yaml:2:1: unknown key 'batch_size'; did you mean 'batch_images'?");
  CHECK(problem(kOneMember + "device: cpu") == "e.yaml:2:1: unknown key 'device'; did you mean 'assignment'?");
  CHECK(problem(kOneMember + "train: {lr: 0.1}") == "e.yaml:2:9: unknown key 'lr'; did you mean 'learning_rate'?");
  CHECK(problem(kOneMember + "tasks: [{name: t, labels: [a], input: {dataset: random, count: 1, classes: 1}}]")
            .ends_with("unknown key 'labels'; did you mean 'classes'?"));
  CHECK(contains(problem(kOneMember + "input: {dataset: folder, path: x, num_workers: 4}"),
                 "unknown key 'num_workers'; did you mean 'decode_threads'?"));
}

TEST_CASE("a usual key of another map is answered with its place") {
  CHECK(problem("members: [{name: a, device: cpu, model: {kind: fake}}]\n") ==
        "e.yaml:1:21: unknown key 'device'; devices are written in 'assignment' at the top level");
  CHECK(contains(problem(kOneMember + "input: {dataset: folder, path: x, mean: 0.5}"),
                 "unknown key 'mean'; 'preprocess' of 'input' holds mean and std"));
  CHECK(problem(kOneMember + "num_workers: 4") ==
        "e.yaml:2:1: unknown key 'num_workers'; the threads that decode a folder of images are 'decode_threads' of "
        "'input'");
  CHECK(problem("members: [{name: a, batch_size: 4, model: {kind: fake}}]\n") ==
        "e.yaml:1:21: unknown key 'batch_size'; the batch is 'batch_images' at the top level, and in 'train'");
}

TEST_CASE("a key of Tutti in the wrong map is answered with its place") {
  CHECK(problem("members: [{name: a, replicas: 2, model: {kind: fake}}]\n") ==
        "e.yaml:1:21: unknown key 'replicas'; write it at the top level: workers: [{members: [NAME], replicas: 2}]");
  CHECK(problem("members: [{name: a, mode: fused, model: {kind: fake}}]\n")
            .ends_with("unknown key 'mode'; write it at the top level: workers: [{members: [NAME, NAME], mode: fused}]"));
  CHECK(problem("members: [{name: a, threads: 2, model: {kind: fake}}]\n")
            .ends_with("unknown key 'threads'; the threads of a worker are 'threads' at the top level"));
  CHECK(problem("members: [{name: a, batch_images: 2, model: {kind: fake}}]\n")
            .ends_with("unknown key 'batch_images'; the batch is 'batch_images' at the top level, and in 'train'"));
  CHECK(problem("members: [{name: a, segment_images: 2, model: {kind: fake}}]\n")
            .ends_with("unknown key 'segment_images'; 'segment_images' is a key of the top level"));
  CHECK(problem("members: [{name: a, slots: 2, model: {kind: fake}}]\n")
            .ends_with("unknown key 'slots'; 'slots' is a key of the top level"));
}

TEST_CASE("values that other tools use are answered with the word of this key") {
  CHECK(problem(kOneMember + "combine: {rule: average}").ends_with("not 'average'; did you mean 'mean'?"));
  CHECK(problem(kOneMember + "combine: {rule: Voting}").ends_with("did you mean 'vote'?"));
  CHECK(problem("members: [{name: a, model: {kind: pytorch}}]\n").ends_with("did you mean 'torchscript'?"));
  CHECK(problem(kOneMember + "input: {dataset: ImageFolder, path: x}").ends_with("did you mean 'folder'?"));
}

}  // namespace
}  // namespace tutti::test
