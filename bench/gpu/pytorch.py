"""PyTorch beside Cria on the same GPU: SDPA, cuBLAS and, with --compile, torch.compile and CUDA graphs. A Llama of a given shape
with random weights decodes in batches, reads a prompt and learns; a line of JSON for each figure as soon as it is had.

    python3 bench/gpu/pytorch.py [--shapes 1.1B,7B] [--train-shapes 7B/4] [--only ceilings,decode,prompt,train] [--compile] [--minutes 5]

Shapes are those of bench/synthetic.ts, or their first layers: 7B/4. FLOPs are counted as host/train/cost.ts does: 2 for each weight
of a matrix and each product of causal attention, three times in a step. Needs torch >= 2.1; --dry-run tries it on a CPU, tiny."""

import argparse
import json
import math
import time

import torch
import torch.nn.functional as F
import torch.utils.checkpoint

# dim, layers, heads, kv heads, hidden dim
SHAPES = {
    '1.1B': (2048, 22, 32, 4, 5632),
    '7B': (4096, 32, 32, 32, 11008),
    'tiny': (64, 2, 4, 2, 96),
}
VOCAB = 32000
BATCHES = (1, 8, 64)
# tokens before those that are decoded, as bench/gpu/inference.ts has them
BEFORE = {1: 16, 8: 512, 64: 512}
DECODED = 64
# data sheets: dense bf16 with f32 sums, 10^12 operations a second
PEAKS = (('A100', 312), ('H100 PCIe', 756), ('H100 NVL', 835), ('H100', 989), ('H200', 989))

parser = argparse.ArgumentParser()
parser.add_argument('--shapes', default='1.1B,7B')
parser.add_argument('--only', default='ceilings,decode,prompt,train')
parser.add_argument('--compile', action='store_true')
parser.add_argument('--minutes', type=float, default=5)
parser.add_argument('--train-shapes', help='default: --shapes')
parser.add_argument('--train-length', type=int, default=2048)
parser.add_argument('--train-sequences', type=int, default=1)
parser.add_argument('--recompute', action='store_true', help='compute the activations of a layer again in backward')
parser.add_argument('--dry-run', action='store_true')
options = parser.parse_args()

cuda = torch.cuda.is_available()
if not cuda and not options.dry_run:
    raise SystemExit('no CUDA device: --dry-run tries the program on a CPU')
if not options.dry_run and not hasattr(F, 'scaled_dot_product_attention'):
    raise SystemExit(f'torch {torch.__version__} has no scaled_dot_product_attention: 2.1 or newer is needed')
device = 'cuda' if cuda else 'cpu'
dtype = torch.bfloat16 if cuda else torch.float32
end = time.perf_counter() + 60 * options.minutes
if options.dry_run:
    options.shapes, options.train_shapes, options.train_length = 'tiny', 'tiny', 16
    VOCAB, DECODED, BATCHES = 320, 2, (1, 2)
    BEFORE = {1: 4, 2: 8}
PROMPT = 8 if options.dry_run else 2048
name = torch.cuda.get_device_name() if cuda else 'cpu'
peak = next((value for part, value in PEAKS if part in name), None)


def report(**line):
    print(json.dumps({'bench': 'pytorch', 'compiled': options.compile, **line}), flush=True)


def wait():
    if cuda:
        torch.cuda.synchronize()


def seconds(work, least=0.3, most=50):
    """Of one call, after some that do not count."""
    for _ in range(1 if options.dry_run else 3):
        work()
    wait()
    calls, start = 0, time.perf_counter()
    while calls < (1 if options.dry_run else most) and time.perf_counter() - start < least:
        work()
        wait()
        calls += 1
    return (time.perf_counter() - start) / calls


def measure(what, work, **line):
    if time.perf_counter() > end:
        return report(what=what, **line, skipped='no time left')
    try:
        report(what=what, **line, **work())
    except torch.cuda.OutOfMemoryError as error:
        report(what=what, **line, skipped=str(error).split('.')[0])
    except Exception as error:  # one figure must not cost the others
        report(what=what, **line, failed=f'{type(error).__name__}: {error}'[:400])
    finally:
        if cuda:
            torch.cuda.empty_cache()


# torch 1.13 on a CPU, for the dry run
HAS_SDPA = hasattr(F, 'scaled_dot_product_attention')


def attend(q, k, v, mask=None, causal=False):  # (B, heads, T, head_dim), as many heads of each
    if HAS_SDPA:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril()
    return scores.masked_fill(~mask, float('-inf')).softmax(-1) @ v


