"""One step of each method in plain PyTorch, written as in the method's published code. peer_torch.py times them.

supervised, dino, dinov2 and clip take the arguments of peer_torch.py. They return a function that does one step, and
the multiply-accumulates of a step. A backward pass counts as two forward passes. They run on PyTorch 1.13 and on 2.x;
args.attention and args.compile choose what only 2.x has.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

VITS = {
    "vit_tiny": (192, 12, 3),
    "vit_small": (384, 12, 6),
    "vit_base": (768, 12, 12),
    "vit_large": (1024, 24, 16),
    "vit_huge": (1280, 32, 16),
}


def half(args):
    return torch.autocast("cpu", torch.bfloat16, enabled=args.dtype == "bf16")


def compiled(args, *modules):
    """Compiles the modules in place if asked, once for each shape."""
    for module in modules if args.compile else ():
        module.compile(dynamic=False)


VERSION = tuple(int(part) for part in torch.__version__.split(".")[:2])


def adamw(groups, **settings):
    """AdamW in one kernel, where PyTorch has one for CPUs."""
    fused = {"fused": True} if VERSION >= (2, 4) else {}
    return torch.optim.AdamW(groups, **settings, **fused)


def transformer_macs(dim, depth, tokens):
    return depth * (12 * tokens * dim**2 + 2 * tokens**2 * dim)


# ---- supervised: a vision transformer, as in timm and in DINO's repository -------------------------------------------


class DropPath(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        if self.p == 0 or not self.training:
            return x
        keep = 1 - self.p
        return x.div(keep) * torch.rand(len(x), *(x.dim() - 1) * (1,), dtype=x.dtype).add_(keep).floor_()


class Block(nn.Module):
    def __init__(self, args, dim, heads, drop_path=0.0):
        super().__init__()
        self.heads, self.attention = heads, args.attention
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.drop_path = DropPath(drop_path)

    def attn(self, x):
        b, n, dim = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        if self.attention == "sdpa":
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            y = (q @ k.transpose(-2, -1) * (dim // self.heads) ** -0.5).softmax(-1) @ v
        return self.proj(y.transpose(1, 2).reshape(b, n, dim))

    def mlp(self, x):
        return self.fc2(F.gelu(self.fc1(x)))

    def forward(self, x):
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class Vit(nn.Module):
    """classes: 0 returns features without a head. Images of another size get resampled positions."""

    def __init__(self, args, classes, drop_path_rate=0.0):
        super().__init__()
        dim, depth, heads = vit_size(args)
        self.patch_size, self.side = args.patch_size, args.img_size // args.patch_size
        self.patch = nn.Conv2d(3, dim, args.patch_size, args.patch_size)
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos = nn.Parameter(torch.randn(1, self.side**2 + 1, dim) * 0.02)
        rates = torch.linspace(0, drop_path_rate, depth).tolist()
        self.blocks = nn.Sequential(*[Block(args, dim, heads, rate) for rate in rates])
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, classes) if classes else nn.Identity()

    def positions(self, height, width):
        h, w = height // self.patch_size, width // self.patch_size
        if (h, w) == (self.side, self.side):
            return self.pos
        grid = self.pos[:, 1:].reshape(1, self.side, self.side, -1).permute(0, 3, 1, 2)
        scale = ((h + 0.1) / self.side, (w + 0.1) / self.side)
        grid = F.interpolate(grid, scale_factor=scale, mode="bicubic")
        return torch.cat([self.pos[:, :1], grid.permute(0, 2, 3, 1).flatten(1, 2)], 1)

    def forward(self, images):
        x = self.patch(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.positions(*images.shape[2:])
        return self.head(self.norm(self.blocks(x))[:, 0])


def vit_size(args):
    dim, depth, heads = VITS[args.model]
    return args.embed_dim or dim, args.depth or depth, args.num_heads or heads


def vit_macs(args, img_size):
    dim, depth, _ = vit_size(args)
    patches = (img_size // args.patch_size) ** 2
    return patches * 3 * args.patch_size**2 * dim + transformer_macs(dim, depth, patches + 1)


def supervised(args):
    model = Vit(args, classes=1000)
    images = torch.randn(args.batch, 3, args.img_size, args.img_size)
    macs = args.batch * (vit_macs(args, args.img_size) + vit_size(args)[0] * 1000)
    if args.forward_only:
        model.eval()
        if args.weights == "bf16":
            model, images = model.bfloat16(), images.bfloat16()
        compiled(args, model)

        def forward():
            with torch.no_grad(), half(args):
                model(images)

        return forward, macs

    compiled(args, model)
    optimizer = adamw(model.parameters(), lr=1e-4, weight_decay=0.05)
    labels = torch.randint(0, 1000, (args.batch,))

    def step():
        with half(args):
            loss = F.cross_entropy(model(images).float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step, 3 * macs


# ---- dino: as in main_dino.py, utils.py and vision_transformer.py of facebookresearch/dino ---------------------------

OUT_DIM, HIDDEN, BOTTLENECK = 65536, 2048, 256
LOCAL_NUMBER, LOCAL_SIZE = 8, 96


class DinoHead(nn.Module):
    def __init__(self, dim):
        super().__init__()
        widths = [dim, HIDDEN, HIDDEN, BOTTLENECK]
        layers = [layer for a, b in zip(widths, widths[1:]) for layer in (nn.Linear(a, b), nn.GELU())]
        self.mlp = nn.Sequential(*layers[:-1])
        self.last_layer = nn.utils.weight_norm(nn.Linear(BOTTLENECK, OUT_DIM, bias=False))
        self.last_layer.weight_g.data.fill_(1)
        self.last_layer.weight_g.requires_grad = False

    def forward(self, x):
        return self.last_layer(F.normalize(self.mlp(x), dim=-1))


class MultiCrop(nn.Module):
    """Runs the backbone once for the crops of each size, and the head once for all crops."""

    def __init__(self, backbone, head):
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, crops):
        sizes = torch.unique_consecutive(torch.tensor([crop.shape[-1] for crop in crops]), return_counts=True)[1]
        ends = torch.cumsum(sizes, 0).tolist()
        groups = [torch.cat(crops[a:b]) for a, b in zip([0, *ends], ends)]
        return self.head(torch.cat([self.backbone(group) for group in groups]))


class DinoLoss(nn.Module):
    def __init__(self, crops, student_temp=0.1, teacher_temp=0.04, center_momentum=0.9):
        super().__init__()
        self.crops, self.student_temp, self.teacher_temp = crops, student_temp, teacher_temp
        self.center_momentum = center_momentum
        self.register_buffer("center", torch.zeros(1, OUT_DIM))

    def forward(self, student_output, teacher_output):
        student = (student_output / self.student_temp).chunk(self.crops)
        teacher = F.softmax((teacher_output - self.center) / self.teacher_temp, dim=-1).detach().chunk(2)
        total, terms = 0, 0
        for i, q in enumerate(teacher):
            for v, scores in enumerate(student):
                if v != i:
                    total = total + torch.sum(-q * F.log_softmax(scores, dim=-1), dim=-1).mean()
                    terms += 1
        with torch.no_grad():
            batch_center = torch.sum(teacher_output, dim=0, keepdim=True) / len(teacher_output)
            self.center = self.center * self.center_momentum + batch_center * (1 - self.center_momentum)
        return total / terms


def clip_gradients(model, clip):
    for p in model.parameters():
        if p.grad is not None:
            factor = clip / (p.grad.data.norm(2) + 1e-6)
            if factor < 1:
                p.grad.data.mul_(factor)


def decay_groups(model):
    """Two groups: weights, with decay, and vectors, without."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [{"params": [p for p in trained if p.dim() > 1]},
            {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0}]


