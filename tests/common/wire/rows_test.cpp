// Rows: how many a sample may have behind steps, and the index that travels with them through a channel, whatever its
// writer writes.
#include "common/wire/rows.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/wire/channel.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/wire/every_step.hpp"

namespace tutti::test {
namespace {

const Step kCrops = CropBoxesStep{.max = 3, .resize = {.rule = ResizeRule::exact, .height = 4, .width = 4}};

TEST_CASE("a sample has one row until a step makes several and one again behind another") {
  CHECK(rows_behind({}, 0) == 0);
  CHECK(rows_behind({}, 7) == 7);
  CHECK(rows_behind(std::vector<Step>{SoftmaxStep{}, kCrops, NormalizeStep{}}, 0) == 3);
  CHECK(rows_behind(std::vector<Step>{SoftmaxStep{}, ReduceStep{}, NormalizeStep{}}, 7) == 0);
  CHECK(first_row_step(std::vector<Step>{SoftmaxStep{}, kCrops}) == 1);
  CHECK(first_row_step(std::vector<Step>{SoftmaxStep{}, TopKStep{}}) == 2);
  std::size_t changing = 0;
  for (const Step& step : every_step()) changing += changes_rows(step) ? 1 : 0;
  CHECK(changing == 2);
}

TEST_CASE("a step that changes the number of rows is refused where it makes no sense") {
  const auto why = [](const std::vector<Step>& steps, std::uint32_t rows) {
    const auto wrong = misplaced_row_step(steps, rows);
    return wrong ? fmt::format("{}: {}; {}", wrong->step, wrong->what, wrong->hint) : "";
  };
  CHECK(why({SoftmaxStep{}, kCrops, NormalizeStep{}}, 0).empty());
  CHECK(why({SoftmaxStep{}, ReduceStep{}, NormalizeStep{}}, 7).empty());
  CHECK(why({SoftmaxStep{}}, 7).empty());
  CHECK(why({kCrops}, 7) == "0: a sample has up to 7 rows here already; put a step reduce before it");
  CHECK(why({SoftmaxStep{}, ReduceStep{}}, 0) ==
        "1: a sample has one row here, and there is nothing to reduce; leave it out, or put a step crop_boxes and a "
        "model before it");
  CHECK(contains(why({kCrops, SoftmaxStep{}, ReduceStep{}}, 0), "2: there is no model between crop_boxes and reduce"));
  CHECK(contains(why({ReduceStep{}, kCrops}, 7), "1: there is no model between reduce and crop_boxes"));
}

/// Of segment 9: 2, 0 and 3 rows.
RowIndex good_index() { return {{9, 3, 5}, {2, 0, 3}}; }

TEST_CASE("an index is used only if every number of it is right") {
  CHECK_FALSE(fault_in(good_index(), SegmentId(9), 3, 3));
  CHECK_FALSE(fault_in({{9, 0, 0}, {}}, SegmentId(9), 0, 3));
  const auto fault = [](auto change) {
    RowIndex index = good_index();
    change(index);
    return fault_in(index, SegmentId(9), 3, 3);
  };
  CHECK(fault([](RowIndex& index) { index.header.segment = 8; }) == IndexFault::other_segment);
  CHECK(fault([](RowIndex& index) { index.header.samples = 2; }) == IndexFault::other_samples);
  CHECK(fault([](RowIndex& index) { index.counts.pop_back(); }) == IndexFault::other_samples);
  CHECK(fault([](RowIndex& index) { index.counts[1] = 4; }) == IndexFault::too_many);
  CHECK(fault([](RowIndex& index) { index.counts[1] = 0xFFFFFFFF; }) == IndexFault::too_many);
  CHECK(fault([](RowIndex& index) { index.counts[1] = 1; }) == IndexFault::other_sum);
  CHECK(fault([](RowIndex& index) { index.header.rows = 4; }) == IndexFault::other_sum);
  CHECK(fault([](RowIndex& index) { index.header.rows = 0xFFFFFFFF; }) == IndexFault::other_sum);
  CHECK(fault([](RowIndex& index) { index = {}; }) == IndexFault::other_segment);
}

TEST_CASE("what is wrong with an index has a text and so has a number that is none") {
  CHECK(text_of(1) == "it is about another segment");
  CHECK(text_of(2) == "it is about another number of samples");
  CHECK(text_of(3) == "it counts more rows of a sample than there can be");
  CHECK(text_of(4) == "its counts do not add up");
  CHECK(text_of(0) == "it cannot be used");
  CHECK(text_of(1ULL << 40) == "it cannot be used");
}

TEST_CASE("each row knows its sample") {
  CHECK(owners_of(good_index().counts) == std::vector<std::uint32_t>{0, 0, 2, 2, 2});
  CHECK(owners_of({}).empty());
}

TEST_CASE("a slot has room for the most rows and their index and what is not counted needs neither") {
  const ChannelLayout plain(2, 5, {4, 3});
  const ChannelLayout counted(2, 5, {4, 3}, {0, 7});
  CHECK(plain.rows(1) == 0);
  CHECK(counted.rows(0) == 0);
  CHECK(counted.rows(1) == 7);
  CHECK(counted.rows_of(5, Seat(0)) == 5);
  CHECK(counted.rows_of(5, Seat(1)) == 35);
  CHECK(counted.output_offset(SlotId(1), Seat(0)) - counted.output_offset(SlotId(0), Seat(0)) ==
        counted.output_slot_bytes());
  CHECK(counted.output_offset(SlotId(0), Seat(1)) == plain.output_offset(SlotId(0), Seat(1)));
  CHECK(counted.index_offset(SlotId(0), Seat(1)) - counted.output_offset(SlotId(0), Seat(1)) >= 35 * 3 * sizeof(float));
  CHECK(counted.output_offset(SlotId(1), Seat(0)) - counted.index_offset(SlotId(0), Seat(1)) >=
        sizeof(RowIndexHeader) + 5 * sizeof(std::uint32_t));
  CHECK(counted.index_offset(SlotId(1), Seat(1)) < counted.bytes());
}

TEST_CASE("a reader gets a copy of the index that is in the slot and of the rows before it") {
  const ChannelLayout layout(2, 3, {4}, {3});
  MemoryFile file = MemoryFile::create("test");
  file.allocate(layout.bytes(), "a test");
  file.seal_size();
  const Channel channel(file, layout);
  const ChannelOutputs outputs(MemoryFile(file.for_reader()), layout, Seat(0));
  CHECK(outputs.rows() == 3);
  CHECK(fault_in(outputs.index(SlotId(1), 3), SegmentId(9), 3, 3).has_value());  // nothing was written
  channel.output(SlotId(1), 3)[35] = 2.5F;
  channel.write_index(SlotId(1), good_index());
  const RowIndex copy = outputs.index(SlotId(1), 3);
  CHECK(copy.counts == good_index().counts);
  CHECK_FALSE(fault_in(copy, SegmentId(9), 3, 3));
  CHECK(fault_in(outputs.index(SlotId(0), 3), SegmentId(9), 3, 3).has_value());
  CHECK(outputs.output(SlotId(1), 9)[35] == 2.5F);
  // What is written later does not change the copy.
  RowIndex later = good_index();
  later.counts[0] = 1000;
  channel.write_index(SlotId(1), later);
  CHECK_FALSE(fault_in(copy, SegmentId(9), 3, 3));
  CHECK(fault_in(outputs.index(SlotId(1), 3), SegmentId(9), 3, 3) == IndexFault::too_many);
}

}  // namespace
}  // namespace tutti::test
