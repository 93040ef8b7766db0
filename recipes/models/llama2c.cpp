// Checkpoints of karpathy/llama2.c, as its export.py writes them.
#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/recipes/models/hub_json.h"
#include "vitrail/recipes/models/language_model.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

namespace vitrail::recipes {
namespace {

constexpr uint32_t kMark = 0x616b3432;   // "ak42", of versions 1 and 2
constexpr int64_t kMarkedHeader = 256;   // bytes
constexpr int64_t kPlainHeader = 7 * 4;  // bytes, of version 0

/// The weights of a checkpoint one after the other, as its header describes them.
class Llama2cFile {
 public:
  explicit Llama2cFile(const std::filesystem::path& path)
      : name_(path.string()), file_(std::make_shared<MappedFile>(path)) {
    check<IoError>(size() >= kPlainHeader, "llama2.c", "{}: has {} bytes; the header of a checkpoint has {}", name_,
                   size(), kPlainHeader);
    int64_t header = 0;
    if (uint32_t(integer(0)) == kMark) {
      version_ = integer(4);
      check<IoError>(version_ == 1 || version_ == 2, "llama2.c", "{}: is of version {}; versions 0, 1 and 2 are read",
                     name_, version_);
      check<IoError>(size() >= kMarkedHeader, "llama2.c", "{}: is cut off in its header", name_);
      header = 8;
      tied_ = file_->bytes()[36] != std::byte{0};
      if (version_ == 2) group_ = integer(37);
      at_ = kMarkedHeader;
    } else {
      at_ = kPlainHeader;
    }
    read_sizes(header);
  }

  nn::LlamaConfig config() const {
    return {.vocab_size = vocab_,
            .embed_dim = dim_,
            .hidden_dim = hidden_,
            .depth = depth_,
            .num_heads = heads_,
            .num_kv_heads = kv_heads_,
            .rms_eps = 1e-5,
            .tied = tied_,
            .context_length = context_};
  }

  TensorMap weights() {
    const int64_t head = dim_ / heads_, kv = kv_heads_ * head;
    const auto block = [](int64_t i, const char* name) { return "layers." + std::to_string(i) + "." + name; };
    const auto each = [&](const char* name, const Shape& shape, bool matrix = true) {
      for (int64_t i = 0; i < depth_; ++i) weights_[block(i, name)] = next(shape, matrix);
    };
    const auto attention_norms = [&] { each("input_layernorm.weight", {dim_}, false); };
    const auto ffn_norms = [&] { each("post_attention_layernorm.weight", {dim_}, false); };
    const auto final_norm = [&] { weights_["norm.weight"] = next({dim_}, false); };
    const auto embeddings = [&] { weights_["embed_tokens.weight"] = next({vocab_, dim_}, true); };
    const auto attention = [&] {
      each("self_attn.q_proj.weight", {dim_, dim_});
      each("self_attn.k_proj.weight", {kv, dim_});
      each("self_attn.v_proj.weight", {kv, dim_});
      each("self_attn.o_proj.weight", {dim_, dim_});
    };
    const auto feed_forward = [&] {
      each("mlp.gate_proj.weight", {hidden_, dim_});
      each("mlp.down_proj.weight", {dim_, hidden_});
      each("mlp.up_proj.weight", {hidden_, dim_});
    };
    if (version_ == 0) {
      embeddings(), attention_norms(), attention(), ffn_norms(), feed_forward(), final_norm();
      at_ += context_ * head * 4;  // tables of cosines and sines
    } else {
      attention_norms(), ffn_norms(), final_norm(), embeddings(), attention(), feed_forward();
    }
    if (!tied_) weights_["lm_head.weight"] = next({vocab_, dim_}, true);
    // The bytes are counted to the end before the first weight is believed.
    check<IoError>(at_ == size(), "llama2.c",
                   "{}: has {} bytes; a checkpoint of version {} with the sizes of its header (dim {}, hidden_dim {}, "
                   "{} layers, {} heads, {} key heads, {} words, {} positions) has {}",
                   name_, size(), version_, dim_, hidden_, depth_, heads_, kv_heads_, vocab_, context_, at_);
    for (int64_t i = 0; i < depth_; ++i)
      for (const auto& [name, count] :
           {std::pair{"self_attn.q_proj.weight", heads_}, std::pair{"self_attn.k_proj.weight", kv_heads_}})
        weights_[block(i, name)] = half_rotation(weights_[block(i, name)], count);
    return std::move(weights_);
  }