def dino(args):
    """The step of every epoch after the first. The first epoch freezes the last layer."""
    dim = vit_size(args)[0]
    student = MultiCrop(Vit(args, 0, drop_path_rate=0.1), DinoHead(dim))
    teacher = MultiCrop(Vit(args, 0), DinoHead(dim))
    teacher.load_state_dict(student.state_dict())
    for p in teacher.parameters():
        p.requires_grad = False
    loss_of = DinoLoss(2 + LOCAL_NUMBER)
    compiled(args, student.backbone, student.head, teacher.backbone, teacher.head, loss_of)
    optimizer = adamw(decay_groups(student), lr=1e-4, weight_decay=0.05)
    crops = [torch.randn(args.batch, 3, args.img_size, args.img_size) for _ in range(2)]
    crops += [torch.randn(args.batch, 3, LOCAL_SIZE, LOCAL_SIZE) for _ in range(LOCAL_NUMBER)]

    def step(momentum=0.996):
        with half(args):
            teacher_output, student_output = teacher(crops[:2]), student(crops)
            loss = loss_of(student_output.float(), teacher_output.float())
        optimizer.zero_grad()
        if not math.isfinite(loss.item()):
            raise ValueError(f"loss is {loss.item()}")
        loss.backward()
        clip_gradients(student, 3.0)
        optimizer.step()
        with torch.no_grad():
            for q, k in zip(student.parameters(), teacher.parameters()):
                k.data.mul_(momentum).add_((1 - momentum) * q.detach().data)

    head = dim * HIDDEN + HIDDEN**2 + HIDDEN * BOTTLENECK + BOTTLENECK * OUT_DIM
    of_global, of_local = vit_macs(args, args.img_size) + head, vit_macs(args, LOCAL_SIZE) + head
    return step, args.batch * (3 * (2 * of_global + LOCAL_NUMBER * of_local) + 2 * of_global)


