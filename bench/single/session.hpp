// The session of tutti-bench-single: lines in, lines out (bench/protocol.hpp). It knows the files behind the
// descriptors, the combination and the clock, but not how members are computed.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/single/computation.hpp"
#include "common/json.hpp"
#include "common/wire/shared_memory.hpp"
#include "coordinator/decide/accumulator.hpp"

namespace tutti::bench {

class Session {
 public:
  /// Takes over the files of the images and of the predictions.
  Session(MemoryFile images, MemoryFile answers);

  /// The reply to one line, without its end. Never throws: the reply reports a failure, and the next request may
  /// follow.
  std::string answer(std::string_view question);

 private:
  json::object obey(const json::value& question);
  json::object prepare(const json::value& content);
  json::object multiply(const json::value& content);
  json::object run();
  json::object train(const json::value& content);
  void map_images(const SingleJob& job);
  void map_answers(std::uint32_t width);
  void check_finite(const SingleJob& job) const;

  MemoryFile images_file_;
  MemoryFile answers_file_;
  Mapping images_;
  Mapping answers_;
  Input input_;
  std::vector<std::int64_t> labels_;
  SingleJob job_;
  MemberAnswers member_answers_;
  std::unique_ptr<Computation> computation_;
};

}  // namespace tutti::bench
