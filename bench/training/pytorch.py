"""What job.ts starts: FOLDER THREADS. A Llama in plain PyTorch that learns as job.json in the folder says, from the weights and
the rows of ids that lie beside it. A line of JSON for each step: loss, norm of the gradient, milliseconds."""

import json
import sys
import time

import torch
import torch.nn.functional as F

folder, threads = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(threads)
torch.manual_seed(0)
job = json.load(open(f'{folder}/job.json'))
shape, train = job['shape'], job['train']
T, heads, kv_heads = train['contextLength'], shape['nHeads'], shape['nKvHeads']
head_dim = shape['dim'] // heads


def read(name, dtype):
    return torch.frombuffer(bytearray(open(f'{folder}/{name}', 'rb').read()), dtype=dtype)


first = read('weights.f32', torch.float32)
weights = {
    p['name']: first[p['first'] : p['first'] + p['rows'] * p['cols']]
    .reshape(p['cols'] if p['norm'] else (p['rows'], p['cols']))
    .clone()
    .requires_grad_()
    for p in job['parameters']
}
angles = torch.outer(
    torch.arange(T).float(), shape['ropeTheta'] ** (-torch.arange(0, head_dim, 2).float() / head_dim)
)
turn = torch.polar(torch.ones_like(angles), angles).reshape(1, T, 1, head_dim // 2)
future = torch.full((T, T), float('-inf')).triu(1)


def norm(x, weight):
    return weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + shape['normEps']))


def rotate(x):  # (B, T, heads, head_dim), neighbours are a pair
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * turn).flatten(-2)


def losses(rows):  # (B, T + 1) ids
    tokens, targets = rows[:, :-1], rows[:, 1:]
    B = len(rows)
    x = F.embedding(tokens, weights['token_embd.weight'])
    for i in range(shape['nLayers']):
        w = lambda part: weights[f'blk.{i}.{part}.weight']
        h = norm(x, w('attn_norm'))
        q = rotate(F.linear(h, w('attn_q')).view(B, T, heads, head_dim)).transpose(1, 2)
        k = rotate(F.linear(h, w('attn_k')).view(B, T, kv_heads, head_dim)).transpose(1, 2)
        v = F.linear(h, w('attn_v')).view(B, T, kv_heads, head_dim).transpose(1, 2)
        if kv_heads < heads:
            k, v = (t.repeat_interleave(heads // kv_heads, dim=1) for t in (k, v))
        scores = q @ k.transpose(2, 3) * head_dim**-0.5 + future
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, -1)
        x = x + F.linear(mixed, w('attn_output'))
        h = norm(x, w('ffn_norm'))
        x = x + F.linear(F.silu(F.linear(h, w('ffn_gate'))) * F.linear(h, w('ffn_up')), w('ffn_down'))
    output = weights['token_embd.weight' if train['tied'] else 'output.weight']
    logits = F.linear(norm(x, weights['output_norm.weight']), output)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction='none')


decay = [t for t in weights.values() if t.dim() == 2]
plain = [t for t in weights.values() if t.dim() == 1]
optimiser = torch.optim.AdamW(
    [{'params': decay, 'weight_decay': train['decay']}, {'params': plain, 'weight_decay': 0}],
    betas=(train['beta1'], train['beta2']),
    eps=train['eps'],
    foreach=True,  # the faster of the two here
)
rows = read('rows.i32', torch.int32).long().view(len(job['rates']), -1, T + 1)
for step, rate in enumerate(job['rates']):
    start = time.perf_counter()
    for group in optimiser.param_groups:
        group['lr'] = rate
    optimiser.zero_grad(set_to_none=True)
    loss = losses(rows[step]).mean()
    loss.backward()
    total = torch.nn.utils.clip_grad_norm_(weights.values(), train['clip'])
    optimiser.step()
    ms = (time.perf_counter() - start) * 1000
    print(json.dumps({'step': step + 1, 'loss': loss.item(), 'norm': total.item(), 'ms': ms}), flush=True)

if job['held']:
    held = read('held.i32', torch.int32).long().view(-1, T + 1)
    with torch.no_grad():
        total = sum(losses(some).double().sum().item() for some in held.split(train['sequences']))
    print(json.dumps({'held': total / (len(held) * T)}))