# ---- dinov2: as in ssl_meta_arch.py, loss/, layers/ and param_groups.py of facebookresearch/dinov2 -------------------

DINOV2_LOCAL_SIZE = 98  # or less, a multiple of the patch size


class SubsetBlock(Block):
    """In training, each branch runs on a random subset of the images, and the residual sum is scaled to make up."""

    def __init__(self, args, dim, heads, drop_path):
        super().__init__(args, dim, heads)
        self.gamma1, self.gamma2 = (nn.Parameter(torch.full((dim,), 1e-5)) for _ in range(2))
        self.keep = 1 - drop_path

    def branch(self, f, x):
        if not self.training or self.keep == 1:
            return x + f(x)
        count = max(int(len(x) * self.keep), 1)
        chosen = torch.randperm(len(x))[:count]
        return torch.index_add(x, 0, chosen, f(x[chosen]).to(x.dtype), alpha=len(x) / count)

    def forward(self, x):
        x = self.branch(lambda y: self.attn(self.norm1(y)) * self.gamma1, x)
        return self.branch(lambda y: self.mlp(self.norm2(y)) * self.gamma2, x)


class MaskedVit(Vit):
    """Returns class tokens and patch tokens. Masked patches are replaced before the positions are added."""

    def __init__(self, args, drop_path_rate=0.0):
        super().__init__(args, 0)
        dim, depth, heads = vit_size(args)
        self.mask_token = nn.Parameter(torch.zeros(1, dim))
        self.blocks = nn.Sequential(*[SubsetBlock(args, dim, heads, drop_path_rate) for _ in range(depth)])

    def forward(self, images, masks=None):
        x = self.patch(images).flatten(2).transpose(1, 2)
        if masks is not None:
            x = torch.where(masks.unsqueeze(-1), self.mask_token.to(x.dtype).unsqueeze(0), x)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.positions(*images.shape[2:])
        x = self.norm(self.blocks(x))
        return x[:, 0], x[:, 1:]


