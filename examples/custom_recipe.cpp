// A training method of your own: a masked autoencoder (He et al. 2021, arXiv:2111.06377). The encoder sees a quarter of
// the patches of an image. A small decoder predicts the pixels of the others. The library supplies the rest of `train`:
// options, progress, logs, checkpoints and bit-exact resuming.
//   custom_recipe mae.yaml data.root=/path/to/images train.epochs=100
//   custom_recipe --resume runs/mae-2026-01-31-1
#include <vitrail/vitrail.h>

using namespace vitrail;
using namespace vitrail::recipes;

struct MaeConfig final : RecipeConfig {
  double mask_ratio = 0.75;
  int64_t decoder_dim = 32;
  ModelConfig model;
  DataConfig data;
  OptimConfig optim;
  ScheduleConfig schedule;
  TrainKeys train;

  void describe(Fields& f) override {
    RecipeConfig::describe(f);
    f("mask_ratio", mask_ratio, "share of the patches that the encoder does not see", between(0.05, 0.95));
    f("decoder_dim", decoder_dim, "width of the decoder, which has one block", at_least(1));
    f("model", model);
    f("data", data);
    f("optim", optim);
    f("schedule", schedule);
    f.section("train", [&] { train.describe_length(f), train.describe_records(f); });
  }
  nn::VitConfig encoder() const {
    nn::VitConfig vit = vit_config(model, data.img_size, /*num_classes=*/0);
    vit.class_token = false;
    vit.pool = nn::Pool::avg;
    return vit;
  }
  std::unique_ptr<Recipe> build() const override;
};

struct Autoencoder final : nn::Module<Autoencoder> {
  Autoencoder(const nn::Scope& scope, const MaeConfig& c)
      : Module(scope),
        encoder(sub("encoder"), c.encoder()),
        side(encoder.config.grid_side()),
        embed(sub("decoder_embed"), encoder.config.embed_dim, c.decoder_dim),
        pred(sub("decoder_pred"), c.decoder_dim, 3 * encoder.config.patch_size * encoder.config.patch_size),
        mask_token(sub("mask_token"), {1, 1, c.decoder_dim}, nn::init::normal(0.02)),
        pos_embed(sub("decoder_pos_embed"), {1, side * side, c.decoder_dim}, nn::init::normal(0.02)),
        block(sub("decoder_block"),
              {.attn = {.dim = c.decoder_dim, .num_heads = encoder.config.num_heads}, .ffn_hidden = 4 * c.decoder_dim}),
        norm(sub("decoder_norm"), c.decoder_dim) {}

  /// images [B, 3, H, W] -> the mean squared error on masked patches, each normalised to mean 0 and variance 1.
  nn::Var forward(const Tensor& images, double mask_ratio, Rng rng) {
    nn::Var x = encoder.patch_embed(images) + encoder.positions({side, side});  // [B, N, C]
    const int64_t batch = x.size(0), n = x.size(1), seen = std::max<int64_t>(1, int64_t(double(n) * (1 - mask_ratio)));
    const Tensor order = core::topk(rng.uniform({batch, n}, 0, 1), n).indices;  // of each image, seen patches first
    x = gather_tokens(x, order.slice(1, 0, seen).contiguous());
    for (nn::TransformerBlock& encoder_block : encoder.blocks) x = encoder_block(x);
    x = embed((*encoder.norm)(x), DType::f32);
    const nn::Var masks = expand(mask_token, {batch, n - seen, x.size(2)});
    x = ag::concat({x, masks}, 1) + gather_tokens(expand(pos_embed, {batch, n, x.size(2)}), order);
    x = pred(norm(slice(block(x), 1, seen, n)), DType::f32);  // [B, masked, 3 P P]
    const nn::Var patches = core::patchify(images, encoder.config.patch_size);
    const Tensor target = gather_tokens(patches, order.slice(1, seen, n).contiguous()).value();
    return mse(x, core::layer_norm(target, ones({x.size(2)}), zeros({x.size(2)}), 1e-6).y);
  }

  nn::VisionTransformer encoder;
  int64_t side;  // patches along a side of an image
  nn::Linear embed, pred;
  nn::Param mask_token, pos_embed;
  nn::TransformerBlock block;
  nn::LayerNorm norm;
};

struct Mae final : Recipe {
  explicit Mae(const MaeConfig& c) : config(c), images(c.data, c.seed), model(nn::Scope(uint64_t(c.seed)), c) {
    keep("model", model);
    keep("optimizer", *optimizer);
  }
  const Plan& plan() const override { return plan_; }
  std::unique_ptr<data::Loader> load(const data::LoaderState& start) override {
    return images.train_loader(plan_.batch_size, plan_.passes(), start);
  }
  Stats step(const data::Batch& batch, const At& at) override {
    model.train();
    optim::Update update(model.parameters(), *optimizer, at, {.max_norm = config.optim.clip_grad});
    double loss = update.backward([&] { return model(batch["images"], config.mask_ratio, ag::RandomScope::next()); });
    const double grad_norm = update.clip().total;
    update.step();
    return {{"loss", loss}, {"grad_norm", grad_norm}};
  }
  Evaluation evaluate(const Tick&) override {
    model.eval();
    double loss = 0, count = 0;
    const auto loader = images.val_loader(plan_.batch_size);
    while (const auto batch = loader->next()) {
      const Rng masks(plan_.seed, "masks", uint64_t(batch->position));  // the same at each evaluation
      loss += model((*batch)["images"], config.mask_ratio, masks).value().item() * double(batch->size());
      count += double(batch->size());
    }
    return {{{"loss", loss / count}}, -loss / count};
  }

  const MaeConfig config;
  ImageData images;
  Autoencoder model;
  std::unique_ptr<optim::Optimizer> optimizer = build_optimizer(model, config.optim);
  Plan plan_ = config.train.plan(config, images.epoch_size(), config.optim, config.schedule);
};

std::unique_ptr<Recipe> MaeConfig::build() const { return std::make_unique<Mae>(*this); }

int main(int argc, char** argv) {
  register_method("mae", [] { return std::make_unique<MaeConfig>(); });
  return train_main(argc, argv);
}