 private:
  int64_t size() const { return int64_t(file_->bytes().size()); }
  int64_t integer(int64_t offset) const {
    int32_t value = 0;
    std::memcpy(&value, file_->bytes().data() + offset, sizeof(value));
    return value;
  }

  void read_sizes(int64_t header) {
    int64_t* const sizes[] = {&dim_, &hidden_, &depth_, &heads_, &kv_heads_, &vocab_, &context_};
    for (int64_t* const field : sizes) *field = integer(std::exchange(header, header + 4));
    if (version_ == 0) {
      tied_ = vocab_ > 0;
      vocab_ = std::abs(vocab_);
    }
    const auto within = [](int64_t value, int64_t most) { return 0 < value && value <= most; };
    const bool fits = within(dim_, kMostWidth) && within(hidden_, kMostHidden) && within(depth_, kMostBlocks) &&
                      within(heads_, kMostHeads) && within(kv_heads_, heads_) && within(vocab_, kMostWords) &&
                      within(context_, kMostWords) && dim_ % (2 * heads_) == 0 && heads_ % kv_heads_ == 0 &&
                      (version_ != 2 || within(group_, kMostHidden));
    check<IoError>(fits, "llama2.c",
                   "{}: is no checkpoint of llama2.c: its header would say dim {}, hidden_dim {}, {} layers, {} heads, "
                   "{} key heads, {} words, {} positions",
                   name_, dim_, hidden_, depth_, heads_, kv_heads_, vocab_, context_);
  }

  /// The next tensor; a matrix of version 2 is in int8 with a scale for each group. A tensor that is not wholly there
  /// stays undefined, and the end of weights() says so.
  Tensor next(const Shape& shape, bool matrix) {
    const int64_t count = shape.numel(), begin = at_;
    if (matrix && version_ == 2) {
      check<IoError>(count % group_ == 0, "llama2.c", "{}: groups of {} weights do not fill a matrix of {}", name_,
                     group_, shape);
      at_ += count + count / group_ * 4;
      return at_ <= size() ? from_groups(begin, shape) : Tensor();
    }
    at_ += count * 4;
    if (at_ > size()) return {};
    std::byte* const data = file_->private_bytes().data() + begin;
    return Tensor::in(Storage(data, count * 4, file_), shape, DType::f32);
  }

  Tensor from_groups(int64_t begin, const Shape& shape) const {
    Tensor t = Tensor::empty(shape);
    const auto* const values = reinterpret_cast<const int8_t*>(file_->bytes().data() + begin);
    const auto* const scales = file_->bytes().data() + begin + shape.numel();
    float* const to = t.data<float>();
    for (int64_t i = 0; i < shape.numel(); ++i) {
      float scale = 0;
      std::memcpy(&scale, scales + i / group_ * 4, sizeof(scale));
      to[i] = float(values[i]) * scale;
    }
    return t;
  }

  /// Rows of a head that turn in pairs (0, 1), (2, 3), ... as rows that turn in pairs (0, D / 2), (1, D / 2 + 1), ...
  static Tensor half_rotation(const Tensor& rows, int64_t heads) {
    const int64_t in = rows.size(1), half = rows.size(0) / heads / 2;
    return rows.reshape({heads, half, 2, in}).transpose(1, 2).contiguous().reshape({-1, in});
  }

  std::string name_;
  std::shared_ptr<MappedFile> file_;
  int64_t version_ = 0, at_ = 0, group_ = 1;
  int64_t dim_ = 0, hidden_ = 0, depth_ = 0, heads_ = 0, kv_heads_ = 0, vocab_ = 0, context_ = 0;
  bool tied_ = true;
  TensorMap weights_;
};

}  // namespace

bool is_llama2c(const std::filesystem::path& file) {
  try {
    return Llama2cFile(file).config().depth > 0;
  } catch (const IoError&) {
    return false;
  }
}

Llama2c read_llama2c(const std::filesystem::path& file) {
  Llama2cFile checkpoint(file);
  return {.config = checkpoint.config(), .weights = checkpoint.weights()};
}

}  // namespace vitrail::recipes