class Dinov2Losses(nn.Module):
    """The sum that is optimised. Class tokens and masked patches of the student and of the teacher share one head."""

    def __init__(self, locals_, student_temp=0.1, teacher_temp=0.04, center_momentum=0.9):
        super().__init__()
        self.locals, self.student_temp, self.teacher_temp = locals_, student_temp, teacher_temp
        self.center_momentum = center_momentum
        self.register_buffer("center", torch.zeros(1, OUT_DIM))
        self.register_buffer("patch_center", torch.zeros(1, OUT_DIM))

    def cross_entropy(self, student, target):
        return -(target * F.log_softmax(student.float() / self.student_temp, dim=-1)).sum(-1)

    def centred(self, scores, center):
        return F.softmax((scores.float() - center) / self.teacher_temp, dim=-1)

    def moved(self, center, scores):
        return center * self.center_momentum + scores.float().mean(0, keepdim=True) * (1 - self.center_momentum)

    def koleo(self, features):
        x = F.normalize(features.float(), eps=1e-8, dim=-1)
        dots = (x @ x.t()).detach() - 2 * torch.eye(len(x))
        distances = F.pairwise_distance(x, x[dots.argmax(1)], eps=1e-8)
        return -torch.log(distances + 1e-8).mean()

    def forward(self, student, student_patches, student_locals, features, teacher, teacher_patches, weights):
        """student, teacher [2 B, K], view by view; patches [M, K]; weights [M]; features [2 B, C] before the head."""
        with torch.no_grad():
            target, patch_target = self.centred(teacher, self.center), self.centred(teacher_patches, self.patch_center)
        global_pairs, local_pairs = 2, 2 * self.locals
        total = 2 * self.cross_entropy(student, target.roll(len(target) // 2, 0)).mean()
        for scores in student_locals.chunk(self.locals):
            for view in target.chunk(2):
                total = total + self.cross_entropy(scores, view).mean()
        total = total / (global_pairs + local_pairs)
        for view in features.chunk(2):
            total = total + 0.1 * self.koleo(view)
        total = total + (self.cross_entropy(student_patches, patch_target) * weights).sum() / len(features)
        with torch.no_grad():
            self.center = self.moved(self.center, teacher)
            self.patch_center = self.moved(self.patch_center, teacher_patches)
        return total


def dinov2_groups(backbone, head, depth, lr, decay=0.9):
    """The rate falls by `decay` from block to block towards the input; the patch embedding has a fifth of its rate."""
    groups = {}
    for module in (backbone, head):
        for name, p in module.named_parameters():
            factor = 1.0
            if module is backbone and not name.startswith("norm"):
                factor = decay ** (depth - int(name.split(".")[1]) if name.startswith("blocks") else depth + 1)
                factor *= 0.2 if name.startswith("patch") else 1
            decayed = not (name.endswith("bias") or "norm" in name or "gamma" in name)
            groups.setdefault((factor, decayed), []).append(p)
    return [{"params": ps, "lr": factor * lr, "weight_decay": 0.05 if decayed else 0.0}
            for (factor, decayed), ps in groups.items()]


def dinov2_masks(images, patches):
    """Half of the images have masks, of 10 to 50% of their patches. Which patches does not change the time."""
    count = images // 2
    masks = torch.zeros(images, patches, dtype=torch.bool)
    for i in range(count):
        masks[i, : int(patches * (0.1 + 0.4 * (i + 0.5) / count))] = True
    return masks


def dinov2(args):
    """The step of every epoch after the first, with the default settings: centring, one head, drop path 0.3."""
    dim, depth, _ = vit_size(args)
    student = nn.ModuleDict({"backbone": MaskedVit(args, drop_path_rate=0.3), "head": DinoHead(dim)})
    teacher = nn.ModuleDict({"backbone": MaskedVit(args), "head": DinoHead(dim)}).eval()
    for network in (student, teacher):
        network["head"].last_layer.weight_g.requires_grad = True
    teacher.load_state_dict(student.state_dict())
    for p in teacher.parameters():
        p.requires_grad = False
    loss_of = Dinov2Losses(LOCAL_NUMBER)
    compiled(args, *student.values(), *teacher.values(), loss_of)
    optimizer = adamw(dinov2_groups(student["backbone"], student["head"], depth, lr=1e-4))
    trained, averages = list(student.parameters()), list(teacher.parameters())

    local_size = DINOV2_LOCAL_SIZE // args.patch_size * args.patch_size
    global_crops = torch.randn(2 * args.batch, 3, args.img_size, args.img_size)
    local_crops = torch.randn(LOCAL_NUMBER * args.batch, 3, local_size, local_size)
    masks = dinov2_masks(2 * args.batch, (args.img_size // args.patch_size) ** 2)
    rows = masks.flatten().nonzero().flatten()
    weights = (1 / masks.sum(1).clamp(min=1)).unsqueeze(1).expand_as(masks)[masks]

    def step(momentum=0.992):
        with half(args):
            with torch.no_grad():
                classes, patches = teacher["backbone"](global_crops)
                seen = torch.cat([classes, patches.flatten(0, 1)[rows]])
                teacher_scores, teacher_patches = teacher["head"](seen).split([len(classes), len(rows)])
            features, patches = student["backbone"](global_crops, masks)
            local_features, _ = student["backbone"](local_crops)
            seen = torch.cat([features, local_features, patches.flatten(0, 1)[rows]])
            parts = [len(features), len(local_features), len(rows)]
            scores, local_scores, patch_scores = student["head"](seen).split(parts)
        loss = loss_of(scores, patch_scores, local_scores, features, teacher_scores, teacher_patches, weights)
        optimizer.zero_grad()
        if not math.isfinite(loss.item()):
            raise ValueError(f"loss is {loss.item()}")
        loss.backward()
        for network in student.values():
            nn.utils.clip_grad_norm_(network.parameters(), 3.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_mul_(averages, momentum)
            torch._foreach_add_(averages, trained, alpha=1 - momentum)

    head = dim * HIDDEN + HIDDEN**2 + HIDDEN * BOTTLENECK + BOTTLENECK * OUT_DIM
    of_global, of_local = vit_macs(args, args.img_size), vit_macs(args, local_size)
    classes = args.batch * (2 * (of_global + head) + LOCAL_NUMBER * (of_local + head))
    teacher_macs = 2 * args.batch * (of_global + head) + len(rows) * head
    return step, 3 * (classes + len(rows) * head) + teacher_macs


# ---- clip: as in model.py of openai/CLIP, with plain GELU, trained as by open_clip -----------------------------------

CLIPS = {  # images: width, depth, heads, patch size; texts: width, depth, heads; embed_dim
    "ViT-B-32": ((768, 12, 12, 32), (512, 12, 8), 512),
    "ViT-B-16": ((768, 12, 12, 16), (512, 12, 8), 512),
}
VOCABULARY, CONTEXT = 49408, 77


class AttentionBlock(nn.Module):
    def __init__(self, dim, heads, mask=None):
        super().__init__()
        self.attn = nn.MultiheadAttention(dim, heads)
        self.ln_1, self.ln_2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.mask = mask

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=self.mask)[0]
        return x + self.mlp(self.ln_2(x))


class Clip(nn.Module):
    def __init__(self, args):
        super().__init__()
        (dim, depth, heads, patch), (text_dim, text_depth, text_heads), out = CLIPS[args.model]
        tokens = (args.img_size // patch) ** 2 + 1
        self.conv1 = nn.Conv2d(3, dim, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(dim**-0.5 * torch.randn(dim))
        self.image_positions = nn.Parameter(dim**-0.5 * torch.randn(tokens, dim))
        self.ln_pre, self.ln_post = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.image_blocks = nn.Sequential(*[AttentionBlock(dim, heads) for _ in range(depth)])
        self.image_projection = nn.Parameter(dim**-0.5 * torch.randn(dim, out))

        mask = torch.full((CONTEXT, CONTEXT), -math.inf).triu(1)
        self.token_embedding = nn.Embedding(VOCABULARY, text_dim)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        self.text_positions = nn.Parameter(0.01 * torch.randn(CONTEXT, text_dim))
        self.text_blocks = nn.Sequential(*[AttentionBlock(text_dim, text_heads, mask) for _ in range(text_depth)])
        self.ln_final = nn.LayerNorm(text_dim)
        self.text_projection = nn.Parameter(text_dim**-0.5 * torch.randn(text_dim, out))
        self.logit_scale = nn.Parameter(torch.ones([]) * math.log(1 / 0.07))

    def encode_image(self, images):
        x = self.conv1(images).flatten(2).permute(0, 2, 1)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], 1) + self.image_positions
        x = self.image_blocks(self.ln_pre(x).permute(1, 0, 2)).permute(1, 0, 2)  # tokens first inside
        return self.ln_post(x[:, 0]) @ self.image_projection

    def encode_text(self, ids):
        x = self.token_embedding(ids) + self.text_positions
        x = self.ln_final(self.text_blocks(x.permute(1, 0, 2)).permute(1, 0, 2))
        return x[torch.arange(len(x)), ids.argmax(-1)] @ self.text_projection  # the end of text is the largest id

    def forward(self, images, ids):
        image, text = F.normalize(self.encode_image(images), dim=-1), F.normalize(self.encode_text(ids), dim=-1)
        return self.logit_scale.exp() * image.float() @ text.float().t()


def captions(count, tokens):
    """Ids of the whole context: start of text, words, end of text, then zeros."""
    start, end = VOCABULARY - 2, VOCABULARY - 1
    ids = torch.zeros(count, CONTEXT, dtype=torch.long)
    ids[:, :tokens] = torch.randint(1, start, (count, tokens))
    ids[:, 0], ids[:, tokens - 1] = start, end
    return ids


def clip(args):
    model = Clip(args)
    compiled(args, model)
    optimizer = adamw(decay_groups(model), lr=1e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.05)
    images, ids = torch.randn(args.batch, 3, args.img_size, args.img_size), captions(args.batch, args.tokens)
    labels = torch.arange(args.batch)

    def step():
        optimizer.zero_grad()
        with half(args):
            logits = model(images, ids).float()
            loss = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.t(), labels)) / 2
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))

    (dim, depth, _, patch), (text_dim, text_depth, _), out = CLIPS[args.model]
    patches = (args.img_size // patch) ** 2
    image = patches * 3 * patch**2 * dim + transformer_macs(dim, depth, patches + 1) + dim * out
    # Counts only the tokens that a feature depends on. The model computes the whole context.
    text = transformer_macs(text_dim, text_depth, args.tokens) + text_dim * out
    return step, 3 * args.batch * (image + text)


METHODS = {"supervised": supervised, "dino": dino, "dinov2": dinov2, "clip": clip}
