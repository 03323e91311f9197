#include "godwit/apply/cascades.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::apply {
namespace {

constexpr std::size_t kDepthMax = 15;        // InnoDB follows a chain no further
constexpr std::size_t kStatementsMax = 500;  // of one parent

bool changes_rows(const std::string& rule) { return rule == "CASCADE" || rule == "SET NULL"; }

// One foreign key, from the row that is referenced to the rows that reference it.
struct Link {
  const TableBinding* parent;
  const TableBinding* child;
  const catalog::ForeignKey* key;
};

// What a chain does to the rows at its end: nothing means that they are deleted; else what each changed column gets.
using NewValues = std::map<std::string, std::optional<std::size_t>>;  // column → the root's column whose new value it gets; nothing: NULL

class Walk {
 public:
  Walk(const std::vector<TableBinding>& bindings, TableBinding& root, const std::vector<Link>& links) : bindings_(bindings), root_(root), links_(links) {}

  void run() {
    erase_children(root_);
    root_referenced_.clear();
    for (const auto& link : links_) {
      if (link.parent == &root_) update_root(link);
    }
  }

 private:
  void erase_children(const TableBinding& parent) {
    if (chain_.size() >= kDepthMax) return;
    for (const auto& link : links_) {
      if (link.parent != &parent || !changes_rows(link.key->on_delete)) continue;
      chain_.push_back(&link);
      is_on_erase_ = true;
      // Deepest first: the joins need the rows that lie between.
      if (link.key->on_delete == "CASCADE") {
        erase_children(*link.child);
        emit(nullptr);
      } else {
        const NewValues values = nulls(link);
        update_children(*link.child, values);
        emit(&values);
      }
      chain_.pop_back();
    }
  }

  static NewValues nulls(const Link& link) {
    NewValues values;
    for (const auto& column : link.key->columns) values[column] = std::nullopt;
    return values;
  }

  void update_root(const Link& link) {
    if (!changes_rows(link.key->on_update)) return;
    NewValues values = nulls(link);
    root_referenced_.clear();
    for (std::size_t i = 0; i < link.key->columns.size(); ++i) {
      const std::size_t referenced = column_of(root_, link.key->referenced_columns[i]);
      root_referenced_.push_back(referenced);
      if (link.key->on_update == "CASCADE") values[link.key->columns[i]] = referenced;
    }
    chain_ = {&link};
    is_on_erase_ = false;
    update_children(*link.child, values);
    emit(&values);
    chain_.clear();
  }

  // The rows at the end of the chain get `changed`; others may reference those columns.
  void update_children(const TableBinding& parent, const NewValues& changed) {
    if (chain_.size() >= kDepthMax) return;
    for (const auto& link : links_) {
      if (link.parent != &parent || !changes_rows(link.key->on_update)) continue;
      NewValues values;
      for (std::size_t i = 0; i < link.key->columns.size(); ++i) {
        const auto found = changed.find(link.key->referenced_columns[i]);
        if (found != changed.end()) values[link.key->columns[i]] = found->second;
      }
      if (values.empty()) continue;
      if (link.key->on_update == "SET NULL") values = nulls(link);
      chain_.push_back(&link);
      update_children(*link.child, values);
      emit(&values);
      chain_.pop_back();
    }
  }

  static std::size_t column_of(const TableBinding& binding, const std::string& name) {
    const std::string quoted = sql::quote_identifier(name);
    const auto found = std::find_if(binding.columns.begin(), binding.columns.end(), [&](const BoundColumn& column) { return equals_ignoring_case(column.name, quoted); });
    if (found == binding.columns.end()) {
      throw Error(Code::cascades_not_logged,
                  {.object = binding.target, .cause = fmt::format("a foreign key refers to the generated column {}", quoted), .remedy = "--exclude-tables the tables of that key"});
    }
    return static_cast<std::size_t>(found - binding.columns.begin());
  }

  void add(std::string_view text) { cascade_.pieces.back() += text; }
  void add_value(Cascade::Value value) {
    cascade_.values.push_back(value);
    cascade_.pieces.emplace_back();
  }

  void add_assignments(const TableBinding& child, const std::string& table, const NewValues& values) {
    const char* separator = " SET ";
    for (const auto& [name, value] : values) {
      add(fmt::format("{}{}.{} = ", separator, table, sql::quote_identifier(name)));
      value ? add_value({.column = *value, .is_new = true}) : add("NULL");
      separator = ", ";
    }
    for (const auto& column : child.columns) {
      if (!column.keep.empty()) add(fmt::format(", {0}.{1} = {0}.{1}", table, column.name));
    }
  }

