// Tables from anywhere, as numbers and as labels: rejected with a message, or read whole.
#include "images/table.hpp"

#include <string>

#include "images/arrays.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace tutti;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InMemoryFile file({data, size});
  for (const std::string column : {"", "y"})
    fuzz::refuses_with(ErrorKind::usage, [&] {
      const images::OpenArray array = images::open_table(file.path(), column, "");
      const std::uint64_t columns = column.empty() ? array.header.shape.at(1) : 1;
      fuzz::must(columns > 0, "a table has a column");
      fuzz::must(array.header.shape.at(0) * columns <= size, "a value takes at least a byte");
      fuzz::must(array.file.size() == array.header.shape[0] * columns * sizeof(float), "every value is written");
    });
  fuzz::refuses_with(ErrorKind::usage, [&] {
    const images::LabelColumn column = images::open_label_column(file.path(), "y");
    fuzz::must(column.places.size() == column.rows * sizeof(std::int64_t), "every label is written");
    fuzz::must(column.labels.size() <= column.rows, "each label is that of a row");
    fuzz::must(column.names.empty() || column.names.size() == column.labels.size(), "all labels have names or none");
  });
  return 0;
}
