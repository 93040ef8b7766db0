// Layouts: the names and shapes under which other code bases keep the weights of our models.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"

#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::nn {

enum class Family { vit, clip };

/// The form that one of our weights has in the other layout.
enum class Form {
  same,
  transposed,
  scalar,        // [] or [1] there, [] here
  without_axis,  // without our first axis, of size 1
  without_axes,  // without our first two
  parts,         // several weights, named in braces, whose rows ours has one after the other
};
/// The direction in which a rule of names holds.
enum class Use {
  both,
  reading,  // an alternative name in files; an earlier rule writes the weight
  swiglu,   // written for models with SwiGLU only: here its layers are called as those of Mlp
  module,   // the name of a module where it differs from the name in files; adapters have it
};
struct Rule {
  std::string_view ours, theirs;  // patterns, see pattern.h
  Form form = Form::same;
  Use use = Use::both;
};
/// Weights that our models do not have, by the beginning of their names, and their purpose in words.
struct Unused {
  std::string_view beginning, what;
};

using NameSet = std::set<std::string, std::less<>>;

/// One other code base. A file beside this one holds each; table.h lists them.
struct Layout {
  std::string_view name;   // for options and messages: "hf_dinov2"
  std::string_view title;  // for people: "Hugging Face Dinov2"
  Family family = Family::vit;

  std::string_view anchor;                       // a weight in every file; text before its name is a prefix
  std::span<const std::string_view> inner = {};  // prefixes that belong to the layout: "vit."
  bool (*recognises)(const NameSet& names);      // names without prefixes, anchor among them

  std::span<const Rule> rules, more_rules = {};  // the first that fits counts
  std::span<const Unused> unused = {};
  std::span<const Unused> training_head = {};      // layers that only training uses, which rules know
  std::span<const std::string_view> buffers = {};  // ends of the names of buffers, which are no weights

  // Settings that the weights do not tell.
  double ln_eps = 1e-6;
  ag::Gelu gelu = ag::Gelu::erf;
  ag::PosInterp pos_interp = ag::PosInterp::size_antialias;

  /// Changes a model's weights, still under our names, so that the other code base's model computes the same.
  void (*adapt)(TensorMap& ours, std::vector<std::string>& notes) = nullptr;
  /// The prefix that the other code base writes before the names that `inner` is for.
  std::string_view (*written_prefix)(const TensorMap& ours) = nullptr;
};

/// All layouts. If a file may be of two, the more special one comes first.
std::span<const Layout* const> layouts();
/// Throws ConfigError listing the names for another one.
const Layout& layout_named(std::string_view name);

/// The first layout that recognises these names. Null if none does, or if the names are our own names of a Clip.
const Layout* find_layout(const std::vector<std::string>& names);
/// The same. Throws IoError naming source if no layout recognises the names.
const Layout& recognise(const std::vector<std::string>& names, const std::string& source);

struct Converted {
  TensorMap weights;
  std::vector<std::string> notes;       // a sentence about each weight that was changed or left out
  std::vector<std::string> taken = {};  // from_layout: names in the file of the weights that rules have a place for
};
/// The part of a training checkpoint to read.
struct Selection {
  std::string_view network = "";  // "student", "teacher": a word in the prefix of its names; empty: the teacher if any
  bool training_head = true;      // false: leave out layers that only training uses, such as DINO's head
};
/// A file's weights under our names and in our shapes. Prefixes ("module.", "teacher.backbone.", "vit.") are removed; a
/// file with a student and a teacher gives the selected one. A weight that no rule fits keeps its name, for compare()
/// to list. Only weights that are joined from parts are copied. Throws: IoError if two weights of the file are the same
/// one of ours; ConfigError listing the prefixes of the names if
///         there is no such network.
Converted from_layout(const Layout& layout, const TensorMap& theirs, const Selection& selection = {});
/// Our weights in the layout, complete for strict loading. Results share their elements with ours where possible and
/// may be strided. Throws ConfigError listing the weights that the layout does not have.
Converted to_layout(const Layout& layout, const TensorMap& ours);

/// The layout's name for one of our weights: "encoder.layer.0.attention.attention.{query,key,value}.weight".
std::string name_in_layout(const Layout& layout, std::string_view ours);

/// The weight of ours that a weight of the layout is, or that its rows are a part of: part `part` of `parts`.
struct PlaceInOurs {
  std::string name;
  size_t part = 0, parts = 1;
  int unit_axes = 0;  // axes of size 1 that our shape has in front of theirs
};
/// theirs: with or without the layout's own prefix ("vit."), by its name in files or in modules. Nothing if our models
/// have no such weight, or transpose it.
std::optional<PlaceInOurs> place_in_ours(const Layout& layout, std::string_view theirs);

enum class NamesOf { files, modules };
/// The layout's names of one of our weights, prefix included; several if its rows are split. Empty if the layout has no
/// weight of this shape. weights: all of the model, on which the prefix depends.
std::vector<std::string> names_in_layout(const Layout& layout, std::string_view ours, const TensorMap& weights,
                                         NamesOf which = NamesOf::files);

/// nn::compare in the layout's own names and shapes. Both maps are under our names.
LoadReport compare_in_layout(const Layout& layout, const TensorMap& mine, const TensorMap& values);
/// share_state with errors in the layout's own names.
void share_state(ModuleBase& module, const TensorMap& values, const Layout& layout, const std::string& source);
/// load_state with errors in the layout's own names.
void load_state(ModuleBase& module, const TensorMap& values, const Layout& layout, const std::string& source);

}  // namespace vitrail::nn
