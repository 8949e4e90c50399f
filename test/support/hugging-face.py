"""FOLDER IDS, the ids with commas between: logits of a model in Hugging Face's layout, as transformers computes them (half-split
rotation, projections applied to rows of activations), by PyTorch in f32; little-endian floats on standard output."""

import json
import struct
import sys

import torch
import torch.nn.functional as F

folder, ids = sys.argv[1], torch.tensor([int(id) for id in sys.argv[2].split(',')])
config = json.load(open(f'{folder}/config.json'))
DTYPES = {'F32': torch.float32, 'F16': torch.float16, 'BF16': torch.bfloat16}


def tensors():
    """huggingface/safetensors, README: the length of a JSON header, the header, the bytes."""
    data = open(f'{folder}/model.safetensors', 'rb').read()
    (length,) = struct.unpack('<Q', data[:8])
    for name, tensor in json.loads(data[8 : 8 + length]).items():
        if name != '__metadata__':
            begin, end = (8 + length + offset for offset in tensor['data_offsets'])
            values = torch.frombuffer(bytearray(data[begin:end]), dtype=DTYPES[tensor['dtype']])
            yield name, values.float().view(tensor['shape'])


weights = dict(tensors())
heads, kv_heads = config['num_attention_heads'], config['num_key_value_heads']
head_dim, T = config['head_dim'], len(ids)
frequencies = config['rope_theta'] ** (-torch.arange(0, head_dim, 2).double() / head_dim)
angles = torch.outer(torch.arange(T).double(), frequencies).repeat(1, 2)
cos, sin = angles.cos().float(), angles.sin().float()


def norm(x, weight):
    return weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + config['rms_norm_eps']))


def rotate(x):
    left, right = x.chunk(2, -1)
    return x * cos + torch.cat((-right, left), -1) * sin


def split(x, count):
    return x.view(T, count, head_dim).transpose(0, 1)


x = weights['model.embed_tokens.weight'][ids]
for i in range(config['num_hidden_layers']):
    linear = lambda x, part: F.linear(x, weights[f'model.layers.{i}.{part}_proj.weight'])
    h = norm(x, weights[f'model.layers.{i}.input_layernorm.weight'])
    q = rotate(split(linear(h, 'self_attn.q'), heads))
    k = rotate(split(linear(h, 'self_attn.k'), kv_heads)).repeat_interleave(heads // kv_heads, 0)
    v = split(linear(h, 'self_attn.v'), kv_heads).repeat_interleave(heads // kv_heads, 0)
    scores = q @ k.transpose(1, 2) / head_dim**0.5 + torch.full((T, T), float('-inf')).triu(1)
    x = x + linear((scores.softmax(-1) @ v).transpose(0, 1).reshape(T, -1), 'self_attn.o')
    h = norm(x, weights[f'model.layers.{i}.post_attention_layernorm.weight'])
    x = x + linear(F.silu(linear(h, 'mlp.gate')) * linear(h, 'mlp.up'), 'mlp.down')
output = 'model.embed_tokens.weight' if config['tie_word_embeddings'] else 'lm_head.weight'
logits = F.linear(norm(x, weights['model.norm.weight']), weights[output])
sys.stdout.buffer.write(struct.pack(f'<{logits.numel()}f', *logits.flatten().tolist()))