class Llama(torch.nn.Module):
    def __init__(self, shape, length, trains=False):
        super().__init__()
        base, _, layers = shape.partition('/')
        self.dim, self.layers, self.heads, self.kv_heads, self.hidden = SHAPES[base]
        if layers:
            self.layers = int(layers)
        self.head_dim = self.dim // self.heads
        kv_dim = self.kv_heads * self.head_dim

        def matrix(rows, cols):
            values = torch.empty(rows, cols, device=device, dtype=dtype).normal_(0, 0.02)
            return torch.nn.Parameter(values, requires_grad=trains)

        def ones():
            return torch.nn.Parameter(torch.ones(self.dim, device=device, dtype=dtype), requires_grad=trains)

        self.embedding = matrix(VOCAB, self.dim)
        # q, k and v in one product, and gate and up, as a good eager implementation has them
        self.qkv = torch.nn.ParameterList(matrix(self.dim + 2 * kv_dim, self.dim) for _ in range(self.layers))
        self.o = torch.nn.ParameterList(matrix(self.dim, self.dim) for _ in range(self.layers))
        self.gate_up = torch.nn.ParameterList(matrix(2 * self.hidden, self.dim) for _ in range(self.layers))
        self.down = torch.nn.ParameterList(matrix(self.dim, self.hidden) for _ in range(self.layers))
        self.norms = torch.nn.ParameterList(ones() for _ in range(2 * self.layers + 1))
        self.output = matrix(VOCAB, self.dim)
        frequencies = 10000 ** (-torch.arange(0, self.head_dim, 2, device=device).float() / self.head_dim)
        angles = torch.outer(torch.arange(length, device=device).float(), frequencies).repeat(1, 2)
        self.register_buffer('cos', angles.cos().to(dtype))
        self.register_buffer('sin', angles.sin().to(dtype))

    def weights(self):
        """Numbers of matrices that a token meets."""
        return sum(p.numel() for p in self.parameters() if p.dim() == 2) - VOCAB * self.dim

    def norm(self, x, weight):
        wide = x.float()
        return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-5)).to(dtype) * weight

    def rotate(self, x, positions):  # halves of a head are its pairs
        left, right = x.chunk(2, -1)
        return x * self.cos[positions] + torch.cat((-right, left), -1) * self.sin[positions]

    def layer(self, i, x, positions, cache=None, mask=None):
        """x (B, T, dim). With a cache (B, kv heads, length, head_dim) its tokens stand at `positions` of it."""
        B, T, _ = x.shape
        kv_dim = self.kv_heads * self.head_dim
        q, k, v = F.linear(self.norm(x, self.norms[2 * i]), self.qkv[i]).split((self.dim, kv_dim, kv_dim), -1)
        q = self.rotate(q.view(B, T, self.heads, self.head_dim).transpose(1, 2), positions)
        k = self.rotate(k.view(B, T, self.kv_heads, self.head_dim).transpose(1, 2), positions)
        v = v.view(B, T, self.kv_heads, self.head_dim).transpose(1, 2)
        if cache is not None:
            keys, values = cache
            keys[:, :, positions] = k
            values[:, :, positions] = v
            if mask is not None:
                k, v = keys, values
        if self.kv_heads < self.heads:
            k, v = (t.repeat_interleave(self.heads // self.kv_heads, 1) for t in (k, v))
        mixed = attend(q, k, v, mask, causal=mask is None)
        x = x + F.linear(mixed.transpose(1, 2).reshape(B, T, self.dim), self.o[i])
        gate, up = F.linear(self.norm(x, self.norms[2 * i + 1]), self.gate_up[i]).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.down[i])

    def forward(self, tokens, positions, caches=None, mask=None, recompute=False):
        x = F.embedding(tokens, self.embedding)
        for i in range(self.layers):
            if recompute:
                x = torch.utils.checkpoint.checkpoint(self.layer, i, x, positions, use_reentrant=False)
            else:
                x = self.layer(i, x, positions, caches and caches[i], mask)
        return self.norm(x, self.norms[-1])

    def new_caches(self, batch, length):
        size = (batch, self.kv_heads, length, self.head_dim)
        return [tuple(torch.zeros(size, device=device, dtype=dtype) for _ in 'kv') for _ in range(self.layers)]


def compiled(work):
    return torch.compile(work, mode='max-autotune-no-cudagraphs') if options.compile else work


def graphed(work):
    """A call as one CUDA graph in the compiled form: a token is hundreds of launches."""
    if not (options.compile and cuda):
        return work
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def ceilings():
    def copy():
        count = 2**10 if options.dry_run else 2**29
        a, b = (torch.zeros(count, device=device, dtype=dtype) for _ in 'ab')
        return {'GBs': 2 * a.numel() * a.element_size() / seconds(lambda: b.copy_(a)) / 1e9}

    def product(n):
        a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in 'ab')
        tflops = 2 * n**3 / seconds(lambda: a @ b) / 1e12
        return {'tflops': tflops, **({'ofDataSheet': tflops / peak} if peak else {})}

    measure('copy', copy)
    for n in (32,) if options.dry_run else (4096, 8192):
        measure('matmul', lambda: product(n), n=n)