  // DELETE grandchildren FROM grandchildren JOIN children AS x1 ON grandchildren.child = x1.id WHERE x1.parent = 5
  void emit(const NewValues* values) {
    if (root_.cascades.size() >= kStatementsMax) {
      throw Error(Code::cascades_not_logged,
                  {.object = root_.target, .cause = "its foreign keys lead to others in more ways than can be followed", .remedy = "--exclude-tables it"});
    }
    cascade_ = Cascade{.is_on_erase = is_on_erase_, .child = index_of(chain_.back()->child), .child_name = chain_.back()->child->target, .referenced = root_referenced_, .pieces = {""}};
    if (values != nullptr) {
      for (const auto& [column, value] : *values) cascade_.assigned.push_back(column);
    }
    const std::size_t depth = chain_.size();
    const std::string& last = chain_.back()->child->target;
    // The last table by its own name: MySQL looks for an alias in the default schema, of which there is none.
    const auto name = [&](std::size_t i) { return i == depth ? last : fmt::format("x{}", i); };
    add(values != nullptr ? fmt::format("UPDATE {}", last) : fmt::format("DELETE {0} FROM {0}", last));
    for (std::size_t i = depth - 1; i >= 1; --i) {
      add(fmt::format(" JOIN {} AS x{} ON ", chain_[i - 1]->child->target, i));
      const catalog::ForeignKey& key = *chain_[i]->key;
      for (std::size_t c = 0; c < key.columns.size(); ++c) {
        add(fmt::format("{}{}.{} = {}.{}", c == 0 ? "" : " AND ", name(i + 1), sql::quote_identifier(key.columns[c]), name(i), sql::quote_identifier(key.referenced_columns[c])));
      }
    }
    if (values != nullptr) add_assignments(*chain_.back()->child, last, *values);
    const catalog::ForeignKey& first = *chain_.front()->key;
    for (std::size_t c = 0; c < first.columns.size(); ++c) {
      add(fmt::format("{}{}.{} = ", c == 0 ? " WHERE " : " AND ", name(1), sql::quote_identifier(first.columns[c])));
      add_value({.column = column_of(root_, first.referenced_columns[c])});
    }
    root_.cascades.push_back(cascade_);
  }

  std::size_t index_of(const TableBinding* table) const { return static_cast<std::size_t>(table - bindings_.data()); }

  const std::vector<TableBinding>& bindings_;
  TableBinding& root_;
  const std::vector<Link>& links_;
  std::vector<const Link*> chain_;
  bool is_on_erase_ = false;
  std::vector<std::size_t> root_referenced_;
  Cascade cascade_;
};

}  // namespace

void bind_cascades(std::vector<TableBinding>& bindings, const catalog::Catalog& source) {
  const auto binding_of = [&](const std::string& schema, const std::string& table) {
    const auto found = std::find_if(bindings.begin(), bindings.end(), [&](const TableBinding& b) { return b.source_schema == schema && b.source_table == table; });
    return found == bindings.end() ? nullptr : &*found;
  };
  std::vector<Link> links;
  for (const auto& table : source.tables) {
    for (const auto& key : table.foreign_keys) {
      const Link link{.parent = binding_of(key.referenced_schema, key.referenced_table), .child = binding_of(table.schema, table.name), .key = &key};
      const bool is_followed = link.parent != nullptr && link.child != nullptr && (changes_rows(key.on_delete) || changes_rows(key.on_update));
      if (is_followed) links.push_back(link);
    }
  }
  for (auto& binding : bindings) Walk(bindings, binding, links).run();
}

std::set<std::string> cascading_tables(const catalog::Catalog& source) {
  std::set<std::string> tables;
  for (const auto& table : source.tables) {
    for (const auto& key : table.foreign_keys) {
      if (!changes_rows(key.on_delete) && !changes_rows(key.on_update)) continue;
      tables.insert(sql::quote_table(table.schema, table.name));
      const bool is_copied = std::any_of(source.tables.begin(), source.tables.end(), [&](const catalog::Table& t) { return t.schema == key.referenced_schema && t.name == key.referenced_table; });
      if (is_copied) tables.insert(sql::quote_table(key.referenced_schema, key.referenced_table));
    }
  }
  return tables;
}

}  // namespace godwit::apply
