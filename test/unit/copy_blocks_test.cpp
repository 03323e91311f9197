#include "../../src/copy/blocks.h"

#include "catch.h"

using namespace godwit;
using namespace godwit::copy;

namespace {

using Rows = std::vector<std::vector<db::Value>>;

db::Value value(const std::string& text) { return {.data = text.data(), .size = text.size()}; }

const Means kAll{.can_bulk = true, .can_load = true, .block_bytes = 100, .row_bytes_max = 200};

TableTask task_of(std::size_t columns) {
  TableTask task{.target_schema = "s", .target_table = "t"};
  for (std::size_t i = 0; i < columns; ++i) task.transfers.push_back({.column = "c" + std::to_string(i), .select = "", .set_expression = {}});
  return task;
}

std::vector<Block> blocks_of(const TableTask& task, const Means& means, const Rows& rows) {
  std::vector<Block> result;
  Blocks blocks(task, means, [&](Block block) { result.push_back(std::move(block)); });
  for (const auto& row : rows) blocks.add(row);
  blocks.finish();
  return result;
}

std::string head_of_value(std::size_t size) {
  const std::string text(size, 'x');
  const std::vector<db::Value> row{value(text)};
  std::string out;
  append_bulk_row(out, row);
  CHECK(out.substr(out.size() - size) == text);
  return out.substr(0, out.size() - size);
}

}  // namespace

TEST_CASE("copy: a bulk row is an indicator and a length-encoded string per value", "[copy]") {
  const std::string text = "a";
  const std::vector<db::Value> row{value(text), {}, {.data = "", .size = 0}};
  std::string out;
  append_bulk_row(out, row);
  CHECK(out == std::string("\0\1a\1\0\0", 6));
  CHECK(head_of_value(250) == std::string("\0\xfa", 2));
  CHECK(head_of_value(251) == std::string("\0\xfc\xfb\0", 4));
  CHECK(head_of_value(65535) == std::string("\0\xfc\xff\xff", 4));
  CHECK(head_of_value(65536) == std::string("\0\xfd\0\0\1", 5));
  CHECK(head_of_value((1U << 24) - 1) == std::string("\0\xfd\xff\xff\xff", 5));
  CHECK(head_of_value(1U << 24) == std::string("\0\xfe\0\0\0\1\0\0\0\0", 10));
}

TEST_CASE("copy: of several targets none is loaded where LOAD DATA would hold a lock while it waits for rows", "[copy]") {
  TableTask task = task_of(1);
  task.overwrites = true;
  Means means = kAll;
  CHECK(row_form(task, means) == RowForm::load);
  means.can_load_counting = false;
  CHECK(row_form(task, means) == RowForm::load);
  task.is_counting = true;
  CHECK(row_form(task, means) == RowForm::values);
  task.overwrites = false;
  CHECK(row_form(task, means) == RowForm::bulk);
  const std::string text(300, 'x');  // longer than what is sent whole elsewhere
  CHECK(blocks_of(task, means, {{value(text)}})[0].form == RowForm::bulk);
  means.can_load_counting = true;
  CHECK(blocks_of(task, means, {{value(text)}})[0].form == RowForm::load);
}

TEST_CASE("copy: a bulk insert has a placeholder per column, inside what makes the value of it", "[copy]") {
  TableTask task = task_of(3);
  task.transfers[1].set_expression = "CAST({v} AS UNSIGNED)";
  CHECK(bulk_statement(task) == "INSERT INTO `s`.`t` (`c0`, `c1`, `c2`) VALUES (?, CAST(? AS UNSIGNED), ?)");
}

TEST_CASE("copy: rows go by bulk insert where it is offered, but not over rows that may be there", "[copy]") {
  TableTask task = task_of(1);
  CHECK(row_form(task, kAll) == RowForm::bulk);
  CHECK(row_form(task, {.can_bulk = false, .can_load = true}) == RowForm::load);
  CHECK(row_form(task, {.can_bulk = true, .can_load = false}) == RowForm::bulk);
  CHECK(row_form(task, {}) == RowForm::values);
  task.overwrites = true;
  CHECK(row_form(task, kAll) == RowForm::load);
  CHECK(row_form(task, {.can_bulk = true, .can_load = false}) == RowForm::values);
  CHECK(row_form(task_of(0), kAll) == RowForm::load);
}

TEST_CASE("copy: a long row among short ones goes by LOAD DATA in slices, in its place", "[copy]") {
  const std::string text(40, 'x');
  const std::string lob(350, 'y');
  const auto blocks = blocks_of(task_of(1), kAll, {{value(text)}, {value(lob)}, {value(text)}, {value(text)}, {value(text)}, {value(text)}});
  std::vector<RowForm> forms;
  std::string loaded;
  for (const auto& block : blocks) {
    forms.push_back(block.form);
    if (block.form == RowForm::load) loaded += block.data;
  }
  CHECK(forms == std::vector<RowForm>{RowForm::bulk, RowForm::load, RowForm::load, RowForm::load, RowForm::load, RowForm::bulk, RowForm::bulk});
  CHECK(loaded == lob + "\n");
}

TEST_CASE("copy: where LOAD DATA is not allowed a long row is sent whole", "[copy]") {
  const std::string lob(350, 'y');
  const auto blocks = blocks_of(task_of(1), {.can_bulk = true, .can_load = false, .block_bytes = 100, .row_bytes_max = 200}, {{value(lob)}});
  REQUIRE(blocks.size() == 1);
  CHECK(blocks[0].form == RowForm::bulk);
}

TEST_CASE("copy: a block knows its ENUM values 0, each of which will be a warning", "[copy]") {
  TableTask task = task_of(2);
  task.transfers[1].does_zero_warn = true;
  const std::string zero = "0";
  const std::string one = "1";
  const auto blocks = blocks_of(task, kAll, {{value(zero), value(zero)}, {value(zero), value(one)}, {value(zero), {}}, {value(one), value(zero)}});
  REQUIRE(blocks.size() == 1);
  CHECK(blocks[0].zero_members == 2);
}