@torch.no_grad()
def decode(model, batch):
    length = BEFORE[batch] + DECODED
    caches = model.new_caches(batch, length)
    reach = torch.arange(length, device=device)
    token = torch.ones(batch, 1, device=device, dtype=torch.long)
    position = torch.full((1,), BEFORE[batch], device=device, dtype=torch.long)

    def next_token(token, position):
        x = model(token, position, caches, (reach <= position).view(1, 1, 1, length))
        return F.linear(x[:, -1], model.output).argmax(-1, keepdim=True)

    next_token = compiled(next_token)

    def step():
        token.copy_(next_token(token, position))
        position.add_(1)

    step = graphed(step)

    def tokens():
        position.fill_(BEFORE[batch])
        for _ in range(DECODED):
            step()

    position.fill_(BEFORE[batch])
    rate = batch * DECODED / seconds(tokens, 2)
    read = (BEFORE[batch] + DECODED / 2) * 2 * model.layers * model.kv_heads * model.head_dim
    size = model.output.element_size() * (model.weights() + batch * read)
    return {'tokensPerSecond': rate, 'GBs': rate / batch * size / 1e9}


@torch.no_grad()
def prompt(model):
    positions = torch.arange(PROMPT, device=device)
    tokens = torch.randint(VOCAB, (1, PROMPT), device=device)
    caches = model.new_caches(1, PROMPT)
    run = compiled(lambda: F.linear(model(tokens, positions, caches)[:, -1], model.output))
    rate = PROMPT / seconds(run, 1)
    attention = model.layers * 2 * model.dim * (PROMPT + 1) / 2
    tflops = 2 * (model.weights() - VOCAB * model.dim + attention) * rate / 1e12
    return {'length': PROMPT, 'tokensPerSecond': rate, 'tflops': tflops, **({'mfu': tflops / peak} if peak else {})}


def train(shape):
    """bf16 weights, gradients and moments; AdamW fused where it is."""
    T, B = options.train_length, options.train_sequences
    model = Llama(shape, T, trains=True)
    fused = {'fused': True} if cuda else {}
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, betas=(0.9, 0.95), weight_decay=0.1, **fused)
    positions = torch.arange(T, device=device)

    def loss_of(tokens, targets):
        x = model(tokens, positions, recompute=options.recompute)
        return F.cross_entropy(F.linear(x, model.output).flatten(0, 1).float(), targets.flatten())

    loss_of = compiled(loss_of)

    def step():
        tokens, targets = (torch.randint(VOCAB, (B, T), device=device) for _ in 'xy')
        optimiser.zero_grad(set_to_none=True)
        loss_of(tokens, targets).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    rate = B * T / seconds(step, 5, 10)
    attention = model.layers * 2 * model.dim * (T + 1) / 2
    tflops = 6 * (model.weights() + attention) * rate / 1e12
    memory = {'GB': torch.cuda.max_memory_allocated() / 1e9} if cuda else {}
    return {'tokensPerSecond': rate, 'tflops': tflops, **({'mfu': tflops / peak} if peak else {}), **memory}


wanted = options.only.split(',')
report(what='device', name=name, torch=torch.__version__, cuda=torch.version.cuda, peak=peak)
if 'ceilings' in wanted:
    ceilings()
for shape in options.shapes.split(','):
    if 'decode' in wanted or 'prompt' in wanted:
        with torch.no_grad():
            model = Llama(shape, max(PROMPT, *(BEFORE[batch] + DECODED + 2 for batch in BATCHES)))
        if 'decode' in wanted:
            for batch in BATCHES:
                measure('decode', lambda: decode(model, batch), shape=shape, batch=batch, before=BEFORE[batch])
        if 'prompt' in wanted:
            measure('prompt', lambda: prompt(model), shape=shape)
        del model
for shape in (options.train_shapes or options.shapes).split(',') if 'train' in wanted else ():
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    measure('train', lambda: train(shape), shape=shape, T=options.train_length, sequences=options.train_sequences)
