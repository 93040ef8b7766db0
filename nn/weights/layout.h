// Layouts: the names and shapes under which other code bases keep the weights of our models.
#pragma once

#include "vitrail/core/tensor_map.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::nn {

enum class Family { vit, clip };

/// How a weight of ours lies in the other layout.
enum class Form {
  same,
  transposed,
  scalar,        // [] there or [1], [] here
  without_axis,  // without our first axis, of size 1
  without_axes,  // without our first two
  parts,         // several weights, named in braces, whose rows follow each other in ours
};
/// In which direction a rule of names holds.
enum class Use {
  both,
  reading,  // another name for what a rule before it writes
  swiglu,   // written for models with SwiGLU only, since its layers have the names of an Mlp's here
};
struct Rule {
  std::string_view ours, theirs;  // patterns, see pattern.h
  Form form = Form::same;
  Use use = Use::both;
};
/// Weights that we have no place for: their names begin so.
struct Unused {
  std::string_view beginning, what;
};

using NameSet = std::set<std::string, std::less<>>;

/// One other code base. A file beside this one holds each; table.h lists them.
struct Layout {
  std::string_view name;   // "hf_dinov2", as options and messages have it
  std::string_view title;  // "Hugging Face Dinov2", for people
  Family family = Family::vit;

  std::string_view anchor;                       // a weight that every file has: what stands in front of it is a prefix
  std::span<const std::string_view> inner = {};  // prefixes that belong to the layout: "vit."
  bool (*recognises)(const NameSet& names);      // of a file with the anchor, prefixes taken away

  std::span<const Rule> rules, more_rules = {};  // the first that fits counts
  std::span<const Unused> unused = {};
  std::span<const std::string_view> buffers = {};  // ends of names of what is no weight

  // What the weights do not say.
  double ln_eps = 1e-6;
  ag::Gelu gelu = ag::Gelu::erf;
  ag::PosInterp pos_interp = ag::PosInterp::size_antialias;

  /// Brings a model's weights, still under our names, to what the other side's model computes the same with.
  void (*adapt)(TensorMap& ours, std::vector<std::string>& notes) = nullptr;
  /// The prefix under which the other side keeps all that `inner` is for.
  std::string_view (*written_prefix)(const TensorMap& ours) = nullptr;
};

/// All of them; of two that a file may be, the more special one comes first.
std::span<const Layout* const> layouts();
/// Throws ConfigError listing them for another name.
const Layout& layout_named(std::string_view name);

/// The layout of weights with these names, by the first that recognises them; null: none does, or they
/// are a Clip's under our own names.
const Layout* find_layout(const std::vector<std::string>& names);
/// The same; throws IoError naming source if there is none.
const Layout& recognise(const std::vector<std::string>& names, const std::string& source);

struct Converted {
  TensorMap weights;
  std::vector<std::string> notes;  // a sentence about each thing that is not in the result as it was
};
/// A file's weights under our names and in our shapes. Prefixes ("module.", "teacher.backbone.", "vit.") are taken
/// away, of a student and a teacher the teacher is taken. What no rule fits stays under its own name for compare() to
/// list. Only weights that are put together from parts are copied.
/// Throws IoError if two weights of the file are the same one of ours.
Converted from_layout(const Layout& layout, const TensorMap& theirs);
/// The other way round, as the other side loads it strictly. Results share their elements with ours where they can,
/// and may be strided.
/// Throws ConfigError listing the weights that the layout has no place for.
Converted to_layout(const Layout& layout, const TensorMap& ours);

/// The name of a weight of ours as the layout has it: "encoder.layer.0.attention.attention.{query,key,value}.weight".
std::string name_in_layout(const Layout& layout, std::string_view ours);

/// nn::compare in the layout's own names and shapes. Both maps are under our names.
LoadReport compare_in_layout(const Layout& layout, const TensorMap& mine, const TensorMap& values);
/// share_state that lists what does not fit under the layout's own names.
void share_state(ModuleBase& module, const TensorMap& values, const Layout& layout, const std::string& source);
/// load_state likewise.
void load_state(ModuleBase& module, const TensorMap& values, const Layout& layout, const std::string& source);

}  // namespace vitrail::nn
