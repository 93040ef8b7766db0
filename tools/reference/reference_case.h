// Cases of the reference files. A case computes the values that a file expects, and measures the error. Each kind of
// file has one source, which finds the cases by their layout and reads all sizes and hyper-parameters from the file.
// The tests and check_reference share these functions.
#pragma once

#include "vitrail/core/io/hdf5.h"
#include "vitrail/core/tensor_map.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::reference {

/// The largest error that passes, by the type of the computation. See tests/reference/README.md.
struct Tolerance {
  double f32, f64;
  double of(DType dtype) const { return dtype == DType::f64 ? f64 : f32; }
};
inline constexpr Tolerance kForward{1e-5, 1e-11};    // outputs, losses, clipping, averaging, an optimizer's path
inline constexpr Tolerance kGradients{3e-5, 1e-10};  // with respect to inputs or parameters
inline constexpr Tolerance kSchedule{1e-12, 1e-12};  // always computed in f64

/// All datasets of a group. Floating-point ones are converted to dtype.
TensorMap read_group(const hdf5::Reader& file, const std::string& path, DType dtype);

/// The error of a case that is largest relative to its tolerance.
class Outcome {
 public:
  void add(double error, double tolerance);
  /// Compares each tensor of the group at path. An f64 result is compared with path_f64, an f32 result with path and,
  /// if the file has it, path_f64. Without path_f64 the tolerance is the one for f32. In f32, names that end in `noise`
  /// are skipped.
  void compare(const TensorMap& got, const hdf5::Reader& file, const std::string& path, DType dtype,
               Tolerance tolerance, std::string_view noise = {});

  double worst() const { return worst_; }
  double tolerance() const { return tolerance_; }
  bool pass() const { return compared_ && !failed_; }

 private:
  void compare_group(const TensorMap& got, const hdf5::Reader& file, const std::string& path, double tolerance,
                     std::string_view noise);

  bool compared_ = false, failed_ = false;
  double worst_ = 0;
  double tolerance_ = 0;
};

/// Computes the case at path. Throws Error if the layout of the file does not match its attributes.
using RunCase = std::function<Outcome(const hdf5::Reader& file, const std::string& path, DType dtype)>;

struct ReferenceCase {
  std::string path;  // "optimizers/adamw"
  RunCase run;       // empty if the case is of an unknown kind
};

/// The cases of a file, by path: each group with inputs, outputs, params or draws, and each dataset outside of them.
std::vector<ReferenceCase> reference_cases(const hdf5::Reader& file);

/// Computes the cases whose paths begin with a prefix. The longest matching prefix counts.
struct CaseKind {
  std::string prefix;
  RunCase run;
};
std::vector<CaseKind> optim_kinds();   // optim.h5: schedules, optimizers, clipping, averages
std::vector<CaseKind> loss_kinds();    // losses.h5: cross entropies
std::vector<CaseKind> image_kinds();   // augment.h5: resizing, cropping, flips, normalising, statistics of crops
std::vector<CaseKind> color_kinds();   // augment.h5: colours, tones, blur, affine operations, chains of operations
std::vector<CaseKind> policy_kinds();  // augment.h5: RandAugment's arguments and configurations
std::vector<CaseKind> mix_kinds();     // augment.h5: random erasing, mixup, boxes of CutMix
std::vector<CaseKind> vit_kinds();     // vit_forward_backward.h5: transformers, positions, drop path
std::vector<CaseKind> clip_kinds();    // clip_trajectory.h5, and the losses of pairs in losses.h5
std::vector<CaseKind> deit_kinds();    // deit_step.h5: the distilled transformer, steps of it; losses.h5: its loss
std::vector<CaseKind> dino_kinds();    // dino_trajectory.h5: whole runs of DINO; losses.h5: its loss
std::vector<CaseKind> dinov2_kinds();  // losses.h5: DINOv2's losses and targets
std::vector<CaseKind> knn_kinds();     // knn.h5: weighted nearest neighbours

}  // namespace vitrail::reference
