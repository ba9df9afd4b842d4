// The command that continues a run.
#include "program/resume_command.hpp"

#include <doctest/doctest.h>

namespace tutti::test {
namespace {

using namespace program;

TEST_CASE("the command that continues a run can be typed as it is printed") {
  CommandLine line;
  line.file = "my ensemble.yaml";
  line.overrides = {"seed=3", "combine={rule: vote}", "x=it's"};
  line.assign = {"a=cpu:0-1"};
  CHECK(resume_command(line, "runs/0007", false) ==
        "tutti run 'my ensemble.yaml' seed=3 'combine={rule: vote}' 'x=it'\\''s' output=runs/0007 --assign a=cpu:0-1 "
        "--resume");
  line = {};
  line.file = "e.yaml";
  line.worker = "/opt/tutti-worker";
  CHECK(resume_command(line, "runs/0007", true) == "tutti run e.yaml --worker /opt/tutti-worker --resume");
  line = {};
  line.file = "a.pt";
  line.overrides = {"b.pt"};
  line.images = "my photos";
  line.preprocess = "clip";
  line.rule = "vote";
  line.csv = "id,label";
  CHECK(resume_command(line, "runs/0007", false) ==
        "tutti run a.pt b.pt output=runs/0007 --images 'my photos' --preprocess clip --rule vote --csv id,label "
        "--resume");
}

}  // namespace
}  // namespace tutti::test
